"""The statistics for which there is a library: SciPy, an extra that is imported when somebody asks for them.

A mean and a deviation need none. Distributions and tests are easy to get nearly right, and SciPy's are right.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from experimentstash.base.errors import StashError


def student_quantile(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution."""
    return float(_stats().t.ppf(probability, freedom))


def bootstrap_of_mean(numbers: Sequence[float], level: float, draws: int, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean."""
    if min(numbers) == max(numbers):
        return numbers[0], numbers[0]
    import numpy

    found = _stats().bootstrap(
        (numbers,), numpy.mean, confidence_level=level, n_resamples=draws, method="percentile", rng=seed
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def paired_t(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of the two-sided paired t-test; NaN where it can't tell."""
    return _p_value(_stats().ttest_rel, first, second)


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of the two-sided Wilcoxon signed-rank test; NaN where it can't tell."""
    return _p_value(_stats().wilcoxon, first, second)


def _p_value(test: Any, first: Sequence[float], second: Sequence[float]) -> float:
    with warnings.catch_warnings(), _numpy_silent():
        warnings.simplefilter("ignore")
        found = float(test(first, second).pvalue)
    return found if math.isfinite(found) else math.nan


def _numpy_silent() -> Any:
    import numpy

    return numpy.errstate(all="ignore")


def _stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise StashError(
            f"Tests and confidence intervals need SciPy, which isn't here ({error}).",
            "pip install 'experimentstash[stats]'; mean ± std and quartiles need nothing",
        ) from error
    return stats
