"""Runs that have ended, as records: for what is read of them later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experimentstash.adapters.numbers.metrics import measure
from experimentstash.adapters.numbers.place import Place
from experimentstash.record import records
from experimentstash.record.run import Attempt, Code, Command, Run, Specification, State
from tests.testing.run_parts import put


def _moment(second: int) -> str:
    return f"2026-01-31T12:{second // 60:02}:{second % 60:02}.000+00:00"


def finished(
    root: Path,
    name: str,
    params: dict[str, Any] | None = None,
    metrics: Any = None,
    *,
    exp: str | None = "fig/one",
    tool: str = "t",
    state: State = State.COMPLETED,
    commit: str | None = None,
    second: int = 0,
    is_read: bool = True,
    **fields: Any,
) -> Run:
    """Write a run that ended ``second`` seconds after the first ones, and what its tool has left in metrics.json.

    ``is_read``: its record has the numbers. ``fields`` are others of its record's, wherever they stand there.
    """
    directory = root / "outputs" / "2026-01-31" / f"12-00-00-{name}"
    directory.mkdir(parents=True)
    moment = _moment(second)
    spec = Specification(
        tool,
        Command([*fields.pop("argv", ["x"]), str(directory)], "/"),
        organizer=exp,
        params=params or {},
        code=None if commit is None else Code("/t", commit),
    )
    run = put(Run(name, str(directory), spec, Attempt(1, state, started=moment), created=moment), **fields)
    if metrics is not None:
        text = metrics if isinstance(metrics, str) else json.dumps(metrics)
        (directory / "metrics.json").write_text(text, encoding="utf-8")
    if is_read:
        run.attempt.notes += measure(run, Place(directory, run.attempt.log))
    records.claim(run)
    return run
