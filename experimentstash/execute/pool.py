"""Runs at work in one process: one after the other, or side by side, each watched over to its end.

A single run, a sweep on this machine and a pack in a SLURM job differ in where their runs come from, and in what they
say: that is a RunSource's. What signals do to the tools, and what happens if it can't go on, is the same for all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters import procfs, schedulers
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free
from experimentstash.base.output import complain
from experimentstash.base.signals import REQUESTS, SignalQueue
from experimentstash.base.tail import Relay
from experimentstash.code.written import Looks
from experimentstash.execute import keeper
from experimentstash.execute.children import end_strays
from experimentstash.execute.ending import StopRequest
from experimentstash.execute.execution import Execution
from experimentstash.execute.relay import relay_output
from experimentstash.execute.supervisor import Siblings
from experimentstash.execute.tool_environment import tool_environment
from experimentstash.execute.unrecorded import cannot_record, is_unrecorded
from experimentstash.execute.wandb_runs import finish_wandb
from experimentstash.execute.why_ended import asked_by
from experimentstash.record.run import Run

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Protocol

    class RunSource(Protocol):
        """Where the runs of a pool come from, and whom it tells what becomes of them."""

        @property
        def has_more(self) -> bool:
            """Whether there are runs that have not begun, and that are to."""

        def begin_what_can(self) -> float:
            """Begin runs for which there is a slot; return after how many seconds to try again."""

        def has_begun(self, run: Run) -> None: ...

        def has_left(self, run: Run) -> None:
            """Take note that a run has ended and its slot is free; it may still be finished (its W&B runs, say)."""

        def has_ended(self, run: Run) -> None:
            """Take note that nothing is left to do for a run."""

        def has_failed(self, run: Run, error: StashError) -> None:
            """Take note of what kept us from going on with a run, or from recording its end (a RecordError)."""

        def was_interrupted(self, request: StopRequest, graces: Sequence[float]) -> None:
            """Begin nothing further: we were asked to stop; the tools that were told have so many seconds each."""


# Seconds between two looks at a lock that another process holds, and at what goes on in threads.
TURN_INTERVAL = 0.2
_BACKGROUND_INTERVAL = 0.05
# Seconds after which to look again if nothing is due.
IDLE = 60.0
# W&B runs that are brought to their final state at the same time.
_FINISHERS = 4
# Seconds by which we may be told later than a tool, where a scheduler tells all processes of its job.
_TOLD_LATE = 0.3


@dataclass
class _Member:
    execution: Execution
    slot: str | None
    lock: int | None = None  # the descriptor that holds its turn to write in the tool's checkout
    relay: Relay | None = None
    over_at: float | None = None  # when its end was noticed


class RunPool:
    """The runs at work, and those that have ended and are still being finished: a context in which signals are ours.

    Each has one of the ``slots``: the CUDA_VISIBLE_DEVICES that it gets (None: what we have). ``in_turn``: there is one
    slot, and a run is finished before it is free; then every new process below us is its own, even one that hid its
    origin. ``paused`` is a context that is entered while we and the tools are stopped (Ctrl-Z).
    """

    def __init__(
        self,
        slots: Sequence[str | None],
        source: RunSource,
        *,
        in_turn: bool = False,
        paused: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._slots = list(reversed(slots))
        self._source = source
        self._paused = paused
        self._at_work: list[_Member] = []
        self._siblings = None if in_turn else Siblings()
        self._looks = Looks()
        self._finishing: list[tuple[Future[Exception | None], Run]] = []
        self._finishers = None
        self._relays: list[Relay] = []  # of those that are finished in this thread, once signals are nobody's again
        if not in_turn:
            from concurrent.futures import ThreadPoolExecutor

            self._finishers = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finisher")
        self.interrupted_by: signal.Signals | None = None  # the first signal that asked us to stop
        self.strays = 0  # processes that tools had left behind in disguise, and that were ended

    def __enter__(self) -> RunPool:
        self._spared = set() if self._siblings is None else set(procfs.children(os.getpid()))
        procfs.adopt_orphans()
        with contextlib.ExitStack() as stack:
            self._signals = stack.enter_context(SignalQueue(in_job=schedulers.here() is not None))
            stack.enter_context(keeper.kept())
            self._contexts = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._contexts.close()
        if error[0] is None:
            for relay in self._relays:
                relay.finish()

    def run(self) -> None:
        """Go on until the source has no more runs, and nothing is left to do for those that have begun."""
        try:
            while self._source.has_more or not self.is_idle:
                self._look_at_signals(0.0)  # what has come is seen before what the tools have made of it
                seconds = self._tick()
                self._look_at_signals(min(seconds, self._source.begin_what_can()))
        except BaseException as error:
            for member in self._at_work:  # nobody can go on watching over it
                with contextlib.suppress(OSError):
                    member.execution.abandon(error)
            raise
        finally:
            if self._finishers is not None:
                self._finishers.shutdown()
        if self._siblings is not None:
            self.strays = end_strays(self._spared)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is at work, nor being finished."""
        return not self._at_work and not self._finishing

    @property
    def has_slot(self) -> bool:
        """Whether a run can begin."""
        return bool(self._slots)

    @property
    def at_work(self) -> int:
        """How many runs are at work."""
        return len(self._at_work)

    def begin(self, run: Run, secrets: Mapping[str, str], *, show_output: bool = False) -> bool:
        """Begin a run; False if another run holds its turn to write in their tool's checkout."""
        member = _Member(Execution(run, self._siblings, self._looks), self._slots.pop())
        self._at_work.append(member)
        with self._kept_from_the_others(member):
            if run.spec.collect_lock is not None:
                member.lock = lock_if_free(Path(run.spec.collect_lock))
                if member.lock is None:
                    self._at_work.remove(member)
                    self._slots.append(member.slot)
                    return False
            environment = tool_environment(run, secrets)
            if run.spec.command.modules:
                from experimentstash.adapters import environment_modules

                run.attempt.notes.append(f"modules: {', '.join(environment_modules.loaded(environment))}")
            if member.slot is not None:
                environment["CUDA_VISIBLE_DEVICES"] = member.slot
                member.execution.note(f"CUDA_VISIBLE_DEVICES={member.slot}")
            member.execution.begin(environment)
            self._source.has_begun(run)
            if show_output:
                member.relay = relay_output(member.execution)
        return True

    def stop(self, request: StopRequest) -> list[float]:
        """Ask all tools at work to stop; return how many seconds each of those that are told has to save its work.

        What was asked before, or has ended but for what it left behind, is hastened by a further Ctrl-C; by another
        signal it gets what our job leaves it by now.
        """
        graces = []
        for member in self._at_work:
            execution = member.execution
            if not execution.is_ending:
                graces.append(execution.stop(request))
            elif request.number is signal.SIGINT:
                execution.hasten()
            else:
                execution.regrant()
        return [grace for grace in graces if grace]

    def _look_at_signals(self, seconds: float) -> None:
        """Do what the signals ask for that come within so many seconds, or are there."""
        for number in self._signals.wait(seconds):
            if number in (signal.SIGTSTP, signal.SIGCONT):
                self._follow(number)
            elif number in REQUESTS:
                request = asked_by(number, self._signals)
                is_first, self.interrupted_by = self.interrupted_by is None, self.interrupted_by or number
                graces = self.stop(request)
                if is_first:
                    self._source.was_interrupted(request, graces)

    def _follow(self, number: signal.Signals) -> None:
        """Pause all that is at work with us, and go on with us (Ctrl-Z).

        Going on, those are stopped that somebody wants to end; the others know nothing of it.
        """
        executions = [member.execution for member in self._at_work]
        if number is signal.SIGTSTP:
            with self._paused():
                for execution in executions:
                    execution.suspend()
                self._signals.stop_ourselves()
        for execution in executions:
            execution.resume()
            execution.stop_if_cancelled()

    def _tick(self) -> float:
        """Look at all that goes on, conclude what has ended, and return after how many seconds to look again."""
        seconds = IDLE
        for member in self._at_work:
            if not member.execution.is_over:
                seconds = min(seconds, member.execution.tick())
        # All that have ended by now: one look at their tool's checkout serves them all.
        over = [member for member in self._at_work if member.execution.is_over]
        if over:
            # They may have ended of what comes for us too: at once, or under srun one process after the other.
            self._look_at_signals(0.0)
            now, job = time.monotonic(), schedulers.here()
            late = _TOLD_LATE if job is not None and job.tells_all else 0.0
            for member in over:
                member.over_at = member.over_at or now
                left = member.over_at + late - now
                if left > 0.0 and member.execution.has_started:
                    seconds = min(seconds, left)
                    continue
                with self._kept_from_the_others(member):
                    member.execution.conclude()
                self._leave(member)
                seconds = 0.0
        return min(seconds, self._look_at_finishers())

    def _leave(self, member: _Member) -> None:
        """Free the slot of a run that has ended."""
        run = member.execution.run
        self._at_work.remove(member)
        if member.lock is not None:
            os.close(member.lock)
        if self._finishers is None:
            if member.relay is not None:
                self._relays.append(member.relay)
            self._finished(run, _finish(run, None))
        elif member.relay is None and not member.execution.wandb_logs:
            self._source.has_ended(run)
        else:
            self._finishing.append((self._finishers.submit(_finish, run, member.relay), run))
        self._slots.append(member.slot)
        self._source.has_left(run)

    def _look_at_finishers(self) -> float:
        done = [each for each in self._finishing if each[0].done()]
        for future, run in done:
            self._finishing.remove((future, run))
            self._finished(run, future.result())
        if done:
            return 0.0
        return _BACKGROUND_INTERVAL if self._finishing else IDLE

    def _finished(self, run: Run, error: Exception | None) -> None:
        if error is not None:
            complain(f"the W&B runs of {run.id} are not finished: {error}; experimentstash sync may fix it")
        self._source.has_ended(run)

    @contextlib.contextmanager
    def _kept_from_the_others(self, member: _Member) -> Iterator[None]:
        """Close one run for which something that it needs is missing; the others go on."""
        try:
            yield
        except (OSError, StashError) as error:
            run, cause = member.execution.run, error
            try:
                member.execution.abandon(error)
            except OSError as worse:
                cause = worse
            if isinstance(cause, StashError):
                self._source.has_failed(run, cause)
            elif is_unrecorded(run, cause):
                self._source.has_failed(run, cannot_record(run, cause))


def _finish(run: Run, relay: Relay | None) -> Exception | None:
    """Do what is left to do for a run that has ended; return what went wrong."""
    try:
        if relay is not None:
            relay.finish()
        finish_wandb(run)
    except Exception as error:
        return error
    return None
