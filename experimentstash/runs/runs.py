"""The runs of a stash: finding, naming and reading them, and closing the records of those whose supervisor is gone.

run.json files are all there is; whoever looks at them first puts right what a killed supervisor could not.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.scheduler import GONE, LEFT, JobStatus
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.execute.children import KILL_PATIENCE
from experimentstash.execute.execution import (
    GRACE_HERE,
    HEARTBEAT,
    MARKER,
    SUPERVISOR_LOG,
    close_copy,
    find_wandb,
    finish_wandb,
    marker_of,
    recover_copy,
)
from experimentstash.record import attempts, job_array, records, run_places, transitions
from experimentstash.record.job_array import Job
from experimentstash.record.records import FILE_NAME, Run, State, Supervisor
from experimentstash.stash.layout import ROOT_VARIABLE, Stash

# Seconds for which none of a scheduler's sources may have had a sign of a queued run's job before it counts as lost.
# The controller keeps ended jobs for MinJobAge, 300 s by default.
UNSEEN_PATIENCE = 600.0
_PATIENCE_IN_WORDS = f"{UNSEEN_PATIENCE / 60:g} minutes"
# A supervisor on another machine that has not touched its log for so many heartbeats is gone.
_MISSED_HEARTBEATS = 10
# The exit code of a run of which nothing is known but that it was killed: 128 + SIGKILL.
_EXIT_KILLED = 128 + signal.SIGKILL
# Seconds that starting a tool may take at most, from the record that says it runs to the one that names its process.
_STARTING = 1.0
_LOOK_INTERVAL = 0.05
# Seconds for which another command may be closing records before we do without, and before we say that we wait.
_LOCK_PATIENCE = 60.0
_QUIET = 2.0
# Words of a command that starts one of us.
_OURS = regex(rb"(?:-m|.*/)?experimentstash(?:\.[\w.]+|(?:/\w+)+\.py)?", re.DOTALL)


def directories(stash: Stash) -> Iterator[Path]:
    """Yield the directories of all runs, in no order."""
    yield from run_places.directories(stash)


def all_runs(stash: Stash, unread: list[Path] | None = None) -> list[Run]:
    """Return all runs, newest first, reconciled. Of a record that can't be read one line is said, and all else goes on.

    The directories with such records are added to ``unread``.
    """
    found = []
    queries = JobQueries()
    for directory in directories(stash):
        try:
            found.append(look(stash, directory, queries))
        except (StashError, OSError) as error:
            say(str(error).partition("\n")[0])
            if unread is not None:
                unread.append(directory)
    tell(queries)
    return newest_first(found)


def newest_first(found: Iterable[Run]) -> list[Run]:
    """Return runs in the order in which people look for them."""

    def age(run: Run) -> tuple[float, str]:
        return records.moment(run.created) if run.created else 0.0, run.directory

    return sorted(found, key=age, reverse=True)


def tell(queries: JobQueries) -> None:
    """Say what schedulers have left unsaid: then the states of their runs are only what their records say."""
    for silence in queries.silences:
        say(f"{silence}: what it holds is shown as it was last recorded")
    for name in dict.fromkeys(job.scheduler for job in queries.missing):
        missing = [job.id for job in queries.missing if job.scheduler == name]
        scheduler = schedulers.named(name)
        say(
            f"{scheduler.title} has no sign of the {'jobs' if len(missing) > 1 else 'job'} {', '.join(missing[:5])}"
            f"{', …' if len(missing) > 5 else ''}, neither in {' nor in '.join(scheduler.sources)}: once that has been"
            f" so for {_PATIENCE_IN_WORDS}, the runs count as lost"
        )


def superseded(stash: Stash) -> list[Run]:
    """Return the earlier tries of runs that were begun anew when their sweeps were continued."""
    below = run_places.directories(stash, superseded=True)
    return list(records.readable(path for path in below if records.ASIDE in path.parts))


def look(stash: Stash, directory: Path, queries: JobQueries | None = None) -> Run:
    """Return the run in ``directory``, its record closed first if its supervisor is gone.

    Whoever looks at many runs gives all of them the same ``queries``.
    """
    run = records.read(directory)
    if run.attempt.state.is_final and run.attempt.state.is_known:
        if run.attempt.job_end is None or run.attempt.job_end.is_known or run.format > records.FORMAT:
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
        with contextlib.suppress(OSError, StashError), _reconciling(stash):
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
def _reconciling(stash: Stash) -> Iterator[None]:
    """Be the only one that closes records; StashError if another one is at it for too long."""
    lock, deadline, has_said = stash.lock("reconcile"), time.monotonic() + _LOCK_PATIENCE, False
    while (held := lock_if_free(lock)) is None:
        if time.monotonic() > deadline:
            raise StashError(f"another command is at work on it for {_LOCK_PATIENCE:g} s ({lock})", "try again later")
        if not has_said and time.monotonic() > deadline - _LOCK_PATIENCE + _QUIET:
            has_said = True
            say(f"waiting for another command that closes records, {_LOCK_PATIENCE:g} s at most …")
        time.sleep(_LOOK_INTERVAL)
    try:
        yield
    finally:
        os.close(held)


def reconcile(stash: Stash, run: Run, queries: JobQueries | None = None) -> Run:
    """Close the record of a run whose supervisor is gone, end what it left behind, and finish its W&B runs.

    Doing it twice, or two doing it at once, is the same as doing it once.
    """
    queries = queries or JobQueries()
    with _reconciling(stash):
        # Read after the scheduler was asked: what that says has ended has also written its record by now.
        run = records.read(run.path)
        if run.attempt.state.is_final or not _is_abandoned(run, queries):
            return run
        _end_leftovers(run)
        job = job_of(run)
        was_queued = run.attempt.state is State.QUEUED
        state, reason = _true_state(run, job, queries.ask(job) if job else None)
        transitions.end_unseen(run, state, reason, _EXIT_KILLED, _last_sign_of_life(run))
        if not was_queued:
            run.attempt.notes.append(f"closed at {records.now()} because its supervisor was gone")
        recover_copy(run)
        records.write(run)
        close_copy(run)
        find_wandb(run, 0, 0.0 if run.attempt.started is None else records.moment(run.attempt.started))
        finish_wandb(run)
        return run


def _put_right(stash: Stash, run: Run, queries: JobQueries) -> Run:
    """Return a run that has ended with its job, once its scheduler has said why, where that was only supposed."""
    job = job_of(run)
    status = queries.ask(job) if job is not None else None
    if job is None or status is None or status.state is None:  # it doesn't answer, or hasn't done with the job
        return run
    with _reconciling(stash):
        run = records.read(run.path)
        if not run.attempt.state.is_final or run.attempt.job_end is None or run.attempt.job_end.is_known:
            return run
        if status in (GONE, LEFT):
            transitions.correct_end(run, run.attempt.state, f"{run.attempt.job_end.reason}, and no longer knows")
        elif status.state in (State.COMPLETED, State.FAILED, State.LOST):  # it ended by itself, before it was ended
            transitions.correct_end(run, run.attempt.state, run.attempt.job_end.reason)
        else:
            transitions.correct_end(run, status.state, f"{run.attempt.job_end.reason}; {_says(job, status)}")
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
            and time.time() - records.moment(run.attempt.ended or records.now()) < attempts.ASKING_ON
        )
    return status.state is None


def is_of_sweep(run: Run, sweep: Path) -> bool:
    """Tell whether a run is one of the sweep in a directory, which has no links in its path."""
    return run.sweep is not None and Path(run.sweep).resolve() == sweep


def job_of(run: Run) -> Job | None:
    """Return the job of a scheduler's that a run is, was or will be executed in; None if there is none, or not yet."""
    if run.attempt.state is State.QUEUED and run.attempt.queued is not None:
        path = Path(run.attempt.queued.array)
        array = job_array.submitted(path) if job_array.is_of(run, path) else None
        return None if array is None else Job(f"{array.id}_{run.attempt.queued.task}", array.cluster)
    supervisor = run.attempt.supervisor
    if supervisor is None or supervisor.slurm_job is None:
        return None
    return Job(supervisor.slurm_job, supervisor.slurm_cluster)


