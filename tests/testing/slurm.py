"""The clusters that tests/slurm/up brings up: which there are, what stands in their queues, and a PATH without them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tests.testing.stash import PATIENCE, wait_until

COMMANDS = ("sacct", "salloc", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")


def clusters() -> list[str | None]:
    """Return the configurations of the SLURMs for our tests; None: the one that its commands mean by themselves."""
    if "SLURM_CONF" in os.environ:
        return [os.environ["SLURM_CONF"]]
    state = Path(os.environ.get("EXPERIMENTSTASH_SLURM_DIR", "/tmp/experimentstash-slurm"))
    return [None, *sorted(map(str, state.glob("*/slurm.conf")))]


def without(programs: Collection[str], path: str, folder: Path) -> str:
    """Return a PATH with all programs but these: a directory that has some becomes one of links to the others."""
    places = []
    for place in path.split(os.pathsep):
        if any(os.path.lexists(os.path.join(place, name)) for name in programs):
            links = folder / os.path.realpath(place).replace(os.sep, "_")
            if not links.exists():
                links.mkdir()
                for program in os.scandir(place):
                    if program.name not in programs:
                        (links / program.name).symlink_to(os.path.join(place, program.name))
            place = str(links)
        places.append(place)
    return os.pathsep.join(places)


def eventually(condition: Callable[[], Any]) -> Any:
    """Return the first true value of a condition that depends on when SLURM gets to it."""
    return wait_until(condition, PATIENCE)


def instead_of(tmp_path: Path, name: str, *lines: str) -> dict[str, str]:
    """Return the environment in which a program does what these lines of bash say; `$real` is the real one."""
    program = tmp_path / "bin" / name
    program.parent.mkdir(exist_ok=True)
    real = subprocess.run(["which", name], check=True, capture_output=True, text=True).stdout.strip()
    program.write_text("\n".join(["#!/bin/bash", f"real={real}", *lines, ""]))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def setting(name: str) -> str:
    """Return what the cluster's configuration says."""
    shown = subprocess.run(["scontrol", "show", "config"], check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in shown.replace(" ", "").splitlines() if "=" in line)[name]


def unreachable(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which nobody answers for SLURM, for which its commands don't wait long."""
    changed = {"SlurmctldPort": 9, "AccountingStoragePort": 9, "MessageTimeout": 2}
    lines = Path(setting("SLURM_CONF")).read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in changed]
    path = tmp_path / "slurm.conf"
    path.write_text("\n".join([*kept, *(f"{name}={number}" for name, number in changed.items())]) + "\n")
    return {"SLURM_CONF": str(path)}


def queued_jobs() -> list[tuple[str, Path]]:
    """Return our jobs that are queued, at work or about to leave, and where they were submitted."""
    argv = ["squeue", "--me", "--noheader", "--format", "%A|%Z"]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [(job, Path(directory)) for job, _, directory in (line.partition("|") for line in listed.splitlines())]


def withdraw(directory: Path) -> None:
    """End the jobs that were submitted below a directory; return when they have left the queue."""

    def have_left() -> bool:
        jobs = [job for job, where in queued_jobs() if where.is_relative_to(directory)]
        if jobs:  # once more each time: one at work may put itself back into the queue
            subprocess.run(["scancel", *jobs], check=False, capture_output=True)
            time.sleep(0.2)
        return not jobs

    eventually(have_left)
