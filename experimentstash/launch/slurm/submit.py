"""hydra/launcher=slurm: every job frozen here and now, and given to SLURM in arrays of jobs that ask for the same.

Not on submitit's executor, whose way of running a command line is a private method that its authors advise against: it
can't leave out --time and --wckey, tells a tool that uses submitit itself that it is in a job of submitit's
(SUBMITIT_EXECUTOR), and reports a refused submission by a traceback. What would be left of it is one call of sbatch.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash.adapters.slurm import job as slurm
from experimentstash.adapters.slurm import job_terms
from experimentstash.adapters.slurm import query as slurm_query
from experimentstash.adapters.slurm.job_terms import ClusterTerms
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.files import write_atomically
from experimentstash.base.output import complain, say
from experimentstash.base.process import CommandError
from experimentstash.base.redaction import contains_secret, find_secret
from experimentstash.base.signals import ends_on_request
from experimentstash.compose import sweepers
from experimentstash.execute.execution import GRACE_IN_JOB
from experimentstash.launch import context as contexts
from experimentstash.launch import sweep_jobs
from experimentstash.launch.slurm import batch, sbatch_variables, waiting
from experimentstash.launch.slurm.batch import JobArray, JobRequest, Packing
from experimentstash.launch.slurm.build_jobs import BuildJobs
from experimentstash.launch.sweep_jobs import Job
from experimentstash.record import attempts, job_array, records, transitions
from experimentstash.record.job_array import Job as SlurmJob
from experimentstash.record.run import Queued, Run, State, Terms
from experimentstash.runs import whereabouts
from experimentstash.runs.summary import count
from experimentstash.stash.layout import find_stash
from experimentstash.stash.schema import SlurmLauncherConfig

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

    from experimentstash.freeze.build.builds import Build

FOLDER = job_array.FOLDER

# Seconds between two looks at the queue.
_FIRST_INTERVAL = 1.0
_LONGEST_INTERVAL = 15.0
# Seconds for which SLURM may leave it open whether there is room for more.
_SILENCE_PATIENCE = 600.0


def launch(
    context: HydraContext,
    config: DictConfig,
    batch_of_overrides: Sequence[Sequence[str]],
    first_number: int,
    settings: SlurmLauncherConfig,
) -> Sequence[JobReturn]:
    """Freeze the jobs of a batch and submit them; Hydra gets their results back, if that is waited for.

    In a dry run it shows what sbatch would get.
    """
    if not slurm.is_here() and not config.dry_run:
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
    prepared: list[tuple[Run, JobRequest]] = []
    unbuilt: dict[str, Build] = {}
    asked = _Asked(settings)
    taken: list[Job] = []
    with ends_on_request(), _none_left_behind(prepared):
        frozen = sweep_jobs.freeze_all(context, config, batch_of_overrides, first_number)
        for job in sweep_jobs.counted(frozen, len(batch_of_overrides), "frozen"):
            taken.append(job)
            if job.prepared is None:
                continue
            run = job.prepared.run
            try:
                prepared.append((run, asked.request(run, job.prepared.secrets)))
                if job.prepared.unbuilt is not None:
                    unbuilt[run.directory] = job.prepared.unbuilt
            except StashError as error:
                if config.dry_run:
                    complain(f"{' '.join(job.overrides)}: {error}")
                else:
                    _close(run, State.FAILED, str(error))
        arrays = _arrays(sweep, prepared, settings, packing, first_number) if prepared else []
        if config.dry_run:
            _show(arrays)
            return [job.returned for job in taken]
        if arrays:
            runs = [run for run, _ in prepared]
            _submit_all(arrays, settings.submit_limit, BuildJobs(contexts.here().stash, sweep, unbuilt, runs))
    if needs_results or settings.wait:
        awaited = [run for run, _ in prepared if not run.attempt.state.is_final]
        if (continuation := contexts.here().continuation) is not None:
            awaited += continuation.at_large
        waiting.wait(find_stash(sweep), awaited, must=needs_results)
        for job in taken:
            if job.prepared is not None:
                job.conclude(records.read(job.prepared.run.path))
    return [job.returned for job in taken]


class _Asked:
    """What the runs of a batch ask for, worked out once for all that ask for the same."""

    def __init__(self, settings: SlurmLauncherConfig) -> None:
        self._settings = settings
        self._known: dict[str, tuple[Terms, JobRequest]] = {}

    def request(self, run: Run, secrets: Mapping[str, str]) -> JobRequest:
        """Complete what a run asks for, and return its request, as ``_request`` does."""
        spec, asked = run.spec, run.attempt.terms
        key = repr((asked, spec.estimated_runtime, spec.resume is None, sorted(secrets.items())))
        if key not in self._known:
            found = _request(run, secrets, self._settings)
            self._known[key] = run.attempt.terms, found
        run.attempt.terms, request = self._known[key]
        return request


def _request(run: Run, secrets: Mapping[str, str], settings: SlurmLauncherConfig) -> JobRequest:
    """Complete what a run asks for, and return its request; StashError if it asks for what makes no sense."""
    grace = run.attempt.terms.grace if run.attempt.terms.grace is not None else GRACE_IN_JOB
    resources = batch.resources(run, settings.resources, time_factor=settings.time_factor, grace=grace)
    filling = sbatch_variables.fill(os.environ, batch.options_asked(resources))
    found = find_secret(map(str, (*resources.values(), *filling.variables)), os.environ)
    if found is not None:
        raise contains_secret(found, "What SLURM is asked for")
    run.attempt.terms = replace(
        run.attempt.terms,
        resources=batch.completed(resources, filling, grace=grace),
        borrowed=dict(filling.variables),
        hidden=list(settings.hidden),
        max_requeues=settings.max_requeues if run.spec.resume is not None else 0,
    )
    warning = batch.warning(run.attempt.terms.grace_signal, grace)
    may_requeue = run.attempt.terms.max_requeues > 0
    return batch.job_request(resources, secrets, warning=warning, may_requeue=may_requeue, grace=grace, filling=filling)


@dataclass(frozen=True)
class _Array:
    """A job array as it is submitted."""

    jobs: JobArray
    tasks_file: Path
    share: int | None  # how many of its tasks may run at once
    predecessor: int | None  # the array, by its position, that must have ended first
    cluster: ClusterTerms
    setup_may_fail: bool

    def script(self, predecessor: str | None, built_by: Sequence[str] = ()) -> str:
        """Return its batch script; ``predecessor`` is SLURM's id of that array, ``built_by`` those of builds."""
        return batch.script(
            self.jobs,
            name=self.jobs.runs[0].id.partition("-")[0],
            python=sys.executable,
            tasks_file=f"{FOLDER}/{self.tasks_file.name}",
            parallelism=self.share,
            after=predecessor,
            cluster=self.cluster,
            setup_may_fail=self.setup_may_fail,
            built_by=built_by,
        )


