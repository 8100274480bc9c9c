"""What two runs differ by: as a table for people, and as JSON."""

from __future__ import annotations

import json
from typing import Any

from experimentstash.base import tables
from experimentstash.base.durations import describe
from experimentstash.base.output import PLAIN, Paper, Style
from experimentstash.base.tables import Cell, Column, Styled
from experimentstash.base.text import clean, filled
from experimentstash.record.run import State
from experimentstash.report.render.to_json import valid
from experimentstash.report.run_diff import Change, RunDiff
from experimentstash.runs.differing import NOTHING, said
from experimentstash.runs.summary import words
from experimentstash.runs.usage import memory

# What the names may be shortened to; the values of both runs have half of the rest, or more where the other needs less.
_LEAST = 24
# Characters of a commit that are shown.
_COMMIT = 12
_DURATIONS = ("duration", "cpu_time")
_CALLED = {"exp": "experiment", "experiment": "in the tool", "cpu_time": "CPU time", "duration": "took"}


def to_terminal(diff: RunDiff, paper: Paper = PLAIN) -> str:
    """Return it as text; values are whole where there is room."""
    share = _LEAST if paper.width is None else max(_LEAST, (paper.width - _LEAST) // 2)
    columns = [Column("", least=_LEAST, keeps_end=True)]
    columns += [Column(name, least=share, keeps_end=True) for name in (diff.first, diff.second)]
    rows: list[list[Cell]] = []
    for part in diff.parts:
        if part.changes:
            rows.append([Styled(part.name, Style.HEADING), "", ""])
            rows += [[f"  {_called(part.name, each)}", *_values(part.name, each)] for each in part.changes]
    lines = [tables.draw(columns, rows, paper)] if rows else []
    if same := [part.name for part in diff.parts if part.is_same]:
        lines.append(filled(f"nothing differs in {', '.join(same)}", paper.width))
    unknown = [f"! can't be compared: {clean(each)}" for part in diff.parts for each in part.unknown]
    return "\n".join([*lines, *(paper.paint(filled(line, paper.width), Style.ODD) for line in unknown)])


def _called(part: str, change: Change) -> str:
    return _CALLED.get(change.name, change.name.replace("_", " ")) if part in ("experiment", "outcome") else change.name


def _values(part: str, change: Change) -> list[str]:
    return [_value(part, change.name, value) for value in (change.first, change.second)]


def _value(part: str, name: str, value: Any) -> str:
    if value is not NOTHING and part == "outcome" and name in (*_DURATIONS, "peak_memory"):
        return describe(value) if name in _DURATIONS else memory(value)
    if value is not NOTHING and part == "outcome" and name == "state":
        return words(State(value))
    return said(value)[:_COMMIT] if part == "code" and name.endswith(" commit") else said(value)


def to_json(diff: RunDiff) -> str:
    """Return it as JSON: what one of them hasn't isn't there."""
    content = {
        "runs": [diff.first, diff.second],
        "differences": {
            part.name: [{"name": each.name, **_given(each)} for each in part.changes]
            for part in diff.parts
            if part.changes
        },
        "same": [part.name for part in diff.parts if part.is_same],
        "unknown": [each for part in diff.parts for each in part.unknown],
    }
    return json.dumps(valid(content), indent=2, ensure_ascii=False, allow_nan=False)


def _given(change: Change) -> dict[str, Any]:
    both = {"first": change.first, "second": change.second}
    return {name: value for name, value in both.items() if value is not NOTHING}
