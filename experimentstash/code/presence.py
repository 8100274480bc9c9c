"""Who else is at work in a checkout: a small file for each process that has runs there, locked while it has.

Other processes, of other machines too, see by its lock that somebody is at work, and by its time that somebody was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.stash import paths

# Seconds after which what a process has left is of no interest to anybody.
_STALE = 7 * 24 * 3600.0
_LONGEST = 4096


class Presence:
    """That this process has runs at work in a checkout. What can't be noted is not: a run is worth more."""

    def __init__(self, private: Path, root: Path) -> None:
        from hashlib import sha256  # here, because most jobs need nothing of it

        digest = sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self._private = private
        self._folder = private / paths.LOCKS / "at-work" / digest
        self._own = f"{os.uname().nodename}-{os.getpid()}-{os.urandom(3).hex()}"
        self._descriptor: int | None = None
        self._count = 0

    def begins(self, run_id: str) -> None:
        """Note that a run begins."""
        self._count += 1
        with contextlib.suppress(OSError, StashError):
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            if self._count == 1:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, run_id.encode(), 0)

    def ends(self) -> None:
        """Note that a run ends."""
        self._count -= 1
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)
                if self._count == 0:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def others(self, since: int) -> list[str]:
        """Return a run of each other process that is at work there, or was after ``since`` (in nanoseconds)."""
        found = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                if entry.name != self._own:
                    with contextlib.suppress(OSError):
                        if entry.stat(follow_symlinks=False).st_mtime_ns >= since or _is_locked(entry.path):
                            found.append(files.read_regular(entry.path, _LONGEST).decode(errors="replace") or "another")
        return sorted(found)

    def _open(self) -> None:
        files.make_private(self._private)
        own = files.inside(self._private, self._folder / self._own)
        files.make_directory(self._folder)
        for entry in os.scandir(self._folder):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE and not _is_locked(entry.path):
                    os.unlink(entry.path)
        self._descriptor = files.open_regular(own, os.O_RDWR | os.O_CREAT)


def _is_locked(path: str) -> bool:
    descriptor = files.open_regular(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
