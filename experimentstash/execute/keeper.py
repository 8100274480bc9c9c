"""A process between a supervisor and its tools: it starts them, and outlives the supervisor only to end what is left.

Whatever loses its parents below it falls to the keeper, even what has hidden where it comes from. A supervisor has one,
however many tools it watches over. If the keeper itself is killed, all of that falls to the supervisor, as without it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import marshal
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.execute import start

if TYPE_CHECKING:
    from typing import Any

# Seconds that what isn't a tool's main process has to end by itself once those have ended, and then after SIGTERM.
_LINGER = 1.0
_LEFTOVER_GRACE = 3.0
# Seconds after which processes that survive SIGKILL are given up.
_PATIENCE = 10.0
_INTERVAL = 0.05
# Seconds that the report on a process that has ended may take.
_REPORT = 5.0
# Signals that mean to a tool what they mean to any program, whatever we do with them.
_DEFAULTS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGALRM,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCONT,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
# Those that can't be caught, and those by which a bug of a program ends it.
_DEADLY = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGABRT,
}


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its status as wait(2) has it, CPU seconds, and peak memory as getrusage(2) has it."""

    pid: int
    status: int
    cpu_time: float
    peak_memory: int
    session: int | None


class Keeper:
    """A supervisor's side of it."""

    def __init__(self, identity: Identity, requests: int, reports: int) -> None:
        self.identity = identity
        self.owner = os.getpid()
        self._mains: set[int] = set()
        self._requests = requests
        self._reports = reports
        self._received = b""
        self._ended: dict[int, Ended] = {}
        self._is_gone = False

    @property
    def is_gone(self) -> bool:
        """Whether it was killed."""
        return self._is_gone

    def start(
        self,
        program: str,
        argv: Sequence[str],
        cwd: str,
        environment: Mapping[str, str],
        output: str,
        *,
        ignored: Collection[int],
        grace: float,
        umask: int | None = None,
    ) -> int | None:
        """Start a tool and return its process; None if the keeper has gone, OSError if the tool can't be started.

        ``program`` is the file to be executed, or a name to be looked for on PATH; ``argv`` is what it sees.
        """
        try:
            what = (program, list(argv), cwd, dict(environment), output, umask)
            _send(self._requests, (what, {int(number) for number in ignored}, grace))
        except BrokenPipeError:
            self._is_gone = True
            return None
        while True:
            for pid, number, name in self._receive(seconds=None):
                if number:
                    raise OSError(number, os.strerror(number), name)
                self._mains.add(pid)
                return pid
            if self._is_gone:
                return None

    def reap(self, pid: int, *, surely: bool = False) -> Ended | None:
        """Return how one of its processes has ended; None if it hasn't. ``surely``: also if that isn't told yet."""
        self._receive()
        patience = time.monotonic() + _REPORT
        while surely and pid not in self._ended and procfs.identity(pid) is None and not self._is_gone:
            self._receive(seconds=max(0.0, patience - time.monotonic()))
            surely = time.monotonic() < patience
        if pid in self._ended:
            self._mains.discard(pid)
        return self._ended.pop(pid, None)

    def orphans(self, session: int | None) -> list[Ended]:
        """Return the processes that have ended and were no tool's main one: of a session, or all of them."""
        self._receive()
        found = [one for one in self._ended.values() if one.pid not in self._mains and session in (None, one.session)]
        for one in found:
            del self._ended[one.pid]
        return found

    def dismiss(self) -> None:
        """Let it go, when nothing is at work any more, and return when it has ended."""
        if os.getpid() != self.owner or self not in _present:
            return
        _present.remove(self)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        os.close(self._requests)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.identity.pid, 0)
        os.close(self._reports)
        signal.sigtimedwait((signal.SIGCHLD,), 0)  # its end is nobody else's business
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _receive(self, *, seconds: float | None = 0.0) -> list[tuple[int, int, str]]:
        """Take in what comes within so many seconds, or what is there; return the answers to requests among it."""
        answers: list[tuple[int, int, str]] = []
        while not self._is_gone and select.select([self._reports], [], [], seconds)[0]:
            seconds = 0.0
            part = os.read(self._reports, 1 << 16)
            self._is_gone = not part
            self._received += part
            while (message := _first(self._received)) is not None:
                content, self._received = message
                if len(content) == 3:
                    answers.append(content)
                else:
                    self._ended[content[0]] = Ended(*content)
        return answers


_present: list[Keeper] = []  # of this process, once it has one


def present() -> Keeper | None:
    """Return the keeper of this process."""
    return _present[0] if _present and not _present[0].is_gone and _present[0].owner == os.getpid() else None


