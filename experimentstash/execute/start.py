"""Starts a tool's process, and has the kernel end it with the process that has started it."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from experimentstash.base.files import open_regular


def start(
    program: str, argv: Sequence[str], cwd: str, environment: Mapping[str, str], output: str, umask: int | None
) -> int:
    """Return a new process of a program, in a session of its own, with its output in a file; OSError if there is none.

    ``program`` is the file to be executed, or a name to be looked for on the environment's PATH from ``cwd`` on. It is
    told SIGTERM if we end before it. ``umask`` None: it has ours.
    """
    log = open_regular(output, os.O_WRONLY | os.O_APPEND)
    tie = None
    try:
        tie = _tie()
        # With no function of ours between fork and exec it shares our memory until it begins: that is several times
        # as fast as a copy of it.
        process = subprocess.Popen(
            argv,
            executable=program,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=-1 if umask is None else umask,
            pass_fds=() if tie is None else (tie,),
        )
        process.returncode = 0  # what has become of it is asked by its pid
        if tie is not None:
            fcntl.fcntl(tie, fcntl.F_SETOWN, process.pid)
    finally:
        os.close(log)
        if tie is not None:
            os.close(tie)
    return process.pid


def _tie() -> int | None:
    """Return a pipe's end for a tool to hold: when we end, the other one is closed, and the kernel tells its owner.

    PR_SET_PDEATHSIG does the same without a descriptor, but only the new process itself can ask for it.
    """
    if sys.platform != "linux":
        return None
    reader, _ = _pipe(os.getpid())
    with contextlib.suppress(OSError):
        # Opened anew for each of them: whom to tell is a property of what is open, not of the descriptor.
        tie = os.open(f"/proc/self/fd/{reader}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(tie, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(tie, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        return tie
    return None


@functools.cache
def _pipe(owner: int) -> tuple[int, int]:
    """Return the pipe of a process, whose writing end nobody else has."""
    return os.pipe()
