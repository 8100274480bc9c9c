"""Runs in words: the line at the end of a run, and the table at the end of a sweep."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

from experimentstash.durations import describe, parse
from experimentstash.records import Run, State
from experimentstash.workspace import Stash

# Rows that a table at the end of a sweep has at most.
_SHOWN = 50
# Runs that a line names at most.
_NAMED = 5
# Overrides that say how, not what.
_NOT_TELLING = ("+exp=", "hydra/", "hydra.", "resources.", "code=", "dry_run=")
_MARKS = {State.COMPLETED: "✓", State.FROZEN: "·", State.QUEUED: "·", State.RUNNING: "▶"}


def ending_line(stash: Stash, run: Run) -> str:
    """Say how a run ended, why, what to do, and where its log is."""
    took = f" in {describe(run.duration)}" if run.duration is not None else ""
    lines = [f"{marked_state(run)}{took}  {stash.relative(run.path)}"]
    if run.reason:
        lines.append(f"  {run.reason}")
    if run.advice:
        lines.append(f"  → {run.advice}")
    if run.state is not State.COMPLETED:
        lines.append(f"  log: {stash.relative(run.path / run.log)}")
    return "\n".join([*lines, *remarks(run)])


def remarks(run: Run) -> list[str]:
    """Return what else there is to be said of a run, its warnings first."""
    return [*(f"  warning: {warning}" for warning in run.warnings), *(f"  note: {note}" for note in run.notes)]


def sweep_table(stash: Stash, runs: Sequence[Run]) -> str:
    """Return a table of a sweep's runs: which, state, result if there are any, time, and where its log is.

    Of a large sweep it shows the runs that did not go well, or have a warning, and how many there are in each state.
    """
    shown = runs
    if len(runs) > _SHOWN:
        shown = [run for run in runs if run.state not in _MARKS or run.warnings][:_SHOWN]
    rows = [
        (run.id, title(run), marked_state(run), result(run), _took(run), stash.relative(run.path / run.log))
        for run in shown
    ]
    lines = [_table([("run", "experiment", "state", "result", "time", "log"), *rows])] if rows else []
    lines += _warnings(runs)
    if len(shown) < len(runs):
        counts = Counter(run.state for run in runs)
        lines.append(
            f"{len(runs)} runs: " + ", ".join(f"{counts[state]} {words(state)}" for state in State if counts[state])
        )
    return "\n".join(lines)


def runs_table(stash: Stash, runs: Sequence[Run]) -> str:
    """Return a table of runs: which, state, experiment, tool, result if there are any, when, how long, and where."""
    rows = [
        (run.id, marked_state(run), title(run), run.tool, result(run), _when(run), _took(run), stash.relative(run.path))
        for run in runs
    ]
    table = _table([("run", "state", "experiment", "tool", "result", "when", "time", "directory"), *rows])
    return "\n".join([table, *_warnings(runs)])


def _warnings(runs: Sequence[Run]) -> list[str]:
    """Return the lines below a table that say what is to be looked at in it."""
    lines = [f"! {run.id}: {warning}" for run in runs for warning in run.warnings]
    hidden = len(lines) - _SHOWN
    return lines if hidden <= 0 else [*lines[:_SHOWN], f"! and {hidden} more warnings; experimentstash show RUN"]


def with_warnings(runs: Sequence[Run]) -> str | None:
    """Return the line that a sweep ends with if some of its runs have warnings."""
    found = [run.id for run in runs if run.warnings]
    if not found:
        return None
    named = ", ".join(found[:_NAMED]) + (" …" if len(found) > _NAMED else "")
    return f"{len(found)} of {count(len(runs))} with a warning: look at {named}  (experimentstash show RUN)"


def resources_table(runs: Sequence[Run]) -> str:
    """Return a table of what runs ask for, and what that comes to."""
    rows = [
        (
            title(run),
            describe(seconds) if (seconds := _time(run)) is not None else "-",
            *(str(run.resources.get(name, "-")) for name in ("cpus", "gpus", "mem", "partition")),
        )
        for run in runs[:_SHOWN]
    ]
    lines = [_table([("experiment", "time", "cpus", "gpus", "mem", "partition"), *rows])]
    if len(runs) > _SHOWN:
        lines.append(f"… and {len(runs) - _SHOWN} more")
    hours = [(_time(run) or 0.0) / 3600 for run in runs]
    cpus = sum(each * _number(run, "cpus", 1) * _number(run, "nodes", 1) for each, run in zip(hours, runs, strict=True))
    gpus = sum(each * _gpus(run) * _number(run, "nodes", 1) for each, run in zip(hours, runs, strict=True))
    unknown = sum(_time(run) is None for run in runs)
    total = f"{count(len(runs))}: {cpus:,.1f} CPU-hours, {gpus:,.1f} GPU-hours"
    return "\n".join([*lines, total + (f", without {unknown} that give no estimated_runtime" if unknown else "")])


def _time(run: Run) -> float | None:
    """Return the seconds that a run asks for: the wall time, else what it is expected to take."""
    asked = run.resources.get("time")
    return run.estimated_runtime if asked is None else parse(str(asked), "resources.time")


def _number(run: Run, name: str, default: int) -> int:
    return int(run.resources.get(name, default))


def _gpus(run: Run) -> int:
    """Return how many GPUs a run asks for on a node: `2`, `a100:2`, or in its gres `gpu:a100:2`."""
    asked = str(run.resources.get("gpus", ""))
    named = (
        asked.split(",")
        if asked
        else [part for part in str(run.resources.get("gres", "")).split(",") if part[:3] == "gpu"]
    )
    counts = [part.rpartition(":")[2].partition("(")[0] for part in named]
    return sum(int(count) if count.isdecimal() else 1 for count in counts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a heading and rows as text; a column with nothing in it is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )


def count(number: int) -> str:
    """Return so many runs in words."""
    return f"{number} run{'' if number == 1 else 's'}"


def words(state: State) -> str:
    """Return a state as it is said."""
    return state.value.replace("_", " ")


def title(run: Run) -> str:
    """Return what tells a run from the others of its sweep: its experiment and its own overrides."""
    own = [override for override in run.overrides if not override.startswith(_NOT_TELLING)]
    return " ".join([run.organizer or run.tool, *own])


def marked_state(run: Run) -> str:
    """Return a run's state in words, with a mark in front, and one behind if it has warnings."""
    return (
        f"{_MARKS.get(run.state, '✗' if run.state.is_known else '?')} {words(run.state)}{' !' if run.warnings else ''}"
    )


def result(run: Run) -> str:
    """Return the value of a run's objective, or values; nothing if it has none."""
    numbers = run.result if isinstance(run.result, list) else [run.result]
    return ", ".join(f"{number:.6g}" for number in numbers if number is not None)


def _took(run: Run) -> str:
    if run.duration is not None:
        return describe(run.duration)
    if run.state is State.RUNNING and run.started is not None:
        since = datetime.datetime.now().astimezone() - datetime.datetime.fromisoformat(run.started)
        return describe(since.total_seconds())
    return "-"


def _when(run: Run) -> str:
    moment = run.started or run.created
    return datetime.datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else "-"
