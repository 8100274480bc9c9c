"""Runs of whatever tools side by side: a table of what differs between them, and of what their numbers come to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.text import listed
from experimentstash.report import differences, groups, run_fields
from experimentstash.report.differences import Difference, Test
from experimentstash.report.digits import Digits, fitting
from experimentstash.report.groups import Column, Group
from experimentstash.report.metrics import Metric
from experimentstash.report.summaries import Summary, Way
from experimentstash.runs.differing import PARAMS, said
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import REFRESH
from experimentstash.stash.schema import Better

# Names that an error or a remark lists at most.
_LISTED = 20
_BEST, _SECOND = 1, 2


@dataclass(frozen=True)
class Asked:
    """How runs are compared: ``by``, ``over``, ``metrics`` as in ``compare``."""

    way: Way
    by: Sequence[str] = ()
    over: Sequence[str] = ()
    metrics: Sequence[str] = ()


@dataclass(frozen=True)
class Cell:
    """What the numbers of a group come to in a metric."""

    summary: Summary
    rank: int | None = None  # 1: the best of its column, 2: the second best


@dataclass(frozen=True)
class Row:
    """A group of runs: what it differs by, and its cells; None where no run has the number."""

    values: tuple[Any, ...]
    cells: tuple[Cell | None, ...]
    runs: tuple[str, ...]  # their ids

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(map(said, self.values))


@dataclass(frozen=True)
class Comparison:
    """Everything that is shown of it, in whatever form."""

    columns: tuple[Column, ...]
    metrics: tuple[Metric, ...]
    digits: tuple[Digits, ...]  # of each metric
    rows: tuple[Row, ...]
    way: Way
    over: tuple[str, ...]  # what is averaged over
    test: Test | None
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...]  # what was left out, and what else is to be known

    @property
    def has_ranks(self) -> bool:
        return any(cell is not None and cell.rank is not None for row in self.rows for cell in row.cells)

    @property
    def counts(self) -> set[int]:
        """How many runs its cells have."""
        return {cell.summary.count for row in self.rows for cell in row.cells if cell is not None}

    @property
    def over_words(self) -> str:
        return ", ".join(name.removeprefix("params.") for name in self.over)

    def written(self, row: Row, number: int) -> tuple[str, ...]:
        """Return the parts of a cell as they are shown: the middle, and what tells how far the numbers lie apart."""
        cell, write = row.cells[number], self.digits[number].write
        if cell is None:
            return ()
        parts = (cell.summary.middle, *(getattr(cell.summary, name) for name in self.way.parts))
        return tuple(write(part) for part in parts if part is not None)


def compare(
    runs: Sequence[Facts],
    declared: Mapping[str, Metric],
    way: Way,
    *,
    by: Sequence[str] = (),
    over: Sequence[str] = (),
    metrics: Sequence[str] = (),
    test: Test | None = None,
    remarks: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Comparison:
    """Compare runs that have completed. StashError for names that none of them has.

    ``by``, ``over``, ``metrics``: instead of what differs, of seeds, and of all numbers. ``remarks`` stand first.
    ``settings`` are those of ``groups.settings_by_directory``.
    """
    if settings is None:
        settings = groups.settings_by_directory(runs)
    grouped = groups.group(runs, by, over, settings)
    chosen, about = _metrics(runs, declared, metrics, {name for each in settings.values() for name in each})
    numbers = [[_numbers(group, metric.name) for group in grouped.groups] for metric in chosen]
    summaries = [[way.sum_up(list(each.values())) if each else None for each in column] for column in numbers]
    digits = tuple(_digits(column) for column in summaries)
    ranks = [_ranks(metric, column, own) for metric, column, own in zip(chosen, summaries, digits, strict=True)]
    rows = tuple(
        Row(
            group.values,
            tuple(
                None if (summary := column[number]) is None else Cell(summary, ranked[number])
                for column, ranked in zip(summaries, ranks, strict=True)
            ),
            tuple(facts.id for facts in group.runs.values()),
        )
        for number, group in enumerate(grouped.groups)
    )
    by_metric = {metric.name: each for metric, each in zip(chosen, numbers, strict=True)}
    return Comparison(
        columns=grouped.columns,
        metrics=tuple(chosen),
        digits=digits,
        rows=rows,
        way=way,
        over=grouped.over,
        test=test,
        differences=() if test is None else tuple(differences.between(test, by_metric)),
        remarks=(*remarks, *_missing(grouped.groups, chosen), *grouped.remarks, *about),
    )


def _metrics(
    runs: Sequence[Facts], declared: Mapping[str, Metric], wanted: Sequence[str], settings: Iterable[str]
) -> tuple[list[Metric], list[str]]:
    """Return the metrics that are shown, and what is said of others."""
    known = list(dict.fromkeys(name for facts in runs for name in facts.numbers))
    metric = {name: declared.get(name) or Metric(name, name) for name in known}
    if wanted:
        for name in wanted:
            if name not in metric:
                valid = listed(known, _LISTED) or "none"
                meant = did_you_mean(name, known)
                raise StashError(f"None of these runs has a metric {name!r}.{meant}\nThere are: {valid}")
        return [metric[name] for name in dict.fromkeys(wanted)], []
    if not known:
        raise StashError(
            "None of these runs has numbers.",
            REFRESH
            if any(facts.plain.is_unread for facts in runs)
            else "have the tool write metrics.json into its run directory (docs/metrics.md)",
        )
    results = run_fields.beside(known, (name for name in settings if name.startswith(PARAMS)))
    if named := [metric[name] for name in declared if name in metric]:
        return named, [
            *_not_shown([name for name in results if name not in declared]),
            *_not_there([name for name in declared if name not in metric]),
        ]
    same = {} if len(runs) < 2 else {name: value for name in results if (value := _same(runs, name)) is not None}
    shown = [name for name in results if name not in same] or results or known
    others = ", ".join(f"{name} = {value:g}" for name, value in same.items() if name not in shown)
    return [metric[name] for name in shown], [f"the same in all of them: {others}"] if others else []


def _not_shown(names: Sequence[str]) -> list[str]:
    return [f"not shown, because `metrics` doesn't name them: {listed(names, _LISTED)} (--metrics)"] if names else []


def _not_there(names: Sequence[str]) -> list[str]:
    return [f"none of these runs has {listed(names, _LISTED)}, which `metrics` names"] if names else []


def _same(runs: Sequence[Facts], name: str) -> float | None:
    """Return the number that all runs have; None if they don't have the same."""
    values = {facts.numbers.get(name) for facts in runs}
    return values.pop() if len(values) == 1 else None


