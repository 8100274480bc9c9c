"""A comparison for people: as wide as their terminal is; what finds no room beside the rest stands below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experimentstash.base import tables
from experimentstash.base.output import PLAIN, Paper, Style
from experimentstash.base.tables import Cell, Column, Styled
from experimentstash.base.text import cells, clean, filled
from experimentstash.report.compare import Comparison
from experimentstash.report.render import words

_MARKS = {1: "*", 2: "+"}
_STYLES = {1: Style.GOOD, 2: Style.AT_WORK}
# What a column that tells groups apart may be shortened to.
_LEAST = 12
_GAP = 2


def render(comparison: Comparison, paper: Paper = PLAIN) -> str:
    """Return it as text."""
    columns = [Column(column.heading, least=_LEAST, keeps_end=True) for column in comparison.columns]
    groups = [[*row.texts] for row in comparison.rows]
    metrics = [_column(comparison, number) for number in range(len(comparison.metrics))]
    parts = []
    for block in _blocks(groups, columns, metrics, paper):
        headings = [*columns, *(Column(metrics[number][0]) for number in block)]
        rows = [[*group, *(metrics[number][1][at] for number in block)] for at, group in enumerate(groups)]
        parts.append(tables.draw(headings, rows, paper))
    below = [words.caption(comparison, f"has {_MARKS[1]}", f"has {_MARKS[2]}")]
    if (about := words.about_differences(comparison)) is not None:
        tested = [Column(each, least=_LEAST, keeps_end=True) for each in words.DIFFERENCE_HEADINGS]
        parts.append(
            f"{filled(clean(about), paper.width)}\n{tables.draw(tested, words.differences(comparison), paper)}"
        )
    parts[-1 - (about is not None)] += "\n" + "\n".join(
        [*(filled(clean(line), paper.width) for line in below), *_remarks(comparison, paper)]
    )
    return "\n\n".join(parts)


def _remarks(comparison: Comparison, paper: Paper) -> Iterator[str]:
    for remark in comparison.remarks:
        yield paper.paint(filled(f"! {clean(remark)}", paper.width), Style.ODD)


def _column(comparison: Comparison, number: int) -> tuple[str, list[Cell]]:
    """Return a metric's heading and its cells, the numbers with their ends below each other."""
    found, unmarked = [], " " * comparison.has_ranks
    for row in comparison.rows:
        cell = row.cells[number]
        rank = None if cell is None else cell.rank
        text = words.cell(comparison, row, number)
        found.append((f"{text}{_MARKS[rank] if rank else unmarked}", _STYLES[rank] if rank else None))
    width = max(cells(text) for text, _ in found)
    return words.heading(comparison.metrics[number]), [
        Styled(" " * (width - cells(text)) + text, style) for text, style in found
    ]


def _blocks(
    groups: Sequence[Sequence[str]], columns: Sequence[Column], metrics: Sequence[tuple[str, list[Cell]]], paper: Paper
) -> Iterator[list[int]]:
    """Yield which metrics find room beside each other."""
    if paper.width is None:
        yield list(range(len(metrics)))
        return
    names = [max(map(cells, (columns[at].heading, *(row[at] for row in groups)))) for at in range(len(columns))]
    left = paper.width - sum(min(width, _LEAST * 2) + _GAP for width in names)
    block: list[int] = []
    taken = 0
    for number, (heading, column) in enumerate(metrics):
        width = max(cells(heading), *(cells(cell.text if isinstance(cell, Styled) else cell) for cell in column)) + _GAP
        if block and taken + width > left + _GAP:
            yield block
            block, taken = [], 0
        block.append(number)
        taken += width
    yield block
