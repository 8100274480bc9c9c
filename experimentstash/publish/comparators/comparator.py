"""What a comparator is: it tells whether a file shows the same as an earlier one, by what is in it, and where not.

Each is a file beside this one, a line in `choose`, and its name in `Compare`. Bytes that are the same are seen before.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass, field

# Bytes that are read of a file at most, if it is read as a whole.
LARGEST = 1 << 30
# Digits of a number that is shown.
_SHOWN = 3


class NotComparable(Exception):
    """Two files can't be compared; it says why."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the earlier one: ``atol + rtol * abs(earlier)``, as numpy's `allclose` has it."""

    rtol: float = 0.0
    atol: float = 0.0

    def allows(self, earlier: float, deviation: float) -> bool:
        """Tell whether a deviation, which is a number, is small enough."""
        return deviation <= self.atol + self.rtol * abs(earlier)

    @property
    def is_none(self) -> bool:
        return not self.rtol and not self.atol

    def __str__(self) -> str:
        parts = [f"{name} {value:g}" for name, value in vars(self).items() if value]
        return ", ".join(parts) or "no tolerance"


@dataclass(frozen=True)
class How:
    """How an output is compared, as `outputs` in an experiment, a registration or the root config has it."""

    compare: str = "hash"
    rtol: float = 0.0
    atol: float = 0.0
    columns: dict[str, Tolerance] = field(default_factory=dict)  # by the names of columns, arrays or keys
    key: list[str] = field(default_factory=list)  # columns by which rows find each other, whatever their order
    ignore: list[str] = field(default_factory=list)  # columns or keys that don't count; of a text, what may differ
    up_to: str | None = None  # sign or rotation: what makes no difference to an embedding
    coordinates: list[str] = field(default_factory=list)  # which columns are the embedding's; of an array none are all
    share: float = 0.0  # of a picture's pixels that may deviate by more

    def tolerance(self, column: str) -> Tolerance:
        """Return what is allowed in a column: what is said of it by name, by a pattern, or of all."""
        found = self.columns.get(column)
        if found is None:
            found = next((each for name, each in self.columns.items() if is_meant(column, name)), None)
        return found or Tolerance(self.rtol, self.atol)

    def allowed(self, column: str) -> str:
        """Return what is allowed in a column, in words."""
        tolerance = self.tolerance(column)
        return f"{column}: {tolerance}" if self.columns else str(tolerance)

    def ignores(self, column: str) -> bool:
        """Tell whether a column, or a key, doesn't count."""
        return any(is_meant(column, pattern) for pattern in self.ignore)


def refuse_nothing(all_of_it: Collection[object], counting: Collection[object]) -> None:
    """Raise NotComparable if all that was there is ignored: nobody has seen that any of it is the same."""
    if all_of_it and not counting:
        raise NotComparable("all that is in it is ignored, so that nothing is compared")


def is_meant(column: str, pattern: str) -> bool:
    """Tell whether a pattern means a column; [ is itself, because names have that: x[1]."""
    return column == pattern or fnmatch.fnmatchcase(column, pattern.replace("[", "[[]"))


@dataclass(frozen=True)
class Deviation:
    """How far two files are apart: the largest distance of two numbers, and where it is."""

    absolute: float
    relative: float | None  # to the earlier number; None: that is 0, or infinite
    place: str

    @classmethod
    def of(cls, absolute: float, earlier: float, place: str) -> Deviation:
        """Return how far a number, or its size, is from the earlier one."""
        size = abs(earlier)
        return cls(absolute, absolute / size if size and math.isfinite(size) else None, place)

    def __str__(self) -> str:
        relative = "" if self.relative is None else f", {number(self.relative)} of it"
        return f"{number(self.absolute)} {self.place}{relative}"


@dataclass(frozen=True)
class Found:
    """What came of comparing two files by what is in them.

    ``difference`` says what differs more than it may, and where; None: nothing. Then ``within`` says what was allowed,
    if that was made use of; None: all that counts is the same.
    """

    difference: str | None = None
    within: str | None = None
    deviation: Deviation | None = None


@dataclass(frozen=True)
class Comparator:
    """A way to compare files."""

    name: str
    suffixes: Sequence[str]  # of the files that are compared so where nothing is said of them
    compare: Callable[[Path, Path, How], Found]  # the earlier file and the later one; NotComparable says why not
    used: Callable[[str], Sequence[str]]  # which parts of a `How` make a difference to a file of this name


def number(value: float) -> str:
    return f"{value:.{_SHOWN}g}"


class Largest:
    """The largest deviation of all pairs of numbers that were taken, and of those that deviate too much."""

    def __init__(self, how: How) -> None:
        self._how = how
        self._largest: Deviation | None = None
        self._too_large: Deviation | None = None
        self._used: dict[str, None] = {}  # columns
        self.too_many = 0

    def take(self, earlier: float, later: float, column: str, place: Callable[[], str]) -> None:
        """Take a pair of numbers; NaN is NaN, and an infinite number is itself alone."""
        if earlier == later or (earlier != earlier and later != later):
            return
        # Between a whole number and another their difference may be lost.
        deviation = float(abs(later - earlier)) or float(abs(Fraction(later) - Fraction(earlier)))
        if not math.isfinite(deviation):
            deviation = math.inf
        is_allowed = math.isfinite(deviation) and self._how.tolerance(column).allows(earlier, deviation)
        if is_allowed:
            self._used[column] = None
        else:
            self.too_many += 1
        largest = self._largest if is_allowed else self._too_large
        if largest is None or deviation > largest.absolute:
            found = Deviation.of(deviation, earlier, place())
            if is_allowed:
                self._largest = found
            else:
                self._too_large = found

    @property
    def found(self) -> Found:
        """What came of all pairs."""
        if self._too_large is not None:
            others = f"; {self.too_many:,} numbers deviate too much" if self.too_many > 1 else ""
            return Found(f"the largest deviation is {self._too_large}{others}", deviation=self._too_large)
        if self._largest is not None:
            within = "; ".join(dict.fromkeys(map(self._how.allowed, self._used)))
            return Found(within=within, deviation=self._largest)
        return Found()
