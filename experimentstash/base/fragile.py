"""What a library does that may crash, or never end, on a file of somebody else's is done by a child.

Whatever becomes of it, we go on, and say so.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable

# Bytes in which a child says how many it has made: one that is killed while it writes has made nothing.
_HEAD = 8


class TooSlowError(Exception):
    """A child has not been ready in time."""


def by_child(work: Callable[[], bytes], *, seconds: float, memory: int) -> bytes:
    """Return what a child makes; nothing if it failed or was killed. TooSlowError after so many seconds.

    ``memory``: how many bytes it may take on top of what it inherits.
    """
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            _limit_myself(seconds, memory)
            made = work()
            with open(target, "wb") as stream:
                stream.write(len(made).to_bytes(_HEAD, "big") + made)
        except BaseException:
            pass
        finally:
            os._exit(0)
    os.close(target)
    try:
        with open(source, "rb", buffering=0) as stream:
            answer = _read_in_time(stream.fileno(), seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if answer is None:
        raise TooSlowError
    made = answer[_HEAD:]
    is_whole = len(answer) >= _HEAD and len(made) == int.from_bytes(answer[:_HEAD], "big")
    return made if is_whole else b""


def _read_in_time(source: int, seconds: float) -> bytes | None:
    made, end = bytearray(), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([source], [], [], left)[0]:
        if not (part := os.read(source, 1 << 20)):
            return bytes(made)
        made += part
    return None


def _limit_myself(seconds: float, memory: int) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # our parent ends us
    with open("/proc/self/statm", "rb") as stream:
        taken = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
