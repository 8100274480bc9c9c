"""The jobs of a sweep: each composed and frozen in this process, one after the other, when it is asked for."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, read_write

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.output import Meter
from experimentstash.compose import sweepers
from experimentstash.compose.fast.shared_composition import SharedComposition
from experimentstash.compose.fast.sweep_loader import SweepLoader
from experimentstash.compose.job import HydraJob, as_job
from experimentstash.compose.job_info import sweep_directory
from experimentstash.compose.nodes import put, raw, without_hydra
from experimentstash.compose.sweepers import NoResultError
from experimentstash.launch import context as contexts
from experimentstash.launch import tasks
from experimentstash.launch.prepare import Prepared, Rejected, Spared, done_before, prepare_job
from experimentstash.launch.refuse import making, refuse
from experimentstash.record import records
from experimentstash.record.run import Run


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its run, frozen (None: it can't be, which is recorded, or need not be), and Hydra's view."""

    number: int
    overrides: Sequence[str]
    prepared: Prepared | None
    returned: JobReturn
    needs_result: bool = False
    rejected: StashError | None = None
    earlier: Run | None = None  # counts as it

    def why_rejected(self) -> str:
        """Return why there is no frozen run."""
        if self.returned.status is JobStatus.FAILED:
            return str(self.returned._return_value)
        return str(self.rejected or "its configuration is wrong")

    def conclude(self, run: Run) -> None:
        """Give Hydra the result of the run, which has ended; or what is missing, if the sweeper needs one."""
        if run.attempt.result is None and self.needs_result:
            _fail(self.returned, sweepers.no_result(run))
        else:
            self.returned.return_value = run.attempt.result


def is_ours(task_function: Any) -> bool:
    """Tell whether a launcher works for ExperimentStash: another application's task can't be frozen."""
    return task_function is tasks.task


def freeze_all(
    context: HydraContext, config: DictConfig, batch: Sequence[Sequence[str]], first_number: int
) -> Iterator[Job]:
    """Compose and freeze the jobs of a batch, each when the iterator is advanced to it.

    One that can't be, whatever the reason, is recorded as a failed run. Of a sweep that is continued, those that are
    done with are left out.
    """
    gc.freeze()  # what there is by now stays: it need not be looked through again and again
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    continuation = contexts.here().continuation
    needs_result = sweepers.needs_results(str(config.hydra.sweeper._target_))
    for number, overrides in enumerate(batch, first_number):
        if continuation is not None and continuation.is_settled(number):
            continue
        try:
            outcome, returned = _prepare(context, config, number, overrides)
        except Exception as error:
            outcome = Rejected(refuse(config, number, overrides, error))
            returned = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
            if needs_result:
                _fail(returned, outcome.why)
        prepared = outcome if isinstance(outcome, Prepared) else None
        rejected = outcome.why if isinstance(outcome, Rejected) else None
        earlier = outcome.earlier if isinstance(outcome, Spared) else None
        if earlier is not None:
            returned.return_value = earlier.attempt.result
        # A mistake stays in there: sweepers that need results raise it when they look for the job's.
        yield Job(number, overrides, prepared, returned, needs_result, rejected, earlier)


def counted(prepared: Iterator[Job], total: int, what: str) -> Iterator[Job]:
    """Yield the jobs, and say from time to time how many there were."""
    meter = Meter(what, total)
    for job in prepared:
        yield job
        meter.step()


