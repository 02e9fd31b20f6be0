"""The page of the playground in Chromium."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("websockets")
expect = playwright.expect
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium"),
]


@pytest.fixture
def page():
    command = [sys.executable, "-m", "fastnn", "playground", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            address = re.search(r"http\S+", server.stdout.readline())[0]
            with playwright.sync_playwright() as library:
                browser = library.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
                opened = browser.new_page()
                opened.errors = []
                opened.on("pageerror", lambda error: opened.errors.append(str(error)))
                opened.goto(address)
                expect(opened.locator("#loss")).to_have_text(re.compile(r"\d"))
                yield opened
                assert opened.errors == []
                browser.close()
        finally:
            server.terminate()


def test_spiral_weight_and_script(page):
    page.focus("#run")
    page.keyboard.press("Enter")
    accurate = re.compile(r"^(0\.9[5-9]|1\.0)")
    expect(page.locator("#value")).to_have_text(accurate, timeout=30_000)
    page.keyboard.press("Enter")
    expect(page.locator("#run")).to_have_text("Start")
    assert accurate.match(page.inner_text("#value"))
    page.fill("#w-value", "0.125")
    page.keyboard.press("Enter")
    edited = re.compile(r"0\.1250\s+\(layer 0, from 0 to 0\)")
    expect(page.locator("#lines title", has_text=edited)).to_have_count(1)
    page.click("#script")
    expect(page.locator("#text")).to_contain_text("= 0.125")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(page.inner_text("#text"), {})
    loss = float(re.search(r"training loss (\S+)", out.getvalue())[1])
    assert f"{loss:.4f}" == page.inner_text("#loss")


def test_all_controls_are_reached_by_keyboard(page):
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    wanted = {"run", "step", "epoch", "reset", "data", "seed", "more", "w-value", "script", "walk"}
    assert wanted <= reached


def test_address_reproduces_the_settings(page):
    page.select_option("#data", "hills")
    expect(page).to_have_url(re.compile("hills"))
    page.reload()
    expect(page.locator("#metric")).to_have_text("Test R²")
    assert page.input_value("#data") == "hills"
