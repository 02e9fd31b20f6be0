"""The API reference is complete; the check of links finds what is broken; and in a browser, the
built site (its folder is FASTNN_SITE) can be searched and walked through."""

import functools
import http.server
import importlib
import importlib.util
import os
import re
import threading
import types
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
MODULES = [
    "activations", "callbacks", "datasets", "initializers", "layers", "losses", "metrics",
    "optimizers", "plot", "preprocessing", "reference", "schedules",
] + ["estimators"] * HAS_SKLEARN  # fmt: skip


def read_documented_names():
    """The qualified names that the pages of the API reference list."""
    for path in sorted((ROOT / "docs/api").glob("*.rst")):
        text = path.read_text()
        module = re.search(r"^\.\. currentmodule:: (\S+)$", text, re.M)
        if module and (HAS_SKLEARN or not module[1].endswith(".estimators")):
            for name in re.findall(r"^   (\w+)$|^\.\. py:data:: (\w+)$", text, re.M):
                yield module[1], "".join(name)


def get_documented_objects():
    return {
        id(getattr(importlib.import_module(module), name))
        for module, name in read_documented_names()
    }


@pytest.mark.parametrize("name", ["fastnn", *(f"fastnn.{name}" for name in MODULES)])
def test_api_reference_has_every_public_name(name):
    documented = get_documented_objects()
    module = importlib.import_module(name)
    values = {public: getattr(module, public) for public in module.__all__}
    missing = {
        public for public, value in values.items()
        if not isinstance(value, types.ModuleType) and id(value) not in documented
    }  # fmt: skip
    assert not missing


def test_api_reference_has_every_public_module():
    pages = {module for module, _ in read_documented_names()}
    modules = [getattr(fastnn, name) for name in fastnn.__all__]
    assert {value.__name__ for value in modules if isinstance(value, types.ModuleType)} <= pages


def test_comparison_counts_its_lines():
    """Lines of code without empty ones. fastnn is the fastest in the recorded run."""
    text = (ROOT / "docs/comparison.md").read_text()
    code = re.findall(r"^\*\*([\w-]+)\*\*[^\n]*\n\n```\n(.*?)```", text, re.M | re.S)
    counts = {name: len([line for line in block.splitlines() if line]) for name, block in code}
    table = {name: int(n) for name, n in re.findall(r"^\| ([\w-]+) \| (\d+) \|", text, re.M)}
    assert table == counts
    assert len(counts) == 5
    ratios = re.findall(r"^\| [\w-]+ \| \d+ \| [\d.]+ \| ([\d.]+) \|", text, re.M)
    assert [float(ratio) >= 1 for ratio in ratios] == [True] * 5


# ---- the check of links --------------------------------------------------------------------------


@pytest.fixture
def check_links():
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "tools/check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="b.html#there">', None),
        ('<a href="https://example.org">', None),
        ('<a href="c.html">', "no file c.html"),
        ('<a href="b.html#nowhere">', "no anchor b.html#nowhere"),
        ('<a href="#nowhere">', "no anchor #nowhere"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
    ],
)
def test_check_of_links(check_links, tmp_path, html, problem):
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<p id="there">')
    problems = list(check_links.find_problems(tmp_path))
    assert [text.split(": ")[1] for text in problems] == ([] if problem is None else [problem])


# ---- the site in a browser -----------------------------------------------------------------------


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    folder = os.environ.get("FASTNN_SITE")
    if not folder:
        pytest.skip("FASTNN_SITE is not set: no site was built")
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(site, browser):
    page = browser.new_page()
    page.foreign = []  # requests to other servers
    page.on("request", lambda r: r.url.startswith(site) or page.foreign.append(r.url))
    yield page
    page.close()


@pytest.mark.process
def test_links_lead_from_the_landing_page_to_an_api_entry(site, page):
    page.goto(site)
    page.wait_for_url("**/docs/index.html")
    page.locator(".sd-card", has_text="API reference").click()
    page.locator(".bd-article a", has_text="Optimizers").first.click()
    page.locator('.bd-article a[href*="fastnn.optimizers.Adam.html"]').first.click()
    assert "beta_1" in page.locator("dt.sig").first.inner_text()
    assert page.foreign == []


@pytest.mark.process
def test_search_finds_a_name(site, page):
    page.goto(f"{site}/docs/index.html")
    page.keyboard.press("Control+k")
    page.locator("dialog input[type=search]").fill("LevenbergMarquardt")
    page.keyboard.press("Enter")
    page.locator("#search-results a", has_text="LevenbergMarquardt").first.click()
    assert "LevenbergMarquardt" in page.locator("article").inner_text()
    assert page.foreign == []
