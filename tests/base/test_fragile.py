"""What may crash or never end is done by a child, of which we say what became."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import time

import pytest

from experimentstash.adapters import procfs
from experimentstash.base import fragile


def never() -> bytes:
    while True:
        time.sleep(60)


def after_half_of_it() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def crashes() -> bytes:
    faulthandler.disable()  # of pytest: what it would print looks like a failure of ours
    ctypes.string_at(0)
    return b""


def fails() -> bytes:
    raise ValueError


@pytest.mark.parametrize("made", [b"", b"x", b"y" * 3_000_000])
def test_what_it_makes_is_had_whole(made: bytes) -> None:
    assert fragile.by_child(lambda: made, seconds=300, memory=1 << 28) == made


@pytest.mark.parametrize("work", [after_half_of_it, crashes, fails, lambda: b"x" * (1 << 31)])
def test_one_that_fails_has_made_nothing(work: object) -> None:
    assert fragile.by_child(work, seconds=300, memory=1 << 28) == b""  # type: ignore[arg-type]


def test_one_that_never_ends_is_ended() -> None:
    before = procfs.children(os.getpid())
    with pytest.raises(fragile.TooSlowError):
        fragile.by_child(never, seconds=0.2, memory=1 << 28)
    assert procfs.children(os.getpid()) == before
