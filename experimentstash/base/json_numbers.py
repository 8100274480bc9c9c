"""Numbers of JSON as floats: one that is too large for a float is told from an infinity that somebody wrote."""

from __future__ import annotations

import json
import math

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Written(float):
    """NaN or an infinity that stands there in so many words."""


def loads(text: str) -> Any:
    """Return what a JSON text says, for ``as_float`` to be asked about the numbers in it."""
    return json.loads(text, parse_constant=_Written)


def as_float(number: float) -> float:
    """Return a number; OverflowError if it is too large for a float."""
    if math.isinf(found := float(number)) and not isinstance(number, _Written):
        raise OverflowError("the number is too large")
    return found
