"""Closing records of runs whose supervisor is gone: whoever looks first puts right what a killed one could not."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.scheduler import GONE, LEFT
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free, locked
from experimentstash.base.output import say
from experimentstash.base.text import listed
from experimentstash.execute.account import HEARTBEAT, SUPERVISOR_LOG
from experimentstash.execute.own_copy import close_copy, recover_copy
from experimentstash.execute.wandb_runs import find_wandb, finish_wandb
from experimentstash.record import attempts, job_array, records, times, transitions
from experimentstash.record.job_array import Job
from experimentstash.record.run import FORMAT, Run, State
from experimentstash.runs.left_behind import LOOK_INTERVAL, end_leftovers
from experimentstash.runs.true_state import PATIENCE_IN_WORDS, UNSEEN_PATIENCE, says, true_state
from experimentstash.runs.whereabouts import is_local, job_of, unknowable
from experimentstash.stash.layout import Stash

# A supervisor on another machine that has not touched its log for so many heartbeats is gone.
_MISSED_HEARTBEATS = 10
# The exit code of a run of which nothing is known but that it was killed: 128 + SIGKILL.
_EXIT_KILLED = 128 + signal.SIGKILL
# Seconds for which another command may be closing records before we do without, and before we say that we wait.
_LOCK_PATIENCE = 60.0
_QUIET = 2.0
# The lock that is held while a run is taken up again.
TAKING_UP = "resume"


def tell(queries: JobQueries) -> None:
    """Say what schedulers have left unsaid: then the states of their runs are only what their records say."""
    for silence in queries.silences:
        say(f"{silence}: what it holds is shown as it was last recorded")
    for name in dict.fromkeys(job.scheduler for job in queries.missing):
        missing = [job.id for job in queries.missing if job.scheduler == name]
        scheduler = schedulers.named(name)
        say(
            f"{scheduler.title} has no sign of the {'jobs' if len(missing) > 1 else 'job'} {listed(missing, 5)},"
            f" neither in {' nor in '.join(scheduler.sources)}: once that has been"
            f" so for {PATIENCE_IN_WORDS}, the runs count as lost"
        )


def load_reconciled(stash: Stash, directory: Path, queries: JobQueries | None = None) -> Run:
    """Return the run in ``directory``, its record closed first if its supervisor is gone.

    Whoever looks at many runs gives all of them the same ``queries``.
    """
    run = records.read(directory)
    if run.attempt.state.is_final and run.attempt.state.is_known:
        if run.attempt.job_end is None or run.attempt.job_end.is_known or run.format > FORMAT:
            return run
        try:
            return _put_right(stash, run, queries or JobQueries())
        except (OSError, StashError) as error:
            say(f"the record of {run.id} can't be put right: {error}")
            return run
    if (why := unknowable(run)) is not None:
        run.attempt.warnings.append(why)  # said, and never written
        return run
    ended = records.read_ended(directory)
    if ended.attempt.state.is_final:
        with contextlib.suppress(OSError, StashError), reconciling(stash):
            current = records.read(directory)
            if not current.attempt.state.is_final and current.attempt.number == ended.attempt.number:
                records.record_kept_end(ended)
        return ended
    asked = queries or JobQueries()
    is_abandoned = _is_abandoned(run, asked)
    if queries is None:
        tell(asked)
    if not is_abandoned:
        return run
    try:
        return reconcile(stash, run, asked)
    except (OSError, StashError) as error:  # a stash may lie where nothing can be written
        say(f"the record of {run.id} can't be closed: {error}")
        return run


@contextlib.contextmanager
def reconciling(stash: Stash) -> Iterator[None]:
    """Be the only one that closes records; StashError if another one is at it for too long."""
    lock, deadline, has_said = stash.lock("reconcile"), time.monotonic() + _LOCK_PATIENCE, False
    while (held := lock_if_free(lock)) is None:
        if time.monotonic() > deadline:
            raise StashError(f"another command is at work on it for {_LOCK_PATIENCE:g} s ({lock})", "try again later")
        if not has_said and time.monotonic() > deadline - _LOCK_PATIENCE + _QUIET:
            has_said = True
            say(f"waiting for another command that closes records, {_LOCK_PATIENCE:g} s at most …")
        time.sleep(LOOK_INTERVAL)
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def undisturbed(stash: Stash) -> Iterator[None]:
    """Have nobody else take runs up again or close records meanwhile; StashError as of ``reconciling``."""
    with locked(stash.lock(TAKING_UP)), reconciling(stash):
        yield


def reconcile(stash: Stash, run: Run, queries: JobQueries | None = None) -> Run:
    """Close the record of a run whose supervisor is gone, end what it left behind, and finish its W&B runs.

    Doing it twice, or two doing it at once, is the same as doing it once.
    """
    queries = queries or JobQueries()
    with reconciling(stash):
        # Read after the scheduler was asked: what that says has ended has also written its record by now.
        run = records.read(run.path)
        if run.attempt.state.is_final or not _is_abandoned(run, queries):
            return run
        end_leftovers(run)
        job = job_of(run)
        was_queued = run.attempt.state is State.QUEUED
        state, reason = true_state(run, job, queries.ask(job) if job else None)
        transitions.end_unseen(run, state, reason, _EXIT_KILLED, _last_sign_of_life(run))
        if not was_queued:
            run.attempt.notes.append(f"closed at {times.now()} because its supervisor was gone")
        recover_copy(run)
        records.write(run)
        close_copy(run)
        find_wandb(run, 0, 0.0 if run.attempt.started is None else times.moment(run.attempt.started))
        finish_wandb(run)
        return run


def _put_right(stash: Stash, run: Run, queries: JobQueries) -> Run:
    """Return a run that has ended with its job, once its scheduler has said why, where that was only supposed."""
    job = job_of(run)
    status = queries.ask(job) if job is not None else None
    if job is None or status is None or status.state is None:  # it doesn't answer, or hasn't done with the job
        return run
    with reconciling(stash):
        run = records.read(run.path)
        if not run.attempt.state.is_final or run.attempt.job_end is None or run.attempt.job_end.is_known:
            return run
        if status in (GONE, LEFT):
            transitions.correct_end(run, run.attempt.state, f"{run.attempt.job_end.reason}, and no longer knows")
        elif status.state in (State.COMPLETED, State.FAILED, State.LOST):  # it ended by itself, before it was ended
            transitions.correct_end(run, run.attempt.state, run.attempt.job_end.reason)
        else:
            transitions.correct_end(run, status.state, f"{run.attempt.job_end.reason}; {says(job, status)}")
        records.write(run)
        return run


def may_go_back(run: Run, queries: JobQueries) -> bool:
    """Tell whether a run whose job has cut it short may be just about to go back into the queue."""
    if not attempts.was_cut_short(run) or run.spec.resume is None or run.attempt.terms.max_requeues == 0:
        return False
    job = job_of(run)
    status = queries.ask(job) if job is not None else None
    if status is None:  # while the scheduler doesn't answer, the job may ask it for a while whether it may go back
        return (
            run.attempt.job_end is not None
            and time.time() - times.moment(run.attempt.ended or times.now()) < attempts.ASKING_ON
        )
    return status.state is None


def _is_abandoned(run: Run, queries: JobQueries) -> bool:
    """Tell whether nobody watches over a run that isn't over. While a scheduler doesn't answer, its jobs are not."""
    supervisor = run.attempt.supervisor
    if supervisor is None:
        return False
    job = job_of(run)
    if run.attempt.state is State.QUEUED and run.attempt.queued is not None and job is not None:
        return _has_left_the_queue(run, job, queries)
    is_here = supervisor.host == procfs.hostname()
    if is_local(run) and procfs.is_alive(Identity(supervisor.pid, supervisor.start_time)):
        return False
    status = queries.ask(job) if job is not None else None
    if job is not None and status is None:
        return False
    if status is not None and status is not GONE:
        # Its own job ends with its supervisor, in a moment, unless it is started again: then that is for the job to
        # say. One that somebody else has submitted may have more to do.
        is_own = run.attempt.queued is not None or not is_here
        return status.state is not None or (not is_own and not status.is_waiting)
    if is_local(run):
        return True
    try:
        last = (run.path / SUPERVISOR_LOG).stat().st_mtime
    except OSError:
        return is_here
    # One that has lived since this machine was started is another machine's of the same name.
    return (is_here and last < procfs.boot_time()) or time.time() - last > _MISSED_HEARTBEATS * HEARTBEAT


def _has_left_the_queue(run: Run, job: Job, queries: JobQueries) -> bool:
    status = queries.ask(job)
    if status is None:
        return False
    if status is not GONE or attempts.is_cancelled(run):
        job_array.note_seen(_array(run))
        return status.state is not None
    if job_array.unseen_for(_array(run)) > UNSEEN_PATIENCE:
        return True
    queries.missing.append(job)
    return False


def _array(run: Run) -> Path:
    assert run.attempt.queued is not None
    return Path(run.attempt.queued.array)


def _last_sign_of_life(run: Run) -> str:
    """Return when the run last wrote something, as the time of its end."""
    moments = []
    for name in (run.attempt.log, SUPERVISOR_LOG):
        with contextlib.suppress(OSError):
            moments.append((run.path / name).stat().st_mtime)
    return times.as_text(max(moments)) if moments else times.now()
