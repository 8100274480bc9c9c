"""Where a run is: in which job of a scheduler's, and under which process of this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.base.patterns import regex
from experimentstash.execute.account import MARKER, marker_of
from experimentstash.record import job_array, records
from experimentstash.record.job_array import Job
from experimentstash.record.records import FILE_NAME
from experimentstash.record.run import FORMAT, Run, State
from experimentstash.stash.layout import ROOT_VARIABLE

# Words of a command that starts one of us.
_OURS = regex(rb"(?:-m|.*/)?experimentstash(?:\.[\w.]+|(?:/\w+)+\.py)?", re.DOTALL)


def job_of(run: Run) -> Job | None:
    """Return the job of a scheduler's that a run is, was or will be executed in; None if there is none, or not yet."""
    if run.attempt.state is State.QUEUED and run.attempt.queued is not None:
        path = Path(run.attempt.queued.array)
        array = job_array.submitted(path) if job_array.is_of(run, path) else None
        queued = run.attempt.queued
        return None if array is None else Job(f"{array.id}_{queued.task}", array.cluster, queued.scheduler)
    supervisor = run.attempt.supervisor
    if supervisor is None or supervisor.job is None:
        return None
    return Job(supervisor.job, supervisor.cluster, supervisor.scheduler)


def why_waiting(shown: Sequence[Run]) -> dict[str, str]:
    """Return why schedulers let runs wait, by their ids, as far as they say so."""
    jobs = {run.id: job_of(run) for run in shown if run.attempt.state in (State.QUEUED, State.RUNNING)}
    asked = [job for job in jobs.values() if job is not None]
    found: dict[Job, str] = {}
    for name in dict.fromkeys(job.scheduler for job in asked):
        found |= schedulers.named(name).why_waiting([job for job in asked if job.scheduler == name])
    return {name: found[job] for name, job in jobs.items() if job is not None and job in found}


def is_local(run: Run) -> bool:
    """Tell whether the supervisor of a run is, or was, a process of this machine since its last start."""
    supervisor = run.attempt.supervisor
    return supervisor is not None and (supervisor.host, supervisor.boot_id) == (procfs.hostname(), procfs.boot_id())


def is_supervised_by(run: Run, pid: int) -> bool:
    """Tell whether a process may be the supervisor that a record names: no other one is told to end."""
    marker = marker_of(run)
    return _is_one_of_us(pid) or any(member.pid in procfs.descendants(pid) for member in procfs.members(marker))


def _is_one_of_us(pid: int) -> bool:
    """Tell whether a process was started as ours, or by one of ours."""
    name = ROOT_VARIABLE.encode() + b"="
    return any(_OURS.fullmatch(word) for word in procfs.words(pid)) or any(
        entry.startswith(name) for entry in procfs.environment(pid) or ()
    )


def unknowable(run: Run) -> str | None:
    """Return why nothing can be known from here of a run that isn't over by its record, and is left as it is."""
    if run.format > FORMAT or not run.attempt.state.is_known:
        return f"its record {records.of_another_version(run)}"
    if run.inode is None or run.attempt.supervisor is None:
        return None
    try:
        if os.stat(run.path).st_ino == run.inode:
            return None
    except OSError:
        return None
    recorded, host = run.spec.command.environment.get(MARKER), run.attempt.supervisor.host
    where = f" in {recorded}" if recorded not in (None, run.directory) else ""
    if is_local(run) and recorded is not None and not (Path(recorded) / FILE_NAME).exists():
        return None  # moved to another disk of this machine, which knows of its supervisor
    return (
        f"this is a copy of a run that was {run.attempt.state.value} on {host}{where}: what has become of it can't be"
        " known from here"
    )
