"""How long runs take, as those that have completed tell: of the same experiment, with the same parameters if enough.

What an index has kept of them is read when somebody asks, and the records of all others, for as long as they may be:
nothing is kept here, and a run itself needs none of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters import procfs
from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.dotted import is_number, leaves
from experimentstash.base.durations import describe
from experimentstash.base.files import read_regular
from experimentstash.base.text import counted, listed
from experimentstash.record import records, run_places, times
from experimentstash.record.run import Run, State
from experimentstash.runs import index, listing
from experimentstash.runs.differing import identity, is_seed
from experimentstash.runs.expression import alike
from experimentstash.stash.layout import Stash
from experimentstash.stash.parameters import from_json

# So many runs with the same parameters tell more than all of the experiment.
_ENOUGH = 3
# Of more runs than that of a kind the others tell nothing new.
_MOST = 200
_SHOWN = 3

_Key = tuple[Any, ...]


@dataclass(frozen=True)
class Estimate:
    """How long a run takes, in seconds, and what that rests on."""

    seconds: float  # the median
    count: int  # of so many runs
    is_alike: bool  # with the same parameters, seeds aside
    hosts: tuple[str, ...]  # where they were

    @property
    def basis(self) -> str:
        """What it rests on, in words."""
        which = "with these parameters" if self.is_alike else "of this experiment, whatever the parameters"
        here = procfs.hostname()
        elsewhere = "" if here in self.hosts else f", on other machines ({listed(self.hosts, _SHOWN)})"
        return f"{counted(self.count, 'completed run')} {which}{elsewhere}"

    def left(self, run: Run, now: float) -> str:
        """Say how much longer a run will take that is at work; ``now`` is in seconds since the epoch."""
        if run.attempt.started is None:
            return ""
        seconds = self.seconds - (now - times.moment(run.attempt.started))
        return f"≈ {describe(seconds)} left" if seconds > 0 else f"≈ {describe(-seconds)} longer than usual"


class Past:
    """The durations of the runs that have completed, as far as they have been read."""

    def __init__(self, stash: Stash) -> None:
        self._unread: Iterator[None] | None = self._all(stash)
        self._alike: dict[_Key, list[tuple[float, str]]] = defaultdict(list)
        self._of_experiment: dict[_Key, list[tuple[float, str]]] = defaultdict(list)

    def read(self, seconds: float) -> None:
        """Read records for so long, or until there are no more."""
        until = time.monotonic() + seconds
        while self._unread is not None and time.monotonic() < until:
            if next(self._unread, self) is self:
                self._unread = None

    def of(self, run: Run) -> Estimate | None:
        """Return how long a run takes, whether it is at work or only planned; None if no run tells."""
        experiment = (run.spec.tool, run.spec.organizer, run.spec.experiment)
        alike_ones = self._alike.get((*experiment, _told(from_json(run.spec.params), run.directory)), [])
        is_alike = len(alike_ones) >= _ENOUGH
        found = alike_ones if is_alike else self._of_experiment.get(experiment, [])
        if not found:
            return None
        hosts = tuple(sorted({host for _, host in found if host}))
        is_alike = is_alike or len(alike_ones) == len(found)
        return Estimate(_median([seconds for seconds, _ in found]), len(found), is_alike, hosts)

    def _all(self, stash: Stash) -> Iterator[None]:
        """Take note of runs, one by one, that have completed at their first attempt: of others time says little."""
        known: set[str] = set()
        for directory, plain, params in index.completed_at_once(stash):
            with contextlib.suppress(ValueError, TypeError):  # what was kept is broken
                if plain is not None:
                    experiment = (plain.tool, plain.organizer, plain.inner)
                    self._take(experiment, json.loads(params), plain.directory, plain.duration, plain.host)
                known.add(directory)
            yield

        def passing(folder: Path, names: Sequence[str]) -> set[str]:
            return {name for name in names if os.path.join(folder, name) in known}

        for path in run_places.directories(stash, passing=passing):
            try:
                content = read_regular(os.path.join(path, records.FILE_NAME))
                if listing.may_have_completed(content):
                    self._take_record(typed.loads(content))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):  # who shows runs says so
                pass
            yield

    def _take_record(self, record: Any) -> None:
        spec, attempt = record["spec"], record["attempt"]
        if attempt["state"] == State.COMPLETED.value and attempt["number"] == 1:
            experiment = (spec["tool"], spec["organizer"], spec["experiment"])
            params = from_json(spec["params"])
            self._take(experiment, params, record["directory"], attempt["duration"], attempt["host"])

    def _take(self, experiment: _Key, params: Any, directory: str, seconds: float | None, host: str | None) -> None:
        if seconds is None or not is_number(seconds):
            return
        told = (*experiment, _told(params, directory))
        for kept in (self._of_experiment[experiment], self._alike[told]):
            if len(kept) < _MOST:
                kept.append((float(seconds), str(host or "")))


def _median(values: list[float]) -> float:
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _told(params: Mapping[str, Any], directory: str) -> _Key:
    """Return what a run's parameters say, but for seeds, and wherever it is."""
    named = {alike(name): value for name, value in leaves(params) if name and not is_seed(alike(name))}
    return tuple(
        (name, identity(value.replace(directory, "") if isinstance(value, str) else value))
        for name, value in sorted(named.items())
    )
