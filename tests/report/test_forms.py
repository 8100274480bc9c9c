"""A comparison in each form: what it says is the same, and whatever names are in it, the form stays what it is."""

from __future__ import annotations

import csv
import html.parser
import io
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.base.output import Paper
from experimentstash.base.text import cells
from experimentstash.report.compare import Comparison, compare
from experimentstash.report.differences import TESTS
from experimentstash.report.metrics import Metric
from experimentstash.report.render import formats, to_latex, to_markdown, to_terminal
from experimentstash.report.summaries import WAYS
from experimentstash.runs.facts import Facts
from experimentstash.stash.schema import Better
from tests.testing.finished import finished

ODD = "a&b_c%$#{x}~^\\<y> |*`'\"é ß α → 日本 \x1b[2J --"
METRICS = {
    "trust": Metric("trust", "Trust. & 50 %_", Better.higher),
    "loss": Metric("loss", "loss", Better.lower),
    "odd": Metric("odd", "odd"),
}
MUST_HAVE_LATEX = "EXPERIMENTSTASH_REQUIRE_LATEX" in os.environ
Made = Callable[..., Comparison]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Compare three experiments over three seeds; some numbers are missing, some aren't finite."""
    runs = []
    for number, (exp, seed) in enumerate(itertools.product(["fig/a", "fig/b", ODD], [1, 2, 3])):
        trust = {"fig/a": 0.9, "fig/b": 0.98, ODD: 0.95}[exp] + seed * 0.001 + (seed == 2) * 0.0004
        numbers: dict[str, Any] = {"trust": trust, "loss": -12345.6 + number * 11.1}
        if exp != "fig/a":
            numbers["odd"] = [math.nan, math.inf, -math.inf][seed - 1] if exp == ODD else math.inf
        if (exp, seed) == ("fig/b", 3):
            del numbers["loss"]
        runs.append(Facts(finished(tmp_path, f"r{number:06}", {"seed": seed}, numbers, exp=exp, second=number)))

    def make(way: str = "std", **options: Any) -> Comparison:
        return compare(runs, METRICS, WAYS[way], **{"remarks": [f"left out: {ODD}"], **options})

    return make


@pytest.mark.slow
def test_people_see_what_it_has_come_to(made: Made) -> None:
    told = to_terminal.render(made())
    lines = told.splitlines()
    assert re.split("  +", lines[0].strip()) == ["experiment", "Trust. & 50 %_ ↑", "loss ↓", "odd"]
    by_name = {line.split("  ")[0]: re.split("  +", line.strip())[1:] for line in lines[1:4]}
    assert by_name["fig/b"] == ["0.9821 ± 0.0010 (3)*", "-12307 ± 8 (2)+", "inf (3)"]
    assert by_name["fig/a"] == ["0.9021 ± 0.0010 (3)", "-12334 ± 11 (3)*", "-"]
    assert lines[4] == (
        "Mean ± standard deviation of the sample (n − 1) over seed (number of runs). Best has *, second best has +."
    )
    assert lines[5].startswith("! left out: a&b_c%") and "\x1b" not in lines[5]
    assert lines[6:] == [
        "! without loss: 1 of 9 runs (r000005)",
        "! without odd: 3 of 9 runs (r000002, r000001, r000000)",
        "! odd is not a finite number in 6 of 9 runs (r000008, r000007, r000006, r000005, r000004, …)",
    ]
    assert "median [lower quartile" in to_terminal.render(made("quartiles")).lower()
    assert "by Student's t] over seed" in to_terminal.render(made("t"))
    assert "percentiles of a bootstrap, 9,999 draws" in to_terminal.render(made("bootstrap"))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("way", WAYS)
def test_it_fits_a_terminal_and_no_number_is_lost(made: Made, way: str, width: int) -> None:
    found = made(way, test=TESTS["t"])
    told = to_terminal.render(found, Paper(width, is_coloured=True))
    assert all(cells(line) <= width for line in told.splitlines())
    if width >= 60:
        told = re.sub(r"\x1b\[\d+m", "", told)
        for row in found.rows:
            for number in range(len(found.metrics)):
                assert all(part in told for part in found.written(row, number))


