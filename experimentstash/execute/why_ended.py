"""Why a run in a job of a scheduler's was to end."""

from __future__ import annotations

import signal

from experimentstash.adapters import schedulers
from experimentstash.adapters.scheduler import Why
from experimentstash.base.signals import REQUESTS, SignalQueue
from experimentstash.execute.ending import Ending, StopRequest
from experimentstash.record import attempts
from experimentstash.record.run import Run, State


def asked_by(number: signal.Signals, signals: SignalQueue) -> StopRequest:
    """Return the request to stop that a signal to us makes; in a job, as its scheduler explains it."""
    job = schedulers.here()
    if job is None or not job.is_meant(number):
        return StopRequest(State.CANCELLED, f"asked to stop by {REQUESTS[number]}", number)
    why = job.warned(number, was_continued=signals.was_just_continued)
    return StopRequest(why.state, why.reason, number, may_be_jobs=True)


def why_it_was_to_end(run: Run, ending: Ending) -> Why | None:
    """Return why a run in a job was to end, as its scheduler sees it; None if it ended for itself, or here is no job.

    Every process of a job may be told at once, and a tool that dies of it does so before we are told. Or it saves and
    ends with a code of its own: one that had just ended when we were told, in a job that is being ended, counts as told
    too, whatever its code. If it had come to its end after all, another attempt costs a moment; but half a run
    that counts as completed, or as failed, would never be continued. Of a warning before the end of the wall time, and
    of `experimentstash cancel`, only we are told, unless signals reach all (under srun): there its end was its own.
    """
    job = schedulers.here()
    asked = ending.stop or ending.missed
    has_died_of_it = ending.stop is None and ending.returncode == -signal.SIGTERM
    if job is None or not (has_died_of_it or (job.is_warned if asked is None else asked.may_be_jobs)):
        return None
    is_told = ending.stop is not None
    is_surely_told = is_told or has_died_of_it or job.has_told_all or job.tells_all
    if is_surely_told and attempts.is_cancelled(run):
        return Why(State.CANCELLED, attempts.CANCELLED, is_schedulers=False)
    job.settle()
    why = job.why or job.died()
    if is_told or (has_died_of_it and why.is_schedulers):
        return why
    is_surely_told = is_surely_told or job.has_told_all  # as was said meanwhile
    is_schedulers = why.is_schedulers and (is_surely_told or why.state is not State.TIMED_OUT)
    return why if is_schedulers else None
