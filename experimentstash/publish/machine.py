"""The machine that this is: system, processor, memory, and its GPUs with their driver."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from pathlib import Path

from experimentstash.base.process import CommandError, clean_environment, run, which
from experimentstash.publish.frozen import Gpu, Machine

# Seconds that the driver's program may take.
_PATIENCE = 20.0
_ASKED = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
# Where drivers of NVIDIA's and AMD's tell that they have GPUs.
_OF_GPUS = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"))


def is_here(host: str | None) -> bool:
    """Tell whether this is the machine of that name."""
    return host is not None and host == socket.gethostname()


def look() -> Machine:
    """Return what this machine is."""
    return Machine(
        platform=platform.platform(),
        architecture=platform.machine(),
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory=_memory(),
        gpus=_gpus(),
    )


def _cpu() -> str | None:
    try:
        found = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or None


def _memory() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def has_unknown_gpus(found: Machine) -> bool:
    """Tell whether the system knows of GPUs of which nothing is recorded: another maker's, or their program fails."""
    return not found.gpus and any(place.exists() for place in _OF_GPUS)


def _gpus() -> list[Gpu]:
    program = which("nvidia-smi")
    if program is None:
        return []
    try:
        said = run([program, *_ASKED], env=clean_environment(), timeout=_PATIENCE).stdout
    except CommandError:
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines()]
    return [Gpu(*row) for row in rows if len(row) == 3]
