"""A comparison as a table in Markdown, as GitHub and most others read it."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.patterns import regex
from experimentstash.base.text import clean
from experimentstash.report.compare import Comparison
from experimentstash.report.render import words

_MARKS = {1: "**", 2: "*"}
_SPECIAL = regex(r"([\\`*_{}\[\]<>#|~&!])")


def render(comparison: Comparison) -> str:
    """Return it as text."""
    names, metrics = comparison.columns, comparison.metrics
    headings = [*(column.heading for column in names), *map(words.heading, metrics)]
    lines = [_line(map_escaped(headings)), _line([*(["---"] * len(names)), *(["---:"] * len(metrics))])]
    for row in comparison.rows:
        cells = []
        for number, cell in enumerate(row.cells):
            mark = _MARKS.get(cell.rank or 0, "") if cell is not None else ""
            cells.append(f"{mark}{escaped(words.cell(comparison, row, number))}{mark}")
        lines.append(_line([*map_escaped(row.texts), *cells]))
    lines += ["", escaped(words.caption(comparison, "in bold", "in italics"))]
    if (about := words.about_differences(comparison)) is not None:
        lines += [
            "",
            escaped(about),
            "",
            _line(words.DIFFERENCE_HEADINGS),
            _line(["---"] * len(words.DIFFERENCE_HEADINGS)),
        ]
        lines += [_line(map_escaped(row)) for row in words.differences(comparison)]
    if comparison.remarks:
        lines += ["", *(f"- {escaped(remark)}" for remark in comparison.remarks)]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return a text of which Markdown shows each character as it is."""
    return _SPECIAL.sub(r"\\\1", clean(text))


def map_escaped(texts: Sequence[str]) -> list[str]:
    return [escaped(text) for text in texts]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
