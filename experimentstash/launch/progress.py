"""How a sweep is getting on: a live table on a terminal, elsewhere a line at the start and at the end of each run."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experimentstash.base import tables
from experimentstash.base.durations import describe
from experimentstash.base.output import PREFIX, Paper, Style, as_prose, say
from experimentstash.base.tables import Column, Styled
from experimentstash.launch.expectation import Expectation, Tally
from experimentstash.launch.live import Aside, Picture
from experimentstash.record import sweep_list, times
from experimentstash.record.run import Run, State
from experimentstash.runs.summary import log_of, marked_state, outcome_lines, remarks, state_cell, title
from experimentstash.stash.layout import Stash

# Seconds between two pictures of the live table.
_REFRESH = 0.25
# Seconds of these for which it is read how long earlier runs took, until that is known.
_LOOK_BACK = 0.01
# Seconds between two looks at what there is to be said, where no table is shown.
_PAUSE = 0.05
# Seconds that the last lines may take to be shown. A terminal that was stopped (Ctrl-S) is not waited for.
_PATIENCE = 2.0
# Runs at work that the live table shows.
_SHOWN = 12

# Takes note of what has come, and returns what is to be said of it.
_Note = Callable[[], "str | None"]


# What a row of the live table, and the one of a run that has ended, has.
_ROW = (
    Column("state"),
    Column("run"),
    Column("experiment", least=20, keeps_end=True),
    Column("time", rank=1),
    Column("expected", rank=3),
)
_ENDED = (*_ROW[:-1], Column("count", rank=2))
# As wide as most states are.
_STATE_WIDTH = len("✓ completed")


class Progress:
    """Shows the progress from a thread of its own: a terminal that blocks holds up nothing else.

    While the live table is shown, what is written to stderr passes by above it.
    """

    def __init__(self, stash: Stash, *, total: int, slots: int | None, is_live: bool) -> None:
        self._stash = stash
        self._tally = Tally(total, slots)
        if is_live:  # else nobody is told how long it will take
            from experimentstash.runs.past import Past

            self._tally.expectation = Expectation(Past(stash))
        self._found: frozenset[str] | None = None
        self._is_live = is_live
        self._picture = Picture(sys.stderr)
        self._paper = self._picture.paper
        self._events: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._goes_on, self._has_paused = threading.Event(), threading.Event()
        self._goes_on.set()
        self._stderr = sys.stderr
        self._aside = Aside(sys.stderr, self.say)
        if is_live:
            sys.stderr = self._aside
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def started(self, run: Run) -> None:
        """Tell that a run has begun."""
        # It may have begun before anybody looked.
        start = time.monotonic() - (
            0.0 if run.attempt.started is None else max(0.0, time.time() - times.moment(run.attempt.started))
        )
        line = None if self._is_live else self._line(run)
        shared = self._shared(run) if self._is_live else frozenset()

        def note() -> str | None:
            self._tally.running[run.id] = run, start
            self._tally.expectation.meet(run)
            self._tally.shared = shared
            return line

        self._events.put(note)

    def went_back(self, run: Run) -> None:
        """Tell that a run was cut short and waits in the queue for its next attempt."""
        line = self._line(run, f" for attempt {run.attempt.number}")

        def note() -> str:
            self._tally.running.pop(run.id, None)
            return line

        self._events.put(note)

    def ended(self, run: Run) -> None:
        """Tell that a run has ended, or that its configuration was wrong and it never began."""
        took = describe(run.attempt.duration) if run.attempt.duration is not None else ""
        details = [*outcome_lines(run), *remarks(run)]
        if self._paper.width is not None and run.attempt.state is not State.COMPLETED:
            details.append(f"  log: {self._log(run)}")
        state = run.attempt.state

        def note() -> str:
            tally = self._tally
            tally.running.pop(run.id, None)
            tally.expectation.learn(run)
            if state is State.COMPLETED:
                tally.done += 1
            elif state is State.CANCELLED:
                tally.cancelled += 1
            else:
                tally.failed += 1
            count = f"({tally.ended} of {tally.total}{f', {tally.failed} failed' if tally.failed else ''})"
            return "\n".join([self._line(run, took=took, count=count), *map(self._prose, details)])

        self._events.put(note)

    def rejected(self, number: int, overrides: Sequence[str], why: str) -> None:
        """Tell why a job will not begin."""
        line = f"✗ failed  job {number} can't begin: {why.splitlines()[0]}  {' '.join(overrides)}"

        def note() -> str | None:
            self._tally.failed += 1
            return self._prose(line)

        self._events.put(note)

    def spared(self) -> None:
        """Tell of a job that need not be run."""

        def note() -> None:
            self._tally.total -= 1

        self._events.put(note)

    def say(self, line: str) -> None:
        """Show a line among the others, in its turn."""
        self._events.put(lambda: self._prose(line))

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Have no live table while somebody else has the terminal."""
        if self._is_live:
            self._goes_on.clear()
            self._has_paused.wait(_PATIENCE)
        try:
            yield
        finally:
            self._has_paused.clear()
            self._goes_on.set()

    def close(self) -> None:
        """Show what is still to be shown, unless the terminal is blocked, and take the live table away."""
        self._aside.end()
        self._is_closing.set()
        self._events.put(None)
        self._thread.join(_PATIENCE)
        if sys.stderr is self._aside:
            sys.stderr = self._stderr

    def _line(self, run: Run, more: str = "", *, took: str = "", count: str = "") -> str:
        """Return what is said of a run in one line: for a file all of it, for a terminal what finds room."""
        if self._paper.width is None:
            words = [marked_state(run) + more, took, run.id, title(run), self._log(run), count]
            return "  ".join(filter(None, words))
        state = state_cell(run)
        text = (state.text + more).ljust(_STATE_WIDTH)
        row = (Styled(text, state.style), run.id, title(run, self._shared(run)), took, count)
        return tables.lines(_ENDED, [row], self._room())[0]

    def _shared(self, run: Run) -> frozenset[str]:
        """Return what all runs of the sweep have; its list is read once."""
        if self._found is None:
            self._found = frozenset() if run.sweep is None else sweep_list.shared(Path(run.sweep))
        return self._found

    def _room(self) -> Paper:
        """Return what there is to write on, a line's prefix set aside."""
        paper = self._paper
        prefix = 0 if self._is_live or paper.width is None else len(PREFIX)
        width = None if paper.width is None else max(1, paper.width - prefix)
        return Paper(width, paper.is_coloured, paper.encoding)

    def _prose(self, text: str) -> str:
        return as_prose(text, self._stderr)

    def _log(self, run: Run) -> str:
        return log_of(self._stash, run) or self._stash.relative(run.path)

    def _show(self) -> None:
        # An observer may fail; the sweep may not fail because of it.
        with contextlib.suppress(OSError, ValueError):
            if self._is_live:
                self._show_live()
            else:
                self._show_lines()

    def _show_lines(self) -> None:
        is_over = False
        while not is_over:
            lines, is_over = self._told([self._events.get(), *self._come()])
            if lines:
                say(*lines, is_laid_out=True)
            # Runs may end by the hundred a second: whoever watches over them isn't interrupted for each.
            self._is_closing.wait(_PAUSE if self._tally.slots != 1 else 0.0)

    def _show_live(self) -> None:
        is_over = False
        while not is_over:
            self._paper = self._picture.paper
            lines, is_over = self._told(list(self._come()))
            self._tally.expectation.look_back(_LOOK_BACK)
            is_hidden = is_over or not self._goes_on.is_set()
            shown = [] if is_hidden else _table(self._tally, time.monotonic(), self._paper)
            self._picture.draw(shown, above=lines)
            if is_hidden and not is_over:
                self._has_paused.set()
                self._goes_on.wait(_REFRESH)
            else:
                self._is_closing.wait(_REFRESH)

    def _come(self) -> Iterator[_Note | None]:
        """Yield what has come to be told."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._events.get_nowait()

    @staticmethod
    def _told(notes: Sequence[_Note | None]) -> tuple[list[str], bool]:
        """Return what there is to be said, and whether that is all."""
        lines = [line for note in notes if note is not None and (line := note()) is not None]
        return lines, None in notes


def _table(tally: Tally, now: float, paper: Paper) -> list[str]:
    """Return the live table: a row for each run at work, and how many there are of which kind."""
    rows = []
    for run, start in list(tally.running.values())[:_SHOWN]:
        expected = tally.expectation.of(run)
        of_about = f"of about {describe(expected)}" if expected is not None else ""
        rows.append(
            (
                Styled("▶ running".ljust(_STATE_WIDTH), Style.AT_WORK),
                run.id,
                title(run, tally.shared),
                describe(now - start),
                of_about,
            )
        )
    lines = tables.lines(_ROW, rows, paper)
    if len(tally.running) > _SHOWN:
        lines.append(paper.paint(f"▶ and {len(tally.running) - _SHOWN} more", Style.AT_WORK))
    remaining = tally.remaining(now)
    parts = (
        f"{len(tally.running)} running",
        f"{tally.done} done",
        f"{tally.failed} failed",
        f"{tally.cancelled} cancelled" if tally.cancelled else "",
        f"{tally.waiting} {'queued' if tally.slots is None else 'to go'}",
        describe(now - tally.began),
        f"about {describe(remaining)} left" if remaining is not None else "",
    )
    cells = [Styled(part, Style.BAD if tally.failed and part.endswith("failed") else Style.HEADING) for part in parts]
    return [*lines, *tables.lines([Column("", rank=number) for number in range(len(parts))], [cells], paper)]
