"""Everything that asks SLURM about a job. Each question has a time limit: accounting may be slow, or missing."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.errors import StashError
from experimentstash.files import read_regular, write_atomically
from experimentstash.light import dataclass
from experimentstash.process import CommandError, run, which
from experimentstash.records import State

# Seconds that one question may take.
_PATIENCE = 8.0
# SLURM may send its warning up to a minute early (scontrol(1), --signal).
_EARLY = 75.0
# Seconds that a submission may take: sbatch waits for a busy controller.
_SUBMISSION_PATIENCE = 120.0
# SLURM's default.
_MAX_ARRAY_SIZE = 1001
# Seconds that a job which has come to its wall time may still have, by SLURM's rounding.
_AT_ITS_LIMIT = 5.0
# Of the file that keeps SLURM's id of an array, beside the file that lists its tasks.
_JOB_SUFFIX = ".job"
# Jobs that one scancel is given: a command line has an end.
_AT_ONCE = 500
# What scancel says of a job that has ended by itself.
_TOO_LATE = r"Invalid job id|already completing or completed"
# What of a job's own environment a submission from inside it needs: where the cluster is.
_REACHING = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS")

_ENDED = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "CANCELLED": State.CANCELLED,
    "TIMEOUT": State.TIMED_OUT,
    "DEADLINE": State.TIMED_OUT,
    "PREEMPTED": State.PREEMPTED,
    "REQUEUED": State.PREEMPTED,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
    "NODE_FAIL": State.KILLED,
    "BOOT_FAIL": State.KILLED,
}
_ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "RESIZING", "SIGNALING", "STOPPED")


@dataclass(frozen=True)
class Word:
    """What SLURM says of a job: its own word for the state, and ours (None: it is still alive)."""

    text: str
    state: State | None


# Of a job that SLURM has forgotten: a task of an array at once if it is cancelled while it is queued (accounting never
# hears of it), others some minutes after their end where there is no accounting.
GONE = Word("GONE", State.LOST)


def current_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the id of the job that we run in; of an array's task as ARRAY_TASK."""
    if "SLURM_ARRAY_JOB_ID" in environment and "SLURM_ARRAY_TASK_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")


