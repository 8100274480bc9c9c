"""What SLURM knows of jobs. Only its word closes a run: no answer, half an answer and an empty one are no evidence."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from experimentstash.adapters.scheduler import GONE, LEFT, JobStatus
from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import reasons as slurm_reasons
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.record.job_array import Job
from experimentstash.record.run import State

# SLURM's default.
_MAX_ARRAY_SIZE = 1001

_ENDED = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "CANCELLED": State.CANCELLED,
    "TIMEOUT": State.TIMED_OUT,
    "DEADLINE": State.TIMED_OUT,
    "PREEMPTED": State.PREEMPTED,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
    "NODE_FAIL": State.KILLED,
    "BOOT_FAIL": State.KILLED,
}
# For accounting, which keeps what was before a requeue, this is an end too, if the queue has nothing of the job.
_OVER = {**_ENDED, "REQUEUED": State.PREEMPTED}
# From these a job may come back: accounting hears of that later than the queue.
_MAY_COME_BACK = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REQUEUED")
# A line that squeue and sacct write of a job, or of several tasks of an array: JOB, JOB_3, JOB_[0-1,5-7%2].
_JOB = r"(?P<job>\d+)(?:_(?:(?P<task>\d+)|\[(?P<tasks>[\d,:-]+)(?:%\d+)?\]))?"
_LINE = regex(_JOB + r"\|(?P<state>[A-Z_]+)\b.*")
# The same of one that waits, with why.
_WAITING = regex(_JOB + r"\|(?P<state>[A-Z_]+)\|(?P<reason>.*)")
_RANGE = regex(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
# A component of a job of several kinds of nodes, or a step: not what we ask for.
_OTHER_LINE = regex(r"\d+(?:_\d+)?[+.][^|]*\|.*")
# How slurmctld says that it holds no such job, and sacct that nobody keeps accounts.
_UNKNOWN = regex(r"Invalid job id|Job \S+ not found")
_NO_ACCOUNTS = "accounting storage is disabled"


class _Listing:
    """What one answer says of an array's tasks, or of a job."""

    def __init__(self, job: str, text: str, *, is_denied: bool = False) -> None:
        """Read lines of JOB|STATE; ValueError for anything else. ``is_denied``: it said that there is no such job."""
        self.is_denied = is_denied
        self._tasks: dict[str, str] = {}
        self._ranges: list[tuple[range, str]] = []
        self.rest: str | None = None  # of a job that is no array, and of all tasks that aren't named
        for line in filter(None, map(str.strip, text.splitlines())):
            found = _LINE.fullmatch(line)
            if found is None:
                if _OTHER_LINE.fullmatch(line):
                    continue
                raise ValueError(line)
            if found["job"] != job:
                continue
            if found["task"]:
                self._tasks[found["task"]] = found["state"]
            elif found["tasks"]:
                self._ranges += [(numbers, found["state"]) for numbers in _ranges(found["tasks"])]
            else:
                self.rest = found["state"]

    @property
    def is_empty(self) -> bool:
        return not self._tasks and not self._ranges and self.rest is None

    def named(self, task: str) -> str | None:
        """Return the state of a task that is named; empty: of a job that is no array."""
        if not task:
            return self.rest
        if task in self._tasks:
            return self._tasks[task]
        return next((state for numbers, state in self._ranges if int(task) in numbers), None)


def _ranges(spec: str) -> list[range]:
    """Return the tasks that a list such as 0-3,7,9-15:2 stands for; ValueError if it is none."""
    found = []
    for part in spec.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(spec)
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        found.append(range(first, last + 1, max(1, step)))
    return [numbers for numbers in found if numbers]


