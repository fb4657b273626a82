"""The built book in a browser, Debian's Chromium without a screen.

It is looked for in docs/_build/html, or where LOWRANK_SR_SITE says.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import chromium

pytestmark = pytest.mark.slow

SITE = Path(os.environ.get("LOWRANK_SR_SITE") or Path(__file__).parents[2] / "docs" / "_build" / "html")
CHAPTERS = ["auto_tour/05_winograd.html", "auto_tour/08_svd.html"]
PAGES = ["index.html", *CHAPTERS, "reference/generated/lowrank_sr.lowrank.svd.html"]


@pytest.fixture(scope="module", params=[1280, 400])
def browser(request, tmp_path_factory):
    """Chromium, so many pixels wide."""
    if not (SITE / "index.html").is_file():
        pytest.skip(f"the book is not built: sphinx-build -W docs {SITE}")
    with chromium(request.param, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(params=PAGES)
def page(request, browser):
    """The browser with a page open, its equations set, and the page's name."""
    browser.get((SITE / request.param).as_uri())
    set_all = "MathJax.startup.promise.then(() => arguments[0]())"
    browser.execute_async_script(f"window.MathJax ? {set_all} : arguments[0]()")
    return browser, request.param


def test_nothing_is_missing_and_no_other_host_is_asked(page):
    browser, _ = page
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sent
    assert {urlsplit(url).scheme for url in sent} <= {"file", "data"}
    assert [event["params"] for event in events if event["method"] == "Network.loadingFailed"] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_equations_are_rendered(page):
    browser, name = page
    equations = browser.find_elements("css selector", ".math")
    shown = [equation.find_elements("css selector", "mjx-container > svg") for equation in equations]
    assert all(len(drawings) == 1 and drawings[0].size["height"] > 4 for drawings in shown)
    assert not browser.find_elements("css selector", "mjx-merror, [data-mjx-error]")
    if name in CHAPTERS:
        assert len(equations) > 2


def test_nothing_but_code_and_tables_scrolls_sideways(page):
    browser, _ = page
    inner, outer = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert inner <= outer
    wide = browser.execute_script("""
        return [...document.querySelectorAll('article *')]
          .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
          .filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
          .filter(e => !e.closest('pre, .highlight') && !e.querySelector('table') && !e.closest('table'))
          .map(e => e.outerHTML.slice(0, 200))""")
    assert wide == []


def test_pictures_are_shown(page):
    browser, _ = page
    pictures = "[...document.querySelectorAll('article img')].filter(e => e.checkVisibility())"
    assert browser.execute_script(f"return {pictures}.every(e => e.complete && e.naturalWidth > 0)")
