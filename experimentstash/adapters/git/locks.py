"""Lock files that a git which was killed has left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters import procfs


def clear_stale_lock(lock: Path, since: float, report: Callable[[str], None]) -> None:
    """Remove a lock file that a git which was killed with us left, never one of a git that may be at work."""
    try:
        is_ours = lock.stat().st_mtime >= since - 1
    except OSError:
        return
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and lock.exists():
        time.sleep(0.05)
    if not lock.exists() or not is_ours or not Path("/proc/self").exists():
        return
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        if procfs.executable_name(pid).startswith("git"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(lock.parent.parent):
                    return
    lock.unlink(missing_ok=True)
    report(f"removed {lock}, which a git that was killed had left")
