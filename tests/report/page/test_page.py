"""What one does with the page, in a real browser: sort, search, filter, choose, compare, export, send a view."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.report.page import stashes
from tests.testing.browser import Pages, column, fragment, section

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_comparison_is_sorted_best_first_grouped_as_python_grouped_it_and_searched(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    found = section(page, "Comparison")
    table = found.get_by_role("table")
    means = ["0.842 ± 0.011 (3)", "0.812 ± 0.011 (3)", "0.902 ± 0.011 (3)", "0.872 ± 0.011 (3)"]
    assert column(table, "Accuracy") == means
    assert table.locator("td.rank-1").first.inner_text().startswith("0.902 ± 0.011")
    accuracy = table.get_by_role("button", name="Accuracy")
    accuracy.click()
    assert column(table, "Accuracy") == sorted(means, reverse=True)
    assert table.get_by_role("columnheader", name="Accuracy").get_attribute("aria-sort") == "descending"
    accuracy.click()
    assert column(table, "Accuracy") == sorted(means)
    table.get_by_role("button", name="loss").click()
    assert table.get_by_role("columnheader", name="loss").get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="lr").click()
    assert column(table, "lr") == ["0.01", "0.01", "0.1", "0.1"]
    assert fragment(page, "lr").endswith("sort=lr")

    found.get_by_label("Rows by").select_option(label="tool")
    assert column(table, "tool") == ["adam", "sgd"]
    assert [cell.rpartition(" ")[2] for cell in column(table, "Accuracy")] == ["(6)", "(6)"]
    found.get_by_label("Find").fill("sgd")
    assert column(table, "tool") == ["sgd"]
    found.get_by_label("Find").fill("nothing that there is")
    assert column(table, "tool") == []


def test_each_figure_is_compared_for_itself_and_all_of_them_if_one_wants(pages: Pages, tmp_path: Path) -> None:
    page = pages.open(stashes.written(tmp_path, stashes.figures()))
    found = section(page, "Comparison")
    table = found.get_by_role("table")
    assert column(table, "experiment") == ["fig1/e0", "fig1/e1"]
    found.get_by_label("Rows by").select_option(label="exp")
    assert column(table, "experiment") == ["fig1/e1"]
    found.get_by_label("Figure").select_option("fig2")
    assert column(table, "experiment") == ["fig2/e2", "fig2/e3"] and not found.get_by_label("Rows by").is_visible()
    fragment(page, "figure=fig2")
    found.get_by_label("Figure").select_option("All figures")
    assert column(table, "experiment") == ["fig1/e0", "fig1/e1", "fig2/e2", "fig2/e3"]
    fragment(page, "figure=/")


def test_runs_are_searched_and_filtered_everywhere(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    table = section(page, "Runs").get_by_role("table")
    assert len(column(table, "run")) == 13
    page.get_by_label("Search runs").fill("lr=0.01 adam")
    assert column(table, "run") == ["22222f", "22222e", "22222d"]
    page.get_by_role("button", name="Show all", exact=True).click()
    page.locator("#bar summary").click()
    page.get_by_role("checkbox", name="failed").check()
    assert column(table, "run") == ["22222z"] and column(table, "state") == ["failed"]
    page.get_by_role("checkbox", name="completed").check()
    page.get_by_role("checkbox", name="paper").check()
    assert column(table, "run") == ["22222f", "22222e", "22222d", "22222c", "22222b", "22222a"]
    assert fragment(page, "tag=paper").count("state=") == 1


def test_a_view_is_sent_by_its_address(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    section(page, "Comparison").get_by_label("Rows by").select_option(label="tool")
    section(page, "Comparison").get_by_role("table").get_by_role("button", name="Accuracy").click()
    page.get_by_label("Search runs").fill("sgd & <b>ä#%")
    sent = fragment(page, "ä#%")
    other = pages.open(few, sent.removeprefix("#"))
    assert other.get_by_label("Search runs").input_value() == "sgd & <b>ä#%"
    table = section(other, "Comparison").get_by_role("table")
    assert column(table, "tool") == ["sgd", "adam"]
    assert other.evaluate("location.hash") == sent


def test_an_address_that_somebody_made_up_does_no_harm(pages: Pages, few: Path) -> None:
    page = pages.open(
        few, "by=%3Cb%3E&sort=-%E0%A4%A&run=nothing&diff=a,b,c&pick=,,&cols=x&q=%&__proto__=x&at=constructor&theme=<b>"
    )
    assert section(page, "Comparison").get_by_role("table").is_visible()


def test_a_run_opens_and_back_closes_it(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    section(page, "Runs").get_by_role("button", name="22222z").click()
    shown = page.get_by_role("dialog", name="22222z")
    told = shown.inner_text()
    assert "the tool ended with exit code 1" in told and "ValueError: lr must be more than 0" in told
    assert "run.json" in told and "failed" in told
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="22222m").is_visible()
    assert "python main.py --lr=0.01" in page.get_by_role("dialog").inner_text()
    fragment(page, "run=22222m")
    page.go_back()
    assert page.get_by_role("dialog").count() == 0
    page.go_forward()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert "run=" not in page.evaluate("location.hash")


def test_two_runs_show_what_tells_them_apart(pages: Pages, few: Path) -> None:
    page = pages.open(few)
    runs = section(page, "Runs")
    for name in ("22222a", "22222k"):
        runs.get_by_role("checkbox", name=f"Choose {name}").check()
    runs.get_by_role("button", name="Difference of 22222a and 22222k").click()
    shown = page.get_by_role("dialog", name="Difference")
    rows = [re.split(r"\s*\t\s*", line) for line in shown.get_by_role("table").inner_text().splitlines()]
    assert ["lr", "0.1", "0.01"] in rows and ["tool", "adam", "sgd"] in rows and ["seed", "1", "2"] in rows
    assert not any(row[0] == "layers" for row in rows)
    shown.get_by_label("What is the same, too").check()
    assert shown.get_by_role("rowheader", name="layers").is_visible()
    shown.get_by_role("button", name="22222k").click()
    assert page.get_by_role("dialog", name="22222k").is_visible()


def exported(page: Page, title: str, form: str) -> tuple[str, str]:
    """Return the name and the text of the file that a section exports."""
    section(page, title).get_by_role("button", name="Export").click()
    window = page.get_by_role("dialog", name="Export")
    window.get_by_text(form, exact=True).click()
    with page.expect_download() as saved:
        window.get_by_role("button", name="Download").click()
    window.get_by_role("button", name="Close").click()
    return saved.value.suggested_filename, saved.value.path().read_text(encoding="utf-8")


def test_a_table_is_exported_as_it_is_shown(pages: Pages, few: Path) -> None:
    page = pages.open(few, "sort=-metrics.accuracy&q=lr%3D0.1")
    name, text = exported(page, "Comparison", "CSV")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert name == "comparison.csv" and [row["lr"] for row in rows] == ["0.01", "0.1", "0.01", "0.1"]
    assert [float(row["Accuracy"]) for row in rows] == pytest.approx([0.902, 0.872, 0.842, 0.812])
    assert [row["Accuracy.n"] for row in rows] == ["3"] * 4 and rows[0]["Accuracy.shown"] == "0.902 ± 0.011"
    name, text = exported(page, "Runs", "CSV")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert name == "runs.csv" and [row["run"] for row in rows] == [f"22222{each}" for each in "ihgcba"]
    assert {row["lr"] for row in rows} == {"0.1"} and float(rows[0]["Accuracy"]) == 0.883
    name, text = exported(page, "Comparison", "Markdown")
    head, ruler, *lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert name == "comparison.md" and len({len(each) for each in (head, ruler, *lines)}) == 1 and len(lines) == 4
    assert "**0.902 ± 0.011 (3)**" in text and text.index("0.902") < text.index("0.872")
    assert "*0.872 ± 0.011 (3)*" in text and "second best in italics" in text and "underlined" not in text
    name, text = exported(page, "Comparison", "LaTeX")
    assert name == "comparison.tex" and "\\textbf{0.902 $\\pm$ 0.011} (3)" in text and text.count("\\\\") == 5
    page.evaluate("state.set('state', 'completed')")
    shown = section(page, "Comparison").inner_text()
    assert shown.index("The filter of runs leaves these numbers") < shown.index("0.902")


def test_texts_stay_texts_and_copies_of_a_run_are_two(pages: Pages, tmp_path: Path) -> None:
    page = pages.open(stashes.written(tmp_path, stashes.copies()))
    texts = ["0001234", "1e5", "0x10", "12345678901234567890", "1234e5", ""]
    rows = list(csv.DictReader(io.StringIO(exported(page, "Comparison", "CSV")[1], newline="")))
    assert [row["commit"] for row in rows] == texts and {row["width"] for row in rows} == {"0.25"}
    table = section(page, "Comparison").get_by_role("table")
    table.get_by_role("button", name="commit").click()
    assert column(table, "commit") == ["0x10", "0001234", "1e5", "1234e5", "12345678901234567890", ""]

    table = section(page, "Runs").get_by_role("table")
    assert column(table, "run") == ["22222a", "22222a(2)", "22222b"] and column(table, "metrics.width")[1] == "0.10"
    table.get_by_role("button", name="22222a(2)").click()
    told = page.get_by_role("dialog", name="22222a(2)").inner_text()
    assert "999" in told and "0.1" in told and "2 runs have the id 22222a" in told
    assert "Older than the run's latest attempt" in told
    fragment(page, "run=22222a(2)")
    page.keyboard.press("Escape")
    page.locator("[data-key='22222a(2)/a.png']").click()
    fragment(page, "pic=22222a(2)/a.png")
    page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="Choose 22222a", exact=True).check()
    page.get_by_role("checkbox", name="Choose 22222a(2)").check()
    section(page, "Runs").get_by_role("button", name="Difference of").click()
    assert "32\t999" in re.sub(r"\s*\t\s*", "\t", page.get_by_role("dialog").get_by_role("table").inner_text())
    page.evaluate("location.hash = 'only=22222a(2)'")
    assert column(table, "width") == ["999"]


def test_headings_stand_on_each_printed_page_of_the_runs(pages: Pages, tmp_path: Path) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    page = pages.open(stashes.written(tmp_path, stashes.many(130)), "at=runs")
    heading = page.get_by_role("region", name="Runs").get_by_role("button", name="experiment")
    heading.focus()
    printed = pdfium.PdfDocument(page.pdf(prefer_css_page_size=True))
    texts = ["".join(each.get_textpage().get_text_range().split()) for each in printed]
    of_runs = [text for text, each in zip(texts, printed, strict=True) if each.get_width() > each.get_height()]
    assert len(of_runs) > 2 and all("stateexperimenttool" in text for text in of_runs)
    assert heading.evaluate("each => each === document.activeElement")


def test_what_is_open_is_what_is_printed_and_lies_as_the_address_says(pages: Pages, few: Path) -> None:
    page = pages.open(few, "pic=22222a/figure.png&run=22222z")
    page.locator("dialog.lightbox[open]").wait_for()
    shown = page.get_by_role("dialog", name="22222z")
    assert "ValueError" in shown.locator(".said-last").inner_text()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".on-paper").get_attribute("class") == "window detail on-paper"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.keyboard.press("Escape")
    page.locator("dialog.detail:not([open])").wait_for(state="attached")
    assert page.locator("dialog.lightbox[open]").is_visible()
