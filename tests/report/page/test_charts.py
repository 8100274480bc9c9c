"""Curves, scatter plots and parallel coordinates, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testing.browser import Pages, barriers
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest

if TYPE_CHECKING:
    from playwright.sync_api import Page

RATES, WIDTHS, SEEDS = (0.1, 0.01, 0.001), (8, 16), (0, 1)


@pytest.fixture
def page_of_sweep(stash: StashUnderTest, in_process: InProcess) -> Path:
    """A page of a sweep over two parameters and two seeds, whose tool has logged a loss that is NaN once."""
    number = 0
    for rate in RATES:
        for width in WIDTHS:
            for seed in SEEDS:
                name = f"22222{'abcdefghijkmnp'[number]}"
                params = {"lr": rate, "width": width, "seed": seed}
                run = finished(stash.root, name, params, {"acc": 0.5 + number / 100}, second=number)
                losses = [
                    f"{step},{step // 2},{'nan' if step == 2 and number == 0 else 8 + seed - step}" for step in range(5)
                ]
                (run.path / "history.csv").write_text("\n".join(["step,epoch,loss<b>", *losses]), encoding="utf-8")
                number += 1
    assert in_process(stash, "report").returncode == 0
    return stash.root / "report.html"


def test_charts_are_drawn_read_by_keys_filtered_and_restored_from_the_address(
    page_of_sweep: Path, pages: Pages
) -> None:
    page = pages.open(page_of_sweep, "at=curves")
    curves(page)
    scatter(page)
    parallel(page)
    assert not [each for each in barriers(page) if "chart" in each or "parallel" in each]

    again = pages.open(page_of_sweep, "at=parallel&brush=params.width:16:16&scatter-x=params.width&curve-log=y")
    again.get_by_text("6 of 12 runs, by width").wait_for()
    assert again.locator("#section-scatter .u-over").get_attribute("aria-label") == (
        "acc by width: 6 runs. Left and right go from run to run, Enter opens one."
    )
    again.locator("#section-curves").get_by_role("button", name="log y", pressed=True).wait_for()


def said(page: Page, text: str) -> None:
    """Wait until the page has told those who listen to it something."""
    page.locator("p[aria-live]", has_text=text).wait_for(state="attached")


def curves(page: Page) -> None:
    plot = page.get_by_role("application", name="loss<b> by step: 6 lines.")
    plot.focus()
    page.keyboard.press("ArrowRight")
    said(page, "mean of 2 runs: 8.5 ± 0.707 at step 0")
    page.get_by_label("Colour").first.select_option("params.seed")
    legend = page.locator("#section-curves").get_by_role("list", name="Legend")
    assert legend.inner_text().split() == ["several", "of", "seed"]  # no mean is of one
    legend.get_by_role("button").click()
    page.get_by_text("No curves of the runs that are shown.").wait_for()
    legend.get_by_role("button", name="several of seed", pressed=False).click()
    page.get_by_label("Colour").first.select_option("params.lr")
    assert sorted(legend.inner_text().split()) == ["0.001", "0.01", "0.1"]
    page.get_by_label("Show").focus()
    page.get_by_label("Show").select_option("lines")
    plot = page.get_by_role("application", name="loss<b> by step: 12 lines.")
    assert page.evaluate("document.activeElement.dataset.name") == "Show"
    page.get_by_text("As a table").click()
    assert page.locator(".chart-table tbody tr").count() == 12
    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")
    page.get_by_label("Along").select_option("epoch")
    page.get_by_role("application", name="loss<b> by epoch: 12 lines.").wait_for()
    page.get_by_label("Search runs").fill("lr=0.01")
    page.get_by_role("application", name="loss<b> by epoch: 4 lines.").wait_for()
    assert legend.inner_text() == "0.01"
    page.get_by_label("Search runs").fill("")
    page.get_by_role("application", name="loss<b> by epoch: 12 lines.").wait_for()


def scatter(page: Page) -> None:
    page.evaluate("main.go('scatter')")
    plot = page.get_by_role("application", name="acc by lr: 12 runs.")
    plot.focus()
    page.keyboard.press("ArrowRight")
    said(page, "22222i: acc 0.58, lr 0.001")
    page.keyboard.press("Enter")
    page.locator("dialog[open]", has_text="22222i").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")


def parallel(page: Page) -> None:
    page.evaluate("main.go('parallel')")
    lowest = page.get_by_role("slider", name="width, from")
    lowest.focus()
    page.keyboard.press("End")
    page.get_by_text("6 of 12 runs, by width").wait_for()
    assert lowest.get_attribute("aria-valuetext") == "16"
    page.wait_for_url(re.compile("brush=params.width:16:16"))
    page.get_by_role("application", name="acc by lr: 6 runs.").wait_for()
    axis = page.locator(".parallel-grip").first
    axis.hover(position={"x": 16, "y": 9})
    page.mouse.down()
    axis.hover(position={"x": 16, "y": 100})
    page.mouse.up()
    page.get_by_text("2 of 12 runs, by width, lr").wait_for()
    page.get_by_role("button", name="Clear ranges").click()
    page.get_by_role("application", name="acc by lr: 12 runs.").wait_for()
