"""hydra/launcher=slurm: every job frozen here and now, and given to SLURM in arrays of jobs that ask for the same.

Not on submitit's executor, whose way of running a command line is a private method that its authors advise against: it
can't leave out --time and --wckey, tells a tool that uses submitit itself that it is in a job of submitit's
(SUBMITIT_EXECUTOR), and reports a refused submission by a traceback. What would be left of it is one call of sbatch.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash import packs, records, runs, slurm, sweepers
from experimentstash.errors import StashError
from experimentstash.execute import GRACE_IN_JOB
from experimentstash.files import write_atomically
from experimentstash.launch import batch, jobs
from experimentstash.launch.batch import Packing, Piece, Terms
from experimentstash.launch.jobs import Job
from experimentstash.output import complain, say
from experimentstash.process import CommandError
from experimentstash.records import Queued, Run, State
from experimentstash.schema import SlurmLauncherConfig
from experimentstash.slurm import Cluster, Enquiry, Submitted
from experimentstash.workspace import Stash, find_stash

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

FOLDER = ".slurm"

# Seconds between two looks at the queue.
_FIRST_INTERVAL = 1.0
_LONGEST_INTERVAL = 15.0


def launch(
    context: HydraContext,
    config: DictConfig,
    batch_of_overrides: Sequence[Sequence[str]],
    first_number: int,
    settings: SlurmLauncherConfig,
) -> Sequence[JobReturn]:
    """Freeze the jobs of a batch and submit them; Hydra gets their results back, if that is waited for."""
    if not slurm.is_here():
        raise StashError("There is no SLURM here: sbatch is not on PATH.", "hydra/launcher=local, or log in elsewhere")
    needs_results = sweepers.needs_results(str(config.hydra.sweeper._target_))
    if needs_results and settings.wait is False:
        raise StashError(
            "This sweeper needs results, for which hydra.launcher.wait=false doesn't wait.", "leave it out"
        )
    packing = Packing.of(
        per_job=settings.runs_per_job, at_once=settings.runs_at_once, parallelism=settings.array_parallelism
    )
    sweep = Path(config.hydra.sweep.dir).absolute()
    prepared: list[tuple[Run, Terms]] = []
    taken: list[Job] = []
    with _none_left_behind(prepared):
        for job in jobs.prepare(context, config, batch_of_overrides, first_number):
            taken.append(job)
            if job.prepared is not None:
                run, secrets = job.prepared.run, job.prepared.secrets
                with contextlib.suppress(_Refused):
                    prepared.append((run, _terms(run, secrets, settings, str(config.grace.signal))))
        if prepared:
            _submit_all(sweep, prepared, settings, packing, first_number)
    if needs_results or settings.wait:
        _wait(find_stash(sweep), [run for run, _ in prepared if not run.state.is_final], must=needs_results)
        for job in taken:
            if job.prepared is not None:
                job.conclude(records.read(job.prepared.run.path))
    return [job.returned for job in taken]


class _Refused(Exception):
    """A run that can't be submitted; its record says why."""


def _terms(run: Run, secrets: Mapping[str, str], settings: SlurmLauncherConfig, signal_name: str) -> Terms:
    grace = run.grace if run.grace is not None else GRACE_IN_JOB
    run.max_requeues = settings.max_requeues if run.resume is not None else 0
    run.command.unset = sorted({*run.command.unset, *settings.hidden} - set(run.command.environment))
    try:
        run.resources = batch.resources(run, settings.resources, time_factor=settings.time_factor, grace=grace)
        warning = f"B:{signal_name}@{round(grace)}"
        return batch.terms(run.resources, secrets, warning=warning, may_requeue=run.max_requeues > 0, grace=grace)
    except StashError as error:
        _close(run, State.FAILED, str(error))
        raise _Refused from error


