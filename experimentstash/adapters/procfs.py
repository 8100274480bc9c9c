"""What the kernel knows about processes. Linux's /proc; elsewhere each question has a harmless answer.

Standard library only, and light: supervisors ask here.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
import time
from collections.abc import Iterable

from experimentstash.base.dataclass_light import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36
_CHUNK = 65536


@dataclass(frozen=True)
class Identity:
    """A process, told apart from a later one that got the same pid."""

    pid: int
    start_time: int  # clock ticks after boot


@dataclass(frozen=True)
class _Stat:
    """The fields of /proc/<pid>/stat that are used here; see proc(5)."""

    pid: int
    command: str
    state: str
    parent: int
    session: int
    cpu_ticks: int
    start_time: int


def hostname() -> str:
    return os.uname().nodename


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of this machine from others ("" where the kernel doesn't say)."""
    try:
        return _read("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""


def boot_time() -> float:
    """Return when this machine was started, in seconds since the epoch (infinity where the kernel doesn't say)."""
    try:
        return time.time() - float(_read("/proc/uptime").split()[0])
    except (OSError, ValueError, IndexError):
        return math.inf


def identity(pid: int) -> Identity | None:
    """Return the identity of a process that is there (zombies are not); start time 0 where there is no /proc."""
    stat = _stat(pid)
    if stat is not None:
        return None if stat.state in "ZX" else Identity(pid, stat.start_time)
    if os.path.exists("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return Identity(pid, 0)


def is_alive(process: Identity) -> bool:
    """Tell whether this very process (not another one with its pid) still runs."""
    return identity(process.pid) == process


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal."""
    try:
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith(b"SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except (OSError, ValueError):
        pass
    return False


def command_name(pid: int) -> str:
    """Return the name of a process as the kernel keeps it (at most 15 characters): of a script, the script's."""
    stat = _stat(pid)
    return stat.command if stat else ""


def executable_name(pid: int) -> str:
    """Return the name of the file that a process executes: of a script, its interpreter's."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return command_name(pid)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, zombies included."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        pass
    return found


def session(pid: int) -> int | None:
    """Return the session of a process, of a zombie too; None if there is no such process."""
    stat = _stat(pid)
    return stat.session if stat else None


def cpu_ticks(pid: int) -> int:
    """Return the CPU time of a process in clock ticks (a hundredth of a second each, as a rule)."""
    stat = _stat(pid)
    return stat.cpu_ticks if stat else 0


def descendants(pid: int) -> list[int]:
    """Return the pids of everything below a process that is not a zombie."""
    found: list[int] = []
    waiting = children(pid)
    while waiting:
        child = waiting.pop()
        if identity(child) is not None:
            found.append(child)
        waiting += children(child)
    return found


def members(marker: str, among: Iterable[int] | None = None, session: int | None = None) -> set[Identity]:
    """Return the living processes that belong to a run.

    These are the processes with ``marker`` (``NAME=value``) in their initial environment, those of the session
    ``session``, and the descendants of all these; looked for ``among`` some pids, or on the whole machine.
    The caller itself is never one.
    """
    entry = os.fsencode(marker)
    roots: set[int] = set()
    for pid in _everyone() if among is None else among:
        stat = _stat(pid)
        if stat is None or stat.state in "ZX":
            continue
        if session is not None and session in (stat.session, pid):
            roots.add(pid)
            continue
        with contextlib.suppress(OSError):
            if entry in _read(f"/proc/{pid}/environ").split(b"\0"):
                roots.add(pid)
    pids = roots.union(*(descendants(root) for root in roots))
    found = {identity(pid) for pid in pids - {os.getpid()}}
    return {member for member in found if member is not None}


def environment(pid: int) -> list[bytes] | None:
    """Return the entries of a process's initial environment; None where it is another's, or ending."""
    try:
        os.readlink(f"/proc/{pid}/exe")  # one that ends has given up its program too; one that just begins has it
        return _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return None


def words(pid: int) -> list[bytes]:
    """Return the words of the command that a process was started with."""
    try:
        return _read(f"/proc/{pid}/cmdline").split(b"\0")
    except OSError:
        return []


def memory(pids: Iterable[int]) -> int:
    """Return the memory of processes together, in bytes; what they share counts once.

    For more than one process this takes about 15 ms per GB.
    """
    listed = list(pids)
    own = 0
    largest_shared = 0
    for pid in listed:
        share = _proportional_share(pid) if len(listed) > 1 else None
        if share is not None:
            own += share
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _read(f"/proc/{pid}/statm").split()
            resident, shared = int(fields[1]) * _PAGE, int(fields[2]) * _PAGE
            own += resident - shared
            largest_shared = max(largest_shared, shared)
    return own + largest_shared


def _proportional_share(pid: int) -> int | None:
    """Return a process's memory in bytes, with its part of what it shares (forked workers share most of theirs)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return None


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory (0: or unknown); see ``knows_oom_group``."""
    with contextlib.suppress(OSError, ValueError):
        for entry in _read(_oom_events() or "/proc/vmstat").splitlines():
            name, _, value = entry.partition(b" ")
            if name == b"oom_kill":
                return int(value)
    return 0


def knows_oom_group() -> bool:
    """Tell whether ``oom_kills`` counts in our control group; if not, on the whole machine."""
    return _oom_events() is not None


@functools.cache
def _oom_events() -> str | None:
    """Return the file in which the kernel counts what it does to our control group for lack of memory."""
    with contextlib.suppress(OSError, ValueError):
        for line in _read("/proc/self/cgroup").decode().splitlines():
            _, controllers, path = line.split(":", 2)
            source = None
            if controllers == "":
                source = f"/sys/fs/cgroup{path}/memory.events"  # version 2
            elif "memory" in controllers.split(","):
                source = f"/sys/fs/cgroup/memory{path}/memory.oom_control"  # version 1
            if source is not None and os.path.exists(source):
                return source
    return None


def adopt_orphans() -> bool:
    """Make this process the parent of its descendants' orphans (Linux; see PR_SET_CHILD_SUBREAPER in prctl(2))."""
    import ctypes  # here, because only supervisors need it

    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def send(process: Identity, number: signal.Signals) -> bool:
    """Send a signal to this very process; False if it is gone (or isn't ours)."""
    if not is_alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _read(path: str) -> bytes:
    """Return the content of one of the kernel's files; by far the most of a look at a process is this."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = part = os.read(descriptor, _CHUNK)
        while part:
            part = os.read(descriptor, _CHUNK)
            content += part
        return content
    finally:
        os.close(descriptor)


def _everyone() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def _stat(pid: int) -> _Stat | None:
    try:
        text = _read(f"/proc/{pid}/stat").decode(errors="replace")
    except OSError:
        return None
    # The command is in parentheses and may itself contain any of them.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return _Stat(
        pid=pid,
        command=head.partition("(")[2],
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_time=int(fields[19]),
    )
