"""Numbers for which JSON has no words, NaN and the infinities: ``{"_float_": "nan"}`` stands for them in records."""

from __future__ import annotations

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

FLOAT = "_float_"


def as_json(number: float) -> Any:
    """Return a number as plain JSON has it."""
    return {FLOAT: str(number)} if number - number != 0 else number


def from_json(value: Any) -> Any:
    """Return the number that plain JSON stands for; what stands for none as it is."""
    is_special = isinstance(value, dict) and list(value) == [FLOAT] and value[FLOAT] in ("nan", "inf", "-inf")
    return float(value[FLOAT]) if is_special else value
