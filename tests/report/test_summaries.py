"""Means, deviations, quartiles, intervals, tests and digits are right, and of what isn't finite nothing is made up."""

from __future__ import annotations

import math
import statistics
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.report.differences import TESTS, between, holm
from experimentstash.report.digits import Digits, fitting
from experimentstash.report.summaries import WAYS, Summary

NUMBERS = [0.91, 0.95, 0.9, 0.97, 0.93]
INF, NAN = math.inf, math.nan


def test_each_way_is_what_libraries_say() -> None:
    import numpy  # here, and below: whoever collects these tests would wait for them
    import scipy.stats

    mean, std = statistics.mean(NUMBERS), statistics.stdev(NUMBERS)
    found = {name: way.sum_up(NUMBERS) for name, way in WAYS.items()}
    assert (found["std"].middle, found["std"].apart) == pytest.approx((mean, std))
    quartiles = numpy.percentile(NUMBERS, [50, 25, 75])
    assert (found["quartiles"].middle, found["quartiles"].low, found["quartiles"].high) == pytest.approx(
        tuple(quartiles)
    )
    low, high = scipy.stats.t.interval(0.95, 4, mean, std / math.sqrt(5))
    assert (found["t"].middle, found["t"].low, found["t"].high) == pytest.approx((mean, low, high))
    by_draws = found["bootstrap"]
    assert by_draws == WAYS["bootstrap"].sum_up(NUMBERS)  # the same again
    assert by_draws.low is not None and by_draws.high is not None
    assert min(NUMBERS) < by_draws.low < mean < by_draws.high < max(NUMBERS)


@pytest.mark.parametrize("name", WAYS)
def test_one_number_alone_lies_apart_from_nothing(name: str) -> None:
    assert WAYS[name].sum_up([3.0]) == Summary(1, 3.0)


@pytest.mark.parametrize("name", WAYS)
def test_the_same_numbers_dont_lie_apart(name: str) -> None:
    found = WAYS[name].sum_up([3.0, 3.0, 3.0])
    assert found.middle == 3.0
    assert {found.apart, found.low, found.high} in ({0.0, None}, {None, 3.0})


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    ("numbers", "middle"),
    [([1.0, NAN, 2.0], NAN), ([1.0, INF, 2.0], INF), ([-INF, 1.0, 2.0], -INF), ([INF, -INF, 0.0], NAN)],
)
def test_what_isnt_finite_is_not_passed_over(name: str, numbers: list[float], middle: float) -> None:
    found = WAYS[name].sum_up(numbers)
    if name == "quartiles" and NAN not in numbers:
        middle = statistics.median(numbers)
    assert found.count == 3 and (found.middle == middle or (math.isnan(found.middle) and math.isnan(middle)))
    assert (found.apart, found.low, found.high) == (None, None, None)


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=6))
def test_no_finite_numbers_break_a_mean(numbers: list[float]) -> None:
    for name in ("std", "quartiles"):
        found = WAYS[name].sum_up(numbers)
        assert min(numbers) <= found.middle <= max(numbers) or found.middle == pytest.approx(numbers[0])


# --- tests -----------------------------------------------------------------------------------------------------------


def test_holm_is_as_published() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # as p.adjust of R
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


@pytest.mark.parametrize("name", TESTS)
def test_differences_are_tested_in_pairs(name: str) -> None:
    import scipy.stats

    a, b, c = [0.9, 0.8, 0.95, 0.7], [0.85, 0.7, 0.9, 0.69], [0.1, 0.9, 0.5, 0.6]
    groups = [dict(enumerate(numbers)) for numbers in (a, b, c)]
    found = between(TESTS[name], {"acc": groups})
    library = scipy.stats.ttest_rel if name == "t" else scipy.stats.wilcoxon
    expected = [library(x, y).pvalue for x, y in ((a, b), (a, c), (b, c))]
    assert [each.p for each in found] == pytest.approx(expected)
    assert [each.corrected for each in found] == pytest.approx(holm(expected))
    assert [(each.first, each.second, each.pairs) for each in found] == [(0, 1, 4), (0, 2, 4), (1, 2, 4)]
    assert found[0].mean == pytest.approx(0.0525)


@pytest.mark.parametrize(
    ("one", "other", "pairs", "why"),
    [
        ({1: 1.0, 2: 2.0}, {3: 1.0, 4: 2.0}, 0, "fewer than two seeds in common"),
        ({1: 1.0, 2: 2.0}, {2: 1.0, 3: 2.0}, 1, "fewer than two seeds in common"),
        ({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0}, 2, "they are equal"),
        ({1: 1.0, 2: 2.0}, {1: 2.0, 2: 3.0}, 2, "the difference is always the same"),
        ({1: 1.0, 2: NAN}, {1: 2.0, 2: 3.0}, 2, "not all numbers are finite"),
    ],
)
def test_where_there_is_nothing_to_test_that_is_said(
    one: dict[int, float], other: dict[int, float], pairs: int, why: str
) -> None:
    (found,) = between(TESTS["t"], {"acc": [one, other]})
    assert (found.pairs, found.p, found.corrected, found.why_none) == (pairs, None, None, why)


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    for numbers in ("t", "bootstrap"):
        with pytest.raises(StashError, match=r"need SciPy(.|\n)*pip install 'experimentstash\[stats\]'"):
            WAYS[numbers].sum_up(NUMBERS)
    WAYS["std"].sum_up(NUMBERS)
    WAYS["quartiles"].sum_up(NUMBERS)


# --- digits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("middles", "apart", "written"),
    [
        ([0.98765, 0.5], [0.0012, 0.0034], ["0.9877", "0.5000"]),
        ([123.456, 99.5], [12.3, 9.0], ["123", "100"]),
        ([0.999730, 0.966616, 0.5], [0.000032, 0.015138, 1e-9], ["0.99973", "0.96662", "0.50000"]),
        ([0.98765, 0.5], [0.0012, 0.00004], ["0.98765", "0.50000"]),
        ([0.98765, 0.5], [], ["0.9877", "0.5000"]),
        ([12.3456, 0.00123], [], ["12.35", "0.0012"]),
        ([3.0, 1500.0], [], ["3", "1500"]),
        ([3e-9, 2e-8], [], ["3e-09", "2e-08"]),
        ([1234567890.0, 1.0], [], ["1.235e+09", "1"]),
        ([0.0, -0.0], [], ["0", "0"]),
        ([NAN, INF, -INF, 1.5], [], ["NaN", "inf", "-inf", "1.500"]),
        ([1.0, 1.0], [0.0, 0.0], ["1", "1"]),
    ],
)
def test_digits_are_as_many_as_make_sense(middles: list[float], apart: list[float], written: list[str]) -> None:
    digits = fitting(middles, apart)
    assert [digits.write(each) for each in middles] == written


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(0, 8))
def test_nothing_is_shown_as_nought_that_isnt(number: float, decimals: int | None) -> None:
    shown = float(Digits(decimals).write(number))
    assert (shown == 0) is (number == 0)
    assert math.copysign(1, shown) == math.copysign(1, number) or number == 0
