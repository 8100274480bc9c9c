"""A comparison as CSV: a line for each group, all digits of each number. What was left out isn't in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from experimentstash.report.compare import Comparison, Row
from experimentstash.runs.differing import plain, said

_NAMES = {"apart": "std"}


def render(comparison: Comparison) -> str:
    """Return it as text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = len(comparison.columns)
    headings, rows = table(comparison)
    writer.writerow(headings)
    writer.writerows(
        [said(value) if at < keys and value is not None else value for at, value in enumerate(row)] for row in rows
    )
    return buffer.getvalue().rstrip("\n")


def table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Return the headings and the lines: what tells the groups apart, then for each metric how many runs, and numbers.

    None where there is nothing.
    """
    way = comparison.way
    parts = ("n", way.middle, *(_NAMES.get(name, name) for name in way.parts))
    headings = [column.heading for column in comparison.columns]
    headings += [f"{metric.name}.{part}" for metric in comparison.metrics for part in parts]
    return headings, [[*map(plain, row.values), *_numbers(comparison, row)] for row in comparison.rows]


def _numbers(comparison: Comparison, row: Row) -> Iterator[Any]:
    for cell in row.cells:
        if cell is None:
            yield from (0, *(None for _ in ("middle", *comparison.way.parts)))
            continue
        yield cell.summary.count
        yield cell.summary.middle
        yield from (getattr(cell.summary, name) for name in comparison.way.parts)
