"""What a launch came to: what was planned, what ran, how each run ended, and with which exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain
from experimentstash.launch import sweep_asked
from experimentstash.launch.context import LaunchContext
from experimentstash.record import records, sweep_list
from experimentstash.record.run import Run, State
from experimentstash.runs import done_before
from experimentstash.stash.layout import Stash


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to."""

    runs: Sequence[Run]  # in the order of their numbers
    unbegun: int = 0  # jobs that have no run
    has_unread: bool = False  # there are others, whose records can't be read
    way_on: str | None = None  # the command that does what an interrupted one still lacks
    earlier: frozenset[str] = frozenset()  # the ids of those among the runs that had completed before
    refused_again: Mapping[int, str] = field(default_factory=dict)  # why jobs can't be done once more, by their numbers


@dataclass(frozen=True)
class LaunchResult:
    """What a launch came to; ``error`` is what has ended it, an interruption too."""

    stash: Stash
    shown: Sequence[str] = ()  # of what isn't to be executed
    planned: Sequence[Run] = ()  # what would be run
    spared: Sequence[Run] = ()  # what counts as jobs that weren't run, or wouldn't be, because it has completed before
    twins: Mapping[str, str] = field(default_factory=dict)  # runs that are the same as others of it, and these
    is_dry: bool = False  # nothing was to be run
    single: Run | None = None  # the run that was executed
    sweep: SweepResult | None = None
    exit_code: int = 0
    error: BaseException | None = None


def of(context: LaunchContext, error: BaseException | None) -> LaunchResult:
    """Return the result of a launch that is over. Whatever goes wrong with that never hides what has ended it."""
    account, sweep = context.account, None
    if context.sweep is not None:
        try:
            sweep = _of_sweep(context, context.sweep, is_interrupted=isinstance(error, (KeyboardInterrupt, SystemExit)))
        except Exception as failure:
            if error is not None:
                complain(f"what the sweep has come to can't be told: {failure}")
            error = error or failure
        else:
            if error is None and not sweep.runs and not account.is_dry and not sweep.has_unread:
                error = StashError("The sweep has no runs.", "look at what is swept over: an empty list or glob?")
    elif error is None:
        error = account.failure
    single = account.executed.run if account.executed is not None and context.sweep is None else None
    return LaunchResult(
        context.stash,
        shown=tuple(account.shown),
        planned=tuple(account.planned),
        is_dry=account.is_dry,
        spared=tuple(account.done_before.values()),
        twins=account.twins,
        single=single,
        sweep=sweep,
        exit_code=_exit_code(single, sweep, has_failure=account.failure is not None),
        error=error,
    )


def _of_sweep(context: LaunchContext, directory: Path, *, is_interrupted: bool) -> SweepResult:
    """Return what a sweep came to; its directory is removed if nothing ran."""
    account = context.account
    inside = records.in_order(directory)
    read = list(records.readable(inside, account.submitted))
    found = [*read, *records.readable(account.elsewhere), *account.unrecorded]
    own = {run.spec.job for run in found}
    counting = {} if account.is_dry else done_before.of_sweep(context.stash, directory, account.done_before)
    earlier = {number: run for number, run in counting.items() if number not in own}
    if not read and not earlier:
        _discard(context, directory)
    known = len(inside) + len(account.elsewhere) + len(account.unrecorded)
    way_on = None
    if is_interrupted and found:
        from experimentstash.runs import naming  # here, because it brings all that finds runs

        with contextlib.suppress(StashError):  # its sweeper chose the runs as it went
            way_on = sweep_asked.way_on(directory, naming.sweep_at(context.stash, directory).name)
    return SweepResult(
        runs=done_before.in_order(found, earlier),
        earlier=frozenset(run.id for run in earlier.values()),
        unbegun=sweep_list.unbegun(directory, known + len(earlier)) if found or earlier else 0,
        has_unread=len(found) < known,
        way_on=way_on,
        refused_again=account.refused_again,
    )


def _discard(context: LaunchContext, directory: Path) -> None:
    """Undo what Hydra and we have made of a sweep in which nothing ran, if nothing else has come into its directory."""
    if context.begun is None:
        return
    before = context.begun.before
    with contextlib.suppress(OSError):
        added = {path.name for path in directory.iterdir() if path not in before.entries}
        if added <= {records.SWEEP_FILE, records.JOBS_FILE, records.LOCK}:
            before.put_back()


def _exit_code(single: Run | None, sweep: SweepResult | None, *, has_failure: bool) -> int:
    """Return a single run's own exit code; of a sweep 0 if all of its runs have completed, else 1."""
    if sweep is not None:
        is_well = all(map(_is_well, sweep.runs)) and not sweep.has_unread
        return 0 if is_well and not has_failure else 1
    return 0 if single is None else single.attempt.exit_code or 0


def _is_well(run: Run) -> bool:
    # What a scheduler has yet to start, or is at, is not for this command to wait for.
    return run.attempt.state is State.COMPLETED or (run.attempt.queued is not None and not run.attempt.state.is_final)
