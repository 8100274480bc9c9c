"""Other launchers' processes know all letters as this one does, whatever their locale; the tools below them don't."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

# What PYTHONUTF8 was before others' launchers were given one for the processes that they start.
_USUAL_UTF8 = "EXPERIMENTSTASH_PYTHONUTF8"


@contextlib.contextmanager
def in_unicode_elsewhere() -> Iterator[None]:
    """Have Pythons that are started meanwhile know all letters as this one does, whatever their locale."""
    if not sys.flags.utf8_mode:
        yield
        return
    usual = os.environ.get("PYTHONUTF8")
    os.environ.update({"PYTHONUTF8": "1", _USUAL_UTF8: usual or ""})
    try:
        yield
    finally:
        as_usual()


def as_usual() -> None:
    """Take back what ``in_unicode_elsewhere`` has set, here or in the process that has started this one."""
    usual = os.environ.pop(_USUAL_UTF8, None)
    if usual:
        os.environ["PYTHONUTF8"] = usual
    elif usual is not None:
        os.environ.pop("PYTHONUTF8", None)
