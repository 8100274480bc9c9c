"""How many digits of numbers are shown: as many as make sense where they lie so far apart, the same in a column."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experimentstash.base.dataclass_light import dataclass

# Significant digits of what lies apart, and of numbers of which that isn't known.
_APART, _ALONE = 2, 4
# Further decimals that a column has at most for the sake of those that lie closest together.
_MORE = 2
# Decimals that a number is shown with at most, and from where on it is shown with an exponent.
_MOST, _LARGE = 8, 1e7


@dataclass(frozen=True)
class Digits:
    """How the numbers of a column are written."""

    decimals: int | None  # None: with an exponent

    def write(self, number: float) -> str:
        """Return a number as it is shown; never as nought if it isn't."""
        if not math.isfinite(number):
            return "NaN" if math.isnan(number) else "inf" if number > 0 else "-inf"
        text = f"{number:.{_ALONE}g}" if self.decimals is None else f"{number:.{self.decimals}f}"
        if float(text) == 0:
            return f"{abs(number):.{self.decimals or 0}f}" if number == 0 else f"{number:.2g}"
        return text


def fitting(middles: Sequence[float], apart: Sequence[float]) -> Digits:
    """Return how numbers are written that lie so far apart as ``apart`` tells, as far as it does."""
    sizes = [abs(number) for number in middles if math.isfinite(number) and number]
    largest = max(sizes, default=1.0)
    known = [_magnitude(number) for number in apart if math.isfinite(number) and number > 0]
    if known:
        fit_widest, fit_closest = _APART - 1 - max(known), -min(known)
        decimals = min(max(fit_widest, fit_closest), fit_widest + _MORE)
    elif all(size == int(size) for size in sizes):
        decimals = 0
    else:
        decimals = _ALONE - 1 - _magnitude(largest)
    return Digits(None if decimals > _MOST or largest >= _LARGE else max(0, decimals))


def _magnitude(number: float) -> int:
    return math.floor(math.log10(number))