def in_step(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether srun started us: then SLURM's signals reach every process of ours, not only the batch script."""
    return "SLURM_STEP_ID" in environment


def memory_asked(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the memory in bytes that the job we run in has asked for on this node; None where it isn't limited."""
    megabytes = environment.get("SLURM_MEM_PER_NODE", "")
    return int(megabytes) * 1024**2 if megabytes.isdecimal() and megabytes != "0" else None


def ask(job: str) -> Word | None:
    """Return SLURM's word on a job: squeue's, sacct's, or scontrol's; None if none of them knows it."""
    # A requeued job has older records too: the last line is the latest.
    for argv in (
        ["squeue", "--noheader", "--jobs", job, "--states", "all", "--format", "%T"],
        ["sacct", "--noheader", "--allocations", "--parsable2", "--jobs", job, "--format", "State"],
        ["scontrol", "--oneliner", "show", "job", job],
    ):
        lines = _answer(argv).strip().splitlines()
        if not lines:
            continue
        named = re.search(r"\bJobState=(\S+)", lines[-1])
        text = named[1] if named else lines[-1].strip()
        word = text.split()[0] if text else ""  # "CANCELLED by 1000"
        if word in _ENDED:
            return Word(word, _ENDED[word])
        if word in _ALIVE:
            return Word(word, None)
    return None


class Enquiry:
    """SLURM's word on many jobs with one question for each array. For one look at the runs: its answers get old."""

    def __init__(self) -> None:
        self._queue: dict[str, dict[str, str] | None] = {}
        self._accounting: dict[str, dict[str, str]] = {}
        self._cluster: str | None = None

    def cluster(self) -> str | None:
        """Return the name of the cluster that answers."""
        if self._cluster is None:
            self._cluster = cluster().name or ""
        return self._cluster or None

    def ask(self, job: str) -> Word | None:
        """Return SLURM's word on the job, GONE if SLURM answers but no longer knows it; None if it doesn't answer."""
        array = job.partition("_")[0]
        if array not in self._queue:
            self._queue[array] = _listed(
                ["squeue", "--noheader", "--array", "--states", "all", "--jobs", array, "--format", "%i|%T"]
            )
        queue = self._queue[array]
        text = (queue or {}).get(job, "")
        if text not in _ENDED and text not in _ALIVE:  # it ended some minutes ago, and squeue has forgotten it
            if array not in self._accounting:
                argv = ["sacct", "--noheader", "--allocations", "--parsable2", "--jobs", array]
                self._accounting[array] = _listed([*argv, "--format", "JobID,State"]) or {}
            text = self._accounting[array].get(job, "").partition(" ")[0]
        if text in _ENDED:
            return Word(text, _ENDED[text])
        if text in _ALIVE:
            return Word(text, None)
        return None if queue is None else GONE


@dataclass(frozen=True)
class Cluster:
    """What matters of a cluster's configuration."""

    name: str | None
    max_array_size: int


def cluster() -> Cluster:
    """Ask SLURM for its configuration."""
    shown = _answer(["scontrol", "show", "config"])
    name = re.search(r"(?m)^ClusterName\s*=\s*(\S+)", shown)
    size = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)", shown)
    return Cluster(name[1] if name else None, max(1, int(size[1])) if size else _MAX_ARRAY_SIZE)


@dataclass(frozen=True)
class Submitted:
    """A job array that SLURM has accepted."""

    job: str
    cluster: str | None


def submitted(array: Path) -> Submitted | None:
    """Return what is known of the array whose tasks the file ``array`` lists; None until SLURM has accepted it."""
    try:
        known = read_regular(array.with_suffix(_JOB_SUFFIX)).decode()
    except (OSError, ValueError):
        return None
    job, _, cluster_name = known.strip().partition(" ")
    return Submitted(job, cluster_name or None)


def note_submitted(array: Path, job: Submitted) -> None:
    """Keep what ``submitted`` returns."""
    write_atomically(array.with_suffix(_JOB_SUFFIX), f"{job.job} {job.cluster or ''}\n")


def submit(script: Path, environment: Mapping[str, str]) -> str:
    """Submit a batch script from the directory it is to run in, its parent's parent; return the job's id.

    ``environment`` is what the job inherits besides ours. Raises CommandError with SLURM's words if it is refused.
    """
    # A job's own variables would be taken for options by sbatch, and for its own by the job (S1782).
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name in _REACHING}
    argv = ["sbatch", "--parsable", str(script)]
    done = run(argv, cwd=script.parent.parent, env={**ours, **environment}, timeout=_SUBMISSION_PATIENCE)
    found = re.findall(r"(?m)^(\d+)(?:;\S*)?\s*$", done.stdout)
    if not found:
        raise CommandError(argv, 0, done.stdout, done.stderr)
    return str(found[-1])


def is_here() -> bool:
    """Tell whether jobs can be submitted from this machine."""
    return which("sbatch") is not None


def own_jobs() -> int | None:
    """Return how many jobs of the user's are queued or running, an array's tasks one by one; None: no answer."""
    listed = _listed(["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i|"])
    return None if listed is None else len(listed)


