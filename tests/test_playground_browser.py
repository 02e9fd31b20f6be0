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
                opened.wait_for_function("document.querySelector('#loss').textContent !== '–'")
                yield opened
                assert opened.errors == []
                browser.close()
        finally:
            server.terminate()


def test_spiral_weight_and_script(page):
    page.focus("#run")
    page.keyboard.press("Enter")
    page.wait_for_function("Number(document.querySelector('#value').textContent) >= 0.95")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#run').textContent === 'Start'")
    page.fill("#w-value", "0.125")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "[...document.querySelectorAll('#lines title')].some(t => t.textContent.startsWith('0.1250'))"
    )
    page.click("#script")
    page.wait_for_function("document.querySelector('#text').textContent.includes('0.125')")
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
    page.wait_for_function("location.hash.includes('hills')")
    page.reload()
    page.wait_for_function("document.querySelector('#metric').textContent === 'Test R²'")
    assert page.input_value("#data") == "hills"
