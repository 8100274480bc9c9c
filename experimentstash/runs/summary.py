"""Runs in words: the line at the end of a run, and the table at the end of a sweep."""

from __future__ import annotations

import datetime
import os
import time
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash.adapters.gpus import asked
from experimentstash.adapters.scheduler import is_hopeless
from experimentstash.base import tables
from experimentstash.base.durations import describe, parse
from experimentstash.base.output import PLAIN, Paper, Style
from experimentstash.base.patterns import regex
from experimentstash.base.tables import Column, Styled
from experimentstash.base.text import counted, filled, listed, tame
from experimentstash.record import sweep_list
from experimentstash.record.run import Run, State
from experimentstash.stash.layout import Stash

if TYPE_CHECKING:
    from experimentstash.runs.past import Estimate, Past

# Rows that a table at the end of a sweep has at most.
_SHOWN = 50
# Warnings below a table at a terminal, where the table is not to scroll away.
_SHOWN_AT_TERMINAL = 10
# What estimates rest on, that a line names at most.
_BASES = 3
# Runs that a line names at most.
_NAMED = 5
# Overrides that say how, not what.
_NOT_TELLING = ("+exp=", "hydra/", "hydra.", "resources.", "code=", "dry_run=", "skip_completed=", "force=")
_MOMENT = regex(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d\b")
_STYLES = {
    State.FROZEN: Style.FAINT,
    State.QUEUED: Style.FAINT,
    State.RUNNING: Style.AT_WORK,
    State.CANCELLED: Style.ODD,
    State.PREEMPTED: Style.ODD,
}
_MARKS = {State.COMPLETED: "✓", State.FROZEN: "·", State.QUEUED: "·", State.RUNNING: "▶"}


def ending_line(stash: Stash, run: Run, paper: Paper = PLAIN) -> str:
    """Say how a run ended, why, what to do, and where its log is."""
    took = f" in {describe(run.attempt.duration)}" if run.attempt.duration is not None else ""
    lines = [f"{marked_state(run, paper)}{took}  {stash.relative(run.path)}"]
    lines += outcome_lines(run)
    if run.attempt.state is not State.COMPLETED:
        lines += [f"  log: {log}"] if (log := log_of(stash, run)) else []
    return "\n".join([*lines, *remarks(run)])


def outcome_lines(run: Run) -> list[str]:
    """Return why a run ended as it did, and what to do."""
    return [
        tame(f"  {part}") for part in (run.attempt.reason, run.attempt.advice and f"→ {run.attempt.advice}") if part
    ]


def remarks(run: Run) -> list[str]:
    """Return what else there is to be said of a run, its warnings first."""
    warnings, notes = (
        (f"  warning: {each}" for each in run.attempt.warnings),
        (f"  note: {each}" for each in run.attempt.notes),
    )
    return list(map(tame, (*warnings, *notes)))


def sweep_table(
    stash: Stash,
    runs: Sequence[Run],
    paper: Paper = PLAIN,
    *,
    most: int | None = _SHOWN,
    unbegun: int = 0,
    earlier: Container[str] = (),
    gone: int = 0,
    lacking: int = 0,
) -> str:
    """Return a table of a sweep's runs: which, state, result if there are any, time, and where its log is.

    ``earlier`` are the ids of those that had completed before, and count as its own. Of one with more than ``most``
    runs it shows those that did not go well, or have a warning. How many there are in each state stands below.
    """
    shown = runs
    if most is not None and len(runs) > most:
        shown = [run for run in runs if run.attempt.state not in _MARKS or run.attempt.warnings][:most]
    columns = [_RUN, _EXPERIMENT, _STATE, Column("result", rank=1), Column("time", rank=2), _path("log")]
    rows = [
        (run.id, named, _cell_in_sweep(run, run.id in earlier), result(run), took(run), log_of(stash, run) or "-")
        for run, named in zip(shown, _titles(shown, paper), strict=True)
    ]
    lines = [tables.draw(columns, rows, paper)] if rows else []
    lines += warning_lines(((run.id, run.attempt.warnings) for run in runs), paper)
    return "\n".join([*lines, counts(runs, paper, unbegun, earlier, gone, lacking)])


def log_of(stash: Stash, run: Run) -> str | None:
    """Return the path of a run's log as it is shown; None as long as there is none."""
    path = run.path / run.attempt.log
    return stash.relative(path) if os.path.lexists(path) else None


def lost_line(gone: Mapping[int, str]) -> str:
    """Say for which jobs of a sweep earlier runs counted that don't any more."""
    jobs, ids = listed(list(map(str, gone)), _NAMED), listed(list(dict.fromkeys(gone.values())), _NAMED)
    which = "job" if len(gone) == 1 else "jobs"
    return f"{which} {jobs} had completed before, in runs that are removed, or begun anew, by now: {ids}"


def counts(
    runs: Sequence[Run],
    paper: Paper = PLAIN,
    unbegun: int = 0,
    earlier: Container[str] = (),
    gone: int = 0,
    lacking: int = 0,
) -> str:
    """Say how many runs there are in each state; ``unbegun`` are not among them, nor those that are ``gone``.

    Nor jobs that are ``lacking`` a run: whether they haven't begun, or their runs were removed, nobody can tell.
    Those that were frozen and then not started any more count as what they are, like those that were not yet frozen.
    """
    found = Counter(run.attempt.state for run in runs if not _was_called_off(run) and run.id not in earlier)
    each = [paper.paint(text, style_of(state)) for state, text in _by_state(found)]
    if spared := sum(run.id in earlier for run in runs):
        each.append(paper.paint(f"{spared} {_BEFORE}", Style.GOOD))
    if not_started := unbegun + sum(map(_was_called_off, runs)):
        each.append(paper.paint(f"{not_started} {_NOT_STARTED}", Style.ODD))
    if gone:
        each.append(paper.paint(f"{gone} gone", Style.ODD))
    if lacking:
        each.append(paper.paint(f"{lacking} {LACKING}", Style.ODD))
    return f"{count(len(runs) + unbegun + gone + lacking)}: {', '.join(each)}"


def state_counts(states: Sequence[State]) -> str:
    """Say how many runs there are in each state."""
    each = [text for _, text in _by_state(Counter(states))]
    return f"{count(len(states))}{': ' if each else ''}{', '.join(each)}"


def _by_state(found: Counter[State]) -> list[tuple[State, str]]:
    """Return how many there are in each state, in words, in the order of the states; those we don't know come last."""
    known = [*State, *(state for state in found if not state.is_known)]
    return [(state, f"{found[state]} {words(state)}") for state in known if found[state]]


_NOT_STARTED, _BEFORE = "not started", "completed before"
# Of jobs of a sweep that was looked at later.
LACKING = "without a run (not begun, or removed since)"


def _was_called_off(run: Run) -> bool:
    """Tell whether a run was cancelled before its tool has ever begun."""
    has_begun = any(attempt.started for attempt in run.every_attempt)
    return run.attempt.state is State.CANCELLED and not has_begun


def _cell_in_sweep(run: Run, is_earlier: bool) -> Styled:
    cell = state_cell(run)
    if is_earlier:
        return Styled(cell.text.replace(words(State.COMPLETED), _BEFORE), cell.style)
    return Styled(f"{cell.text}, {_NOT_STARTED}", cell.style) if _was_called_off(run) else cell


# What says which run a row is about.
_RUN, _STATE, _EXPERIMENT = Column("run"), Column("state"), Column("experiment", least=28, keeps_end=True)


def _path(heading: str) -> Column:
    return Column(heading, rank=5, is_spare=True)


def warning_lines(warned: Iterable[tuple[str, Sequence[str]]], paper: Paper) -> list[str]:
    """Return the lines below a table that say what is to be looked at in it; ``warned``: runs' ids, and warnings."""
    most = _SHOWN if paper.width is None else _SHOWN_AT_TERMINAL
    lines = [tame(f"! {name}: {warning}") for name, warnings in warned for warning in warnings]
    hidden = len(lines) - most
    if hidden > 0:
        lines[most:] = [f"! and {hidden} more warnings; experimentstash show RUN"]
    return [paper.paint(filled(line, paper.width), Style.ODD) for line in lines]


def waiting_lines(why: Mapping[str, str], paper: Paper = PLAIN) -> list[str]:
    """Return the lines below a table that say what runs wait for; ``why`` has that by their ids."""
    lines = []
    for words, style in ((each, Style.ODD if is_hopeless(each) else None) for each in dict.fromkeys(why.values())):
        names = [name for name, own in why.items() if own == words]
        named = listed(names, _NAMED)
        line = f"{'!' if style else '·'} {named} wait{'s' if len(names) == 1 else ''}: {words}"
        lines.append(filled(line, paper.width) if style is None else paper.paint(filled(line, paper.width), style))
    return lines


def past_lines(estimates: Iterable[Estimate], paper: Paper = PLAIN) -> list[str]:
    """Return the line below a table that says what estimates rest on."""
    bases = list(dict.fromkeys(each.basis for each in estimates))
    if not bases:
        return []
    more = f"; and {len(bases) - _BASES} more kinds" if len(bases) > _BASES else ""
    return [filled(f"· ≈ is by the median of {'; '.join(bases[:_BASES])}{more}", paper.width)]


def with_warnings(runs: Sequence[Run]) -> str | None:
    """Return the line that a sweep ends with if some of its runs have warnings."""
    found = [run.id for run in runs if run.attempt.warnings]
    if not found:
        return None
    named = listed(found, _NAMED)
    return f"{len(found)} of {count(len(runs))} with a warning: look at {named}  (experimentstash show RUN)"


def spared_line(stash: Stash, runs: Sequence[Run], total: int | None, *, is_dry: bool) -> str:
    """Say which runs had completed before, of so many jobs (None: one, or nobody counts), and aren't run again."""
    names = list(dict.fromkeys(run.id for run in runs))
    what = count(len(runs)) if total is None else f"{len(runs)} of {count(total)}"
    named = listed(names, _NAMED)
    if len(runs) == 1 and total is None:
        what, named = title(runs[0]), f"{names[0]}, {stash.relative(runs[0].path)}"
    again = "would not be run again" if is_dry else "not run again"
    return f"{what} had completed before: {named}\n  {again}; force=true runs {'it' if len(runs) == 1 else 'them'}"


def twins_line(twins: Mapping[str, str], *, is_dry: bool) -> str:
    """Say which runs of a launch are the same as others of it, by their ids; none of them had completed before."""
    named = listed([f"{run} as {other}" for run, other in twins.items()], _NAMED)
    would = "would be run" if is_dry else "run"
    return (
        f"{count(len(twins))} {'is' if len(twins) == 1 else 'are'} the same as others of this sweep: {named}\n"
        f"  all {would}: only what has completed before a sweep begins isn't run again"
    )


def resources_table(runs: Sequence[Run], paper: Paper = PLAIN, past: Past | None = None) -> str:
    """Return a table of what runs ask for, and what that comes to; and how long they take, as the ``past`` tells."""
    foretold = [None if past is None else past.of(run) for run in runs]
    has_past = any(foretold)
    rows = [
        (
            title(run),
            describe(seconds) if (seconds := _time(run)) is not None else "-",
            *(str(run.attempt.terms.resources.get(name, "-")) for name in ("cpus", "gpus", "mem", "partition")),
            *([f"≈ {describe(expected.seconds)}" if expected is not None else "-"] if has_past else []),
        )
        for run, expected in zip(runs[:_SHOWN], foretold, strict=False)
    ]
    headings = ("time", "cpus", "gpus", "mem", "partition", *(["takes"] if has_past else []))
    columns = [_EXPERIMENT, *(Column(heading) for heading in headings)]
    lines = [tables.draw(columns, rows, paper)]
    if len(runs) > _SHOWN:
        lines.append(f"… and {len(runs) - _SHOWN} more")
    hours = [(_time(run) or 0.0) / 3600 for run in runs]
    cpus = sum(each * _number(run, "cpus", 1) * _number(run, "nodes", 1) for each, run in zip(hours, runs, strict=True))
    gpus = sum(
        each * asked(run.attempt.terms.resources) * _number(run, "nodes", 1)
        for each, run in zip(hours, runs, strict=True)
    )
    unknown = sum(_time(run) is None for run in runs)
    total = f"{count(len(runs))}: {cpus:,.1f} CPU-hours, {gpus:,.1f} GPU-hours"
    lines.append(total + (f", without {unknown} that give no estimated_runtime" if unknown else ""))
    return "\n".join([*lines, *_foretold_lines(foretold, paper)])


def _foretold_lines(foretold: Sequence[Estimate | None], paper: Paper) -> list[str]:
    """Return how long runs take in all, and what that rests on."""
    found = [each for each in foretold if each is not None]
    if not found:
        return []
    rest = f", without {len(foretold) - len(found)} of which no earlier run tells" if len(found) < len(foretold) else ""
    return [f"≈ {describe(sum(each.seconds for each in found))} of work in all{rest}", *past_lines(found, paper)]


def _time(run: Run) -> float | None:
    """Return the seconds that a run asks for: the wall time, else what it is expected to take."""
    limit = run.attempt.terms.resources.get("time")
    return run.spec.estimated_runtime if limit is None else parse(str(limit), "resources.time")


def _number(run: Run, name: str, default: int) -> int:
    return int(run.attempt.terms.resources.get(name, default))


def count(number: int) -> str:
    """Return so many runs in words."""
    return counted(number, "run")


def words(state: State) -> str:
    """Return a state as it is said."""
    return state.value.replace("_", " ")


def _titles(runs: Sequence[Run], paper: Paper) -> list[str]:
    """Return the runs' titles; on a terminal, whose width is scarce, without what all runs of a sweep have."""
    sweeps = {run.sweep for run in runs if run.sweep is not None and paper.width is not None}
    shared = {sweep: sweep_list.shared(Path(sweep)) for sweep in sweeps}
    return [title(run, shared.get(run.sweep or "", ())) for run in runs]


def title(run: Run, shared: Container[str] = ()) -> str:
    """Return what tells a run from the others of its sweep: its experiment and its own overrides, not the shared."""
    own = [each for each in run.spec.overrides if not each.startswith(_NOT_TELLING) and each not in shared]
    return " ".join([run.spec.organizer or run.spec.tool, *own])


def marked_state(run: Run, paper: Paper = PLAIN) -> str:
    """Return a run's state in words, with a mark in front, and one behind if it has warnings."""
    return paper.paint(state_cell(run).text, state_cell(run).style)


def state_cell(run: Run) -> Styled:
    """Return a run's marked state as a cell of a table."""
    return cell_of(run.attempt.state, run.attempt.warnings)


def cell_of(state: State, warnings: Sequence[str]) -> Styled:
    """Return a state with its mark as a cell of a table."""
    mark = _MARKS.get(state, "✗" if state.is_known else "?")
    return Styled(f"{mark} {words(state)}{' !' if warnings else ''}", style_of(state, warnings))


def style_of(state: State, warnings: Sequence[str] = ()) -> Style | None:
    if state is State.COMPLETED:
        return Style.ODD if warnings else Style.GOOD
    return _STYLES.get(state, Style.BAD if state.is_known else None)


def result(run: Run) -> str:
    """Return the value of a run's objective, or values; nothing if it has none."""
    return result_of(run.attempt.result)


def result_of(result: float | list[float] | None) -> str:
    """Return an objective's value, or values, as it is shown."""
    numbers = result if isinstance(result, list) else [result]
    return ", ".join(f"{number:.6g}" for number in numbers if number is not None)


def took(run: Run, estimate: Estimate | None = None) -> str:
    """Return how long a run took, or has taken by now, and how long it still will, if there is an estimate of that."""
    told = took_of(run.attempt.state, run.attempt.started, run.attempt.duration)
    is_at_work = run.attempt.duration is None and run.attempt.state is State.RUNNING
    return told if estimate is None or not is_at_work else f"{told}, {estimate.left(run, time.time())}"


def took_of(state: State, started: str | None, duration: float | None) -> str:
    """Return how long a run took that is in this state, or has taken by now."""
    if duration is not None:
        return describe(duration)
    if state is State.RUNNING and started is not None:
        since = datetime.datetime.now().astimezone() - datetime.datetime.fromisoformat(started)
        return describe(since.total_seconds())
    return "-"


def when(moment: str | None, *, is_short: bool = False) -> str:
    """Return a time of a record without its seconds; ``is_short``: and without the year, if that is this one."""
    if not moment:
        return "-"
    text = local(moment, seconds=False)
    return text.removeprefix(f"{datetime.datetime.now().year}-") if is_short else text


def local(moment: str, *, seconds: bool = True) -> str:
    """Return a time of a record as a clock here shows it."""
    return datetime.datetime.fromisoformat(moment).astimezone().strftime(f"%Y-%m-%d %H:%M{':%S' if seconds else ''}")


def in_local_time(text: str) -> str:
    """Return a text in which the times, as records keep them, are those of a clock here, with their zone."""
    return _MOMENT.sub(lambda found: f"{local(found[0])} {_zone(found[0])}", text)


def _zone(moment: str) -> str:
    return datetime.datetime.fromisoformat(moment).astimezone().strftime("%Z")