def test_differences_are_named_by_what_differs(made: Made, tmp_path: Path) -> None:
    runs = [
        Facts(finished(tmp_path, f"s{seed}{name}", {"seed": seed}, {"acc": seed + len(name) * seed % 7}, exp=exp))
        for name, exp in (("x", "figure1/pca_swissroll"), ("yy", "figure1/umap_swissroll"))
        for seed in (1, 2, 3)
    ]
    told = to_terminal.render(compare(runs, {}, WAYS["std"], test=TESTS["wilcoxon"]))
    assert re.search(r"^acc +pca +umap +3 +-2\.0 +0\.\d+ +0\.\d+$", told, re.MULTILINE), told
    assert "two-sided Wilcoxon signed-rank test, in pairs of the same seed" in told
    assert "With so few pairs p can't be less than 0.25." in told
    told = to_terminal.render(made(test=TESTS["t"]))
    assert "two-sided paired t-test" in told and "can't be less" not in told
    assert " odd: no test of 3 pairs of rows" in told or " odd: no test of 2 pairs of rows" in told


def test_json_has_all_of_it_and_is_json(made: Made) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(formats.render("json", made(test=TESTS["t"])), parse_constant=refuse)
    groups = {each["group"]["experiment"]: each for each in found["groups"]}
    assert groups.keys() == {"fig/a", "fig/b", ODD} and found["over"] == ["seed"]
    assert groups["fig/b"]["metrics"]["odd"] == {"n": 3, "mean": "Infinity", "std": None, "rank": None}
    assert groups[ODD]["metrics"]["odd"]["mean"] == "NaN" and groups["fig/a"]["metrics"]["odd"] is None
    assert groups["fig/b"]["metrics"]["trust"]["rank"] == 1
    assert groups["fig/b"]["metrics"]["trust"]["mean"] == pytest.approx(0.9821333333)
    assert groups["fig/b"]["runs"] == ["r000005", "r000004", "r000003"]
    assert found["metrics"][0] == {"name": "trust", "label": "Trust. & 50 %_", "better": "higher"}
    assert len(found["differences"]) == 9 and found["remarks"][0] == f"left out: {ODD}"
    assert found["test"] == "two-sided paired t-test; corrected by Holm"


def test_csv_has_all_digits(made: Made) -> None:
    header, *rows = csv.reader(io.StringIO(formats.render("csv", made())))
    assert header == ["experiment", *(f"{name}.{part}" for name in METRICS for part in ("n", "mean", "std"))]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name.keys() == {"fig/a", "fig/b", ODD}
    assert float(by_name["fig/b"][1]) == pytest.approx(0.982133333333, abs=1e-12)
    assert by_name["fig/a"][6:] == ["0", "", ""] and by_name["fig/b"][6:] == ["3", "inf", ""]
    assert formats.render("csv", made("t")).splitlines()[0].count("trust.low,trust.high") == 1


def test_markdown_stays_a_table(made: Made) -> None:
    lines = formats.render("markdown", made(test=TESTS["t"])).splitlines()
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:5]}
    assert columns == {5} and lines[1] == "| --- | ---: | ---: | ---: |"
    assert "| **0.9821 ± 0.0010 (3)** | *-12307 ± 8 (2)* |" in lines[4]
    assert "Best in bold, second best in italics." in "\n".join(lines)
    assert "- without loss: 1 of 9 runs (r000005)" in lines


