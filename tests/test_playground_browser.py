"""The page of the playground in Chromium."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import unquote

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("websockets")
expect = playwright.expect
pytestmark = pytest.mark.process
NUMBER = re.compile(r"\d")
ACCURATE = re.compile(r"^(0\.9[5-9]|1\.0)")


@contextlib.contextmanager
def serve():
    """Start the command; yield the process and the address that it prints."""
    command = [sys.executable, "-m", "fastnn", "playground", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            yield server, re.search(r"http\S+", server.stdout.readline())[0]
        finally:
            server.terminate()


@pytest.fixture
def context(browser):
    made = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture
def open_page(context):
    """A function that opens an address in a new page. The page must have had no error."""
    errors = []

    def open_one(address):
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto(address)
        return page

    yield open_one
    assert errors == []


@pytest.fixture
def address():
    with serve() as (_, printed):
        yield printed


@pytest.fixture
def page(open_page, address):
    opened = open_page(address)
    expect(opened.locator("#loss")).to_have_text(NUMBER)
    return opened


def run_script(text):
    """The training loss that the script prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(text, {})
    return float(re.search(r"training loss (\S+)", out.getvalue())[1])


def shows(text, value):
    """Whether the page shows the value, with four decimals or, if it is small, three digits."""
    return text == (f"{value:.4f}" if value >= 0.001 else re.sub("e-0", "e-", f"{value:.2e}"))


def test_spiral_weight_and_copied_script(page):
    page.focus("#run")
    page.keyboard.press("Enter")
    expect(page.locator("#value")).to_have_text(ACCURATE, timeout=60_000)
    page.keyboard.press("Enter")
    expect(page.locator("#run")).to_have_text("Start")
    assert ACCURATE.match(page.inner_text("#value"))
    page.fill("#w-value", "0.125")
    page.keyboard.press("Enter")
    line = page.locator("#lines path").first
    expect(line).to_have_attribute("stroke-width", "0.6")  # 0.4 + 1.6 * 0.125
    line.dispatch_event("mouseenter")
    expect(line.locator("title")).to_have_text(re.compile(r"0\.1250\s+\(layer 0, from 0 to 0\)"))
    page.click("#step")
    page.click("#script")
    expect(page.locator("#text")).to_contain_text("= 0.125")
    page.click("#copy")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.text_content("#text")
    assert shows(page.inner_text("#loss"), run_script(copied))


def test_a_line_selects_its_weight(page):
    lines = page.locator("#lines path")
    expect(lines).to_have_count(2 * 8 + 8 * 8 + 8)
    lines.nth(16 + 8 * 2 + 5).dispatch_event("mouseenter")
    lines.nth(16 + 8 * 2 + 5).dispatch_event("click")
    place = [page.input_value(f"#w-{name}") for name in ("layer", "i", "j")]
    assert place == ["1", "2", "5"]
    title = lines.nth(16 + 8 * 2 + 5).locator("title").text_content()
    assert float(title.split()[0]) == pytest.approx(float(page.input_value("#w-value")), rel=1e-3)


def test_batch_and_seeds(page):
    page.fill("#batch_size", "4")
    page.press("#batch_size", "Tab")
    page.click("#walk")
    expect(page.locator("#panel-title")).to_have_text("Training rows 0 to 3")
    expect(page.locator("#text")).to_contain_text("Backward pass")
    page.click("#epoch")
    page.click("#repeat")
    expect(page.locator("#panel-title")).to_have_text("Test accuracy over 20 seeds", timeout=60_000)
    mean, deviation, *values = map(float, re.findall(r"\d\.\d{4}", page.inner_text("#text")))
    assert len(values) == 20
    assert sum(values) / 20 == pytest.approx(mean, abs=1e-4)
    assert deviation > 0
    page.click("#close")
    expect(page.locator("#panel")).to_be_hidden()


def test_layers_units_and_activations(page):
    page.click("#more")
    expect(page.locator("#layers canvas")).to_have_count(2 + 3 * 8 + 1)
    page.get_by_label("Fewer units in layer 1").click()
    expect(page.locator("#layers canvas")).to_have_count(2 + 8 + 7 + 8 + 1)
    page.get_by_label("Activation of layer 2").select_option("relu")
    page.get_by_text("sin x").click()
    expect(page.locator("#layers canvas")).to_have_count(3 + 8 + 7 + 8 + 1)
    page.click("#script")
    expect(page.locator("#text")).to_contain_text('units=7, activation="tanh"')
    expect(page.locator("#text")).to_contain_text('units=8, activation="relu"')


