"""Starts a tool's process, and has the kernel end it with the process that has started it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from experimentstash.base.files import open_regular

# Descriptors that are left for what else is opened, where there may be only so many.
_SPARE = 24


def start(
    program: str, argv: Sequence[str], cwd: str, environment: Mapping[str, str], output: str, umask: int | None
) -> int:
    """Return a new process of a program, in a session of its own, with its output in a file; OSError if there is none.

    ``program`` is the file to be executed, or a name to be looked for on the environment's PATH from ``cwd`` on. It is
    told SIGTERM if we end before it. ``umask`` None: it has ours.
    """
    log = open_regular(output, os.O_WRONLY | os.O_APPEND)
    tie = writer = None
    try:
        if sys.platform == "linux" and _has_room():
            tie, writer = new_tie()
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
        if tie is not None and writer is not None:
            fcntl.fcntl(tie, fcntl.F_SETOWN, process.pid)
            _writers[process.pid], writer = writer, None
    finally:
        for each in (log, tie, writer):
            if each is not None:
                os.close(each)
    return process.pid


def has_ended(pid: int) -> None:
    """Let go of what has tied a process to us that has ended."""
    writer = _writers.pop(pid, None)
    if writer is not None:
        os.close(writer)


# By the process: the end of a pipe that only we hold, and the kernel closes with us.
_writers: dict[int, int] = {}


def _has_room() -> bool:
    """Tell whether a tool can have a tie: of more than a thousand at work the last ones go without, as a rule."""
    return len(_writers) + _SPARE < os.sysconf("SC_OPEN_MAX")


def new_tie() -> tuple[int, int]:
    """Return a pipe: its reading end is for a process to hold, and to own (F_SETOWN).

    The kernel tells that SIGTERM when the writing end is closed. Each has one of its own: it is told once, whatever
    becomes of others. PR_SET_PDEATHSIG does the same without a
    descriptor, but only the new process itself can ask for it.
    """
    tie, writer = os.pipe()
    fcntl.fcntl(tie, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(tie, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    return tie, writer