def _submit_all(
    sweep: Path,
    prepared: Sequence[tuple[Run, Terms]],
    settings: SlurmLauncherConfig,
    packing: Packing,
    first_number: int,
) -> None:
    cluster = slurm.cluster()
    most = cluster.max_array_size
    if settings.submit_limit is not None:  # half of it: one array waits for room while another is at work
        most = min(most, max(1, settings.submit_limit // 2))
    arrays = batch.pieces(prepared, most, packing)
    parallel = packing.tasks(settings.array_parallelism)
    shares = (
        batch.shares([len(piece.tasks) for piece in arrays], parallel) if parallel else [(None, None)] * len(arrays)
    )
    (sweep / FOLDER).mkdir(exist_ok=True)
    accepted: list[str | None] = []
    for index, (piece, (share, predecessor)) in enumerate(zip(arrays, shares, strict=True)):
        if settings.submit_limit is not None:
            _await_room(len(piece.tasks), settings.submit_limit)
        after = accepted[predecessor] if predecessor is not None else None
        tasks = sweep / FOLDER / f"{first_number}-{index}.json"
        accepted.append(_submit(piece, tasks, cluster, share, after))
    _tell(sweep, arrays, accepted)


def _submit(piece: Piece, tasks: Path, cluster: Cluster, share: int | None, after: str | None) -> str | None:
    """Submit one array and return SLURM's id of it; None if SLURM refuses, which each of its runs then says."""
    sweep = tasks.parent.parent
    packs.write(tasks, piece.tasks)
    for task, together in enumerate(piece.tasks):
        for run in together:
            run.state, run.queued = State.QUEUED, Queued(str(tasks), task)
            records.write(run)
    script = tasks.with_suffix(".sh")
    name = piece.runs[0].id.partition("-")[0]
    text = batch.script(
        piece, name=name, python=sys.executable, tasks_file=f"{FOLDER}/{tasks.name}", parallelism=share, after=after
    )
    write_atomically(script, text)
    try:
        job = slurm.submit(script, dict(piece.terms.secrets))
    except CommandError as error:
        said = error.stderr.strip() or str(error)
        for run in piece.runs:
            _close(run, State.FAILED, f"SLURM did not take it: {said}")
        complain(f"SLURM did not take {_count(len(piece.runs))} ({script.relative_to(sweep)}):\n{said}")
        return None
    # The records stay as they are from here on: the first tasks may have started.
    slurm.note_submitted(tasks, Submitted(job, cluster.name))
    return job


def _await_room(wanted: int, limit: int) -> None:
    interval = _FIRST_INTERVAL
    has_said = False
    while (queued := slurm.own_jobs()) and queued + wanted > limit:
        if not has_said:
            say(f"{queued} jobs of yours are queued, and submit_limit is {limit}: waiting to submit {wanted} more …")
            has_said = True
        time.sleep(interval)
        interval = min(interval * 1.5, _LONGEST_INTERVAL)


def _tell(sweep: Path, arrays: Sequence[Piece], accepted: Sequence[str | None]) -> None:
    taken = [(job, piece) for piece, job in zip(arrays, accepted, strict=True) if job is not None]
    if not taken:
        return
    last = {job: len(piece.tasks) - 1 for job, piece in taken}
    named = ", ".join(f"{job}_[0-{task}]" if task > 0 else f"{job}_0" for job, task in last.items())
    shown = find_stash(sweep).relative(sweep)
    say(
        f"submitted {_count(sum(len(piece.runs) for _, piece in taken))} to SLURM: {named}\n"
        "  to follow them:  experimentstash runs   (--state queued, running, failed …)\n"
        f"                   experimentstash logs {arrays[0].runs[0].id} -f\n"
        f"  to end them:     experimentstash cancel --sweep {shown}"
    )


def _wait(stash: Stash, queued: Sequence[Run], *, must: bool) -> None:
    """Return when all runs have ended; Ctrl-C ends the waiting, and with ``must`` the sweep, but not the runs."""
    if not queued:
        return
    say(f"waiting for {_count(len(queued))}; Ctrl-C leaves them to SLURM")
    unfinished = list(queued)
    interval = _FIRST_INTERVAL
    try:
        while True:
            before = len(unfinished)
            enquiry = Enquiry()
            unfinished = [run for run in unfinished if not _has_ended(runs.look(stash, run.path, enquiry), enquiry)]
            if not unfinished:
                return
            if len(unfinished) != before:
                say(f"{len(queued) - len(unfinished)} of {len(queued)} have ended")
                interval = _FIRST_INTERVAL
            time.sleep(interval)
            interval = min(interval * 1.5, _LONGEST_INTERVAL)
    except KeyboardInterrupt:
        say(f"{_count(len(unfinished))} left to SLURM")
        if must:
            raise


def _has_ended(run: Run, enquiry: Enquiry) -> bool:
    """Tell whether a run is over. One that was cut short may be just about to go back into the queue."""
    if not run.state.is_final:
        return False
    is_cut_short = run.state in (State.TIMED_OUT, State.PREEMPTED)
    if not is_cut_short or run.resume is None or run.attempt > run.max_requeues:
        return True
    job = runs.slurm_job(run)
    word = enquiry.ask(job) if job is not None else None
    return word is None or word.state is not None


@contextlib.contextmanager
def _none_left_behind(prepared: Sequence[tuple[Run, Terms]]) -> Iterator[None]:
    """Close the records of the runs that an interruption has kept from being submitted."""
    try:
        yield
    except BaseException:
        for run, _ in prepared:
            is_submitted = run.state is State.QUEUED and runs.slurm_job(run) is not None
            if not is_submitted and not run.state.is_final:
                _close(run, State.CANCELLED, "the sweep was interrupted before it was submitted")
        raise


def _close(run: Run, state: State, reason: str) -> None:
    run.state, run.reason, run.exit_code, run.ended = state, reason, 1, records.now()
    records.write(run)


def _count(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"
