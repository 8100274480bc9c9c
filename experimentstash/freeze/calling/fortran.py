"""Values as a namelist of Fortran's has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling import words


def text(value: Any, name: str) -> str:
    """Return a value for a namelist: `.true.`, `1.0e-05`, `'it''s'`, and of a list its elements with commas."""
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StashError(f"{name} is {value}, which not every compiler reads.", "give a finite number")
        said = repr(value)
        return said if "." in said else said.replace("e", ".0e")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        words.reject_nul(name, value)
        if len(value.splitlines()) > 1:
            raise StashError(f"{name} has several lines, which a namelist can't express.", "give one line")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (list, tuple)) and value:
        return ", ".join(text(each, f"{name}[{index}]") for index, each in enumerate(value))
    shown = "null" if value is None else "a mapping" if isinstance(value, Mapping) else "an empty list"
    raise StashError(f"{name} is {shown}, for which a namelist has no form.", "leave the line out: `{% if … %}`")