def why_waiting(shown: Sequence[Run]) -> dict[str, str]:
    """Return why schedulers let runs wait, by their ids, as far as they say so."""
    jobs = {run.id: job_of(run) for run in shown if run.attempt.state in (State.QUEUED, State.RUNNING)}
    asked = [job for job in jobs.values() if job is not None]
    found: dict[Job, str] = {}
    for name in dict.fromkeys(job.scheduler for job in asked):
        found |= schedulers.named(name).why_waiting([job for job in asked if job.scheduler == name])
    return {name: found[job] for name, job in jobs.items() if job is not None and job in found}


def is_local(run: Run) -> bool:
    """Tell whether the supervisor of a run is, or was, a process of this machine since its last start."""
    supervisor = run.attempt.supervisor
    return supervisor is not None and (supervisor.host, supervisor.boot_id) == (procfs.hostname(), procfs.boot_id())


def is_supervised_by(run: Run, pid: int) -> bool:
    """Tell whether a process may be the supervisor that a record names: no other one is told to end."""
    marker = marker_of(run)
    return _is_one_of_us(pid) or any(member.pid in procfs.descendants(pid) for member in procfs.members(marker))


def _is_one_of_us(pid: int) -> bool:
    """Tell whether a process was started as ours, or by one of ours."""
    name = ROOT_VARIABLE.encode() + b"="
    return any(_OURS.fullmatch(word) for word in procfs.words(pid)) or any(
        entry.startswith(name) for entry in procfs.environment(pid) or ()
    )


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


