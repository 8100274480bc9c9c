"""A comparison as a piece of HTML, for a page, a notebook or a wiki."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from experimentstash.base.text import clean
from experimentstash.report.compare import Comparison
from experimentstash.report.render import words

_MARKS = {1: ("<strong>", "</strong>"), 2: ("<u>", "</u>")}


def render(comparison: Comparison) -> str:
    """Return it as text."""
    headings = [*(column.heading for column in comparison.columns), *map(words.heading, comparison.metrics)]
    lines = ["<table>", f"<caption>{_text(words.caption(comparison, 'in bold', 'underlined'))}</caption>"]
    lines += [f"<thead>{_row('th', map(_text, headings))}</thead>", "<tbody>"]
    for row in comparison.rows:
        cells = [_text(text) for text in row.texts]
        for number, cell in enumerate(row.cells):
            before, after = _MARKS.get(cell.rank or 0, ("", "")) if cell is not None else ("", "")
            cells.append(f"{before}{_text(words.cell(comparison, row, number))}{after}")
        lines.append(_row("td", cells))
    lines += ["</tbody>", "</table>"]
    if (about := words.about_differences(comparison)) is not None:
        lines += ["<table>", f"<caption>{_text(about)}</caption>"]
        lines += [f"<thead>{_row('th', map(_text, words.DIFFERENCE_HEADINGS))}</thead>", "<tbody>"]
        lines += [*(_row("td", map(_text, row)) for row in words.differences(comparison)), "</tbody>", "</table>"]
    if comparison.remarks:
        lines += ["<ul>", *(f"<li>{_text(remark)}</li>" for remark in comparison.remarks), "</ul>"]
    return "\n".join(lines)


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    return escape(clean(text))
