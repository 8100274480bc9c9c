"""What is known of how a sweep is getting on, and how long the rest of it will take."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.record.run import Run, State

if TYPE_CHECKING:
    from experimentstash.runs.past import Past


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
    """How long runs take: as those of the same experiment in this sweep, else as earlier ones, else as they say."""

    def __init__(self, past: Past | None = None) -> None:
        self._past = past
        self._measured: dict[str | None, _Mean] = defaultdict(_Mean)
        self._all = _Mean()
        self._estimated = _Mean()
        self._met: Run | None = None  # the last one that has begun

    def look_back(self, seconds: float) -> None:
        """Read what earlier runs tell, for so long at most."""
        if self._past is not None and self._met is not None:
            self._past.read(seconds)

    def meet(self, run: Run) -> None:
        """Take note of what a run that begins says of itself."""
        self._met = run
        if run.spec.estimated_runtime is not None:
            self._estimated.add(run.spec.estimated_runtime)

    def learn(self, run: Run) -> None:
        """Take note of how long a run has taken."""
        if run.attempt.state is State.COMPLETED and run.attempt.duration is not None:
            self._measured[run.spec.organizer].add(run.attempt.duration)
            self._all.add(run.attempt.duration)

    def of(self, run: Run | None) -> float | None:
        """Return how many seconds a run will take, or one of which nothing is known yet; None: nobody can tell."""
        if run is not None:
            measured = self._measured[run.spec.organizer].value
            expected = self._foretold(run) if measured is None else measured
            if expected is not None or run.spec.estimated_runtime is not None:
                return expected if expected is not None else run.spec.estimated_runtime
        if self._all.count:
            return self._all.value
        foretold = None if self._met is None else self._foretold(self._met)
        return self._estimated.value if foretold is None else foretold

    def _foretold(self, run: Run) -> float | None:
        estimate = None if self._past is None else self._past.of(run)
        return None if estimate is None else estimate.seconds


@dataclass
class Tally:
    """What is known of a sweep at one moment."""

    total: int
    slots: int | None  # runs that may be at work at the same time; None: as many as there just are
    began: float = field(default_factory=time.monotonic)
    running: dict[str, tuple[Run, float]] = field(default_factory=dict)  # by id, with the moment of the start
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    shared: frozenset[str] = frozenset()  # the overrides that all runs of the sweep have
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
