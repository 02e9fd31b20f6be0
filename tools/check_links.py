"""Check a folder of HTML pages: every relative link and anchor exists, and no page loads a script,
style or picture from the network.

Run `python tools/check_links.py build/docs`.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded = {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values.get("id"), values.get("name")} - {None}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        loaded = values.get(LOADED.get(tag))
        if tag == "link" and "stylesheet" in (values.get("rel") or ""):
            loaded = values.get("href")
        if loaded:
            self.loaded.append(loaded)


def find_problems(folder):
    # The folder _static has a template of the theme.
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): Page(path) for path in paths}
    if not pages:
        yield f"{folder}: no pages"
    for path, page in pages.items():
        for url in page.loaded:
            if urlsplit(url).netloc:
                yield f"{path}: loads {url}"
        for url in page.links + page.loaded:
            problem = find_problem(path, url, pages)
            if problem:
                yield f"{path}: {problem} {url}"


def find_problem(path, url, pages):
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return "no file"
    anchor = unquote(parts.fragment)
    if target in pages and anchor not in pages[target].anchors:
        return "no anchor"
    return None


def main(folder):
    problems = list(find_problems(folder))
    print(*problems, f"{len(problems)} problems", sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
