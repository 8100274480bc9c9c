"""Runs in a table: which, in which state, what they differ by, and what they have come to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experimentstash.base import tables
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.output import PLAIN, Paper
from experimentstash.base.tables import Cell, Column
from experimentstash.report import digits
from experimentstash.report.metrics import Metric
from experimentstash.report.run_fields import METRICS, Field, number, results, setting
from experimentstash.runs import summary
from experimentstash.runs.differing import EXPERIMENT, ID, INNER, TOOL, follows, heading, said, settings_of, varies
from experimentstash.runs.facts import Facts
from experimentstash.runs.past import Estimate
from experimentstash.stash.layout import Stash

# What the experiment is shortened to, and what tells runs apart.
_EXPERIMENT_LEAST, _SETTING_LEAST = 20, 8
# Columns that go before all that tell runs apart, and all that is a number.
_LATER = 1000

Show = Callable[[Facts], Cell]


@dataclass(frozen=True)
class _Shown:
    column: Column
    show: Show


def usual(
    stash: Stash,
    runs: Sequence[Facts],
    declared: Mapping[str, Metric],
    paper: Paper = PLAIN,
    ends: Mapping[str, Estimate] | None = None,
) -> str:
    """Return the table that one sees who asks for nothing else, with warnings below it; a file gets all of it.

    ``ends`` tells of runs at work, by their ids, how long they will take.
    """
    ends = ends or {}
    settings = [settings_of(facts) for facts in runs]
    known = dict.fromkeys(name for each in settings for name in each)
    differing = [
        name
        for name in known
        if name not in (EXPERIMENT, TOOL, ID) and varies(name, settings) and not follows(name, settings)
    ]
    numbers = _metrics(runs, declared)
    # What tells most is kept longest where there is little room: what a number hangs on, the number, the next ones …
    told = [each for pair in itertools.zip_longest(differing, numbers) for each in pair if each is not None]
    told[3:3] = ["when"]
    told[5:5] = ["time"]
    rank = {name: place for place, name in enumerate(told, 1)}
    shown = [
        _Shown(Column("run"), lambda facts: facts.id),
        _Shown(Column("state"), lambda facts: summary.cell_of(facts.state, facts.warnings)),
        _Shown(Column("experiment", least=_EXPERIMENT_LEAST, keeps_end=True), lambda facts: facts.experiment),
        _Shown(Column("tool", rank=_LATER), lambda facts: facts.tool),
    ]
    for name in differing:
        column = Column(heading(name, [INNER, *differing]), rank[name], least=_SETTING_LEAST, keeps_end=True)
        shown.append(_Shown(column, _text_of(setting(name))))
    for name in numbers:
        metric = declared.get(name)
        column = Column(name if metric is None else metric.label, rank[name])
        shown.append(_Shown(column, _number_of(number(name), runs, paper)))
    shown += [
        _Shown(Column("result", rank=1), lambda facts: "" if facts.numbers else summary.result_of(facts.result)),
        _Shown(Column("when", rank=rank["when"]), _when(is_short=paper.width is not None)),
        _Shown(Column("time", rank=rank["time"]), lambda facts: _took(facts, ends)),
        _Shown(
            Column("directory", rank=_LATER + 1, is_spare=True),
            lambda facts: stash.relative(Path(facts.directory)),
        ),
    ]
    return "\n".join(
        [_draw(shown, runs, paper), *summary.warning_lines(((facts.id, facts.warnings) for facts in runs), paper)]
    )


def of_fields(fields: Sequence[Field], runs: Sequence[Facts], paper: Paper = PLAIN) -> str:
    """Return a table of exactly these columns."""
    special: dict[str, Show] = {
        "state": lambda facts: summary.cell_of(facts.state, facts.warnings),
        "duration": lambda facts: _took(facts, {}),
    }
    shown = []
    for field in fields:
        show = special.get(field.name)
        if show is None and field.name.startswith(METRICS):
            show = _number_of(field, runs, paper)
        elif show is None:
            show = _moment_of(field) if field.name in ("created", "started", "ended") else _text_of(field)
        shown.append(_Shown(Column(field.name, least=_SETTING_LEAST, keeps_end=True), show))
    return _draw(shown, runs, paper)


def _draw(shown: Sequence[_Shown], runs: Sequence[Facts], paper: Paper) -> str:
    rows = [[each.show(facts) for each in shown] for facts in runs]
    return tables.draw([each.column for each in shown], rows, paper)


def _metrics(runs: Sequence[Facts], declared: Mapping[str, Metric]) -> list[str]:
    """Return which numbers are shown: those that the stash speaks of, else all that aren't just parameters."""
    known = {name for facts in runs for name in facts.numbers}
    return [name for name in declared if name in known] or results(runs)


def _number_of(field: Field, runs: Sequence[Facts], paper: Paper) -> Show:
    """Return what shows numbers: at a terminal with as many digits as they need, in a file with all."""
    if paper.width is None:
        return _text_of(field)
    values = [value for facts in runs if (value := field.of(facts)) is not None]
    written = digits.fitting(values, ())
    return lambda facts: "-" if (value := field.of(facts)) is None else written.write(value)


def _when(*, is_short: bool) -> Show:
    return lambda facts: summary.when(facts.plain.started or facts.plain.created, is_short=is_short)


def _took(facts: Facts, ends: Mapping[str, Estimate]) -> str:
    if facts.id in ends:
        return summary.took(facts.run, ends[facts.id])
    return summary.took_of(facts.state, facts.plain.started, facts.plain.duration)


def _text_of(field: Field) -> Show:
    return lambda facts: "-" if (value := field.of(facts)) is None else said(value)


def _moment_of(field: Field) -> Show:
    return lambda facts: "-" if (value := field.of(facts)) is None else summary.local(value)
