"""Histories: what a tool has logged while it ran, numbers at steps, whatever kind of file they stand in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from experimentstash.base.dataclass_light import dataclass

# Metrics of a file that are kept, and bytes of one that is read.
MOST_METRICS, LARGEST = 200, 32 << 20


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a file counts by, and what the columns that do are called: after the last `/` or `.`, in whatever case.
STEP, EPOCH, TIME = "step", "epoch", "time"
_NAMES = {
    STEP: _words(
        """
        step steps global_step global_steps globalstep train_step total_steps num_steps env_step env_steps
        iteration iterations iter iters it n_iter update updates num_updates
        timestep timesteps total_timesteps num_timesteps episode episodes
        """
    ),
    EPOCH: _words("epoch epochs"),
    TIME: _words("time wall_time walltime elapsed elapsed_time time_elapsed total_time runtime timestamp seconds"),
}
# So often a run may have been taken up again from an earlier step, and after as many rows at the least on average;
# what falls more often counts nothing.
_MOST_RESTARTS, _ROWS_OF_A_START = 10, 4
# What is larger is seconds since 1970, not since the beginning.
_SINCE_1970 = 1e8

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class History:
    """Numbers of one source, row by row; None where a row has none."""

    source: str  # the file, from the run's directory
    xs: Mapping[str, Numbers]  # by step, epoch, time, as far as there are; the first says in which order rows are
    ys: Mapping[str, Numbers]  # by metric
    modified: float | None = None  # seconds since the epoch: when it was changed last, as far as that is known


class Rows:
    """Collects the rows of a file: columns that grow side by side."""

    def __init__(self) -> None:
        self._columns: dict[str, list[float | None]] = {}
        self._count = 0
        self.has_left_out = False  # metrics for which there was no room

    def add(self, values: Mapping[str, float]) -> None:
        """Take a further row."""
        for name, value in values.items():
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= MOST_METRICS and kind_of(name) is None:
                    self.has_left_out = True
                    continue
                column = self._columns[name] = []
            column.extend([None] * (self._count - len(column)))
            column.append(value)
        self._count += 1

    def history(self, source: str) -> History | None:
        """Return what they are a history of; None if nothing counts steps or epochs in them."""
        for column in self._columns.values():
            column.extend([None] * (self._count - len(column)))
        xs: dict[str, list[float | None]] = {}
        used = set()
        for kind in _NAMES:
            for name, column in self._columns.items():
                if kind_of(name) == kind and kind not in xs and _counts(column):
                    xs[kind] = column
                    used.add(name)
        if STEP not in xs and EPOCH not in xs:
            return None
        ys = {
            name: column
            for name, column in self._columns.items()
            if name not in used and kind_of(name) not in (STEP, EPOCH)
        }
        rows = _rows_that_count(next(iter(xs.values())))
        kept = {name: [column[row] for row in rows] for name, column in ys.items()}
        kept = {name: column for name, column in kept.items() if any(value is not None for value in column)}
        if not kept:
            return None
        return History(
            source, {kind: _since_start([column[row] for row in rows], kind) for kind, column in xs.items()}, kept
        )


def kind_of(name: str) -> str | None:
    """Return what a column of this name counts: `step`, `epoch`, `time`; None if it counts nothing."""
    short = name.replace(".", "/").rpartition("/")[2].lower().strip("_ ").replace(" ", "_").replace("-", "_")
    return next((kind for kind, names in _NAMES.items() if short in names), None)


def _counts(column: Numbers) -> bool:
    """Tell whether a column only ever rises, but for a few restarts."""
    values = [value for value in column if value is not None]
    if not all(map(math.isfinite, values)) or len(set(values)) < 2:
        return False
    falls = sum(later < earlier for earlier, later in itertools.pairwise(values))
    return falls <= min(_MOST_RESTARTS, len(values) // _ROWS_OF_A_START)


def _rows_that_count(column: Numbers) -> list[int]:
    """Return the rows that are left when what was done again, from an earlier step on, counts as it was done last.

    TensorBoard does the same (`purge_orphaned_data` of its event_accumulator.py).
    """
    kept: list[int] = []
    for row, value in enumerate(column):
        if value is None:
            continue
        if kept and value < _at(column, kept[-1]):
            while kept and _at(column, kept[-1]) >= value:
                kept.pop()
        kept.append(row)
    return kept


def _at(column: Numbers, row: int) -> float:
    value = column[row]
    assert value is not None
    return value


def _since_start(column: list[float | None], kind: str) -> list[float | None]:
    first = next((value for value in column if value is not None), 0.0)
    if kind != TIME or first < _SINCE_1970:
        return column
    return [None if value is None else value - first for value in column]


def points(history: History, metric: str) -> Iterator[int]:
    """Yield the rows in which a metric has a number."""
    return (row for row, value in enumerate(history.ys[metric]) if value is not None)
