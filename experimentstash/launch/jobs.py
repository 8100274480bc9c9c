"""The jobs of a sweep: each composed by Hydra and frozen in this process, one after the other, when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from experimentstash import app
from experimentstash.app import Prepared


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its run, frozen (None: its configuration is wrong, which is recorded), and Hydra's view."""

    number: int
    overrides: Sequence[str]
    prepared: Prepared | None
    returned: JobReturn


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
    for number, overrides in enumerate(batch, first_number):
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = number
            composed.hydra.job.num = number
        returned = run_job(
            hydra_context=context,
            task_function=app.prepare,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            configure_logging=False,
        )
        # A bug, if it is one, stays in there: Hydra's sweepers raise it when they look for the job's result.
        is_done = returned.status is JobStatus.COMPLETED
        prepared = returned.return_value if is_done else None
        yield Job(number, overrides, prepared, _without_ballast(returned, is_done))


def without_result(overrides: Sequence[str]) -> JobReturn:
    """Return what Hydra is told of a job that was not begun."""
    return JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)


def _without_ballast(returned: JobReturn, is_done: bool) -> JobReturn:
    """Drop what no sweeper reads, hundreds of kilobytes a job, and the run: a job's result is its objective."""
    returned.cfg = returned.hydra_cfg = None
    if is_done:
        returned.return_value = None
    return returned