def _end_leftovers(run: Run) -> None:
    """Wait for what a dead supervisor's tool has been told to do, for its grace at most; then kill it."""
    if run.attempt.supervisor is None or not is_local(run) or run.attempt.state is State.QUEUED:
        return
    marker = marker_of(run)
    recorded = Path(run.spec.command.environment.get(MARKER, run.directory))
    if (recorded / FILE_NAME).exists() and not recorded.samefile(run.path):  # the processes are another run's
        return
    _wait_for_keeper(run, run.attempt.supervisor)
    deadline = time.monotonic() + (GRACE_HERE if run.attempt.terms.grace is None else run.attempt.terms.grace)
    main = set()
    if run.attempt.process is not None:
        entries = procfs.environment(run.attempt.process.pid)
        if entries is None or os.fsencode(marker) in entries:  # whatever a record says: no other process is ended
            main = {Identity(run.attempt.process.pid, run.attempt.process.start_time)}
    # A tool that is just being started shows whose it is only once its program is executed.
    settled = time.monotonic() + (
        _STARTING if run.attempt.state is State.RUNNING and run.attempt.process is None else 0.0
    )
    while not (members := _living(marker, main)) and time.monotonic() < settled:
        time.sleep(_LOOK_INTERVAL)
    if members:
        say(f"the supervisor of {run.id} is gone; ending the {len(members)} processes it left …")
        for member in members:
            # The kernel has told the main process already; what it started in sessions of their own knows nothing yet.
            if run.attempt.process is None or member.pid != run.attempt.process.pid:
                procfs.send(member, signal.SIGTERM)
            procfs.send(member, signal.SIGCONT)  # stopped by Ctrl-Z, it couldn't even end
    while members:
        if time.monotonic() > deadline:
            for member in members:
                procfs.send(member, signal.SIGKILL)
        if time.monotonic() > deadline + KILL_PATIENCE:
            run.attempt.notes.append(f"{len(members)} processes of the tool survive SIGKILL (a dead file system?)")
            return
        time.sleep(_LOOK_INTERVAL)
        members = _living(marker, members | main)


