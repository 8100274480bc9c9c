"""Runs at work side by side in one process: begun, watched over, and finished while the others go on.

Whoever drives a crew decides what begins when; like an Execution it has no loop of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import lock_if_free
from experimentstash.base.output import complain
from experimentstash.base.signals import SignalQueue
from experimentstash.base.tail import Relay
from experimentstash.code.written import Looks
from experimentstash.execute.execute import (
    Execution,
    cannot_record,
    finish_wandb,
    has_wandb,
    is_unrecorded,
    relay_output,
    tool_environment,
)
from experimentstash.execute.supervision import Siblings, StopRequest
from experimentstash.record.records import Run

if TYPE_CHECKING:
    from concurrent.futures import Future

# Seconds between two looks at a lock that another process holds, and at what goes on in threads.
TURN_INTERVAL = 0.2
_BACKGROUND_INTERVAL = 0.05
# Seconds after which to look again if nothing is due.
IDLE = 60.0
# W&B runs that are brought to their final state at the same time.
_FINISHERS = 4


@dataclass
class _Member:
    execution: Execution
    place: str | None
    lock: int | None  # the descriptor that holds its turn to write in the tool's checkout
    relay: Relay | None


class Crew:
    """The runs at work, and those that have ended and are still being finished.

    Each has one of the ``places``: the CUDA_VISIBLE_DEVICES that it gets (None: what we have). ``begun``, ``left`` and
    ``ended`` are called with a run when it has begun, when its place is free again, and when nothing is left to do for
    it. ``in_turn``: there is one place, and a run is finished before it is free; then every new process below us is
    its own, even one that hid its origin.
    """

    def __init__(
        self,
        places: Sequence[str | None],
        *,
        begun: Callable[[Run], None],
        left: Callable[[Run], None],
        ended: Callable[[Run], None],
        in_turn: bool = False,
    ) -> None:
        self._places = list(reversed(places))
        self._begun, self._left, self._ended = begun, left, ended
        self._at_work: list[_Member] = []
        self._siblings = None if in_turn else Siblings()
        self._looks = Looks()
        self._finishing: list[tuple[Future[Exception | None], Run]] = []
        self._finishers = None
        if not in_turn:
            from concurrent.futures import ThreadPoolExecutor

            self._finishers = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finisher")
        self.has_unrecorded = False  # whether what became of a run could not be written down

    @property
    def is_idle(self) -> bool:
        """Whether nothing is at work, nor being finished."""
        return not self._at_work and not self._finishing

    @property
    def has_place(self) -> bool:
        """Whether a run can begin."""
        return bool(self._places)

    @property
    def executions(self) -> list[Execution]:
        """Those at work."""
        return [member.execution for member in self._at_work]

    def begin(self, run: Run, secrets: Mapping[str, str], *, show_output: bool = False) -> bool:
        """Begin a run; False if another run holds its turn to write in their tool's checkout."""
        lock = None
        if run.collect_lock is not None:
            lock = lock_if_free(Path(run.collect_lock))
            if lock is None:
                return False
        member = _Member(Execution(run, self._siblings, self._looks), self._places.pop(), lock, None)
        self._at_work.append(member)
        with self._kept_from_the_others(member):
            environment = tool_environment(run, secrets)
            if member.place is not None:
                environment["CUDA_VISIBLE_DEVICES"] = member.place
                member.execution.note(f"CUDA_VISIBLE_DEVICES={member.place}")
            member.execution.begin(environment)
            self._begun(run)
            if show_output:
                member.relay = relay_output(member.execution)
        return True

    def tick(self) -> float:
        """Look at all that goes on, conclude what has ended, and return after how many seconds to look again."""
        seconds = IDLE
        for execution in self.executions:
            if not execution.is_over:
                seconds = min(seconds, execution.tick())
        # All that have ended by now: one look at their tool's checkout serves them all.
        for member in list(self._at_work):
            if member.execution.is_over:
                with self._kept_from_the_others(member):
                    member.execution.conclude()
                self._leave(member)
                seconds = 0.0
        return min(seconds, self._look_at_finishers())

    def follow(self, number: signal.Signals, signals: SignalQueue) -> bool:
        """Pause all that is at work with us, and go on with us (Ctrl-Z); False if a signal asks for neither.

        Going on, those are stopped that somebody wants to end; the others know nothing of it.
        """
        if number not in (signal.SIGTSTP, signal.SIGCONT):
            return False
        if number is signal.SIGTSTP:
            for execution in self.executions:
                execution.suspend()
            signals.stop_ourselves()
        for execution in self.executions:
            execution.resume()
            execution.stop_if_cancelled()
        return True

    def stop(self, request: StopRequest) -> list[float]:
        """Ask all tools at work to stop; return how many seconds each of those that are told has to save its work."""
        ending = [execution for execution in self.executions if not execution.is_ending]
        return [grace for execution in ending if (grace := execution.stop(request))]

    def regrant(self) -> None:
        """Let all tools that were asked to stop have what their job leaves them by now."""
        for execution in self.executions:
            execution.regrant()

    def hasten(self) -> None:
        """Shorten what is left of every grace."""
        for execution in self.executions:
            execution.hasten()

    def abandon(self, error: BaseException) -> None:
        """End all that is at work, now: nobody can go on watching over it."""
        for member in self._at_work:
            with contextlib.suppress(OSError):
                member.execution.abandon(error)

    def close(self) -> None:
        """Wait for what is still being finished."""
        if self._finishers is not None:
            self._finishers.shutdown()

    def _leave(self, member: _Member) -> None:
        """Free the place of a run that has ended."""
        run = member.execution.run
        self._at_work.remove(member)
        if member.lock is not None:
            os.close(member.lock)
        if member.relay is None and not has_wandb(run):
            self._ended(run)
        elif self._finishers is not None:
            self._finishing.append((self._finishers.submit(_finish, run, member.relay), run))
        else:
            self._finished(run, _finish(run, member.relay))
        self._places.append(member.place)
        self._left(run)

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
            complain(f"the W&B runs of {run.id} are not finished: {error}; experimentstash sync may mend it")
        self._ended(run)

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
            if isinstance(cause, OSError) and is_unrecorded(run, cause):
                self.has_unrecorded = True
                complain(str(cannot_record(run, cause)))
            elif isinstance(cause, StashError):
                complain(str(cause))


def _finish(run: Run, relay: Relay | None) -> Exception | None:
    """Do what is left to do for a run that has ended; return what went wrong."""
    try:
        if relay is not None:
            relay.finish()
        finish_wandb(run)
    except Exception as error:
        return error
    return None
