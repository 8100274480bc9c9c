"""Shows a growing file on the terminal as it grows, without standing between the tool and its file."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from experimentstash.base.files import open_regular
from experimentstash.base.masking import Mask

# Seconds between two looks at the file, and bytes that are passed on at once.
_INTERVAL = 0.05
_CHUNK = 1 << 20


class Relay:
    """Copies a file to a descriptor in a thread of its own: a terminal that blocks (Ctrl-S) blocks nothing else.

    A reader that goes away ends the relay and nothing more.
    """

    def __init__(self, path: Path, offset: int, descriptor: int, mask: Mask | None = None) -> None:
        self._path = path
        self._offset = offset
        self._descriptor = descriptor
        self._mask = mask or Mask({})  # what isn't to be shown
        self._last = b"\n"
        self._is_complete = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_broken(self) -> bool:
        """Whether the reader has gone."""
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Show what is still missing and return. The file must be complete.

        A last line without an end gets one where lines of ours come behind it; where only the output goes, it is
        passed on as it is.
        """
        self._is_complete.set()
        self._thread.join()
        if self._last != b"\n" and _goes_where_we_write(self._descriptor):
            with contextlib.suppress(OSError):
                self._write(b"\n")

    def _copy(self) -> None:
        try:
            with open(self._path, "rb", opener=open_regular) as stream:
                stream.seek(self._offset)
                while True:
                    was_complete = self._is_complete.is_set()
                    while chunk := stream.read(_CHUNK):
                        self._write(self._mask.feed(chunk))
                    if was_complete:
                        self._write(self._mask.rest())
                        return
                    self._is_complete.wait(_INTERVAL)
        except OSError:
            return

    def _write(self, chunk: bytes) -> None:
        self._last = chunk[-1:] or self._last
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._descriptor, view) :]


def _goes_where_we_write(descriptor: int) -> bool:
    """Tell whether a descriptor and our stderr lead to the same file, pipe or terminal."""
    try:
        return os.path.sameopenfile(descriptor, sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # there is no stderr
        return False
