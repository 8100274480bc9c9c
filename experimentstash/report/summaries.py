"""What several numbers come to: their middle, and how far they lie apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from experimentstash.base.dataclass_light import dataclass
from experimentstash.report import scipy_door

# What a bootstrap draws, always the same.
_DRAWS, _SEED = 9999, 0
_LEVEL = 0.95


@dataclass(frozen=True)
class Summary:
    """The middle of some numbers, and below and above it what tells how far they lie apart; None where nothing can."""

    count: int
    middle: float
    apart: float | None = None  # the standard deviation
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Way:
    """A way to sum numbers up, and what is said of it."""

    name: str
    middle: str
    words: str
    parts: tuple[str, ...]  # what of a summary it has
    sum_up: Callable[[Sequence[float]], Summary]


def _of_mean(numbers: Sequence[float]) -> Summary:
    middle = _mean(numbers)
    if len(numbers) < 2 or not _are_finite(numbers):
        return Summary(len(numbers), middle)
    return Summary(len(numbers), middle, apart=_deviation(numbers, middle))


def _of_median(numbers: Sequence[float]) -> Summary:
    if any(math.isnan(number) for number in numbers):
        return Summary(len(numbers), math.nan)
    middle = statistics.median(numbers)
    if len(numbers) < 2 or not _are_finite(numbers):
        return Summary(len(numbers), middle)
    low, _, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Summary(len(numbers), middle, low=low, high=high)


def _of_interval(numbers: Sequence[float]) -> Summary:
    middle = _mean(numbers)
    if len(numbers) < 2 or not _are_finite(numbers):
        return Summary(len(numbers), middle)
    factor = scipy_door.student_quantile((1 + _LEVEL) / 2, len(numbers) - 1)
    reach = factor * _deviation(numbers, middle) / math.sqrt(len(numbers))
    return Summary(len(numbers), middle, low=middle - reach, high=middle + reach)


def _of_bootstrap(numbers: Sequence[float]) -> Summary:
    middle = _mean(numbers)
    if len(numbers) < 2 or not _are_finite(numbers):
        return Summary(len(numbers), middle)
    low, high = scipy_door.bootstrap_of_mean(numbers, _LEVEL, _DRAWS, _SEED)
    return Summary(len(numbers), middle, low=low, high=high)


WAYS: Mapping[str, Way] = {
    way.name: way
    for way in (
        Way("std", "mean", "mean ± standard deviation of the sample (n − 1)", ("apart",), _of_mean),
        Way("quartiles", "median", "median [lower quartile, upper quartile]", ("low", "high"), _of_median),
        Way("t", "mean", "mean [95 % confidence interval by Student's t]", ("low", "high"), _of_interval),
        Way(
            "bootstrap",
            "mean",
            f"mean [95 % confidence interval by the percentiles of a bootstrap, {_DRAWS:,} draws]",
            ("low", "high"),
            _of_bootstrap,
        ),
    )
}


def _are_finite(numbers: Sequence[float]) -> bool:
    return all(map(math.isfinite, numbers))


def _mean(numbers: Sequence[float]) -> float:
    """Return the mean; of what isn't finite it is what IEEE's arithmetic makes of it."""
    if not _are_finite(numbers):
        return sum(numbers)
    try:
        return math.fsum(numbers) / len(numbers)
    except OverflowError:
        return statistics.mean(numbers)


def _deviation(numbers: Sequence[float], mean: float) -> float:
    return math.hypot(*(number - mean for number in numbers)) / math.sqrt(len(numbers) - 1)