def test_all_controls_are_reached_by_keyboard(page):
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    wanted = {
        "run", "step", "epoch", "reset", "data", "noise", "batch_size", "optimizer", "seed",
        "fewer", "more", "w-value", "script", "walk", "repeat", "beside",
    }  # fmt: skip
    assert wanted <= reached


def test_address_reproduces_the_settings(page):
    page.select_option("#data", "hills")
    expect(page).to_have_url(re.compile("hills"))
    page.reload()
    expect(page.locator("#metric")).to_have_text("Test R²")
    assert page.input_value("#data") == "hills"


def test_invalid_value_is_explained_and_changes_nothing(page):
    page.fill("#noise", "7")
    page.press("#noise", "Tab")
    expect(page.locator("#message")).to_have_text("noise: expected a number from 0 to 1; got 7")
    assert page.input_value("#noise") == "0"
    page.click("#epoch")
    expect(page.locator("#epochs")).to_have_text("1")


def test_csv_file(page, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,target\n" + "\n".join(f"{i},{i * i % 17},{i % 2}" for i in range(60)))
    with page.expect_file_chooser() as chooser:
        page.select_option("#data", "csv")
    chooser.value.set_files(path)
    expect(page.locator("#data")).to_have_value("csv")
    page.click("#epoch")
    expect(page.locator("#epochs")).to_have_text("1")
    path.write_text("1,2\n")
    page.select_option("#data", "xor")
    with page.expect_file_chooser() as chooser:
        page.select_option("#data", "csv")
    chooser.value.set_files(path)
    expect(page.locator("#message")).to_contain_text("csv: expected 10 to 5,000 rows; got 1")
    expect(page.locator("#data")).to_have_value("xor")


def test_two_networks_side_by_side(page):
    page.click("#beside")
    left, right = (page.frame_locator("iframe").nth(k) for k in (0, 1))
    expect(left.locator("#optimizer")).to_have_value("adam")
    expect(right.locator("#optimizer")).to_have_value("sgd")
    left.locator("#data").select_option("gaussians")
    expect(right.locator("#data")).to_have_value("gaussians")
    right.locator("#learning_rate").fill("0.02")
    right.locator("#learning_rate").press("Tab")
    page.click("text=Start both")
    for one in (left, right):
        expect(one.locator("#value")).to_have_text(ACCURATE, timeout=60_000)
    page.click("text=Pause both")
    for one in (left, right):
        expect(one.locator("#run")).to_have_text("Start")
    expect(page).to_have_url(re.compile("0.02"))
    both = json.loads(unquote(page.url.split("#pair=")[1]))
    assert [one["optimizer"] for one in both] == ["adam", "sgd"]
    assert [one["learning_rate"] for one in both] == [0.01, 0.02]
    assert [one["data"] for one in both] == ["gaussians", "gaussians"]
    page.reload()
    expect(left.locator("#data")).to_have_value("gaussians")
    expect(right.locator("#learning_rate")).to_have_value("0.02")
    expect(right.locator("#optimizer")).to_have_value("sgd")


def test_pages_do_not_disturb_each_other(open_page, page, address):
    other = open_page(address + "#" + json.dumps({"data": "xor"}))
    expect(other.locator("#data")).to_have_value("xor")
    expect(other.locator("#loss")).to_have_text(NUMBER)
    before = other.inner_text("#loss")
    page.click("#run")
    expect(page.locator("#value")).to_have_text(ACCURATE, timeout=60_000)
    assert (other.inner_text("#epochs"), other.inner_text("#loss")) == ("0", before)
    other.click("#epoch")
    expect(other.locator("#epochs")).to_have_text("1")
    page.click("#run")
    page.click("#script")
    expect(page.locator("#text")).to_contain_text("spiral")
    assert shows(page.inner_text("#loss"), run_script(page.text_content("#text")))


@pytest.mark.parametrize("width", [1280, 640, 400])
def test_nothing_is_wider_than_the_page(page, width):
    """640 pixels are a page of 1280 pixels at 200 %."""
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_ctrl_c_stops_the_command_while_a_page_trains(open_page):
    with serve() as (server, printed):
        page = open_page(printed)
        expect(page.locator("#loss")).to_have_text(NUMBER)
        page.click("#run")
        expect(page.locator("#epochs")).not_to_have_text("0")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
        assert "Traceback" not in server.stderr.read()
        expect(page.locator("#message")).to_contain_text("server has stopped")
