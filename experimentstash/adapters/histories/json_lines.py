"""Histories in files with a JSON object a line."""

from __future__ import annotations

import json
from typing import BinaryIO

from experimentstash.adapters.histories.history import Rows, kind_of
from experimentstash.adapters.numbers.place import Missing
from experimentstash.base.dotted import is_number, leaves

_LONGEST_LINE = 1 << 20
# Lines after which a file in which nothing counts is no history.
_ENOUGH = 20
# How numbers that JSON has no words for are written as texts.
_WORDS = {"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"}


def read(stream: BinaryIO, rows: Rows) -> None:
    """Take the rows of a file. A line that is no object is passed over: the last may have been cut off."""
    has_counted = False
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise Missing("it has an endless line")
        number += 1
        row = numbers_in(line)
        has_counted = has_counted or any(kind_of(name) is not None for name in row)
        if number > _ENOUGH and not has_counted:
            return
        rows.add(row)


def numbers_in(text: bytes | str) -> dict[str, float]:
    """Return the numbers in a JSON text by their dotted names; none if it is no object."""
    try:
        content = json.loads(text)
        return {name: number for name, value in leaves(content) if name and (number := as_number(value)) is not None}
    except (ValueError, RecursionError):
        return {}


def as_number(value: object) -> float | None:
    """Return the number that a value of JSON is; None if it is none."""
    if isinstance(value, str):
        return float(value) if value in _WORDS else None
    try:
        return float(value) if is_number(value) else None  # type: ignore[arg-type]
    except OverflowError:
        return None
