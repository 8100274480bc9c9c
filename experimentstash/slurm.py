"""Everything that asks SLURM about a job. Each question has a time limit: accounting may be slow, or missing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from experimentstash.errors import StashError
from experimentstash.process import run
from experimentstash.records import State

# Seconds that one question may take.
_PATIENCE = 8.0
# SLURM may send its warning up to a minute early (scontrol(1), --signal).
_EARLY = 75.0

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


def why_asked_to_stop(job: str, grace: float) -> tuple[State, str]:
    """Return why SLURM has sent its warning to the job that we run in, as a state and in words.

    ``grace`` is how many seconds before the wall time the warning was asked for.
    """
    shown = _answer(["scontrol", "--oneliner", "show", "job", job])
    state = re.search(r"\bJobState=(\S+)", shown)
    preempted = re.search(r"\bPreemptTime=(\S+)", shown)
    if (state and state[1] == "PREEMPTED") or (preempted and preempted[1] not in ("None", "Unknown")):
        return State.PREEMPTED, "SLURM preempted its job"
    left = _seconds_left(_answer(["squeue", "--noheader", "--jobs", job, "--format", "%L"]).strip())
    if state and state[1] == "CANCELLED":
        return State.CANCELLED, "its SLURM job was cancelled"
    if left is not None and left <= grace + _EARLY:
        return State.TIMED_OUT, "the wall time of its SLURM job is over; give it more time, or let it resume"
    return State.CANCELLED, "SIGTERM came, from SLURM or by hand"


def warn(job: str, *, in_step: bool) -> None:
    """Have SLURM send a job its warning, as before its wall time; StashError if SLURM refuses.

    A plain scancel would leave it only KillWait (30 s by default) to end.
    """
    run(["scancel", "--signal=TERM", *([] if in_step else ["--batch"]), job], timeout=_PATIENCE)


def _seconds_left(text: str) -> float | None:
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 86400.0 + hours * 3600 + minutes * 60 + seconds


def _answer(argv: list[str]) -> str:
    """Return what a program of SLURM's says; nothing if it isn't there, fails, or takes too long."""
    if shutil.which(argv[0]) is None:
        return ""
    try:
        done = run(argv, check=False, timeout=_PATIENCE)
    except StashError:
        return ""
    return done.stdout if done.returncode == 0 else ""