def _wait_for_keeper(run: Run, supervisor: Supervisor) -> None:
    """Wait until the keeper of a dead supervisor has ended what that left, hidden processes among it."""
    grace = GRACE_HERE if run.attempt.terms.grace is None else run.attempt.terms.grace
    patience = time.monotonic() + grace + 2 * KILL_PATIENCE
    has_said = False
    keeper = supervisor.keeper
    if keeper is None or not is_supervised_by(run, keeper.pid):
        return
    while time.monotonic() < patience:
        if not procfs.is_alive(Identity(keeper.pid, keeper.start_time)):
            return
        if not has_said:
            say(f"the supervisor of {run.id} is gone; what it left is being ended …")
            has_said = True
        time.sleep(_LOOK_INTERVAL)


def _living(marker: str, known: set[Identity]) -> set[Identity]:
    """Return the living processes of a run, ``known`` ones among them.

    One that is ending has given up its environment already: those that are known are looked for by themselves.
    """
    # A second look for a child whose parent ended just before its turn came in the first.
    found = procfs.members(marker) or procfs.members(marker)
    return found | {one for one in known if procfs.is_alive(one)}


def unknowable(run: Run) -> str | None:
    """Return why nothing can be known from here of a run that isn't over by its record, and is left as it is."""
    if run.format > records.FORMAT or not run.attempt.state.is_known:
        return f"its record {records.of_another_version(run)}"
    if run.inode is None or run.attempt.supervisor is None:
        return None
    try:
        if os.stat(run.path).st_ino == run.inode:
            return None
    except OSError:
        return None
    recorded, host = run.spec.command.environment.get(MARKER), run.attempt.supervisor.host
    where = f" in {recorded}" if recorded not in (None, run.directory) else ""
    if is_local(run) and recorded is not None and not (Path(recorded) / FILE_NAME).exists():
        return None  # moved to another disk of this machine, which knows of its supervisor
    return (
        f"this is a copy of a run that was {run.attempt.state.value} on {host}{where}: what has become of it can't be"
        " known from here"
    )


def _says(job: Job, status: JobStatus) -> str:
    title = schedulers.of(job).title
    return f"{title} no longer knows how" if status is LEFT else f"{title} says {status.text}"


def _true_state(run: Run, job: Job | None, status: JobStatus | None) -> tuple[State, str]:
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
                f"neither {' nor '.join(scheduler.sources)} has had a sign of {its_job} for {_PATIENCE_IN_WORDS}{see}",
            )
        if others := _others(run):
            return _never_its_turn(job, status, others, output)
        if status.state in (State.FAILED, State.COMPLETED, State.LOST):
            said = [f"\n  {line}" for line in scheduler.last_words([] if output is None else [output])]
            return State.FAILED, f"{its_job} ended before it had started the tool{_see(output)}{''.join(said)}"
    if status in (GONE, LEFT):
        status = None
    if job is not None and status is not None and status.state not in (None, State.COMPLETED, State.FAILED):
        return status.state, f"{asked}{_says(job, status)}"
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
    return state, f"its turn had not come when {its_job} ended ({_says(job, status)}; {shared}){_see(output)}"


def _see(output: Path | None) -> str:
    """Return where more is to be found, if there is that file."""
    return f"; see {output}" if output is not None and output.exists() else ""


def _last_sign_of_life(run: Run) -> str:
    """Return when the run last wrote something, as the time of its end."""
    moments = []
    for name in (run.attempt.log, SUPERVISOR_LOG):
        with contextlib.suppress(OSError):
            moments.append((run.path / name).stat().st_mtime)
    return records.as_text(max(moments)) if moments else records.now()
