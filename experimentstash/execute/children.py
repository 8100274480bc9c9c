"""The processes that fell to us: how they end, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from experimentstash.execute import keeper, start
from experimentstash.execute.keeper import Ended

# Seconds between SIGTERM and SIGKILL for what a tool has left behind.
LEFTOVER_GRACE = 3.0
# Seconds after which processes that survive SIGKILL (stuck in the kernel, on a dead file system) are given up.
KILL_PATIENCE = 10.0
ENDING_INTERVAL = 0.05


@contextlib.contextmanager
def ignoring(numbers: Collection[signal.Signals]) -> Iterator[None]:
    """Ignore signals for a while: what is started then goes on ignoring them."""
    saved = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in saved:
            signal.signal(number, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        saved = {}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def reap(pid: int) -> Ended | None:
    """Return how a child of ours has ended; None if it hasn't."""
    found, status, usage = os.wait4(pid, os.WNOHANG)
    if found:
        start.has_ended(pid)
    return Ended(pid, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, None) if found else None


def fallen_to_us() -> set[int]:
    """Return our children and those of our keeper."""
    found = set(procfs.children(os.getpid()))
    ours = keeper.present()
    return found if ours is None else found - {ours.identity.pid} | set(procfs.children(ours.identity.pid))


def end_strays(spared: Collection[int]) -> int:
    """End what tools left behind in disguise: our living children in foreign sessions, but for those ``spared``.

    To be called when none of the tools that were supervised side by side is left; returns how many there were.
    """
    told: set[Identity] = set()
    deadline = time.monotonic() + LEFTOVER_GRACE
    while True:
        strays = {pid for pid in fallen_to_us() if pid not in spared}
        members = {
            member
            for stray in strays
            if procfs.session(stray) != os.getsid(0)
            for pid in (stray, *procfs.descendants(stray))
            if (member := procfs.identity(pid)) is not None
        }
        now = time.monotonic()
        if not members or now > deadline + KILL_PATIENCE:
            return len(told)
        for member in members - told if now < deadline else members:
            procfs.send(member, signal.SIGTERM if now < deadline else signal.SIGKILL)
        told |= members
        time.sleep(ENDING_INTERVAL)
