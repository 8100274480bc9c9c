"""Who this process is, as records keep it."""

from __future__ import annotations

import functools
import os

from experimentstash.adapters import procfs
from experimentstash.adapters.slurm import job as slurm
from experimentstash.record.records import Supervisor


def supervisor_here() -> Supervisor:
    """Return who this process is, as records keep it."""
    pid = os.getpid()
    return Supervisor(
        host=procfs.hostname(),
        pid=pid,
        start_time=_start_time(pid),
        boot_id=procfs.boot_id(),
        slurm_job=slurm.current_job(),
        slurm_cluster=slurm.current_cluster(),
        slurm_step=slurm.in_step(),
    )


@functools.cache
def _start_time(pid: int) -> int:
    own = procfs.identity(pid)
    return own.start_time if own else 0
