"""Comparisons of the runs by several groupings, made here: the page lets one choose, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.report import compare, groups, select
from experimentstash.report.compare import Asked
from experimentstash.report.metrics import Metric
from experimentstash.report.page.apart import Apart
from experimentstash.report.page.grouping import by_figure, figure_of
from experimentstash.report.page.model import Cell, Row, Table
from experimentstash.report.page.model import Metric as Heading
from experimentstash.report.render import words
from experimentstash.runs.differing import (
    EXPERIMENT,
    NOTHING,
    PARAMS,
    TOOL,
    identity,
    is_seed,
    said,
    short,
    varies,
)
from experimentstash.runs.facts import Facts
from experimentstash.runs.selection import Selected, Selection

EVERYTHING = "all that differs"
# Groups that a further comparison has at most, and how many of those there are.
_MOST_GROUPS, _MOST_TABLES = 60, 12


def of_selected(
    selected: Selected, selection: Selection, declared: Mapping[str, Metric], asked: Asked
) -> tuple[list[Table], list[str]]:
    """Return comparisons of the runs that are meant and have completed, and what there is to say if there are none.

    Of runs of several figures each figure has its own, for a number of one says nothing of another's data; one of all
    comes last. StashError for names that no run has.
    """
    runs, remarks = select.completed(selected, selection)
    place = {facts.directory: number for number, facts in enumerate(selected.found)}
    index = {facts.id: place[facts.directory] for facts in runs}  # not that of a copy
    if not runs:
        return [], ["there are no completed runs to compare", *remarks]
    settings = groups.settings_by_directory(runs)
    figures = by_figure(runs)
    is_one = len(figures) == 1
    of_all, why_none = _of_runs(runs, settings, declared, asked, index, remarks, None, has_further=is_one)
    found: list[Table] = []
    for name, members in () if is_one or not of_all else figures.items():
        own = replace(
            selected,
            found=[facts for facts in selected.found if figure_of(facts) == name],
            untold=[facts for facts in selected.untold if figure_of(facts) == name],
        )
        remarks = select.completed(own, selection)[1]
        of_figure = [runs[member] for member in members]
        numbers = {number for facts in of_figure for number in facts.numbers}
        wanted = replace(asked, metrics=[each for each in asked.metrics if each in numbers] or asked.metrics)
        try:
            tables, why = _of_runs(of_figure, settings, declared, wanted, index, remarks, name)
        except StashError as error:  # the others have what was asked for
            tables, why = [], [error.message.replace("\n", " ")]
        found += tables
        why_none += (f"no comparison of {name or 'what is in no figure'}: {each}" for each in why)
    return [*found, *of_all], [*why_none, *([] if of_all else remarks)]


def firsts(tables: Sequence[Table]) -> list[Table]:
    """Return the first comparison of each figure; of all runs, if figures have none of their own."""
    found: dict[str | None, Table] = {}
    for table in tables:
        found.setdefault(table.figure, table)
    return [table for figure, table in found.items() if figure is not None or len(found) == 1]


def _of_runs(
    runs: Sequence[Facts],
    settings: Mapping[str, Mapping[str, Any]],
    declared: Mapping[str, Metric],
    asked: Asked,
    index: Mapping[str, int],
    remarks: Sequence[str],
    figure: str | None,
    *,
    has_further: bool = True,
) -> tuple[list[Table], list[str]]:
    """Return comparisons of runs, the one that was asked for, or by all that differs, first; or why there is none."""
    is_asked = bool(asked.by or asked.over or asked.metrics)

    def compared(by: Sequence[str], names: Sequence[str]) -> compare.Comparison:
        return compare.compare(
            runs, declared, asked.way, by=by, over=asked.over, metrics=names, remarks=remarks, settings=settings
        )

    try:
        first = compared(asked.by, asked.metrics)
    except StashError as error:
        if is_asked:
            raise
        return [], [error.message]
    name = ", ".join(short(column.key) for column in first.columns) if asked.by else EVERYTHING
    tables = [_table(figure, name, first, index)]
    shown = [metric.name for metric in first.metrics]
    known = {column.key for column in first.columns} if len(first.columns) == 1 else set()
    if asked.over:
        known |= set(first.over)
    for key in _further([settings[facts.directory] for facts in runs], known) if has_further else ():
        tables.append(_table(figure, key, compared([key], shown), index))
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


def _table(figure: str | None, name: str, comparison: compare.Comparison, index: Mapping[str, int]) -> Table:
    writers = [Apart(row.values[place] for row in comparison.rows) for place in range(len(comparison.columns))]
    return Table(
        figure,
        name,
        [column.heading for column in comparison.columns],
        [
            Heading(metric.name, metric.label, None if metric.better is None else metric.better.value)
            for metric in comparison.metrics
        ],
        [
            Row(
                [said(write(value)) for write, value in zip(writers, row.values, strict=True)],
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