def withdraw(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue; those that run already stay untouched. StashError if SLURM refuses."""
    _scancel(jobs, "--state=PENDING")


def requeue(job: str) -> None:
    """Put the job that we run in back into the queue; StashError if SLURM refuses. SLURM ends what is left of it."""
    try:
        run(["scontrol", "requeue", job], timeout=_PATIENCE)
    except CommandError as error:
        # SLURM was faster: it has taken the job back by itself, and shows it as COMPLETING until we have ended.
        if "pending" not in error.stderr:
            raise


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """Return how often the job that we run in was put back into the queue."""
    return int(environment.get("SLURM_RESTART_COUNT", "0"))


@functools.cache  # the warning comes once, and may be for many runs
def why_asked_to_stop(job: str, grace: float) -> tuple[State, str]:
    """Return why SLURM has sent its warning to the job that we run in, as a state and in words.

    ``grace`` is how many seconds before the wall time the warning was asked for.
    """
    return why_it_ends(job, grace) or (State.CANCELLED, "SIGTERM came, from SLURM or by hand")


def why_it_ends(job: str, grace: float) -> tuple[State, str] | None:
    """Return why SLURM is ending the job that we run in, as ``why_asked_to_stop``; None if it isn't."""
    shown = _answer(["scontrol", "--oneliner", "show", "job", job])
    state = re.search(r"\bJobState=(\S+)", shown)
    preempted = re.search(r"\bPreemptTime=(\S+)", shown)
    if (state and state[1] == "PREEMPTED") or (preempted and preempted[1] not in ("None", "Unknown")):
        return State.PREEMPTED, "SLURM preempted its job"
    restarted = re.search(r"\bRestarts=(\d+)", shown)
    if restarted and int(restarted[1]) > restarts():
        return State.PREEMPTED, "SLURM put its job back into the queue"
    left = _seconds_left(_answer(["squeue", "--noheader", "--jobs", job, "--format", "%L"]).strip())
    # COMPLETING: SLURM is ending it now. If time is left then, that isn't because of the wall time.
    is_cut_short = state is not None and state[1] == "COMPLETING" and left is not None and left > _AT_ITS_LIMIT
    if is_cut_short or (state and state[1] == "CANCELLED"):
        return State.CANCELLED, "its SLURM job was cancelled"
    if left is not None and left <= grace + _EARLY:
        return State.TIMED_OUT, "the wall time of its SLURM job is over; give it more time, or let it resume"
    return None


def warn(jobs: Sequence[str], *, in_step: bool) -> None:
    """Have SLURM send jobs their warning, as before their wall time; StashError if SLURM refuses.

    A plain scancel would leave them only KillWait (30 s by default) to end.
    """
    _scancel(jobs, "--signal=TERM", *([] if in_step else ["--batch"]))


def nudge(jobs: Sequence[str]) -> None:
    """Have the supervisors of several runs look which of them are to end; StashError if SLURM refuses.

    By SIGCONT: it can't be taken for SLURM's warning to all of them, and does no harm where it comes too early.
    """
    _scancel(jobs, "--signal=CONT", "--batch")


def _scancel(jobs: Sequence[str], *options: str) -> None:
    """Send jobs a signal, or take them out of the queue; those that have just ended don't keep it from the others."""
    for first in range(0, len(jobs), _AT_ONCE):
        argv = ["scancel", *options, *jobs[first : first + _AT_ONCE]]
        done = run(argv, check=False, timeout=_SUBMISSION_PATIENCE)
        if done.returncode != 0 and not all(re.search(_TOO_LATE, line) for line in done.stderr.strip().splitlines()):
            raise CommandError(argv, done.returncode, done.stdout, done.stderr)


def _listed(argv: list[str]) -> dict[str, str] | None:
    """Return what a program says of each job (lines of ID|STATE); None if it doesn't answer."""
    if which(argv[0]) is None:
        return None
    try:
        done = run(argv, check=False, timeout=_PATIENCE)
    except StashError:
        return None
    if done.returncode != 0:
        return {} if "Invalid job id" in done.stderr else None
    lines = [line.strip().partition("|") for line in done.stdout.splitlines()]
    return {job: state for job, _, state in lines}


def _seconds_left(text: str) -> float | None:
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 86400.0 + hours * 3600 + minutes * 60 + seconds


def _answer(argv: list[str]) -> str:
    """Return what a program of SLURM's says; nothing if it isn't there, fails, or takes too long."""
    if which(argv[0]) is None:
        return ""
    try:
        done = run(argv, check=False, timeout=_PATIENCE)
    except StashError:
        return ""
    return done.stdout if done.returncode == 0 else ""
