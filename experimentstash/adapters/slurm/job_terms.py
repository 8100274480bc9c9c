"""On what terms SLURM runs a job: its batch script is told when it is submitted, so that it needn't ask at its end."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Sequence

from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.base import durations
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError

# What a batch script tells its job, as words of KEY=VALUE.
VARIABLE = "EXPERIMENTSTASH_JOB"
# SLURM's defaults, in seconds: KillWait, and what sbatch's --signal means where we don't know it.
_KILL_WAIT = 30.0
_GRACE = 90.0


@dataclass(frozen=True)
class Terms:
    """On what terms SLURM runs a job, as far as its batch script was told. Times in seconds."""

    warning: signal.Signals | None = None  # by which it is warned (None: not known) …
    grace: float = _GRACE  # … so long before its wall time is over
    limit: float | None = None  # its wall time
    began: float | None = None  # since the epoch
    kill_wait: float = _KILL_WAIT  # between SLURM's SIGTERM to all that runs in a job and its SIGKILL
    is_told_of_preemption: bool = False  # by the warning
    never_preempted: Sequence[str] = field(default_factory=list)  # partitions; *: all


def of_job(job: str, environment: Mapping[str, str] = os.environ) -> Terms:
    """Return what the batch script of the job ``job`` was told."""
    words = dict(word.partition("=")[::2] for word in environment.get(VARIABLE, "").split())
    if words.get("job") != environment.get("SLURM_JOB_ID", job):
        return Terms()  # of another job, from which this one was submitted
    kill_wait = seconds(words.get("kill_wait"))
    return Terms(
        warning=signal.Signals.__members__.get(f"SIG{words.get('signal')}"),
        grace=seconds(words.get("grace")) or 0.0,
        limit=seconds(words.get("time")),
        began=seconds(words.get("began")),
        kill_wait=_KILL_WAIT if kill_wait is None else kill_wait,
        is_told_of_preemption=words.get("user_signal") == "yes",
        never_preempted=words.get("never_preempted", "").split(","),
    )


@dataclass(frozen=True)
class ClusterTerms:
    """What a cluster's configuration says of the end of its jobs; empty where it doesn't answer."""

    words: Mapping[str, str] = field(default_factory=dict)  # that jobs are told
    limits: Mapping[str, float | None] = field(default_factory=dict)  # of its partitions; "": of the default one

    def told(self, *, signal_name: str, grace: float, limit: float | None, partition: str | None) -> str:
        """Return the line of bash that tells a job its terms.

        ``limit``: what is asked for, in seconds; without it the partition's own counts.
        """
        if limit is None:
            limit = self.limits.get(partition or "")
        words = {"signal": signal_name, "grace": f"{grace:g}", **self.words}
        if limit is not None:
            words["time"] = f"{limit:.0f}"
        told = " ".join(f"{key}={value}" for key, value in words.items())
        return f"printf -v {VARIABLE} 'job=%s began=%(%s)T {told}' \"$SLURM_JOB_ID\" -1; export {VARIABLE}"


def of_cluster(cluster: str | None = None) -> ClusterTerms:
    """Ask SLURM for what its configuration says of the end of jobs."""
    answer = slurm_client.ask("scontrol", "show", "config", cluster=cluster).text
    config = dict(re.findall(r"(?m)^(\w+)\s*=\s*(.*?)\s*$", answer))
    shown = slurm_client.ask("scontrol", "--oneliner", "show", "partition", cluster=cluster).text
    partitions = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.splitlines()]
    words = {}
    kill_wait = re.match(r"\d+", config.get("KillWait", ""))
    if kill_wait is not None:
        words["kill_wait"] = kill_wait[0]
    if "send_user_signal" in config.get("PreemptParameters", ""):
        words["user_signal"] = "yes"
    if "PreemptType" in config:
        words["never_preempted"] = ",".join(_never_preempted(config["PreemptType"], partitions))
    limits: dict[str, float | None] = {}
    for partition in partitions:
        limit = clock(partition.get("DefaultTime")) or clock(partition.get("MaxTime"))
        for name in (partition.get("PartitionName", ""), *([""] if partition.get("Default") == "YES" else [])):
            limits[name] = limit
    return ClusterTerms(words, limits)


def _never_preempted(kind: str, partitions: Sequence[Mapping[str, str]]) -> list[str]:
    if kind in ("preempt/none", "(null)"):
        return ["*"]
    if kind != "preempt/partition_prio":
        return []
    names = [each.get("PartitionName", "") for each in partitions if each.get("PreemptMode") == "OFF"]
    return [name for name in names if re.fullmatch(r"[\w.-]+", name)]


def seconds(text: str | None) -> float | None:
    """Return a number of seconds; None for anything else."""
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]+)?", text) else None


def clock(text: str | None) -> float | None:
    """Return a duration as SLURM writes it, in seconds; None where there is none (UNLIMITED)."""
    try:
        return durations.parse(text or "", "SLURM's answer")
    except StashError:
        return None
