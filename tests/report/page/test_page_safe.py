"""That the page can be trusted: with hostile texts, by keyboard, for a screen reader, on a phone, of many runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experimentstash.report.page import forms
from tests.report.page import stashes
from tests.testing.browser import Pages, barriers, column, heap, section, until
from tests.testing.stash import InProcess, StashUnderTest

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECTIONS = ("Comparison", "Pictures", "Curves", "Scatter", "Parallel coordinates", "Runs")


def all_drawn(page: Page) -> Page:
    """Have all sections drawn, as one who reads the page to its end."""
    for title in page.get_by_role("heading", level=2).all_inner_texts():
        section(page, title)
    return page


def test_no_text_of_a_run_becomes_anything_else(pages: Pages, in_process: InProcess) -> None:
    place = stashes.page("hostile", stashes.hostile, in_process, "--title", stashes.HOSTILE[0])
    page = all_drawn(pages.open(place))
    assert page.title() == stashes.HOSTILE[0] == page.get_by_role("heading", level=1).inner_text()
    for name in ["22222a", "22222b", "22222c", "22222d", "22222e"]:
        section(page, "Runs").get_by_role("button", name=name, exact=True).click()
        told = page.get_by_role("dialog", name=name).inner_text()
        assert ("window.hacked" in told or name == "22222e") and "tool.patch" in told and "drawing.svg" in told
        page.keyboard.press("Escape")
    for name in ["22222a", "22222e"]:
        page.get_by_role("checkbox", name=f"Choose {name}", exact=True).check()
    page.get_by_role("button", name="Difference of 22222a and 22222e").click()
    assert page.get_by_role("dialog", name="Difference").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("window.hacked") is None and page.evaluate("({}).x") is None
    assert page.locator("script").count() == 1 and page.locator("iframe, object, embed, base, form").count() == 0
    assert not page.evaluate(
        "[...document.querySelectorAll('a')].filter(each => !/^(file|https|data):/.test(each.protocol)).length"
    )


def test_no_text_becomes_anything_else_on_a_runs_own_page(
    pages: Pages, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = stashes.page("hostile", stashes.hostile, in_process, "--title", stashes.HOSTILE[0]).parent
    monkeypatch.setattr(forms, "MOST_WITH_FILES", 1)  # there is room for no run in the first page
    assert in_process(StashUnderTest(root), "report", "-o", "site").returncode == 0
    page = pages.open(root / "site" / "index.html")
    page.goto((root / "site" / "runs" / "22222a.html").as_uri())
    assert stashes.HOSTILE[0] in page.locator("body").inner_text()
    assert page.locator("script").count() == 0 and page.evaluate("window.hacked") is None
    assert not barriers(page)


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (390, "dark")])
def test_nothing_keeps_people_from_using_it(pages: Pages, few: Path, width: int, theme: str) -> None:
    page = all_drawn(pages.open(few, color_scheme=theme, viewport={"width": width, "height": 844}))
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert not barriers(page)
    section(page, "Runs").get_by_role("button", name="22222z").click()
    assert not barriers(page)
    page.keyboard.press("Escape")
    for name in ("22222a", "22222k"):
        section(page, "Runs").get_by_role("checkbox", name=f"Choose {name}").check()
    page.get_by_role("button", name="Difference of 22222a and 22222k").click()
    assert not barriers(page)
    page.keyboard.press("Escape")
    section(page, "Comparison").get_by_role("button", name="Export").click()
    assert not barriers(page)


def focused(page: Page) -> str:
    """Return what has the focus: what it is called."""
    return page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called so has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"Tab never leads to {name!r}")


def test_it_is_used_by_keyboard_alone(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "Accuracy")
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="Comparison")
    assert column(table, "Accuracy")[0] == "0.902 ± 0.011 (3)" and focused(page).startswith("Accuracy")
    page.evaluate("document.activeElement.blur()")
    page.get_by_role("link", name="Runs").press("Enter")
    tab_to(page, "22222z")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "22222m"
    page.keyboard.press("Enter")
    shown = page.get_by_role("dialog", name="22222m")
    assert shown.evaluate("each => each.contains(document.activeElement)")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="22222k").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0 and focused(page) == "22222m"


def test_ten_thousand_runs_stay_usable(pages: Pages, tmp_path: Path) -> None:
    page = all_drawn(pages.open(stashes.written(tmp_path, stashes.many(10_000))))
    runs = section(page, "Runs")
    table = runs.get_by_role("table")
    assert table.get_attribute("aria-rowcount") == "10001" and len(column(table, "run")) < 200
    table.get_by_role("button", name="m0").click()
    best = [float(cell) for cell in column(table, "m0")]
    assert best == sorted(best, reverse=True) and best[0] > 0.99
    runs.locator(".scroller").evaluate("each => each.scrollTop = each.scrollHeight")
    until(page, "table => table.tBodies[0].textContent.includes('0.000')", table.element_handle())
    assert len(column(table, "run")) < 200
    page.get_by_label("Search runs").fill("2200042")
    until(page, "table => table.getAttribute('aria-rowcount') === null", table.element_handle())  # a moment later
    assert column(table, "run") == ["2200042"]
    page.get_by_label("Search runs").fill("")
    assert heap(page) < 300_000_000
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000
