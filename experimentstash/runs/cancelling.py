"""Cancelling runs: each that was named, gently, and nothing else, however many share a job, an array or a supervisor.

The mark in a run's directory (``attempts.mark_cancelled``) comes first. From then on nobody begins the run, so that it
can be taken back from its scheduler without a load_reconciled at whether its job has just started.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.scheduler import Scheduler
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.durations import describe
from experimentstash.base.errors import EXIT_INTERRUPTED, StashError
from experimentstash.execute.children import KILL_PATIENCE
from experimentstash.execute.execution import GRACE_HERE, GRACE_IN_JOB, Execution
from experimentstash.record import attempts, job_array, records
from experimentstash.record.job_array import Job
from experimentstash.record.run import Run, State, Supervisor
from experimentstash.runs import build_jobs
from experimentstash.runs.reconcile import load_reconciled
from experimentstash.runs.whereabouts import is_local, is_supervised_by, job_of, unknowable
from experimentstash.stash.layout import Stash

# How often a run is asked that begins, or goes back into the queue, while it is asked; seconds in between.
_TRIES = 4
_RETRY_INTERVAL = 1.0
# Seconds after which a request that didn't get through isn't tried once more: a scheduler is busy, or away.
_QUICK = 5.0
# Seconds between two looks at runs that have been asked, and what closing a record may take besides the grace.
_INTERVAL = 0.1
_CLOSING_PATIENCE = 60.0

BEFORE_ITS_TURN = "cancelled before its turn had come"

_Report = Callable[[str], None]


@dataclass
class Cancelled:
    """What became of the runs that were to be cancelled."""

    runs: list[Run]  # that could be asked, as they are now
    failed: list[str] = field(default_factory=list)  # what could not be done, and what to do


def cancel(stash: Stash, chosen: Sequence[Run], report: _Report, *, whole_sweeps: bool) -> Cancelled:
    """Ask runs to end, wait for those that this machine can see end, and return them all as they are then.

    A tool gets its grace; its supervisor kills what is left of it then. ``whole_sweeps``: none of their runs is to
    begin any more, so that who is at work on a sweep here may be told to end.
    """
    asking = _Asking(whole_sweeps=whole_sweeps)
    left = []
    for run in chosen:
        if (why := unknowable(run)) is None:
            left.append(run)
        else:  # whom its record names is not its supervisor
            asking.unreachable[run.id] = f"{run.id} can't be cancelled: {why}"
    for number in range(_TRIES):
        if number > 0:
            time.sleep(_RETRY_INTERVAL)
        began = time.monotonic()
        left = asking.ask(left)
        if not left or time.monotonic() - began > _QUICK:
            break
    failed = [f"{run.id}: {asking.refusals[run.id]}" for run in left]
    failed += build_jobs.end_unneeded({Path(run.sweep) for run in chosen if run.sweep is not None}, JobQueries())
    failed += [*asking.unreachable.values(), *(f"{name}: {why}" for name, why in asking.lost.items())]
    failed += _wait([run for run in chosen if run.id in asking.asked - set(asking.refusals)], report, stash)
    queries = JobQueries()
    return Cancelled(
        [
            load_reconciled(stash, run.path, queries)
            for run in chosen
            if run.id not in {*asking.unreachable, *asking.lost}
        ],
        failed,
    )


class _Asking:
    """One request to cancel, while it is handed on to all whom it concerns."""

    def __init__(self, *, whole_sweeps: bool) -> None:
        self._whole_sweeps = whole_sweeps
        self._queries = JobQueries()
        # A sweep's runs share a supervisor: told once more, when it has ended them all, it might be killed.
        self._told: dict[Identity, bool] = {}
        self.asked: set[str] = set()
        self.unreachable: dict[str, str] = {}  # by runs' ids, with what is to be said
        self.refusals: dict[str, str] = {}  # by runs' ids
        self.lost: dict[str, str] = {}  # those of which nothing can be said any more, with the reason

    def ask(self, chosen: Sequence[Run]) -> list[Run]:
        """Ask runs to end; return those that have to be asked again, because it didn't get through."""
        self.refusals = {}
        now = []
        for run in chosen:
            try:
                if not self._is_alone(run):
                    attempts.mark_cancelled(run)
                # Read now: one that hasn't begun by now won't begin any more.
                now.append(records.read_ended(run.path))
            except (StashError, OSError) as error:
                self.lost[run.id] = str(error)
        self._withdraw([run for run in now if run.attempt.state is State.QUEUED])
        at_work = [run for run in now if run.attempt.state in (State.FROZEN, State.RUNNING)]
        in_jobs = [run for run in at_work if self._is_reached_by_scheduler(run)]
        self._tell_jobs(in_jobs)
        for run in at_work:
            if run not in in_jobs:
                self._tell_supervisor(run)
        return [
            run for run in now if run.id in self.refusals and not records.read_ended(run.path).attempt.state.is_final
        ]

    def _is_alone(self, run: Run) -> bool:
        """Tell whether nobody but runs that are meant too hears of it if its supervisor is told to end."""
        return (
            run.attempt.state is not State.QUEUED and job_of(run) is None and (run.sweep is None or self._whole_sweeps)
        )

    def _is_reached_by_scheduler(self, run: Run) -> bool:
        """Tell whether the supervisor is told by a scheduler: it is a job's own, or elsewhere."""
        is_own = run.attempt.queued is not None or (
            run.attempt.supervisor is not None and run.attempt.supervisor.in_step
        )
        return job_of(run) is not None and run.attempt.state is State.RUNNING and (is_own or not is_local(run))

    def _withdraw(self, queued: Sequence[Run]) -> None:
        """Take runs back from their schedulers; a job that several share goes with the last of them."""
        by_job: dict[Job, list[Run]] = {}
        for run in queued:
            job = job_of(run)
            if job is None:
                self.refusals[run.id] = "it is being submitted to SLURM just now: try again"
            else:
                by_job.setdefault(job, []).append(run)
        by_cluster: dict[tuple[str, str | None], list[Job]] = {}
        for job, together in by_job.items():
            try:
                if any(_is_to_go_on(path, together[0]) for path in job_array.others(together[0])):
                    self._close(together, BEFORE_ITS_TURN)
                else:
                    by_cluster.setdefault((job.scheduler, job.cluster), []).append(job)
            except StashError as error:  # who shares its job isn't known
                self._refuse(together, error)
        for jobs in by_cluster.values():
            scheduler = schedulers.of(jobs[0])
            together = [run for job in jobs for run in by_job[job]]
            try:
                where = self._queries.where(jobs[0])
                together = self._without_strangers(scheduler, together, where)
                kept = {run.id for run in together}
                jobs = [job for job in jobs if kept & {run.id for run in by_job[job]}]
                scheduler.withdraw([job.id for job in jobs], where)
            except StashError as error:
                end = scheduler.command_to_end([job.id for job in jobs])
                self._refuse(together, f"{error}; none of it will begin any more, but the queue holds it: {end}")
            else:
                self._close(together, attempts.WHILE_QUEUED)

    def _without_strangers(self, scheduler: Scheduler, together: Sequence[Run], where: str | None) -> list[Run]:
        """Return the runs whose jobs are theirs, or no longer known; of the others it is said."""
        scripts = {
            job.id: job_array.script_of(Path(run.attempt.queued.array))
            for run in together
            if run.attempt.queued is not None and (job := job_of(run)) is not None
        }
        strangers = scheduler.strangers(scripts, where) if scripts else {}
        kept = []
        for run in together:
            job = job_of(run)
            if job is not None and job.id in strangers:
                self._refuse([run], f"{scheduler.title}'s job {job.id} is another one by now ({strangers[job.id]})")
            else:
                kept.append(run)
        return kept

    def _tell_jobs(self, running: Sequence[Run]) -> None:
        """Have their schedulers tell the supervisors of runs that are at work in jobs."""
        by_way: dict[tuple[str, str | None, str], list[tuple[Run, Job]]] = {}
        for run in running:
            job = job_of(run)
            assert run.attempt.supervisor is not None and job is not None
            status = self._queries.ask(job)
            if status is not None and status.is_suspended:
                title, end = schedulers.of(job).title, schedulers.of(job).command_to_end([job.id])
                self._refuse(
                    [run],
                    f"{title} has suspended its job {job.id}, which can be told nothing: it ends as soon as it goes on;"
                    f" to end it at once, without its saving anything: {end}",
                )
                continue
            try:
                way = "shared" if job_array.others(run) else "own"
            except StashError as error:
                self._refuse([run], error)
                continue
            if run.attempt.queued is None:
                way = "step" if run.attempt.supervisor.in_step else "foreign"
            by_way.setdefault((job.scheduler, job.cluster, way), []).append((run, job))
        for (_, _, way), pairs in by_way.items():
            scheduler, together = schedulers.of(pairs[0][1]), [run for run, _ in pairs]
            try:
                where = self._queries.where(pairs[0][1])
                together = self._without_strangers(scheduler, together, where)
                jobs = sorted({job.id for run in together if (job := job_of(run)) is not None})
                if way in ("shared", "foreign"):
                    scheduler.nudge(jobs, where, is_ours=way == "shared")
                else:
                    scheduler.warn(jobs, where, in_step=way == "step")
            except StashError as error:
                self._refuse(together, error)
            else:
                self.asked |= {run.id for run in together}

    def _tell_supervisor(self, run: Run) -> None:
        supervisor = run.attempt.supervisor
        if supervisor is None or not is_local(run):
            where = f"runs on {supervisor.host}: cancel it from there" if supervisor else "has no supervisor"
            self.unreachable[run.id] = f"{run.id} {where}"
            return
        process = Identity(supervisor.pid, supervisor.start_time)
        if procfs.is_alive(process) and not is_supervised_by(run, process.pid):
            other = f"process {process.pid}, which its record names, is another program"
            self.unreachable[run.id] = f"{run.id} can't be cancelled: {other}"
            return
        self.asked.add(run.id)
        if not self._is_alone(run) and not self._whole_sweeps:
            procfs.send(process, signal.SIGCONT)  # it looks then which of its runs are to end
            if run.attempt.state is State.FROZEN:
                self._close([run], BEFORE_ITS_TURN)
        elif process not in self._told:
            self._told[process] = procfs.send(process, signal.SIGTERM)
            procfs.send(process, signal.SIGCONT)  # it may have been stopped by Ctrl-Z

    def _close(self, marked: Sequence[Run], reason: str) -> None:
        """Close the records of runs that carry the mark and haven't begun."""
        for run in marked:
            self.asked.add(run.id)
            current = records.read_ended(run.path)
            if current.attempt.state in (State.QUEUED, State.FROZEN):
                Execution(current).give_up(State.CANCELLED, reason, EXIT_INTERRUPTED)

    def _refuse(self, together: Sequence[Run], why: object) -> None:
        self.refusals.update({run.id: str(why) for run in together})