def briefly(context: HydraContext, config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return a job's configuration, valid until the next one is asked for. Raises what Hydra raises."""
    loader = context.config_loader
    with loader.one_by_one() if isinstance(loader, SweepLoader) else contextlib.nullcontext():
        composed: DictConfig = loader.load_sweep_config(config, list(overrides))
        return composed


def can_begin(
    context: HydraContext, config: DictConfig, number: int, overrides: Sequence[str], taken: set[Path]
) -> bool | JobReturn:
    """Tell whether a job can be composed and its directory made; else it is recorded as failed.

    Of one that need not be run it returns what Hydra gets.

    For launchers that leave both to another place, and give up all jobs for one. ``taken`` are the directories of jobs
    that were asked about before. Nothing else is left behind.
    """
    try:
        composed = briefly(context, config, overrides)
        put(composed, "job.id", str(number))
        put(composed, "job.num", number)
        with as_job(composed) as directory:
            OmegaConf.to_container(composed.hydra.job.env_set, resolve=True)
            if directory in taken:
                raise records.already_taken(directory)
            earlier = done_before(HydraJob(without_hydra(composed))) if composed.skip_completed else None
            if earlier is not None:
                return JobReturn(
                    overrides=list(overrides), status=JobStatus.COMPLETED, _return_value=earlier.attempt.result
                )
            _try(directory, str(composed.hydra.output_subdir or ""))
            taken.add(directory)
    except Exception as error:
        refuse(config, number, overrides, error)
        return False
    return True


def missing(config: DictConfig, jobs: Mapping[int, Sequence[str]], taken: set[Path]) -> dict[int, Sequence[str]]:
    """Return those jobs that have left no record where that was to be expected: in the sweep's directory."""
    sweep = sweep_directory(config.hydra)
    if not all(directory.is_relative_to(sweep) for directory in taken):
        return {}
    on_record = {run.spec.job for run in records.read_all(sweep)}
    return {number: overrides for number, overrides in jobs.items() if number not in on_record}


def note_missing(config: DictConfig, jobs: Mapping[int, Sequence[str]], taken: set[Path], why: str) -> None:
    """Record those jobs as failed that have left no record, though all have ended."""
    for number, overrides in missing(config, jobs, taken).items():
        refuse(config, number, overrides, StashError(why))


def _try(directory: Path, subdirectory: str) -> None:
    """Raise what keeps a job's directory from being made and written to. Leaves nothing behind."""
    folder, made = directory / subdirectory, []
    with making(directory):
        try:
            made = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        finally:
            for each in made:
                with contextlib.suppress(OSError):
                    each.rmdir()
    if (directory / records.FILE_NAME).exists():
        raise records.already_taken(directory)


def _prepare(
    context: HydraContext, config: DictConfig, number: int, overrides: Sequence[str]
) -> tuple[Prepared | Spared | Rejected | None, JobReturn]:
    """Compose and freeze a job. Raises whatever keeps it from being composed, or its directory from being made."""
    loader, continuation = context.config_loader, contexts.here().continuation
    variation: SharedComposition | None = None
    if isinstance(loader, SweepLoader) and loader.is_shared:
        variation = loader.variation(config, overrides)
    composed = loader.load_sweep_config(config, list(overrides)) if variation is None else variation.config
    put(composed, "job.id", str(number))
    put(composed, "job.num", number)
    place = None if continuation is None else continuation.place(number)
    with contextlib.nullcontext() if place is None else _placed(composed, place):
        if variation is not None and variation.is_plain:
            return _prepare_plain(variation, overrides)
        with as_job(composed) as directory:
            if directory != place:
                _try(directory, str(composed.hydra.output_subdir or ""))
        returned = run_job(
            hydra_context=context,
            task_function=tasks.prepare,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            configure_logging=False,
        )
    is_done = returned.status is JobStatus.COMPLETED
    return returned.return_value if is_done else None, _without_ballast(returned, is_done)


@contextlib.contextmanager
def _placed(config: DictConfig, place: Path) -> Iterator[None]:
    """Have a job's directory be this one for a while."""
    usual = raw(config, "hydra", "sweep", "subdir")._value()
    relative = os.path.relpath(place, str(config.hydra.sweep.dir))
    put(config, "sweep.subdir", relative.replace("${", "\\${"))
    try:
        yield
    finally:
        with read_write(config.hydra):  # by now Hydra has locked it
            put(config, "sweep.subdir", usual)


def _prepare_plain(
    variation: SharedComposition, overrides: Sequence[str]
) -> tuple[Prepared | Spared | Rejected | None, JobReturn]:
    """Do what Hydra does for a job, without its copies."""
    config = variation.config
    returned = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    with as_job(config, variation.directory):
        try:
            return prepare_job(variation), returned
        except Exception as error:  # it is noted, and the sweeper is to hear of it
            _fail(returned, error)
            return None, returned


def not_begun(config: DictConfig, overrides: Sequence[str]) -> JobReturn:
    """Return what Hydra is told of a job that was not begun."""
    returned = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    if sweepers.needs_results(str(config.hydra.sweeper._target_)):
        _fail(returned, NoResultError(f"The job {' '.join(overrides)} was not begun."))
    return returned


def _fail(returned: JobReturn, error: Exception) -> None:
    returned.status, returned.return_value = JobStatus.FAILED, error


def _without_ballast(returned: JobReturn, is_done: bool) -> JobReturn:
    """Drop what no sweeper reads, hundreds of kilobytes a job, and the run: a job's result is its objective."""
    returned.cfg = returned.hydra_cfg = None
    if is_done:
        returned.return_value = None
    return returned
