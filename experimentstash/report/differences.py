"""Whether groups of runs differ: tests in pairs of what has the same seed, corrected for how many there are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.report import scipy_door

Numbers = Mapping[Any, float]  # by what is repeated with


@dataclass(frozen=True)
class Test:
    """A test of paired numbers, and what is said of it."""

    name: str
    words: str
    p_value: Callable[[Sequence[float], Sequence[float]], float]
    # Returns the least that it can come to with so many pairs.
    least: Callable[[int], float]


TESTS = {
    test.name: test
    for test in (
        Test("t", "two-sided paired t-test", scipy_door.paired_t, lambda pairs: 0.0),
        Test(
            "wilcoxon",
            "two-sided Wilcoxon signed-rank test",
            scipy_door.wilcoxon,
            lambda pairs: min(1.0, 2.0 ** (1 - pairs)),
        ),
    )
}


@dataclass(frozen=True)
class Difference:
    """By how much one group lies above another, in a metric, and how likely so much is if they don't differ."""

    metric: str
    first: int  # which rows
    second: int
    pairs: int
    mean: float | None = None
    p: float | None = None
    corrected: float | None = None  # by Holm, over all tests
    why_none: str | None = None


def between(test: Test, metrics: Mapping[str, Sequence[Numbers]]) -> list[Difference]:
    """Return all differences, each metric's groups two at a time."""
    found = [
        _difference(test, metric, number, groups[number], other, groups[other])
        for metric, groups in metrics.items()
        for number, other in itertools.combinations(range(len(groups)), 2)
    ]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [each if each.p is None else replace(each, corrected=next(corrected)) for each in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _difference(test: Test, metric: str, first: int, one: Numbers, second: int, other: Numbers) -> Difference:
    common = [key for key in one if key in other]
    pairs = [(one[key], other[key]) for key in common]
    found = Difference(metric, first, second, len(pairs))
    if len(pairs) < 2:
        return replace(found, why_none="fewer than two seeds in common")
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        return replace(found, why_none="not all numbers are finite")
    differences = [left - right for left, right in pairs]
    found = replace(found, mean=math.fsum(differences) / len(differences))
    if min(differences) == max(differences):
        return replace(found, why_none="they are equal" if not differences[0] else "the difference is always the same")
    p = test.p_value(*zip(*pairs, strict=True))
    return replace(found, why_none="the test comes to nothing") if math.isnan(p) else replace(found, p=p)
