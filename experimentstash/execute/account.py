"""What a supervisor leaves for others to see: its log, that it lives, and the mark of its tool's processes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.redaction import redact
from experimentstash.record import times
from experimentstash.record.run import Run

SUPERVISOR_LOG = "supervisor.log"
MARKER = "EXPERIMENTSTASH_RUN_DIR"
# Seconds between two touches of the supervisor's log, by which other machines see that it lives.
HEARTBEAT = 60.0


def marker_of(run: Run) -> str:
    """Return the entry of the environment by which the processes of a run are recognised, wherever it lies by now."""
    return f"{MARKER}={run.spec.command.environment.get(MARKER, run.directory)}"


class Account:
    """A line-by-line account, with times, of what the supervisor did. A full disk doesn't stop it.

    It isn't kept open: whoever watches over a thousand runs may have only so many files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> None:
        text = redact(f"{times.now()} {line}\n", os.environ).encode("utf-8", "surrogateescape")
        with contextlib.suppress(OSError):
            files.write(self._path, text, os.O_APPEND)
