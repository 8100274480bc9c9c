"""What a scheduler is to the rest of us: the job that we run in, what it says of other jobs, and what it is told.

Each is a folder beside this file, and a line in `schedulers`. Those who submit to one know it by name; all others ask
for no more than what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.record.job_array import Job
from experimentstash.record.run import JobEnd, State

if TYPE_CHECKING:
    import signal
    from typing import Protocol
else:
    Protocol = object  # typing takes long to import


@dataclass(frozen=True)
class JobStatus:
    """What a scheduler says of a job: its own word for the state, and ours (None: it is still alive)."""

    text: str
    state: State | None
    is_waiting: bool = False  # to begin
    is_suspended: bool = False  # no signal gets through to it


# Of a task whose array is shown, and no longer this task: it has left the queue. That may be all that is left of one
# that was cancelled before it began.
LEFT = JobStatus("no longer in the queue", State.LOST)
# The scheduler answers, and has no sign of the job. That alone closes nothing, unless it stays so.
GONE = JobStatus("unknown", State.LOST)

# In the reasons why a job waits: waiting won't help.
NEVER_BEGINS = "it will not begin like this; cancel it, and"


def is_hopeless(why: str) -> bool:
    """Tell whether a job that waits for this will not begin by waiting."""
    return NEVER_BEGINS in why


@dataclass(frozen=True)
class Why:
    """Why a job, or what runs in it, was asked to stop."""

    state: State
    reason: str
    is_known: bool = True  # the scheduler has said so; else we suppose it
    is_schedulers: bool = True  # the scheduler ends the job; else somebody has sent us a signal

    @property
    def recorded(self) -> JobEnd | None:
        """What a record keeps of it; None if the scheduler doesn't end the job."""
        return JobEnd(self.state, self.reason, self.is_known) if self.is_schedulers else None


class JobHere(Protocol):
    """The job that we run in, and what becomes of it. Only what says so waits for the scheduler, and not for long."""

    @property
    def job(self) -> Job: ...

    @property
    def tells_all(self) -> bool:
        """Whether its signals reach every process of ours, not only the batch script."""

    @property
    def memory(self) -> int | None:
        """The memory in bytes that it has on this node; None where it isn't limited."""

    @property
    def warning(self) -> signal.Signals | None:
        """The signal by which it is warned before its wall time is over; None: not known."""

    @property
    def why(self) -> Why | None:
        """Why we were asked to stop, as far as that is known by now; None: we weren't."""

    @property
    def is_warned(self) -> bool:
        """Whether a signal has come that may be the scheduler's."""

    @property
    def has_told_all(self) -> bool:
        """Whether all that runs in the job has been told to end."""

    @property
    def is_asking(self) -> bool:
        """Whether an answer to the question why we were asked to stop may still come."""

    def is_meant(self, number: signal.Signals) -> bool:
        """Tell whether a signal may be the scheduler's."""

    def warned(self, number: signal.Signals, *, was_continued: bool) -> Why:
        """Take note of a signal, and return why it has come, as far as that is known at once.

        ``was_continued``: SIGCONT has come just before it.
        """

    def died(self) -> Why:
        """Return why a tool has died of SIGTERM before we were told anything; an answer is waited for."""

    def left_for_tool(self) -> float | None:
        """Return how many seconds there are until all of the job is told to stop, or killed; None: not known."""

    def left(self) -> float | None:
        """Return how many seconds there are until we are killed; None: not known."""

    def look(self, *, wait: bool = False) -> None:
        """Take note of the scheduler's answer; with ``wait`` wait for it if it may still come."""

    def settle(self) -> None:
        """Wait for all that the scheduler may still say of the end of the job."""


class JobQuery(Protocol):
    """A scheduler's word on many jobs, with few questions. For one look at the runs: its answers get old."""

    silence: str | None  # why there was no word on a job

    def ask(self, job: Job) -> JobStatus | None:
        """Return its word on a job, LEFT and GONE among them. None: it doesn't answer."""

    def where(self, cluster_name: str | None) -> str | None:
        """Return the cluster to name in an order, None if it is the usual one; StashError if nobody can tell."""


class Scheduler(Protocol):
    """A scheduler. Orders raise StashError if it refuses them; ``cluster`` is to be named, None: the usual one."""

    name: str  # as records have it
    title: str  # for people
    sources: Sequence[str]  # which of its commands know of jobs

    def here(self) -> JobHere | None:
        """Return the job that we run in; None if it is none of this scheduler's."""

    def query(self) -> JobQuery: ...

    def why_waiting(self, jobs: Sequence[Job]) -> dict[Job, str]:
        """Return why it lets jobs wait, in plain words, as far as it says so."""

    def withdraw(self, jobs: Sequence[str], cluster: str | None) -> None:
        """Take jobs back in which no tool is at work, and only these."""

    def warn(self, jobs: Sequence[str], cluster: str | None, *, in_step: bool) -> None:
        """Have jobs warned, as before their wall time; ``in_step``: its signals reach every process of theirs."""

    def nudge(self, jobs: Sequence[str], cluster: str | None, *, is_ours: bool = True) -> None:
        """Have the supervisors in jobs look which runs are to end; ``is_ours``: the batch scripts are."""

    def strangers(self, scripts: Mapping[str, Path], cluster: str | None) -> dict[str, str]:
        """Return which of some jobs are of another batch script than theirs, with the path of that one."""

    def output_of(self, array: Path, job: Job) -> Path:
        """Return the file with what the job of an array's task says besides the tool."""

    def last_words(self, outputs: Sequence[Path]) -> list[str]:
        """Return the end of what jobs have said before anything of ours was at work in them; no secrets."""

    def command_to_end(self, jobs: Sequence[str]) -> str:
        """Return the command with which people end jobs."""
