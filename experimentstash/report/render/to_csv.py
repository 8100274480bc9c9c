"""A comparison as CSV: a line for each group, all digits of each number. What was left out isn't in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from experimentstash.report import groups
from experimentstash.report.compare import Comparison, Row

_NAMES = {"apart": "std"}


def render(comparison: Comparison) -> str:
    """Return it as text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    way = comparison.way
    parts = ("n", way.middle, *(_NAMES.get(name, name) for name in way.parts))
    keys = [column.heading for column in comparison.columns]
    writer.writerow([*keys, *(f"{metric.name}.{part}" for metric in comparison.metrics for part in parts)])
    writer.writerows(
        [
            *("" if groups.plain(value) is None else groups.said(value) for value in row.values),
            *_numbers(comparison, row),
        ]
        for row in comparison.rows
    )
    return buffer.getvalue().rstrip("\n")


def _numbers(comparison: Comparison, row: Row) -> Iterator[object]:
    for cell in row.cells:
        if cell is None:
            yield from (0, *("" for _ in ("middle", *comparison.way.parts)))
            continue
        yield cell.summary.count
        yield cell.summary.middle
        for name in comparison.way.parts:
            value = getattr(cell.summary, name)
            yield "" if value is None else value
