"""Further attempts at a run that was cut short, in the same directory."""

from __future__ import annotations

import os

from experimentstash.base.errors import EXIT_TIMED_OUT
from experimentstash.base.files import mark, remove
from experimentstash.record.run import Run, State

# In a run's directory: somebody has asked for its end, so that what SLURM then does to it isn't mistaken for a
# time-out, which would bring it back.
CANCEL_MARK = "cancel"
# Seconds for which a job that is to go back into the queue asks a silent SLURM on, after it should have been killed.
ASKING_ON = 600.0
# Ends that came from outside: a tool that can resume goes on where it was.
_CUT_SHORT = {
    State.TIMED_OUT,
    State.PREEMPTED,
    State.KILLED,
    State.CANCELLED,
    State.LOST,
    State.OUT_OF_MEMORY,
}
# Why a run ended that carries the mark.
CANCELLED = "asked to stop by `experimentstash cancel`"
WHILE_QUEUED = "cancelled while it was queued"


def can_go_on(run: Run) -> bool:
    """Tell whether a run that has ended could go on where it was when its tool was last at work."""
    last = next((each.state for each in reversed(run.every_attempt) if each.started is not None), run.attempt.state)
    return run.spec.resume is not None and run.removed is None and last in _CUT_SHORT


def is_over(run: Run) -> bool:
    """Tell whether a run has ended, and could not go on either."""
    return run.attempt.state.is_final and not can_go_on(run)


def forget_cancelled(run: Run) -> None:
    """Take away the mark of a run that is to go on after all, because somebody has asked for that."""
    remove(run.path / CANCEL_MARK)


def was_cut_short(run: Run) -> bool:
    """Tell whether a run was stopped because SLURM ended its job: for want of time, by a preemption, with its node."""
    if run.attempt.job_end is not None:
        return run.attempt.state in (State.TIMED_OUT, State.PREEMPTED, State.KILLED)
    return run.attempt.state is State.PREEMPTED or (
        run.attempt.state is State.TIMED_OUT and run.attempt.exit_code != EXIT_TIMED_OUT
    )


def is_cancelled(run: Run) -> bool:
    """Tell whether somebody has asked for the end of the run."""
    return os.path.lexists(os.path.join(run.directory, CANCEL_MARK))


def mark_cancelled(run: Run) -> None:
    """Note that the run is to end for good.

    To be done before looking at its record: then either it is seen there that the run has begun, or whoever begins it
    sees the mark.
    """
    mark(run.path / CANCEL_MARK)
