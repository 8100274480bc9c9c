"""How a run has ended of whose end nobody could tell."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.scheduler import GONE, LEFT, JobStatus
from experimentstash.base.errors import StashError
from experimentstash.record import attempts, job_array
from experimentstash.record.job_array import Job
from experimentstash.record.run import Run, State
from experimentstash.runs.whereabouts import is_local

# Seconds for which none of a scheduler's sources may have had a sign of a queued run's job before it counts as lost.
# The controller keeps ended jobs for MinJobAge, 300 s by default.
UNSEEN_PATIENCE = 600.0
PATIENCE_IN_WORDS = f"{UNSEEN_PATIENCE / 60:g} minutes"


def says(job: Job, status: JobStatus) -> str:
    title = schedulers.of(job).title
    return f"{title} no longer knows how" if status is LEFT else f"{title} says {status.text}"


def true_state(run: Run, job: Job | None, status: JobStatus | None) -> tuple[State, str]:
    asked = f"{run.attempt.reason}; " if run.attempt.reason else ""
    if run.attempt.state is State.QUEUED and attempts.is_cancelled(run):
        return State.CANCELLED, attempts.WHILE_QUEUED
    if run.attempt.state is State.QUEUED and job is not None and status is not None:
        scheduler = schedulers.of(job)
        its_job = f"its {scheduler.title} job"
        output = None if run.attempt.queued is None else scheduler.output_of(Path(run.attempt.queued.array), job)
        has_begun = output is not None and output.exists()
        if status is LEFT and not has_begun:
            return State.CANCELLED, f"{its_job} was cancelled while it was queued"
        if status is GONE:
            see = _see(output) or "; run it again"
            return (
                State.LOST,
                f"neither {' nor '.join(scheduler.sources)} has had a sign of {its_job} for {PATIENCE_IN_WORDS}{see}",
            )
        if others := _others(run):
            return _never_its_turn(job, status, others, output)
        if status.state in (State.FAILED, State.COMPLETED, State.LOST):
            said = [f"\n  {line}" for line in scheduler.last_words([] if output is None else [output])]
            return State.FAILED, f"{its_job} ended before it had started the tool{_see(output)}{''.join(said)}"
    if status in (GONE, LEFT):
        status = None
    if job is not None and status is not None and status.state not in (None, State.COMPLETED, State.FAILED):
        return status.state, f"{asked}{says(job, status)}"
    if run.attempt.state in (State.FROZEN, State.QUEUED):
        return State.LOST, "whoever was to start it has gone before it started; run it again"
    if asked:
        state = State.CANCELLED if run.attempt.job_end is None else run.attempt.job_end.state
        return state, f"{asked}its supervisor was killed before the tool had ended"
    assert run.attempt.supervisor is not None
    where = f"process {run.attempt.supervisor.pid} on {run.attempt.supervisor.host}"
    kept = "; the log holds what the tool wrote until then" if os.path.lexists(run.path / run.attempt.log) else ""
    restarted = run.attempt.supervisor.host == procfs.hostname() and not is_local(run)
    how = "the machine was restarted" if restarted else "it was killed, or its machine went down"
    return State.LOST, f"its supervisor ({where}) left no word: {how}{kept}"


def _others(run: Run) -> int:
    """Return how many runs share its job, as far as that is known."""
    try:
        return len(job_array.others(run))
    except StashError:  # somebody has removed what says so
        return 0


def _never_its_turn(job: Job, status: JobStatus, others: int, output: Path | None) -> tuple[State, str]:
    """Return the true state of a run whose job has ended while others that share it were at work."""
    as_it_says = (State.CANCELLED, State.TIMED_OUT, State.PREEMPTED, State.KILLED)
    state = status.state if status.state in as_it_says else State.FAILED
    shared = f"it shared the job with {others} other{'s' if others > 1 else ''}"
    its_job = f"its {schedulers.of(job).title} job"
    return state, f"its turn had not come when {its_job} ended ({says(job, status)}; {shared}){_see(output)}"


def _see(output: Path | None) -> str:
    """Return where more is to be found, if there is that file."""
    return f"; see {output}" if output is not None and output.exists() else ""
