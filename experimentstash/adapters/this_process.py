"""Who this process is, as records keep it."""

from __future__ import annotations

import functools
import os

from experimentstash.adapters import procfs, schedulers
from experimentstash.record.run import SLURM, Supervisor


def supervisor_here() -> Supervisor:
    """Return who this process is, as records keep it."""
    pid = os.getpid()
    job_here = schedulers.here()
    job = None if job_here is None else job_here.job
    return Supervisor(
        host=procfs.hostname(),
        pid=pid,
        start_time=_start_time(pid),
        boot_id=procfs.boot_id(),
        job=None if job is None else job.id,
        cluster=None if job is None else job.cluster,
        in_step=job_here is not None and job_here.tells_all,
        scheduler=SLURM if job is None else job.scheduler,
    )


@functools.cache
def _start_time(pid: int) -> int:
    own = procfs.identity(pid)
    return own.start_time if own else 0
