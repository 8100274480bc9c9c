"""The jobs of a sweep: each composed and frozen in this process, one after the other, when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig

from experimentstash import app, preparing, session, sweepers
from experimentstash.job_config import as_job, put
from experimentstash.loader import parsing_once
from experimentstash.output import Meter
from experimentstash.preparing import Prepared
from experimentstash.records import Run
from experimentstash.sweepers import NoResultError
from experimentstash.variations import SweepLoader, Variation


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its run, frozen (None: it can't be, which is recorded), and Hydra's view."""

    number: int
    overrides: Sequence[str]
    prepared: Prepared | None
    returned: JobReturn
    needs_result: bool = False

    def why_rejected(self) -> str:
        """Return why there is no frozen run."""
        if self.returned.status is JobStatus.FAILED:
            return str(self.returned._return_value)
        failure = session.anyway().failure
        return str(failure) if failure is not None else "its configuration is wrong"

    def conclude(self, run: Run) -> None:
        """Give Hydra the result of the run, which has ended; or what is missing, if the sweeper needs one."""
        if run.result is None and self.needs_result:
            _fail(self.returned, sweepers.no_result(run))
        else:
            self.returned.return_value = run.result


def is_ours(task_function: Any) -> bool:
    """Tell whether a launcher works for ExperimentStash: another application's task can't be frozen."""
    return task_function is app.task


def prepare(
    context: HydraContext, config: DictConfig, batch: Sequence[Sequence[str]], first_number: int
) -> Iterator[Job]:
    """Compose and freeze the jobs of a batch, each when the iterator is advanced to it.

    What can't be composed at all (conf/ has changed since Hydra looked through the batch) raises Hydra's own error.
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    loader, continuation = context.config_loader, session.continuation()
    if isinstance(loader, SweepLoader):
        loader.meter = None  # Hydra has looked through the batch
    needs_result = sweepers.needs_results(str(config.hydra.sweeper._target_))
    if continuation is not None:  # before anything runs, for the directories that have the usual names
        for number, overrides in enumerate(batch, first_number):
            continuation.check(Path(config.hydra.sweep.dir, str(number)).absolute(), overrides)
    for number, overrides in enumerate(batch, first_number):
        if isinstance(loader, SweepLoader) and loader.is_shared:
            variation = loader.variation(config, overrides)
            composed = variation.config
        else:
            variation, composed = None, loader.load_sweep_config(config, list(overrides))
        put(composed, "job.id", number)
        put(composed, "job.num", number)
        if continuation is not None:
            with as_job(composed) as directory:
                continuation.check(directory, overrides)
            if continuation.is_settled(directory):
                continue
        if variation is not None and variation.is_plain:
            prepared, returned = _prepare(variation, overrides)
        else:
            returned = run_job(
                hydra_context=context,
                task_function=app.prepare,
                config=composed,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                configure_logging=False,
            )
            is_done = returned.status is JobStatus.COMPLETED
            prepared = returned.return_value if is_done else None
            returned = _without_ballast(returned, is_done)
        # A mistake or a bug stays in there: Hydra's sweepers raise it when they look for the job's result.
        yield Job(number, overrides, prepared, returned, needs_result)


def counted(prepared: Iterator[Job], total: int, what: str) -> Iterator[Job]:
    """Yield the jobs, and say from time to time how many there were."""
    meter = Meter(what, total)
    for job in prepared:
        yield job
        meter.step()


def _prepare(variation: Variation, overrides: Sequence[str]) -> tuple[Prepared | None, JobReturn]:
    """Do what Hydra does for a job, without its copies."""
    config = variation.config
    returned = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    try:
        with parsing_once(), as_job(config, variation.directory):
            return preparing.prepare_job(variation), returned
    except Exception as error:
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