def ensure() -> Keeper | None:
    """Return the keeper of this process, made if there is none; None where there can't be one (it is Linux's)."""
    keeper = present()
    if keeper is not None or sys.platform != "linux" or threading.active_count() > 1 or not procfs.adopt_orphans():
        return keeper
    supervisor = os.getpid()
    requests, reports = os.pipe(), os.pipe()
    before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # our handlers are not the keeper's
    try:
        child = os.fork()
    except OSError:  # no further process is allowed: then it goes on without
        for descriptor in (*requests, *reports):
            os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    if child == 0:
        try:
            os.close(requests[1])
            os.close(reports[0])
            _serve(requests[0], reports[1], supervisor)
        finally:
            os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(requests[0])
    os.close(reports[1])
    keeper = Keeper(procfs.identity(child) or Identity(child, 0), requests[1], reports[0])
    _present[:] = [keeper]
    return keeper


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Have a keeper while something goes on: the one that there is, or one for that time.

    The less the process has imported by then, the smaller it is.
    """
    ours = ensure() if present() is None else None
    try:
        yield
    finally:
        if ours is not None:
            ours.dismiss()


def _serve(requests: int, reports: int, supervisor: int) -> None:
    """Start what is asked for and report what has ended, until the supervisor is gone."""
    os.setsid()  # no signal to the supervisor's terminal or group is for us
    awake, wake = os.pipe()
    for descriptor in (awake, wake):
        os.set_blocking(descriptor, False)
    gc.freeze()  # what we share with the supervisor stays shared
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # Caught, they mean nothing to us, and to a tool what they mean to any program: its beginning takes that back.
    for each in signal.valid_signals() - _DEADLY:
        if each in _DEFAULTS or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _let_go_of_all_but({2, requests, reports, awake, wake})
    procfs.adopt_orphans()
    mains: dict[int, float] = {}
    ignored: set[int] = set()
    with contextlib.suppress(BrokenPipeError):
        while True:
            ready = select.select([requests, awake], [], [])[0]
            if requests in ready:
                request = _receive_one(requests)
                if request is None:
                    break
                what, to_be_ignored, grace = request
                ignored = _ignore(to_be_ignored, ignored)
                pid, number, name = _start(*what)
                if pid:
                    mains[pid] = grace
                _send(reports, (pid, number, name))
            if awake in ready:
                os.read(awake, 4096)
                if _report_ended(reports, mains):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(supervisor, signal.SIGCHLD)
    _end_what_is_left(mains)


def _let_go_of_all_but(kept: set[int]) -> None:
    for stream, access in ((0, os.O_RDONLY), (1, os.O_WRONLY)):  # the former is the tools', too
        os.dup2(os.open(os.devnull, access), stream)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _ignore(numbers: set[int], before: set[int]) -> set[int]:
    """Ignore these signals, for the next tool to inherit that, in place of those ``before``; return them."""
    for number in numbers ^ before:
        signal.signal(number, signal.SIG_IGN if number in numbers else _nothing)
    return numbers


def _nothing(number: int, frame: object) -> None:
    pass


def _start(
    program: str, argv: list[str], cwd: str, environment: dict[str, str], output: str, umask: int | None
) -> tuple[int, int, str]:
    """Return a new process of a program; or 0, with the error's number and the file that it is about."""
    try:
        return start.start(program, argv, cwd, environment, output, umask), 0, ""
    except (OSError, ValueError) as error:  # ValueError: a NUL, which no program can be told
        number, name = (error.errno, error.filename) if isinstance(error, OSError) else (None, None)
        return 0, number or errno.EINVAL, str(name or program)


def _report_ended(reports: int, mains: dict[int, float]) -> bool:
    """Report all that has ended; tell whether anything has."""
    has_any = False
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            has_any = True
            session = procfs.session(found.si_pid)
            pid, status, usage = os.wait4(found.si_pid, 0)
            mains.pop(pid, None)
            start.has_ended(pid)
            _send(reports, (pid, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, session))
    return has_any


def _end_what_is_left(mains: Mapping[int, float]) -> None:
    """Tell the tools of a supervisor that is gone, wait for their grace at most, and kill what is left then.

    What they leave is told when the main processes have ended.
    """
    end = time.monotonic() + max(mains.values(), default=0.0)
    ended_at: float | None = None
    told: set[Identity] = set()
    while members := _below():
        now = time.monotonic()
        if ended_at is None and not mains.keys() & {member.pid for member in members}:
            ended_at = now
            end = max(end, now + _LINGER + _LEFTOVER_GRACE)
        is_turn_of_all = ended_at is not None and now > ended_at + _LINGER
        for member in members - told:
            if is_turn_of_all or member.pid in mains:
                procfs.send(member, signal.SIGTERM)
                told.add(member)
            procfs.send(member, signal.SIGCONT)  # stopped by Ctrl-Z, it couldn't even end
        if now > end + _PATIENCE:
            return
        if now > end:
            for member in members:
                procfs.send(member, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_INTERVAL)


def _below() -> set[Identity]:
    found = {procfs.identity(pid) for pid in procfs.descendants(os.getpid())}
    return {member for member in found if member is not None}


def _send(descriptor: int, content: tuple[Any, ...]) -> None:
    text = marshal.dumps(content)
    message = len(text).to_bytes(4, "big") + text
    while message:
        message = message[os.write(descriptor, message) :]


def _receive_one(descriptor: int) -> tuple[Any, ...] | None:
    """Return the next message; None if whoever sends them is gone."""
    received = b""
    while (message := _first(received)) is None:
        wanted = int.from_bytes(received[:4], "big") + 4 if len(received) >= 4 else 4
        part = os.read(descriptor, wanted - len(received))
        if not part:
            return None
        received += part
    return message[0]


def _first(received: bytes) -> tuple[tuple[Any, ...], bytes] | None:
    """Return the first whole message of what was received, and the rest; None if there is none."""
    length = int.from_bytes(received[:4], "big") + 4
    if len(received) < 4 or len(received) < length:
        return None
    return marshal.loads(received[4:length]), received[length:]