def _is_to_go_on(directory: Path, beside: Run) -> bool:
    """Tell whether a run that shares the job of another one needs it still; in doubt it does."""
    if not directory.is_dir():  # somebody has removed it
        return False
    try:
        run = records.read_ended(directory)
    except StashError:
        return True
    attempt = run.attempt
    if attempt.state is State.QUEUED and attempt.queued != beside.attempt.queued:  # it was submitted once more since
        return False
    return not attempt.state.is_final and not (attempt.state is State.QUEUED and attempts.is_cancelled(run))


def _wait(asked: Sequence[Run], report: _Report, stash: Stash) -> list[str]:
    """Wait for runs that this machine can see end; return what is to be said of those that take too long."""
    now = [(run.attempt.state, records.read_ended(run.path)) for run in asked]
    # However fast one is that was at work, it is said that it was asked.
    told = [run for before, run in now if (before is State.RUNNING or not run.attempt.state.is_final) and is_local(run)]
    if not told:
        return []
    waiting = [run for run in told if not run.attempt.state.is_final]
    longest = max(map(_grace, told))
    patience = longest + KILL_PATIENCE + _CLOSING_PATIENCE
    report(
        f"asked {len(told)} run{'s' if len(told) > 1 else ''} to stop; waiting for the end"
        f" (saving may take {describe(longest)}; Ctrl-C ends the waiting only) …"
    )
    deadline = time.monotonic() + patience
    interval = _INTERVAL
    stuck: list[Run] = []
    while waiting and time.monotonic() < deadline:
        time.sleep(interval)
        began = time.monotonic()
        queries = JobQueries()
        gone = {run.id for run in waiting if job_of(run) is None and not _is_watched(run)}
        waiting = [run for run in waiting if not load_reconciled(stash, run.path, queries).attempt.state.is_final]
        stuck += [run for run in waiting if run.id in gone]
        waiting = [run for run in waiting if run.id not in gone]
        # Where each look has to ask a scheduler, the looks shall not be all that it is busy with.
        interval = max(_INTERVAL, 2 * (time.monotonic() - began))
    return [
        f"{run.id} has been asked to stop, but has not ended within {describe(patience)}; its supervisor is"
        f" {_whereabouts(run.attempt.supervisor)}"
        for run in waiting
    ] + [f"{run.id} has ended, but its record can't be closed" for run in stuck]


def _whereabouts(supervisor: Supervisor | None) -> str:
    return "unknown" if supervisor is None else f"process {supervisor.pid} on {supervisor.host}"


def _is_watched(run: Run) -> bool:
    supervisor = run.attempt.supervisor
    return supervisor is not None and procfs.is_alive(Identity(supervisor.pid, supervisor.start_time))


def _grace(run: Run) -> float:
    grace = run.attempt.terms.grace
    return grace if grace is not None else (GRACE_IN_JOB if job_of(run) is not None else GRACE_HERE)
