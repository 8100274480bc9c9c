"""Every change of a run's state: from where it may come, and what changes with it. docs/records.md has the diagram.

A transition changes the run in memory; whoever makes it writes the record. One that can't be is a bug of ours, and is
refused before anything has changed.
"""

from __future__ import annotations

from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.record import times
from experimentstash.record.run import Attempt, JobEnd, Queued, Run, State, Supervisor

if TYPE_CHECKING:
    from collections.abc import Collection

_UNBEGUN = (State.FROZEN, State.QUEUED)
_OPEN = (State.FROZEN, State.QUEUED, State.RUNNING)


class TransitionError(RuntimeError):
    """A run was to change its state in a way in which no run does."""


def submit(run: Run, queued: Queued) -> None:
    """A frozen run is SLURM's to start, by this task; or by this other one, if it is submitted once more."""
    _expect(run, _UNBEGUN, "be submitted")
    run.attempt.state, run.attempt.queued = State.QUEUED, queued


def begin(run: Run, supervisor: Supervisor) -> None:
    """A run that is frozen or queued is at work, from now on."""
    _expect(run, _UNBEGUN, "begin")
    attempt = run.attempt
    attempt.state, attempt.started = State.RUNNING, times.now()
    attempt.supervisor, attempt.host = supervisor, supervisor.host


def end(
    run: Run,
    state: State,
    reason: str | None,
    exit_code: int,
    *,
    job_end: JobEnd | None = None,
    signal: str | None = None,
) -> None:
    """A run that was open is over now, whether it had begun or not.

    ``job_end`` is what is known of the end of its SLURM job, if that is why.
    """
    _expect_end(run, state)
    attempt = run.attempt
    attempt.state, attempt.reason, attempt.exit_code, attempt.signal = state, reason, exit_code, signal
    attempt.job_end, attempt.ended = job_end, times.now()


def end_unseen(run: Run, state: State, reason: str, exit_code: int | None = None, ended: str | None = None) -> None:
    """A run that was open by its record has ended, and nobody saw it: since when is told by ``ended``, if known."""
    _expect_end(run, state)
    attempt = run.attempt
    attempt.state, attempt.reason, attempt.ended = state, reason, ended
    attempt.exit_code = exit_code if attempt.exit_code is None else attempt.exit_code


def correct_end(run: Run, state: State, reason: str) -> None:
    """SLURM says why it has ended the job of a run that is over, where that was only supposed."""
    attempt, supposed = run.attempt, run.attempt.job_end
    if not attempt.state.is_final or supposed is None or supposed.is_known:
        raise TransitionError(f"{run.id} ({attempt.state.value}): nothing about its end was supposed")
    attempt.reason = (attempt.reason or supposed.reason).replace(supposed.reason, reason)
    attempt.state, attempt.job_end = state, JobEnd(state, reason, is_known=True)


def take_up_again(run: Run) -> str:
    """A run that was given up in the queue is queued after all, because SLURM starts it; return why, which is noted."""
    attempt = run.attempt
    if not attempt.state.is_final or attempt.started is not None:
        raise TransitionError(f"{run.id} ({attempt.state.value}) was not given up while it was queued")
    why = f"it was taken for {attempt.state.value} ({attempt.reason}), but SLURM has started its job"
    attempt.state, attempt.reason, attempt.exit_code, attempt.ended = State.QUEUED, None, None, None
    attempt.notes.append(why)
    return why


def open_next_attempt(run: Run, state: State) -> None:
    """A run that is over is ready for its next attempt, frozen or queued, on the terms of the last one."""
    _expect(run, [each for each in State if each.is_final and each is not State.COMPLETED], "have another attempt")
    if state not in _UNBEGUN:
        raise TransitionError(f"{run.id}: no attempt begins {state.value}")
    last = run.attempt
    run.earlier.append(last)
    number = last.number + 1
    run.attempt = Attempt(number, state, last.terms, supervisor=last.supervisor, log=f"output.{number}.log")
    if state is State.QUEUED:
        run.attempt.queued = last.queued


def _expect_end(run: Run, state: State) -> None:
    _expect(run, _OPEN, f"become {state.value}")
    if not state.is_final:
        raise TransitionError(f"{run.id}: {state.value} is no end")


def _expect(run: Run, states: Collection[State], what: str) -> None:
    if run.attempt.state not in states:
        raise TransitionError(f"{run.id}: a run that is {run.attempt.state.value} can't {what}")
