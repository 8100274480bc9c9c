"""Which schedulers there are, and which of them has a job. The next one is a folder more, and a line here."""

from __future__ import annotations

from experimentstash.adapters.slurm import scheduler as slurm
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.errors import StashError
from experimentstash.record.job_array import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experimentstash.adapters.scheduler import JobHere, JobQuery, JobStatus, Scheduler

SCHEDULERS: Sequence[Scheduler] = (slurm,)


def here() -> JobHere | None:
    """Return the job that we run in; None if we run in none."""
    return next((found for each in SCHEDULERS if (found := each.here()) is not None), None)


def named(name: str) -> Scheduler:
    """Return a scheduler by the name that records have; StashError if this version knows none of that name."""
    for each in SCHEDULERS:
        if each.name == name:
            return each
    raise StashError(f"This version of ExperimentStash knows no scheduler {name!r}.")


def of(job: Job) -> Scheduler:
    """Return the scheduler that has a job; StashError as ``named``."""
    return named(job.scheduler)


class JobQueries:
    """The words of all schedulers on many jobs, for one look at the runs. What hasn't answered isn't asked again."""

    def __init__(self) -> None:
        self.missing: list[Job] = []  # of which there was no sign, though they may not be over
        self._by_name: dict[str, JobQuery] = {}
        self._unknown: str | None = None

    def ask(self, job: Job) -> JobStatus | None:
        """Return the word of its scheduler on a job; None: it doesn't answer."""
        try:
            return self._of(job.scheduler).ask(job)
        except StashError as error:  # a later version knows it
            self._unknown = error.message
            return None

    def where(self, job: Job) -> str | None:
        """Return the cluster to name in an order, None if it is the usual one; StashError if nobody can tell."""
        return self._of(job.scheduler).where(job.cluster)

    @property
    def silences(self) -> list[str]:
        """Who has not answered, and why."""
        asked = [(named(name).title, query.silence) for name, query in self._by_name.items()]
        silent = [f"{title} doesn't answer ({why})" for title, why in asked if why is not None]
        return silent if self._unknown is None else [*silent, self._unknown.rstrip(".")]

    def _of(self, name: str) -> JobQuery:
        if name not in self._by_name:
            self._by_name[name] = named(name).query()
        return self._by_name[name]
