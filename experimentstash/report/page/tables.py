"""Comparisons of the runs by several groupings, made here: the page lets one choose, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.report import compare, groups
from experimentstash.report.metrics import Metric
from experimentstash.report.page.model import Cell, Row, Table
from experimentstash.report.page.model import Metric as Heading
from experimentstash.report.render import words
from experimentstash.report.summaries import Way
from experimentstash.runs.differing import (
    EXPERIMENT,
    NOTHING,
    PARAMS,
    TOOL,
    identity,
    is_seed,
    short,
    varies,
)
from experimentstash.runs.facts import Facts

EVERYTHING = "all that differs"
# Groups that a further comparison has at most, and how many of those there are.
_MOST_GROUPS, _MOST_TABLES = 60, 12


@dataclass(frozen=True)
class Asked:
    """How runs are compared, as in `compare`."""

    way: Way
    by: Sequence[str] = ()
    over: Sequence[str] = ()
    metrics: Sequence[str] = ()


def of_runs(
    runs: Sequence[Facts],
    declared: Mapping[str, Metric],
    asked: Asked,
    index: Mapping[str, int],
    remarks: Sequence[str] = (),
) -> tuple[list[Table], list[str]]:
    """Return comparisons of runs that have completed, and what there is to say if there are none.

    The first is the one that was asked for, or by all that differs. ``index``: the runs' positions by their ids.
    StashError for names that no run has.
    """
    if not runs:
        return [], ["there are no completed runs to compare"]
    settings = groups.settings_by_directory(runs)
    is_asked = bool(asked.by or asked.over or asked.metrics)

    def compared(by: Sequence[str], names: Sequence[str], remarks: Sequence[str] = ()) -> compare.Comparison:
        return compare.compare(
            runs, declared, asked.way, by=by, over=asked.over, metrics=names, remarks=remarks, settings=settings
        )

    try:
        first = compared(asked.by, asked.metrics, remarks)
    except StashError as error:
        if is_asked:
            raise
        return [], [error.message]
    name = ", ".join(short(column.key) for column in first.columns) if asked.by else EVERYTHING
    tables = [_table(name, first, index)]
    shown = [metric.name for metric in first.metrics]
    known = {column.key for column in first.columns} if len(first.columns) == 1 else set()
    if asked.over:
        known |= set(first.over)
    for key in _further(list(settings.values()), known):
        tables.append(_table(key, compared([key], shown), index))
    return tables, []


def _further(settings: Sequence[Mapping[str, Any]], known: set[str]) -> Iterator[str]:
    """Yield by what else runs can be grouped: what has several values, and far fewer than there are runs."""
    params = [name for name in dict.fromkeys(name for each in settings for name in each) if name.startswith(PARAMS)]
    count = 0
    for name in (EXPERIMENT, TOOL, *params):
        if name in known or is_seed(name.removeprefix(PARAMS)) or not varies(name, settings):
            continue
        values = {identity(own.get(name, NOTHING)) for own in settings}
        if 1 < len(values) <= min(_MOST_GROUPS, len(settings) - 1):
            yield name
            count += 1
        if count == _MOST_TABLES:
            return


def _table(name: str, comparison: compare.Comparison, index: Mapping[str, int]) -> Table:
    return Table(
        name,
        [column.heading for column in comparison.columns],
        [
            Heading(metric.name, metric.label, None if metric.better is None else metric.better.value)
            for metric in comparison.metrics
        ],
        [
            Row(
                row.texts,
                [
                    None
                    if cell is None
                    else Cell(
                        words.joined(comparison.written(row, number)),
                        cell.summary.count,
                        cell.summary.middle,
                        cell.rank,
                    )
                    for number, cell in enumerate(row.cells)
                ],
                [index[each] for each in row.runs],
            )
            for row in comparison.rows
        ],
        words.caption(comparison, "in bold", "underlined"),
        comparison.remarks,
    )