@given(st.text())
def test_markdown_takes_any_text(text: str) -> None:
    line = to_markdown.escaped(text)
    assert "\n" not in line and not re.search(r"(?<!\\)(?:\\\\)*[|<`*]", line)


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag in ("td", "th", "li"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th", "li"} & set(self.open):
            self.cells[-1] += data


def test_html_is_well_formed_and_says_the_same(made: Made) -> None:
    text = formats.render("html", made(test=TESTS["t"]))
    read = Tags()
    read.feed(text)
    assert read.open == [] and "<strong>0.9821 ± 0.0010 (3)</strong>" in text
    assert read.cells[:4] == ["experiment", "Trust. & 50 %_ ↑", "loss ↓", "odd"]
    assert any(cell.startswith("a&b_c%$#{x}~^\\<y> |*`'\"é") for cell in read.cells)
    assert "left out" in read.cells[-4]


def test_a_files_name_says_its_form() -> None:
    names = ("a/table.tex", "x.CSV", "x.json", "x.md", "x.html")
    assert [formats.of_file(name) for name in names] == ["latex", "csv", "json", "markdown", "html"]
    for name in ("x", "x.txt", "tex"):
        with pytest.raises(StashError, match=r"its name doesn't say in which form(.|\n)*\.tex, \.csv"):
            formats.of_file(name)


# --- LaTeX -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def typeset(tmp_path: Path) -> Callable[[str], str]:
    """Compile a document with a real LaTeX, and return what stands on its pages."""
    latex = shutil.which("pdflatex")
    if latex is None or shutil.which("pdftotext") is None:
        if MUST_HAVE_LATEX:
            pytest.fail("there is no LaTeX: see .ci/run")
        pytest.skip("there is no LaTeX here")

    def compiled(text: str, **files: str) -> str:
        folder = tmp_path / "latex"
        folder.mkdir(exist_ok=True)
        for name, content in {"main": text, **files}.items():
            (folder / f"{name}.tex").write_text(content, encoding="utf-8")
        done = subprocess.run(
            [latex, "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
            cwd=folder,
            env={**os.environ, "TEXMFVAR": str(tmp_path / "texmf"), "max_print_line": "1000"},
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout
        assert not re.search(r"Warning|Missing character|occurred when", done.stdout), done.stdout
        shown = subprocess.run(
            ["pdftotext", "-layout", "main.pdf", "-"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
        return unicodedata.normalize("NFC", shown)

    return compiled


@pytest.mark.slow
def test_latex_compiles_as_it_is(made: Made, typeset: Callable[..., str]) -> None:
    text = formats.render("latex", made(metrics=["trust"], test=TESTS["t"]))
    shown = re.sub(r"\s+", " ", typeset(text))
    assert re.search("Trust. & 50 %.? ↑", shown) and "0.9821 ± 0.0010" in shown  # what is drawn isn't in the text
    assert "over seed. Best in bold, second best underlined. n = 3." in shown  # all cells have so many
    assert re.search(r"a&b.?c%\$#\{x\}˜ˆ\\<y> \|\*", shown)
    assert "é ß α → U+65E5U+672C \\x1b[2J --" in shown
    assert "left out" not in shown and "\n% left out: a&b_c%" in text
    assert "\n% Differences in the mean: two-sided paired t-test, in pairs of the same seed; " in text
    assert r"\textbf{\num{0.9821 +- 0.0010}}" in text


@pytest.mark.parametrize("way", ["std", "t"])
def test_latex_is_put_into_a_paper(made: Made, typeset: Callable[..., str], way: str) -> None:
    paper = r"""
        \documentclass{article}
        \usepackage{booktabs,siunitx}
        \begin{document}
        Before. \input{one} Between. \input{two} Behind.
        \end{document}
    """
    one, two = (formats.render("latex", made(way, metrics=[name])) for name in ("loss", "odd"))
    shown = re.sub(r"\s+", " ", typeset(paper, one=one, two=two))
    assert "Before. Between. Behind." in shown and "Table 2" in shown and "loss ↓" in shown
    assert "∞" in shown and "NaN" in shown and "–" in shown
    assert ("−12 307 ± 8 (2)" if way == "std" else "−12 307 [−12 377, −12 236] (2)") in shown


def test_latex_has_each_letter_that_it_passes_on(typeset: Callable[..., str]) -> None:
    letters = [chr(code) for code in [*range(0x20, 0x7F), *range(0xA0, 0x180), *map(ord, "αΩµ±×∞≤→•–—…“”‘’°−")]]
    body = "\n\n".join(f"[{to_latex.escaped(letter)}]" for letter in letters)
    shown = typeset(
        f"\\documentclass{{article}}\\usepackage[utf8]{{inputenc}}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    assert shown.count("[") == len(letters) + 1
    assert "U+00D0" in shown and "U+00E9" not in shown


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_latex_takes_any_text(text: str) -> None:
    escaped = to_latex.escaped(text)
    assert "\n" not in escaped
    commands = r"\\(?:textbackslash|ldots)\{\}|\\char\d+\{\}|\\[#$%&_{}]|\$[^$]+\$|\{\}"
    assert not set("\\#$%&_{}~^<>|") & set(re.sub(commands, "", escaped))
