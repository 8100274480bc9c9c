"""The SLURM job that we run in, and what SLURM is told about jobs: to take them, to warn them, to let them go."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, which
from experimentstash.record.job_array import Job

# Jobs that one scancel is given: a command line has an end.
_AT_ONCE = 500
# What scancel says of a job that has ended by itself.
_TOO_LATE = regex(r"Invalid job id|already completing or completed")
# Seconds that a signal may take. scancel tries again for a minute and a half where a job is just leaving its node.
_PATIENCE_WITH_SIGNALS = 20.0
# Looks at the queue for what sbatch has left open, and seconds before each.
_LOOKS = 8
_LOOK_INTERVAL = 1.0
# What sbatch --parsable prints, besides what the cluster's own plugins do.
_ACCEPTED = regex(r"(?m)^(\d+)(?:;(\S+))?\s*$")
# What its commands say where the controller is away, or too busy; or nothing, because the end of the job ends them too.
_SILENT = r"exit code -\d|no answer within|Unable to contact|[Tt]imed out|Zero Bytes|[Cc]onnection (refused|failure)"


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


def current_cluster(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the cluster that the job we run in belongs to."""
    return environment.get("SLURM_CLUSTER_NAME") if current_job(environment) is not None else None


def submit(script: Path, environment: Mapping[str, str], *, usual_cluster: str | None) -> Job:
    """Submit a batch script from the directory it is to run in, its parent's parent; return the job.

    ``environment`` is what the job inherits besides ours. Raises CommandError with SLURM's words if it is refused.
    """
    arguments = ["--parsable", str(script)]
    try:
        said = slurm_client.submit(arguments, cwd=script.parent.parent, inherited=environment)
    except CommandError as error:
        job = look_for(script, usual_cluster, _LOOKS) if error.is_without_answer else None
        if job is None:
            raise
        return job
    found = _ACCEPTED.findall(said)
    if found:
        return Job(found[-1][0], found[-1][1] or usual_cluster)
    job = look_for(script, usual_cluster, _LOOKS)
    if job is None:
        raise CommandError(["sbatch", *arguments], 0, said, "")
    return job


def strangers(scripts: Mapping[str, Path], cluster: str | None) -> dict[str, str]:
    """Return which of some jobs SLURM says to be of another batch script than theirs, with the path of that one.

    Ids begin anew where a cluster is set up anew. A stash may have been moved since: so only the end of a path counts.
    ``cluster``: to be named; None: the usual one.
    """
    arrays = ",".join(sorted({job.partition("_")[0] for job in scripts}))
    options = ["--noheader", "--all", "--array", "--states=all", f"--jobs={arrays}", "--format=%i|%o"]
    found = {}
    for line in slurm_client.ask("squeue", *options, cluster=cluster).text.splitlines():
        job, _, command = line.strip().partition("|")
        if job in scripts and Path(command).parts[-3:] != scripts[job].parts[-3:]:
            found[job] = command
    return found


def look_for(script: Path, usual_cluster: str | None, looks: int = 1) -> Job | None:
    """Return the array that SLURM has made of a batch script though sbatch didn't say so, if the queue shows one."""
    options = ["--noheader", "--all", "--states=all", f"--user={os.getuid()}", "--format=%F|%o"]
    for _ in range(looks):
        time.sleep(_LOOK_INTERVAL)
        lines = [line.partition("|") for line in slurm_client.ask("squeue", *options).text.splitlines()]
        found = [int(job) for job, _, command in lines if command.strip() == str(script) and job.isdecimal()]
        if found:
            return Job(str(max(found)), usual_cluster)
    return None


def is_here() -> bool:
    """Tell whether jobs can be submitted from this machine."""
    return which("sbatch") is not None


def withdraw(jobs: Sequence[str], cluster: str | None) -> None:
    """Take jobs that nothing runs in out of SLURM's hands, and only these; StashError if it refuses.

    Not by --state=PENDING: up to SLURM 23 that takes the whole part of an array that isn't split off yet. So one that
    begins just now is ended as well, with no more than KillWait: whoever calls this sees to it that no tool starts.
    ``cluster``: to be named; None: the usual one.
    """
    _scancel(jobs, cluster, timeout=slurm_client.PATIENCE_WITH_ORDERS)


def requeue(job: str) -> None:
    """Put the job that we run in back into the queue; StashError if SLURM refuses. SLURM ends what is left of it."""
    answer = slurm_client.order("scontrol", "requeue", job, timeout=slurm_client.PATIENCE)
    # SLURM may have been faster: it has taken the job back by itself, and shows it as COMPLETING until we have ended.
    if not answer.is_given and "pending" not in answer.error:
        raise StashError(f"SLURM doesn't put the job {job} back into the queue: {answer.error or answer.silence}")


def is_silence(error: StashError) -> bool:
    """Tell whether SLURM has given no answer at all, rather than a refusal."""
    return re.search(_SILENT, str(error)) is not None


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """Return how often the job that we run in was put back into the queue."""
    return int(environment.get("SLURM_RESTART_COUNT", "0"))


def warn(jobs: Sequence[str], cluster: str | None, *, in_step: bool) -> None:
    """Have SLURM send jobs their warning, as before their wall time; StashError if SLURM refuses.

    A plain scancel would leave them only KillWait (30 s by default) to end.
    """
    _scancel(jobs, cluster, "--signal=TERM", *([] if in_step else ["--batch"]), timeout=_PATIENCE_WITH_SIGNALS)


def nudge(jobs: Sequence[str], cluster: str | None, *, is_ours: bool = True) -> None:
    """Have the supervisors of several runs look which of them are to end; StashError if SLURM refuses.

    By SIGCONT: it can't be taken for SLURM's warning to all of them, and does no harm where it comes too early, nor to
    the other processes of a job whose batch script isn't ours.
    """
    _scancel(jobs, cluster, "--signal=CONT", "--batch" if is_ours else "--full", timeout=_PATIENCE_WITH_SIGNALS)


def _scancel(jobs: Sequence[str], cluster: str | None, *options: str, timeout: float) -> None:
    """Send jobs a signal, or end them; those that have just ended don't keep it from the others."""
    for first in range(0, len(jobs), _AT_ONCE):
        arguments = [*options, *jobs[first : first + _AT_ONCE]]
        answer = slurm_client.order("scancel", *arguments, cluster=cluster, timeout=timeout)
        lines = answer.error.splitlines() or [""]
        if not answer.is_given and not all(map(_TOO_LATE.search, lines)):
            raise StashError(f"SLURM doesn't take it (scancel): {answer.error or answer.silence}")
