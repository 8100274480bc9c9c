"""Runs in words: the line at the end of a run, and the table at the end of a sweep."""

from __future__ import annotations

from pathlib import Path

from experimentstash import records
from experimentstash.durations import describe
from experimentstash.records import Run, State
from experimentstash.workspace import Stash

_MARKS = {State.COMPLETED: "✓", State.FROZEN: "·", State.RUNNING: "▶"}


def ending_line(stash: Stash, run: Run) -> str:
    """Say how a run ended, why, what to do, and where its log is."""
    took = f" in {describe(run.duration)}" if run.duration is not None else ""
    lines = [f"{_MARKS.get(run.state, '✗')} {words(run.state)}{took}  {stash.relative(run.path)}"]
    if run.reason:
        lines.append(f"  {run.reason}")
    if run.advice:
        lines.append(f"  → {run.advice}")
    if run.state is not State.COMPLETED:
        lines.append(f"  log: {stash.relative(run.path / run.log)}")
    lines += [f"  note: {note}" for note in run.notes]
    return "\n".join(lines)


def sweep_table(stash: Stash, sweep: Path) -> str:
    """Return a table of a sweep's runs: which, state, time, and where its log is."""
    rows = [("run", "experiment", "state", "time", "log")]
    for run in records.read_all(sweep):
        rows.append(
            (
                run.id,
                " ".join([run.organizer or run.tool, *_own_overrides(run)]),
                f"{_MARKS.get(run.state, '✗')} {words(run.state)}",
                describe(run.duration) if run.duration is not None else "-",
                stash.relative(run.path / run.log),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def words(state: State) -> str:
    """Return a state as it is said."""
    return state.value.replace("_", " ")


def _own_overrides(run: Run) -> list[str]:
    return [override for override in run.overrides if not override.startswith(("+exp=", "hydra/", "hydra."))]