def _arrays(
    sweep: Path,
    prepared: Sequence[tuple[Run, JobRequest]],
    settings: SlurmLauncherConfig,
    packing: Packing,
    first_number: int,
) -> list[_Array]:
    """Return the arrays that hold the runs, no larger than the cluster takes them."""
    most = slurm_query.cluster(_cluster_asked(prepared)).max_array_size
    if settings.submit_limit is not None:  # half of it: one array waits for room while another is at work
        most = min(most, max(1, settings.submit_limit // 2))
    cluster = job_terms.of_cluster(_cluster_asked(prepared))
    arrays = batch.job_arrays(prepared, most, packing)
    parallel = packing.tasks(settings.array_parallelism)
    shares = batch.shares([len(jobs.tasks) for jobs in arrays], parallel) if parallel else [(None, None)] * len(arrays)
    return [
        _Array(
            jobs,
            _free(sweep / FOLDER / f"{first_number}-{index}.json"),
            share,
            predecessor,
            cluster,
            settings.setup_may_fail,
        )
        for index, (jobs, (share, predecessor)) in enumerate(zip(arrays, shares, strict=True))
    ]


def _free(tasks_file: Path) -> Path:
    """Return the path, or the next one that an earlier submission of the same sweep has not taken."""
    candidate, number = tasks_file, 2
    while os.path.lexists(candidate):
        candidate, number = tasks_file.with_stem(f"{tasks_file.stem}-{number}"), number + 1
    return candidate


def _show(arrays: Sequence[_Array]) -> None:
    """Have shown what sbatch would get."""
    account = contexts.here().account
    account.shows(*(f"# {remark}" for remark in _remarks(arrays)))
    for array in arrays:
        account.shows(f"# what sbatch would get for {count(len(array.jobs.runs))}:")
        account.shows(array.script(None if array.predecessor is None else f"ID_OF_ARRAY_{array.predecessor + 1}"))


def _cluster_asked(prepared: Sequence[tuple[Run, JobRequest]]) -> str | None:
    """Return the one cluster that the runs are to go to; None: the usual one, or SLURM chooses between several."""
    asked = {request.option("clusters") for _, request in prepared}
    name = asked.pop() if len(asked) == 1 else None
    return name if name and "," not in name else None


def _remarks(arrays: Sequence[_Array]) -> list[str]:
    """Return what is to be said of sbatch's variables, for one array or another."""
    found = [remark for each in arrays for remark in sbatch_variables.remarks(os.environ, each.jobs.request.filling)]
    return list(dict.fromkeys(found))


def _submit_all(arrays: Sequence[_Array], limit: int | None, builds: BuildJobs) -> None:
    for remark in _remarks(arrays):
        say(remark)
    usual = slurm_query.cluster().name
    accepted: list[SlurmJob | None] = []
    with builds.released():
        for number, array in enumerate(arrays):
            try:
                if limit is not None:
                    builds.release()  # else there may never be room
                    _await_room(len(array.jobs.tasks), limit)
            except StashError as error:
                for left in arrays[number:]:
                    _refuse(left, str(error))
                    accepted.append(None)
                break
            accepted.append(_submit(array, _predecessor(array, arrays, accepted), usual, builds))
    _tell(arrays, accepted)


def _predecessor(array: _Array, arrays: Sequence[_Array], accepted: Sequence[SlurmJob | None]) -> str | None:
    """Return SLURM's id of the array that must have ended first: of one that was refused, of the one before it."""
    while array.predecessor is not None:
        job = accepted[array.predecessor]
        if job is not None:
            return job.id
        array = arrays[array.predecessor]
    return None


def _submit(array: _Array, predecessor: str | None, usual_cluster: str | None, builds: BuildJobs) -> SlurmJob | None:
    """Submit one array and return SLURM's id of it; None if SLURM refuses, which each of its runs then says."""
    jobs, tasks, submitted = array.jobs, array.tasks_file, contexts.here().account.submitted
    builds.settle(jobs.runs)
    if all(run.attempt.state.is_final for run in jobs.runs):
        complain(f"{count(len(jobs.runs))}: not submitted: {(jobs.runs[0].attempt.reason or '').splitlines()[0]}")
        return None
    tasks.parent.mkdir(exist_ok=True)
    job_array.write(tasks, jobs.tasks)
    for task, together in enumerate(jobs.tasks):
        for run in together:
            if not run.attempt.state.is_final:
                transitions.submit(run, Queued(str(tasks), task))
                submitted.add(run, records.write(run))
    script = job_array.script_of(tasks)
    try:
        write_atomically(script, array.script(predecessor, builds.before(jobs, usual_cluster)))
        job = slurm.submit(script, dict(jobs.request.secrets), usual_cluster=usual_cluster)
        job_array.note_submitted(tasks, job)
    except CommandError as error:
        _refuse(array, f"SLURM did not take it: {error.stderr.strip() or error}")
        return None
    except BaseException:  # Ctrl-C, or the like: what SLURM has accepted and nobody knows of could not be taken back
        found = slurm.look_for(script, usual_cluster)
        if found is not None:
            job_array.note_submitted(tasks, found)
        raise
    # The records stay as they are from here on: the first tasks may have started.
    return job


def _refuse(array: _Array, why: str) -> None:
    for run in array.jobs.runs:
        if not run.attempt.state.is_final:
            _close(run, State.FAILED, why)
    tasks = array.tasks_file
    script = job_array.script_of(tasks)
    shown = f" ({script.relative_to(tasks.parent.parent)})" if script.exists() else ""
    complain(f"{count(len(array.jobs.runs))}{shown}: {why}")


def _await_room(wanted: int, limit: int) -> None:
    """Return once the user's jobs leave room for so many more; StashError if SLURM doesn't say for too long."""
    interval = _FIRST_INTERVAL
    said: str | None = None
    answered = time.monotonic()
    while (queued := slurm_query.own_jobs()) is None or (queued and queued + wanted > limit):
        if queued is not None:
            answered = time.monotonic()
        elif time.monotonic() - answered > _SILENCE_PATIENCE:
            raise StashError(
                f"SLURM did not say for {_SILENCE_PATIENCE / 60:g} minutes how many jobs of yours are queued, which"
                " submit_limit needs: not submitted.",
                "try again later: experimentstash resume, with the sweep's directory",
            )
        why = (
            f"SLURM doesn't say how many jobs of yours are queued; it is asked for {_SILENCE_PATIENCE / 60:g} minutes"
            if queued is None
            else f"{queued} jobs of yours are queued, and submit_limit is {limit}; there is no limit to that"
        )
        if said is None or (queued is None) != said.startswith("SLURM"):
            said = why
            say(f"waiting to submit {wanted} more: {why}. Ctrl-C gives up what isn't submitted yet …")
        time.sleep(interval)
        interval = min(interval * 1.5, _LONGEST_INTERVAL)


def _tell(arrays: Sequence[_Array], accepted: Sequence[SlurmJob | None]) -> None:
    taken = [(job.id, array.jobs) for array, job in zip(arrays, accepted, strict=True) if job is not None]
    if not taken:
        return
    last = {job: len(jobs.tasks) - 1 for job, jobs in taken}
    named = ", ".join(f"{job}_[0-{task}]" if task > 0 else f"{job}_0" for job, task in last.items())
    sweep = arrays[0].tasks_file.parent.parent
    shown = find_stash(sweep).relative(sweep)
    say(
        f"submitted {count(sum(len(jobs.runs) for _, jobs in taken))} to SLURM: {named}\n"
        "  to follow them:  experimentstash runs   (--state queued, running, failed …)\n"
        f"                   experimentstash logs {taken[0][1].runs[0].id} -f\n"
        f"  to end them:     experimentstash cancel --sweep {shown}"
    )


@contextlib.contextmanager
def _none_left_behind(prepared: Sequence[tuple[Run, JobRequest]]) -> Iterator[None]:
    """Close the records of the runs that an interruption has kept from being submitted."""
    try:
        yield
    except BaseException:
        for run, _ in prepared:
            is_submitted = run.attempt.state is State.QUEUED and whereabouts.job_of(run) is not None
            if not is_submitted and not run.attempt.state.is_final:
                attempts.mark_cancelled(run)
                _close(run, State.CANCELLED, "the sweep was interrupted before it was submitted")
        raise


def _close(run: Run, state: State, reason: str) -> None:
    transitions.end(run, state, reason, 1)
    records.write(run)