def _numbers(group: Group, name: str) -> dict[groups.Key, float]:
    return {key: facts.numbers[name] for key, facts in group.runs.items() if name in facts.numbers}


def _digits(column: Sequence[Summary | None]) -> Digits:
    found = [each for each in column if each is not None]
    apart = [each.apart for each in found if each.apart is not None]
    apart += [(each.high - each.low) / 2 for each in found if each.high is not None and each.low is not None]
    return fitting([each.middle for each in found], apart)


def _ranks(metric: Metric, column: Sequence[Summary | None], digits: Digits) -> list[int | None]:
    """Return which cells are the best and the second best, as they are shown: what looks equal is equal."""
    shown = [None if each is None else float(digits.write(each.middle)) for each in column]
    values = sorted(
        {each for each in shown if each is not None and each == each}, reverse=metric.better is Better.higher
    )
    if metric.better is None or len(values) < 2:
        return [None] * len(column)
    places = {values[0]: _BEST, values[1]: _SECOND}
    return [None if each is None else places.get(each) for each in shown]


def _missing(found: Sequence[Group], metrics: Sequence[Metric]) -> Iterator[str]:
    """Say which runs lack a number, or have one that is none."""
    runs = [facts for group in found for facts in group.runs.values()]
    for metric in metrics:
        lacking = [facts for facts in runs if metric.name not in facts.numbers]
        odd = [facts for facts in runs if not math.isfinite(facts.numbers.get(metric.name, 0.0))]
        if lacking:
            yield f"without {metric.name}: {len(lacking)} of {len(runs)} runs ({groups.named(lacking)})"
        if odd:
            yield f"{metric.name} is not a finite number in {len(odd)} of {len(runs)} runs ({groups.named(odd)})"
