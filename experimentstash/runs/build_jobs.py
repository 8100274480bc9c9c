"""The jobs that build a tool for runs of a sweep: they are ended when nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters import schedulers
from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.record import attempts, job_array, records


def end_unneeded(sweeps: Iterable[Path], queries: JobQueries) -> list[str]:
    """End the builds for which no run of these sweeps waits any more; return what could not be done."""
    failed = []
    for sweep in sweeps:
        for order, waiting in job_array.builds(sweep).items():
            job = job_array.submitted(order)
            if job is None or any(map(_is_to_begin, waiting)):
                continue
            scheduler = schedulers.of(job)
            try:
                where = queries.where(job)
                if job.id not in scheduler.strangers({job.id: job_array.script_of(order)}, where):
                    scheduler.withdraw([job.id], where)
            except StashError as error:
                end = scheduler.command_to_end([job.id])
                failed.append(f"the job {job.id}, which builds for runs that are cancelled: {error}; {end}")
            else:
                job_array.forget_submitted(order)
    return failed


def _is_to_begin(directory: Path) -> bool:
    """Tell whether a run is to begin still; in doubt it is."""
    if not directory.is_dir():
        return False
    try:
        run = records.read_ended(directory)
    except StashError:
        return True
    return not run.attempt.state.is_final and not attempts.is_cancelled(run)
