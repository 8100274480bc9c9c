"""SLURM, as a `Scheduler`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.slurm.job import nudge as nudge
from experimentstash.adapters.slurm.job import strangers as strangers
from experimentstash.adapters.slurm.job import warn as warn
from experimentstash.adapters.slurm.job import withdraw as withdraw
from experimentstash.adapters.slurm.job_end import here as here
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.record.job_array import Job

if TYPE_CHECKING:
    from experimentstash.adapters.slurm.query import JobQuery

name = "slurm"
title = "SLURM"
sources: Sequence[str] = ("squeue", "sacct")

# What its jobs need nothing of is imported where it is used.


def query() -> JobQuery:
    from experimentstash.adapters.slurm.query import JobQuery

    return JobQuery()


def why_waiting(jobs: Sequence[Job]) -> dict[Job, str]:
    from experimentstash.adapters.slurm.query import reasons

    return reasons(jobs)


def output_of(array: Path, job: Job) -> Path:
    return array.with_name(f"slurm-{job.id}.out")


def last_words(outputs: Sequence[Path]) -> list[str]:
    from experimentstash.adapters.slurm import job_output

    return job_output.last_words(outputs)


def command_to_end(jobs: Sequence[str]) -> str:
    return f"scancel {' '.join(jobs)}"
