"""Which of many numbers is meant: the last, the least, the greatest, or their mean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from experimentstash.adapters.numbers.place import Missing

TAKE = {"last": "the last", "min": "the least", "max": "the greatest", "mean": "the mean of"}


class Taking:
    """Takes one of many numbers, or their mean, as they come."""

    def __init__(self, take: str) -> None:
        self._take = take
        self._last: str | None = None
        self._found: float | None = None
        self._sum, self._count = 0.0, 0

    def add(self, text: str) -> None:
        """Take notice of a further one; Missing if it is no number, where each counts."""
        if self._take == "last":
            self._last = text  # what stands before the last need not be a number
            return
        number = _number(text)
        self._sum, self._count = self._sum + number, self._count + 1
        if not math.isnan(number):  # which is neither least nor greatest
            least_or_greatest = min if self._take == "min" else max
            self._found = number if self._found is None else least_or_greatest(self._found, number)

    def number(self) -> float:
        """Return what is taken; Missing if there is none."""
        if self._take == "last" and self._last is not None:
            return _number(self._last)
        if self._take == "mean" and self._count:
            return self._sum / self._count
        if self._found is None:
            raise Missing("there is none")
        return self._found


def taken(texts: Iterable[str], take: str) -> float:
    """Return which of these numbers is meant; Missing if there is none."""
    taking = Taking(take)
    for text in texts:
        taking.add(text)
    return taking.number()


def _number(text: str) -> float:
    try:
        number = float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        raise Missing(f"it is no number: {text[:40]!r}{_doubt(text)}") from None
    if math.isinf(number) and re.search(r"\d", text):
        raise Missing(f"the number is too large: {text[:40]}")
    return number


def _doubt(text: str) -> str:
    """Say why a text with digits is no number, where that is known."""
    if re.fullmatch(r"[-+]?\d[\d.]*(?:[eE][-+]?\d+)?[,;:%)\]}|]+", text):
        return "; have the pattern's group end with the number: ([-+.\\deE]+)"
    if re.fullmatch(r"[-+]?\d[\d.,]*", text):
        return ": its comma may stand for thousands, or for the decimal point"
    return ""
