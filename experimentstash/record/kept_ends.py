"""Ends of runs that could not be recorded where they belong: kept in a second place until they can.

A run's own file system may be full, read-only or broken at that moment, or its directory may have been moved away.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from experimentstash.base.files import read_regular, write_atomically


def keep(name: str, text: str) -> str | None:
    """Keep a record under a name; return the file, None if there is no place for it."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            os.makedirs(folder, 0o700, exist_ok=True)
            if _is_ours_alone(folder):
                path = os.path.join(folder, name)
                write_atomically(path, text)
                return path
    return None


def find(name: str) -> bytes | None:
    """Return the record that is kept under a name."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            if _is_ours_alone(folder):
                return read_regular(os.path.join(folder, name))
    return None


def forget(name: str) -> None:
    """Remove what is kept under a name."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))


def _folders() -> Iterator[str]:
    """Yield the places, the best first: in the home, which all machines of a cluster share, and on this machine."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if os.path.isabs(home):
        yield os.path.join(home, "experimentstash", "ends")
    yield os.path.join(os.environ.get("TMPDIR") or "/tmp", f"experimentstash-{os.getuid()}")


def _is_ours_alone(folder: str) -> bool:
    """Tell whether nobody else can write there: /tmp is everybody's."""
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