class JobQuery:
    """SLURM's word on many jobs, with one question for each array. What hasn't answered isn't asked again."""

    def __init__(self) -> None:
        self.silence: str | None = None  # why there was no word on a job
        self._troubles: list[str] = []
        self._statuses: dict[Job, JobStatus | None] = {}
        self._listings: dict[tuple[str, str | None, str], _Listing | None] = {}
        self._unheard: set[tuple[str, str | None]] = set()  # which program, about which cluster
        self._usual: Cluster | None = None

    def ask(self, job: Job) -> JobStatus | None:
        """Return SLURM's word on a job: LEFT and GONE are among them. None: it doesn't answer."""
        if job not in self._statuses:
            self._statuses[job] = self._ask(job)
            if self._statuses[job] is None:
                self.silence = self.silence or next(iter(self._troubles), "it says nothing of its queue")
        return self._statuses[job]

    def where(self, cluster_name: str | None) -> str | None:
        """Return the cluster to name in a command, None if it is the usual one; StashError if nobody can tell."""
        if cluster_name is None:
            return None
        if self._usual is None:
            self._usual = cluster()
        if self._usual.name is None:
            raise StashError(f"SLURM doesn't say whether it is {cluster_name}, where the job was submitted.")
        return None if self._usual.name == cluster_name else cluster_name

    def _ask(self, job: Job) -> JobStatus | None:
        try:
            where = self.where(job.cluster)
        except StashError as error:
            self._troubles.append(str(error))
            return None
        array, _, task = job.id.partition("_")
        queue = self._queue(array, where)
        if queue is not None and (text := queue.named(task)) is not None:
            return _status(text)
        accounts = self._accounts(array, where)
        text = None if accounts is None else accounts.named(task) or accounts.rest
        if queue is None:
            # Accounting may not have heard yet that it goes back into the queue.
            return None if text is None or text in _MAY_COME_BACK else _status(text)
        says_nothing = queue.is_empty and not queue.is_denied  # as if something kept it from us
        if text in _OVER and not (says_nothing and text in _MAY_COME_BACK):
            return JobStatus(text, _OVER[text])
        if queue.rest is not None:
            return _status(queue.rest)
        if says_nothing and text is not None and text not in _OVER:
            return _status(text)
        is_only_denied = queue.is_denied and accounts is not None and not accounts.is_empty and text is None
        if not queue.is_empty or is_only_denied:
            return LEFT
        return None if accounts is None else GONE

    def _queue(self, array: str, where: str | None) -> _Listing | None:
        options = ["--noheader", "--all", "--array", "--states=all", f"--jobs={array}", "--format=%i|%T"]
        return self._listed("squeue", options, array, where)

    def _accounts(self, array: str, where: str | None) -> _Listing | None:
        options = ["--noheader", "--allocations", "--parsable2", f"--jobs={array}", "--format=JobID,State"]
        return self._listed("sacct", options, array, where)

    def _listed(self, program: str, options: list[str], array: str, where: str | None) -> _Listing | None:
        key = program, where, array
        if key not in self._listings:
            self._listings[key] = None if (program, where) in self._unheard else self._read(program, options, *key[1:])
        return self._listings[key]

    def _read(self, program: str, options: list[str], where: str | None, array: str) -> _Listing | None:
        answer = slurm_client.ask(program, *options, cluster=where)
        if program == "sacct" and not answer.is_given and _keeps_no_accounts(answer):
            # The other source is then the controller once more. What it still knows isn't lost without a sign.
            answer = slurm_client.ask("scontrol", "--oneliner", "show", "job", array, cluster=where)
            if answer.is_given:
                return None
        if not answer.is_given and _UNKNOWN.search(answer.error):
            return _Listing(array, "", is_denied=True)
        why = answer.silence
        if why is None:
            try:
                return _Listing(array, answer.text)
            except ValueError as error:
                why = f"{program} writes {str(error)[:80]!r}"
        self._unheard.add((program, where))
        self._troubles.append(why)
        return None


def _status(text: str) -> JobStatus:
    """Return SLURM's word with ours; one that we don't know is none of those in which a job is over."""
    return JobStatus(text, _ENDED.get(text), text == "PENDING", text == "SUSPENDED")


def _keeps_no_accounts(answer: slurm_client.Answer) -> bool:
    return answer.is_missing or _NO_ACCOUNTS in answer.error


@dataclass(frozen=True)
class Cluster:
    """What matters of a cluster's configuration."""

    name: str | None
    max_array_size: int


def cluster(name: str | None = None) -> Cluster:
    """Ask SLURM for the configuration of a cluster; None: of the usual one."""
    shown = slurm_client.ask("scontrol", "show", "config", cluster=name).text
    found = re.search(r"(?m)^ClusterName\s*=\s*(\S+)", shown)
    size = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)", shown)
    return Cluster(found[1] if found else None, max(1, int(size[1])) if size else _MAX_ARRAY_SIZE)


def own_jobs() -> int | None:
    """Return how many jobs of the user's are queued or running, an array's tasks one by one; None: no answer."""
    answer = slurm_client.ask("squeue", "--noheader", "--all", "--array", f"--user={os.getuid()}", "--format=%i")
    return len(answer.text.split()) if answer.is_given else None


def reasons(jobs: Sequence[Job]) -> dict[Job, str]:
    """Return why SLURM lets jobs wait, in plain words, with one question for all of a cluster; nothing if it is silent.

    Those at work aren't there, unless it has suspended them.
    """
    query, found = JobQuery(), {}
    for name in dict.fromkeys(job.cluster for job in jobs):
        own = {job.id: job for job in jobs if job.cluster == name}
        arrays = ",".join(dict.fromkeys(job.partition("_")[0] for job in own))
        options = ["--noheader", "--all", "--states=PENDING,SUSPENDED", f"--jobs={arrays}", "--format=%i|%T|%r"]
        try:
            shown = slurm_client.ask("squeue", *options, cluster=query.where(name)).text
        except StashError:  # nobody can tell which cluster it is
            continue
        for line in shown.splitlines():
            told = _WAITING.fullmatch(line.strip())
            if told is None:
                continue
            for job in _told_of(told, own):
                found[job] = (
                    f"SLURM has suspended its job {job.id}"
                    if told["state"] == "SUSPENDED"
                    else slurm_reasons.in_words(told["reason"], job.id)
                )
    return found


def _told_of(told: re.Match[str], own: dict[str, Job]) -> list[Job]:
    """Return those of our jobs that a line is of."""
    if told["tasks"] is None:
        name = f"{told['job']}_{told['task']}" if told["task"] else told["job"]
        return [own[name]] if name in own else []
    try:
        ranges = _ranges(told["tasks"])
    except ValueError:
        return []
    found = []
    for name, job in own.items():
        array, _, task = name.partition("_")
        if array == told["job"] and task and any(int(task) in numbers for numbers in ranges):
            found.append(job)
    return found
