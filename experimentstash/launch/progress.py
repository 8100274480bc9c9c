"""How a sweep is getting on: a live table on a terminal, elsewhere a line at the start and at the end of each run."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experimentstash import records
from experimentstash.durations import describe
from experimentstash.output import say
from experimentstash.records import Run, State
from experimentstash.summary import marked_state, remarks, title
from experimentstash.workspace import Stash

if TYPE_CHECKING:
    from rich.console import RenderableType

# Seconds between two pictures of the live table.
_REFRESH = 0.25
# Seconds between two looks at what there is to be said, where no table is shown.
_PAUSE = 0.05
# Seconds that the last lines may take to be shown. A terminal that was stopped (Ctrl-S) is not waited for.
_PATIENCE = 2.0
# Runs at work that the live table shows.
_SHOWN = 12

# Takes note of what has come, and returns what is to be said of it.
_Note = Callable[[], "str | None"]


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


class Expectation:
    """How long runs take: as long as those of the same experiment that have completed, else as their estimate says."""

    def __init__(self) -> None:
        self._measured: dict[str | None, _Mean] = defaultdict(_Mean)
        self._all = _Mean()
        self._estimated = _Mean()

    def meet(self, run: Run) -> None:
        """Take note of what a run that begins says of itself."""
        if run.estimated_runtime is not None:
            self._estimated.add(run.estimated_runtime)

    def learn(self, run: Run) -> None:
        """Take note of how long a run has taken."""
        if run.state is State.COMPLETED and run.duration is not None:
            self._measured[run.organizer].add(run.duration)
            self._all.add(run.duration)

    def of(self, run: Run | None) -> float | None:
        """Return how many seconds a run will take, or one of which nothing is known yet; None: nobody can tell."""
        if run is not None:
            measured = self._measured[run.organizer].value
            if measured is not None or run.estimated_runtime is not None:
                return measured if measured is not None else run.estimated_runtime
        return self._all.value if self._all.count else self._estimated.value


@dataclass
class _Tally:
    """What is known of a sweep at one moment."""

    total: int
    slots: int | None  # runs that may be at work at the same time; None: as many as there just are
    began: float = field(default_factory=time.monotonic)
    running: dict[str, tuple[Run, float]] = field(default_factory=dict)  # by id, with the moment of the start
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    expectation: Expectation = field(default_factory=Expectation)

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.cancelled

    @property
    def waiting(self) -> int:
        return self.total - self.ended - len(self.running)

    def remaining(self, now: float) -> float | None:
        """Return how many seconds the rest will take; None if nobody can tell."""
        waiting = self.waiting
        usual = self.expectation.of(None)
        slots = len(self.running) if self.slots is None else self.slots
        if waiting and (usual is None or not slots):
            return None
        work = waiting * (usual or 0.0)
        longest = 0.0
        for run, start in self.running.values():
            expected = self.expectation.of(run)
            if expected is None:
                return None
            left = max(0.0, expected - (now - start))
            work += left
            longest = max(longest, left)
        return max(longest, work / max(1, slots))


class Progress:
    """Shows the progress from a thread of its own: a terminal that blocks holds up nothing else."""

    def __init__(self, stash: Stash, *, total: int, slots: int | None, is_live: bool) -> None:
        self._stash = stash
        self._tally = _Tally(total, slots)
        self._is_live = is_live
        self._events: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def started(self, run: Run) -> None:
        """Tell that a run has begun."""
        line = f"{marked_state(run)}  {self._words(run)}"
        # It may have begun before anybody looked.
        start = time.monotonic() - (0.0 if run.started is None else max(0.0, time.time() - records.moment(run.started)))

        def note() -> str | None:
            self._tally.running[run.id] = run, start
            self._tally.expectation.meet(run)
            return None if self._is_live else line

        self._events.put(note)

    def went_back(self, run: Run) -> None:
        """Tell that a run was cut short and waits in the queue for its next attempt."""
        line = f"{marked_state(run)} for attempt {run.attempt}  {self._words(run)}"

        def note() -> str:
            self._tally.running.pop(run.id, None)
            return line

        self._events.put(note)

    def ended(self, run: Run) -> None:
        """Tell that a run has ended, or that its configuration was wrong and it never began."""
        took = f"  {describe(run.duration)}" if run.duration is not None else ""
        line = f"{marked_state(run)}{took}  {self._words(run)}"
        details = [f"  {part}" for part in (run.reason, run.advice and f"→ {run.advice}") if part]
        details += remarks(run)

        def note() -> str | None:
            tally = self._tally
            tally.running.pop(run.id, None)
            tally.expectation.learn(run)
            if run.state is State.COMPLETED:
                tally.done += 1
                if self._is_live and not details:
                    return None
            elif run.state is State.CANCELLED:
                tally.cancelled += 1
            else:
                tally.failed += 1
            count = f"  ({tally.ended} of {tally.total}{f', {tally.failed} failed' if tally.failed else ''})"
            return "\n".join([line + count, *details])

        self._events.put(note)

    def rejected(self, number: int, overrides: Sequence[str], why: str) -> None:
        """Tell why a job will not begin."""

        def note() -> str | None:
            self._tally.failed += 1
            return f"✗ failed  job {number} can't begin: {why.splitlines()[0]}  {' '.join(overrides)}"

        self._events.put(note)

    def say(self, line: str) -> None:
        """Show a line among the others, in its turn."""
        self._events.put(lambda: line)

    def close(self) -> None:
        """Show what is still to be shown, unless the terminal is blocked, and take the live table away."""
        self._is_closing.set()
        self._events.put(None)
        self._thread.join(_PATIENCE)

    def _words(self, run: Run) -> str:
        return f"{run.id}  {title(run)}  {self._stash.relative(run.path / run.log)}"

    def _show(self) -> None:
        # An observer may fail; the sweep may not fail because of it.
        with contextlib.suppress(OSError, ValueError):
            if self._is_live:
                self._show_live()
            else:
                self._show_lines()

    def _show_lines(self) -> None:
        while self._say([self._events.get(), *self._come()]):
            # Runs may end by the hundred a second: whoever watches over them isn't interrupted for each.
            self._is_closing.wait(_PAUSE if self._tally.slots != 1 else 0.0)

    def _show_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
            # While a live table is shown, rich lets what goes to sys.stderr appear above it.
            while self._say(list(self._come())):
                live.update(_picture(self._tally, time.monotonic()), refresh=True)
                self._is_closing.wait(_REFRESH)

    def _come(self) -> Iterator[_Note | None]:
        """Yield what has come to be told."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._events.get_nowait()

    @staticmethod
    def _say(notes: Sequence[_Note | None]) -> bool:
        """Say what there is to be said; False if nothing more will come."""
        lines = [line for note in notes if note is not None and (line := note()) is not None]
        if lines:
            say(*lines)
        return None not in notes


def _picture(tally: _Tally, now: float) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for run, start in list(tally.running.values())[:_SHOWN]:
        elapsed = now - start
        expected = tally.expectation.of(run)
        of_about = f"of about {describe(expected)}" if expected is not None else ""
        table.add_row(Text("▶"), Text(run.id), Text(title(run), overflow="ellipsis"), describe(elapsed), of_about)
    if len(tally.running) > _SHOWN:
        table.add_row(Text("▶"), Text(f"and {len(tally.running) - _SHOWN} more"))
    remaining = tally.remaining(now)
    parts = [
        f"{len(tally.running)} running",
        f"{tally.done} done",
        f"{tally.failed} failed",
        f"{tally.waiting} {'queued' if tally.slots is None else 'to go'}",
        describe(now - tally.began),
        f"about {describe(remaining)} left" if remaining is not None else "",
    ]
    line = Text("  ".join(filter(None, parts)), style="bold red" if tally.failed else "bold")
    whole = Table.grid()
    whole.add_row(table)
    whole.add_row(line)
    return whole
