"""The inspector in a real browser: Chromium, where it is installed. Without it, or without playwright, this is skipped.

``INSPECTOR_ENTRIES=1000000`` looks at a cache of a million entries.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from hitrate import SqliteCache
from inspector.conftest import HOSTILE
from inspector.serving import Served, serving

playwright = pytest.importorskip("playwright.sync_api", reason="the extra test-browser is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

ENTRIES = int(os.environ.get("INSPECTOR_ENTRIES", "3000"))
PAGES = [
    "",
    "namespaces",
    "namespaces?by=entries",
    "entries",
    "entries?q=none",
    "expiry",
    "entries?page=x",
    "delete?all=1",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("browser") / "c.db"
    with SqliteCache[Any](path) as cache:
        for first in range(0, ENTRIES, 5000):
            cache.set(
                {
                    (("answers" if i % 3 else "pages", f"m{i % 7}"), f"key {i:07}"): (
                        "v" * (i % 300),
                        3600 if i % 2 else None,
                    )
                    for i in range(first, min(ENTRIES, first + 5000))
                }
            )
        cache.set(
            {(("hostile", HOSTILE), HOSTILE): (HOSTILE, 3600), (("hostile",), "nested"): ({HOSTILE: [HOSTILE]}, None)}
        )
    with serving(f"sqlite:///{path}?max_bytes=1000000000", "--allow-delete") as served:
        served.listed("entries")
        yield served


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """A page of a browser that knows the token; whatever it complains of fails the test."""
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith(served.base) else complaints.append(request.url))
    page.goto(served.url)
    yield page
    context.close()
    refused = re.compile("the server responded with a status of 400")
    assert [each for each in complaints if not refused.search(each)] == []


def test_the_token_leaves_the_address(page: Any, served: Served) -> None:
    assert page.url == served.base
    assert page.locator("h1").inner_text() == "Overview"


def test_without_the_token_it_shows_nothing(browser: Any, served: Served) -> None:
    context = browser.new_context()
    page = context.new_page()
    assert page.goto(served.base).status == 403
    context.close()


def test_it_is_gone_through_by_clicks(page: Any) -> None:
    page.get_by_role("link", name="Namespaces").click()
    page.locator("svg.treemap a", has_text="answers").first.click(position={"x": 5, "y": 5})
    assert page.locator("h1").inner_text() == "Namespaces under answers"
    page.locator("tbody a").nth(0).click()
    assert "answers/m" in page.locator("h1").inner_text()
    page.get_by_role("link", name="Size").click()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Size")
    page.locator("tbody a").nth(0).click()
    assert "vvv" in page.locator("pre").inner_text()
    page.get_by_role("link", name="Expiry").click()
    assert page.locator("tbody tr").count() > 8


def test_it_is_gone_through_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/namespaces")
    page.locator("svg.treemap a").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement.querySelector('rect')).strokeWidth") == "4px"
    page.keyboard.press("Enter")
    page.wait_for_url("**/namespaces?under=**")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Entries").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/entries")
    page.get_by_label("Key contains").focus()
    page.keyboard.type("0000123")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=0000123**")
    assert "1 found" in page.get_by_role("status").inner_text()


def test_entries_are_sorted_searched_and_paged(page: Any, served: Served) -> None:
    page.goto(f"{served.base}entries?sort=key&order=down")
    last = page.locator("tbody td:first-child").all_inner_texts()
    assert f"key {ENTRIES - 2:07}" in last
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="Last").click()
    assert re.search(r"page (\S+) of \1", page.get_by_role("status").inner_text())
    page.get_by_label("Key contains").fill("KEY 00001")
    page.get_by_role("button", name="Search").click()
    assert "100 found" in page.get_by_role("status").inner_text()


def test_what_is_stored_is_text_and_never_runs(page: Any, served: Served) -> None:
    page.goto(f"{served.base}entries?q=script")
    page.locator("tbody a").first.click()
    assert HOSTILE in page.locator("pre").inner_text()
    for path in (
        "namespaces?under=[%22hostile%22]",
        "expiry",
        "entry?ns=[%22hostile%22]&key=nested",
        "entries?q=%3Cscript%3E",
    ):
        page.goto(served.base + path)
        assert "taken" not in page.title()
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_is_readable_in_a_narrow_window_in_dark_and_in_light(
    page: Any, served: Served, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 700})
    for path in [*PAGES, "entry?ns=[%22hostile%22]&key=nested"]:
        page.goto(served.base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(CONTRASTS) == [], path


CONTRASTS = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const shape = each.tagName === "text" ? each.parentElement.querySelector("rect") : null;
      const colour = rgb(shape ? getComputedStyle(shape).fill : getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    if (["title", "TITLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(rgb(element.tagName === "text" ? style.fill : style.color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return low;
}"""
"""Texts whose contrast is below what WCAG 2.2 asks for, level AA."""


def test_an_entry_is_removed_by_a_button(page: Any, served: Served) -> None:
    page.goto(f"{served.base}entry?ns=[%22answers%22,%22m5%22]&key=key 0000005")
    page.get_by_role("link", name="Remove this entry").click()
    assert "key 0000005" in page.locator("main").inner_text()
    page.get_by_role("button", name="Remove").click()
    assert "1 entry is removed" in page.get_by_role("status").inner_text()
    page.goto(f"{served.base}entries?q=0000005")
    assert "0 found" in page.get_by_role("status").inner_text()


def test_the_overview_follows_without_being_loaded_again(page: Any, served: Served) -> None:
    page.evaluate("window.loaded = true")
    page.wait_for_function("document.querySelector('[data-live] .charts rect') !== null", timeout=60_000)
    assert page.evaluate("window.loaded")


def test_it_needs_no_script(browser: Any, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url)
    for path in PAGES:
        page.goto(served.base + path)
        assert page.locator("h1").count() == 1
    context.close()
