"""These tests need a SLURM cluster (tests/slurm/up brings up one on Debian); elsewhere they are skipped."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def _why_not() -> str | None:
    try:
        done = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no SLURM here ({error}); tests/slurm/up brings up one"
    return None if done.returncode == 0 else f"SLURM doesn't answer: {done.stderr.strip()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    why = _why_not() if here else None
    if why is not None and os.environ.get("EXPERIMENTSTASH_REQUIRE_SLURM"):
        raise pytest.UsageError(f"the SLURM tests are required, but: {why}")
    for item in here:
        item.add_marker(pytest.mark.slurm)
        if why is not None:
            item.add_marker(pytest.mark.skip(reason=why))
