"""A line of `setup` that has failed in a job, before anything of ours was at work there: what is to be said of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from experimentstash.adapters.slurm.job_output import last_words
from experimentstash.base.files import read_regular
from experimentstash.record import job_array

ADVICE = "fix it in resources.setup; `… || true` lets a line fail, hydra.launcher.setup_may_fail=true all of them"
# The longest batch script that is looked at, in bytes.
_LONGEST = 10_000_000


def told(tasks_file: Path, *, code: int, line: int) -> str:
    """Return what is to be said of the batch script's line of that number, which has failed with that exit code."""
    lines = _text(job_array.script_of(tasks_file)).splitlines()
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else f"line {line} of the batch script"
    places = dict.fromkeys(_place_of(descriptor) for descriptor in (1, 2))
    said = "\n".join(f"  {each}" for each in last_words(place for place in places if place is not None))
    return (
        f"its SLURM job ended before it had started the tool: this line of its setup failed with exit code {code}:"
        f" {shown}" + (f"\n{said}" if said else ", without a word")
    )


def _place_of(descriptor: int) -> Path | None:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return None


def _text(path: Path) -> str:
    try:
        return read_regular(path, _LONGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
