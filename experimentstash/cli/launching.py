"""What a launch came to, told to the user: where the Hydra app meets the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experimentstash.base.output import complain, paper_of, say
from experimentstash.launch import app
from experimentstash.record.run import Run, State
from experimentstash.runs.summary import (
    ending_line,
    resources_table,
    spared_line,
    sweep_table,
    twins_line,
    with_warnings,
)

if TYPE_CHECKING:
    from experimentstash.launch.again import Again
    from experimentstash.launch.continuation import Continuation
    from experimentstash.launch.result import LaunchResult, SweepResult
    from experimentstash.stash.layout import Stash

# Runs that could not start and are told of one by one.
_MISTAKES_SHOWN = 20
# Seconds for which it is read, at most, how long earlier runs took.
_LOOK_BACK = 2.0


def launch(argv: Sequence[str], continuation: Continuation | None = None, again: Again | None = None) -> int:
    """Run the Hydra app, tell what came of it, and return the exit code; raises what has ended it.

    A single run's exit code is the tool's own; a sweep's is 0 if all its runs completed, else 1.
    """
    return launched(argv, continuation, again).exit_code


def launched(argv: Sequence[str], continuation: Continuation | None = None, again: Again | None = None) -> LaunchResult:
    """Do what ``launch`` does, and return all that came of it."""
    result = app.launch(argv, continuation, again)
    try:
        _tell(result)
    finally:  # what goes wrong with telling doesn't hide it
        if result.error is not None:
            raise result.error
    return result


def _tell(result: LaunchResult) -> None:
    if result.shown:
        print(*result.shown, sep="\n", flush=True)
    if result.planned:
        from experimentstash.runs.past import Past

        past = Past(result.stash)
        past.read(_LOOK_BACK)
        print(resources_table(result.planned, paper_of(sys.stdout), past), flush=True)
    if result.spared:
        say(spared_line(result.stash, result.spared, _jobs(result), is_dry=result.is_dry))
    if result.twins:
        say(twins_line(result.twins, is_dry=result.is_dry))
    if result.single is not None:
        say(ending_line(result.stash, result.single, paper_of(sys.stderr)))
    if result.sweep is not None and result.sweep.runs:
        _tell_of_sweep(result.stash, result.sweep)


def _jobs(result: LaunchResult) -> int | None:
    """Return how many jobs a sweep has, or would have; None if it is none, or nobody has counted them."""
    if result.sweep is None or (result.is_dry and not result.planned):
        return None
    if result.is_dry:
        return len(result.planned) + len(result.spared)
    return len(result.sweep.runs) + result.sweep.unbegun


def _tell_of_sweep(stash: Stash, sweep: SweepResult) -> None:
    """Print a sweep's table and the mistakes that kept runs from starting."""
    paper = paper_of(sys.stdout)
    print(sweep_table(stash, sweep.runs, paper, unbegun=sweep.unbegun, earlier=sweep.earlier), flush=True)
    if (line := with_warnings(sweep.runs)) is not None:
        say(line)
    mistakes = [f"{run.id}: {why}" for run in sweep.runs if (why := _why_not_started(sweep, run)) is not None]
    for mistake in mistakes[:_MISTAKES_SHOWN]:
        complain(mistake)
    if len(mistakes) > _MISTAKES_SHOWN:
        complain(f"and {len(mistakes) - _MISTAKES_SHOWN} more runs did not start; experimentstash show RUN says why")
    if sweep.way_on is not None:
        say(f"the sweep was interrupted; what has not completed is done by\n  → {sweep.way_on}")


def _why_not_started(sweep: SweepResult, run: Run) -> str | None:
    """Return why a run of a sweep could not start; None if it did."""
    if run.spec.job is not None and run.spec.job in sweep.refused_again and run.id not in sweep.earlier:
        return sweep.refused_again[run.spec.job]
    return run.attempt.reason if run.attempt.state is State.FAILED and run.attempt.started is None else None
