"""Why SLURM lets a job wait, in plain words: https://slurm.schedmd.com/job_reason_codes.html."""

from __future__ import annotations

import re

from experimentstash.adapters.scheduler import NEVER_BEGINS
from experimentstash.base.patterns import regex

# What squeue gives as the reason. {job} is the job's id.
_WORDS = {
    "None": "SLURM has not looked at it yet",
    "Priority": "others come before it",
    "Resources": "what it asks for isn't free yet",
    "Dependency": "another job must end first",
    "DependencyNeverSatisfied": f"the job that it waits for has not ended as it should: {NEVER_BEGINS} submit it again",
    "BeginTime": "it is to begin later",
    "JobHeldUser": "it is held: scontrol release {job} lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "launch failed requeued held": "it could not be started, and is held: scontrol release {job} tries again",
    "JobHoldMaxRequeue": "it was put back too often, and is held: scontrol release {job} tries again",
    "PartitionTimeLimit": f"it asks for more time than its partition gives: {NEVER_BEGINS} give it less resources.time"
    " (with submitit, hydra.launcher.timeout_min)",
    "PartitionNodeLimit": f"it asks for more nodes than its partition gives: {NEVER_BEGINS} ask for fewer",
    "PartitionDown": "its partition takes no jobs just now",
    "PartitionInactive": "its partition starts no jobs just now",
    "PartitionConfig": f"its partition can't give what it asks for: {NEVER_BEGINS} ask for something else",
    "BadConstraints": f"no node has what it asks for: {NEVER_BEGINS} ask for something else",
    "ReqNodeNotAvail": "a node that it needs is down, drained or reserved (maintenance?)",
    "NodeDown": "a node that it needs is down",
    "Reservation": "its reservation has not begun, or is in use",
    "ReservationDeleted": f"its reservation is gone: {NEVER_BEGINS} submit it without one",
    "Licenses": "a licence that it needs is in use",
    "InvalidAccount": f"its account is not valid: {NEVER_BEGINS} fix resources.account",
    "InvalidQOS": f"its QOS is not valid: {NEVER_BEGINS} fix resources.qos",
    "AccountNotAllowed": f"its account may not use this partition: {NEVER_BEGINS} fix resources.account",
    "QOSNotAllowed": f"its QOS may not be used in this partition: {NEVER_BEGINS} fix resources.qos",
    "JobArrayTaskLimit": "as many of its array are at work as may be (hydra.launcher.array_parallelism)",
    "Cleaning": "what is left of its last try is being cleared away",
    "Prolog": "its node is being made ready",
    "BurstBufferResources": "the burst buffer has no room yet",
    "NodesReserved": "the nodes that it needs are reserved",
}
# A limit of a QOS or an account; one on a single job will not be met by waiting.
_LIMIT = regex(r"(?P<whose>QOS|Assoc|MaxSubmit|Max)\w*")
_OF_A_JOB = regex(r"(Max|Min)\w*Per(Job|Node)|MaxWall|MinCpuNotSatisfied|QOSMin")
_NODES = regex(r"Nodes? required for job|nodes? .*(DOWN|DRAINED)", re.IGNORECASE)


def in_words(reason: str, job: str) -> str:
    """Return why a job waits; ``reason`` is squeue's word."""
    name = reason.strip().strip("()").partition(",")[0].strip() or "None"
    known = _WORDS.get(name)
    if known is not None:
        return known.format(job=job) if name == "None" else f"{known.format(job=job)} ({reason.strip()})"
    if _NODES.search(reason):
        return f"{_WORDS['ReqNodeNotAvail']} ({reason.strip()})"
    limit = _LIMIT.match(name)
    if limit is None:
        return f"SLURM says {reason.strip()}"
    whose = "its QOS" if limit["whose"] == "QOS" else "its account"
    if _OF_A_JOB.search(name):
        return f"it asks for more than {whose} gives a job: {NEVER_BEGINS} ask for less ({name})"
    return f"a limit of {whose} is reached ({name})"
