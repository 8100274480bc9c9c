"""One tool under supervision: started, told to stop in a way that lets it save, and ended with all it started.

A state machine without a loop of its own: whoever drives it calls ``tick`` when a child has ended, when the time that
the last ``tick`` named has come, or after any request. So one process can watch over one tool or over hundreds.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.adapters.procfs import Identity
from experimentstash.base.process import which
from experimentstash.execute import keeper, start
from experimentstash.execute.children import (
    ENDING_INTERVAL,
    KILL_PATIENCE,
    LEFTOVER_GRACE,
    fallen_to_us,
    ignoring,
    reap,
)
from experimentstash.execute.ending import Ending, StopRequest
from experimentstash.execute.keeper import Ended
from experimentstash.record.run import State

# Seconds. A tool that has ended may leave helpers that are about to end too (W&B's service takes 0.1 s).
LINGER = 2.0
# Seconds that a second Ctrl-C leaves of the grace.
HASTENED_GRACE = 2.0
# Seconds between two measurements of memory, and between two looks at what is ending.
SAMPLING_INTERVAL = 1.0
_FIRST_SAMPLE = 0.1
# Seconds that a new process of a keeper that was killed has to execute the program of a tool.
_TO_BEGIN = 0.5
# Of our time, what measuring may take.
_SAMPLING_SHARE = 0.02
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash", "busybox")
# Clock ticks of CPU time by which a process that was left behind shows that it is still at work.
_AT_WORK = 20
# By which signals a process ends that has crashed, or was killed.
_VIOLENT = (
    signal.SIGKILL,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGSYS,
    signal.SIGXCPU,
    signal.SIGXFSZ,
)


class Siblings(set[int]):
    """The main processes of the tools that one process supervises at the same time; each adds and removes its own."""

    out_of_memory = 0  # of those that have ended, how many the kernel had killed for lack of memory


class _Phase(enum.Enum):
    RUNNING = enum.auto()
    STOPPING = enum.auto()  # told to stop; within its grace
    LEFTOVERS = enum.auto()  # the main process has ended; others may be about to
    LEFTOVERS_TOLD = enum.auto()
    KILLING = enum.auto()
    OVER = enum.auto()


def _warnings_to_all() -> list[signal.Signals]:
    """Return the signal by which all processes of our job are warned, if it would only end those that don't expect it.

    Not SIGTERM and SIGINT, by which tools are told to stop, and which Python handles only if it isn't ignored.
    """
    job = schedulers.here()
    warning = job.warning if job is not None and job.tells_all else None
    return [] if warning in (None, signal.SIGTERM, signal.SIGINT) else [warning]


class SupervisedTool:
    """A tool's process and all its descendants.

    ``marker`` (``NAME=value``) is an entry of the environment by which its processes are recognised. Without
    ``siblings`` the tool is alone, and every new descendant of this process is its own, even one that hid its origin.
    """

    def __init__(
        self, *, marker: str, timeout: float | None, log: Callable[[str], None], siblings: Siblings | None = None
    ) -> None:
        self._marker = marker
        self._timeout = timeout
        self._log = log
        self._siblings = siblings
        self._phase = _Phase.RUNNING
        self._stop: StopRequest | None = None
        self._missed: StopRequest | None = None
        self._deadline = 0.0  # of the present phase
        self._suspended_at: float | None = None
        self._returncode = 0
        self._cpu_time = 0.0
        self._peak_memory = 0
        self._leftovers: set[Identity] = set()
        self._left_behind: set[Identity] = set()
        self._ticks: dict[Identity, int] = {}  # what leftovers had computed when the main process ended
        self._at_work = 0
        self._crashed: list[str] = []
        self._survivors = 0
        self._has_killed = False
        self._is_reaped = False
        self._own_oom_kills = 0  # 1: the main process was killed for lack of memory
        self._outlived_grace = False
        self._told: set[Identity] = set()
        self._grace_ends = 0.0
        self._is_hastened = False

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        output: str,
        grace: float,
        umask: int | None = None,
    ) -> Identity:
        """Start the tool with stdout and stderr in the file ``output``, which is there; OSError if that can't be done.

        ``grace`` is what it has to end, should we be killed; ``umask`` None: it has ours.
        """
        path = environment.get("PATH", os.defpath)
        program = which(argv[0], path=path)
        if program is None:
            number = errno.EACCES if Path(cwd, argv[0]).is_file() else errno.ENOENT
            raise OSError(number, os.strerror(number), argv[0])
        self._bystanders = set(procfs.descendants(os.getpid())) if self._siblings is None else set()
        self._oom_kills_before = self._oom_kills()
        self._keeper = keeper.present()
        # A scheduler's warning to the whole job must not kill the tool.
        ignored = {signal.SIGUSR1, signal.SIGUSR2, *_warnings_to_all()}
        if not all(map(os.path.isabs, path.split(os.pathsep))):
            program = argv[0]  # what it stands for where the tool begins may be another file
        pid = None
        if self._keeper is not None:
            pid = self._keeper.start(program, argv, cwd, environment, output, ignored=ignored, grace=grace, umask=umask)
            if pid is None:
                pid, self._keeper = self._begun_by_the_dead(self._keeper), None
        if pid is None:
            with ignoring(ignored):
                pid = start.start(program, argv, cwd, environment, output, umask)
        if self._siblings is not None:
            self._siblings.add(pid)
        self._started = time.monotonic()
        self._next_sample = self._started + _FIRST_SAMPLE
        self._end_by = None if self._timeout is None else self._started + self._timeout
        self._identity = procfs.identity(pid) or Identity(pid, 0)
        return self._identity

    def _begun_by_the_dead(self, killed: keeper.Keeper) -> int | None:
        """Return the tool that a keeper has begun and could not tell of: a second one would do everything twice."""
        with contextlib.suppress(ChildProcessError):  # only when it is dead, what was its is ours
            os.waitid(os.P_PID, killed.identity.pid, os.WEXITED | os.WNOWAIT)
        until = time.monotonic() + _TO_BEGIN
        while True:
            fallen = self._children() - {killed.identity.pid}
            marked = {member.pid for member in procfs.members(self._marker, fallen)}
            # It may be about to execute the tool's program; and of one that is over by now no marker can be read.
            found = [
                pid for pid in fallen if procfs.session(pid) == pid and (pid in marked or procfs.identity(pid) is None)
            ]
            if found or not fallen or time.monotonic() > until:
                return found[0] if found else None
            time.sleep(0.01)

    @property
    def leftovers(self) -> Iterable[int]:
        """The processes that the tool has left behind, as of the last look; none while its main process runs."""
        return [member.pid for member in self._leftovers]

    @property
    def is_over(self) -> bool:
        return self._phase is _Phase.OVER

    @property
    def is_ending(self) -> bool:
        """Whether the tool has been told to stop, or its main process has ended: a request to stop comes too late."""
        return self._phase is not _Phase.RUNNING

    def request_stop(self, request: StopRequest, grace: float) -> bool:
        """Tell the tool to stop; what is left of it after ``grace`` seconds is killed. Asking again changes nothing.

        Return whether this request has stopped it: not if its main process has ended by now.
        """
        if self._stop or self._missed or self._phase is not _Phase.RUNNING:
            return False
        self._deadline = self._grace_ends = time.monotonic() + grace
        if self._reap_main(surely=True):
            self._missed = request
            self._log(f"{request.reason}, when the tool had ended")
            return False
        self._stop = request
        self._phase = _Phase.STOPPING
        self._log(f"{request.reason}; the tool has {grace:g} s to end")
        if self._has_been_told(request):
            self._log(
                f"{request.number and request.number.name} has reached the tool too: told twice, it might not save"
            )
        else:
            self._tell(self._identity.pid)
        return True

    def _has_been_told(self, request: StopRequest) -> bool:
        """Tell whether a signal to us has reached the tool too, and means something to it."""
        job = schedulers.here()
        if request.number is None or not request.may_be_jobs or job is None:
            return False
        if not job.tells_all:
            return job.has_told_all
        return request.number is signal.SIGTERM or procfs.catches(self._identity.pid, request.number)

    def regrant(self, seconds: float) -> None:
        """Let the tool that was asked to stop have so many seconds from now; not after a second Ctrl-C."""
        if self._phase is _Phase.STOPPING and not self._is_hastened:
            self._deadline = self._grace_ends = time.monotonic() + seconds

    def hasten(self) -> None:
        """Shorten what is left of the grace."""
        if self._phase in (_Phase.STOPPING, _Phase.LEFTOVERS, _Phase.LEFTOVERS_TOLD):
            self._grace_ends = min(self._grace_ends, time.monotonic() + HASTENED_GRACE)
            self._deadline = min(self._deadline, time.monotonic() + HASTENED_GRACE)
            self._is_hastened = True
            self._log(f"asked again: {HASTENED_GRACE:g} s left")

    def kill(self) -> None:
        """End the tool at once, and return when it is over: for a supervisor that can't go on."""
        self._begin_killing(time.monotonic())
        while not self.is_over:
            time.sleep(self._kill(time.monotonic()))

    def suspend(self) -> None:
        """Stop the clock and every process of the tool (Ctrl-Z)."""
        if self._suspended_at is None and not self.is_over:
            self._suspended_at = time.monotonic()
            told: set[Identity] = set()
            while started := self._members() - told:  # meanwhile, by those that weren't stopped yet
                for member in started:
                    procfs.send(member, signal.SIGSTOP)
                told |= started

    def resume(self) -> None:
        """Undo ``suspend``; the time in between counts neither for the timeout nor for the grace."""
        if self._suspended_at is not None:
            pause = time.monotonic() - self._suspended_at
            self._suspended_at = None
            self._deadline += pause
            self._grace_ends += pause
            if self._end_by is not None:
                self._end_by += pause
            for member in self._members():
                procfs.send(member, signal.SIGCONT)

    def tick(self, grace: float) -> float:
        """Do what is due and return after how many seconds to call again at the latest.

        ``grace`` is what the tool gets if its timeout has come.
        """
        if self._suspended_at is not None:
            return SAMPLING_INTERVAL
        now = time.monotonic()
        if self._phase in (_Phase.RUNNING, _Phase.STOPPING) and self._reap_main():
            self._deadline = now + LINGER
            self._phase = _Phase.LEFTOVERS
        if self._phase is _Phase.RUNNING:
            if self._end_by is not None and now >= self._end_by:
                self.request_stop(StopRequest(State.TIMED_OUT, f"timeout of {self._timeout:g} s reached"), grace)
                return ENDING_INTERVAL
            self._sample(now)
            due = self._next_sample if self._end_by is None else min(self._next_sample, self._end_by)
            return max(0.0, due - now)
        if self._phase is _Phase.STOPPING:
            if now >= self._deadline:
                self._log("the grace is over: SIGKILL to everything that is left")
                self._outlived_grace = True
                self._begin_killing(now)
                return self._kill(now)
            self._sample(now)
            return max(0.0, min(self._next_sample, self._deadline) - now)
        return self._end_leftovers(now)

    def ending(self) -> Ending:
        """Return how the tool ended, once it ``is_over``."""
        return Ending(
            returncode=self._returncode,
            stop=self._stop,
            duration=self._ended - self._started,
            cpu_time=self._cpu_time,
            peak_memory=self._peak_memory,
            oom_kills=max(0, self._oom_kills() - self._oom_kills_before + self._own_oom_kills),
            left_behind=len(self._left_behind),
            at_work=self._at_work,
            survivors=self._survivors,
            outlived_grace=self._outlived_grace,
            has_company=self._siblings is not None,
            crashed=tuple(self._crashed),
            missed=self._missed,
        )

    def _oom_kills(self) -> int:
        """Return the kernel's count without the main processes of other tools, which their own records tell of."""
        return procfs.oom_kills() - (self._siblings.out_of_memory if self._siblings is not None else 0)

    def _end_leftovers(self, now: float) -> float:
        if self._phase is _Phase.KILLING:
            return self._kill(now)
        # A look that falls between a parent's end and its child's adoption misses the child; a second one doesn't.
        self._leftovers = members = self._members() or self._members()
        if not members:
            self._finish()
            return 0.0
        if now < self._deadline:
            for member in members - self._ticks.keys():
                self._ticks[member] = procfs.cpu_ticks(member.pid)
            return ENDING_INTERVAL
        if self._phase is _Phase.LEFTOVERS:
            self._at_work = sum(procfs.cpu_ticks(one.pid) - self._ticks.get(one, 0) >= _AT_WORK for one in members)
            untold = members - self._told
            self._log(f"the tool has ended and left {len(members)} processes behind: SIGTERM to {len(untold)} of them")
            for member in untold:
                procfs.send(member, signal.SIGTERM)
            self._left_behind |= members
            self._phase = _Phase.LEFTOVERS_TOLD
            # After a stop they have the rest of the grace: what a shell ran may be what is saving.
            self._deadline = self._grace_ends if self._stop or self._missed else now + LEFTOVER_GRACE
            return ENDING_INTERVAL
        self._log(f"SIGKILL to the {len(members)} processes that the tool has left behind")
        self._begin_killing(now)
        return self._kill(now)

    def _begin_killing(self, now: float) -> None:
        self._has_killed = True
        self._phase = _Phase.KILLING
        self._deadline = now + KILL_PATIENCE

    def _kill(self, now: float) -> float:
        is_reaped = self._reap_main()
        members = self._members() or self._members()
        if (members or not is_reaped) and now < self._deadline:
            if not is_reaped:  # where there is no /proc to find the members, its process group is all we know
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._identity.pid, signal.SIGKILL)
            for member in members:
                procfs.send(member, signal.SIGKILL)
            return ENDING_INTERVAL / 5
        self._survivors = len(members)
        if members:
            self._log(f"{len(members)} processes survive SIGKILL: {sorted(member.pid for member in members)}")
        self._finish()
        return 0.0

    def _finish(self) -> None:
        if self._siblings is not None:
            self._siblings.discard(self._identity.pid)
        self._reap_orphans()
        if not self._is_reaped:  # it survived SIGKILL
            self._returncode = -signal.SIGKILL
            self._ended = time.monotonic()
        self._phase = _Phase.OVER

    def _tell(self, pid: int) -> None:
        # To the main process alone: its workers would die of what it knows how to handle. But a shell dies without
        # passing anything on, so what it runs is told first.
        is_deaf = not procfs.catches(pid, signal.SIGTERM)
        is_shell = is_deaf and procfs.executable_name(pid) in _SHELLS
        if is_shell:
            for child in procfs.children(pid):
                self._tell(child)
        # A shell that is interrupted may wait for what it runs, and then go on with its script.
        prefers_interrupt = is_deaf and not is_shell and procfs.catches(pid, signal.SIGINT)
        number = signal.SIGINT if prefers_interrupt else signal.SIGTERM
        process, name = procfs.identity(pid), procfs.command_name(pid)
        if process is not None and procfs.send(process, number):
            self._told.add(process)
            self._log(f"sent {number.name} to process {pid} ({name})")

    def _members(self) -> set[Identity]:
        """Return the living processes of the tool."""
        if self._siblings is None:
            # What is in our own session is a program that we run for ourselves: the tool began with a new one.
            ours = os.getsid(0)
            others = set(procfs.descendants(os.getpid())) - self._bystanders
            found = {procfs.identity(pid) for pid in others if procfs.session(pid) != ours}
            return {member for member in found if member is not None}
        # What isn't below a main process has lost its parents and fallen to us or our keeper, the subreapers. So
        # however many tools there are, a look at one costs no more than its own processes and the orphans.
        among = fallen_to_us() - self._siblings | {self._identity.pid}
        return procfs.members(self._marker, among, session=self._identity.pid)

    def _sample(self, now: float) -> None:
        if now < self._next_sample:
            return
        pids = [self._identity.pid, *procfs.descendants(self._identity.pid)]
        self._peak_memory = max(self._peak_memory, procfs.memory(pids))
        cost = time.monotonic() - now
        share = _SAMPLING_SHARE / max(1, len(self._siblings or ()))
        self._next_sample = now + max(SAMPLING_INTERVAL, cost / share)

    def _reap_main(self, *, surely: bool = False) -> bool:
        if self._is_reaped:
            return True
        ended = self._keeper.reap(self._identity.pid, surely=surely) if self._keeper is not None else None
        if ended is None and (self._keeper is None or self._keeper.is_gone):
            try:
                ended = reap(self._identity.pid)
            except ChildProcessError:  # somebody else in this process has waited for it: its end is not known
                ended = Ended(self._identity.pid, signal.SIGKILL, 0.0, 0, None)
        if ended is None:
            return False
        self._ended = time.monotonic()
        self._is_reaped = True
        self._returncode = os.waitstatus_to_exitcode(ended.status)
        if self._siblings is not None and not self._has_killed and self._returncode in (-signal.SIGKILL, 137):
            self._own_oom_kills = min(1, max(0, self._oom_kills() - self._oom_kills_before))
            self._siblings.out_of_memory += self._own_oom_kills
        self._cpu_time += ended.cpu_time
        unit = 1 if sys.platform == "darwin" else 1024
        self._peak_memory = max(self._peak_memory, ended.peak_memory * unit)
        return True

    def _reap_orphans(self) -> None:
        """Wait for the dead that fell to us or our keeper, the subreapers, and count their time."""
        dead = [] if self._keeper is None else self._keeper.orphans(self._own_session)
        for pid in self._children():
            session = procfs.session(pid)
            if session == os.getsid(0) or (self._siblings is not None and session in self._siblings):
                continue  # another tool's, or a program that we run for ourselves
            with contextlib.suppress(ChildProcessError):
                ended = reap(pid)
                if ended is not None and (self._siblings is None or session == self._identity.pid):
                    dead.append(ended)
        for each in dead:
            self._cpu_time += each.cpu_time
            self._note_crash(each.status)

    def _children(self) -> set[int]:
        """Return our children but for those that were there before, and the main processes of other tools."""
        return set(procfs.children(os.getpid())) - self._bystanders - (self._siblings or set())

    @property
    def _own_session(self) -> int | None:
        """The session by which its orphans are told from those of others; None: there are no others."""
        return None if self._siblings is None else self._identity.pid

    def _note_crash(self, status: int) -> None:
        if os.WIFSIGNALED(status) and not self._has_killed and os.WTERMSIG(status) in _VIOLENT:
            self._crashed.append(signal.Signals(os.WTERMSIG(status)).name)
