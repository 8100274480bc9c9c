"""Plain data from outside, as our light dataclasses say that it is; what isn't is refused, with its place.

Standard library only, and light: every job reads records through this door.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping

from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.patterns import regex

if TYPE_CHECKING:
    from json import JSONDecoder
    from typing import Any


# What fits everywhere that a number goes: into a file system, an argument, a table.
_LARGEST = 2**64
# Digits of a whole number: with many, reading it takes for ever.
_MOST_DIGITS = 40
# Levels that what may be anything can have.
_DEEPEST = 100
_LONGEST_SHOWN = 40
_TIME = regex(
    r"(?:19[7-9]\d|2\d{3})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3}(?:\d{3})?)?"
    r"[+-](?:[01]\d|2[0-3]):[0-5]\d"
)
# The field of what data says besides.
OTHERS = "others"
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def loads(data: str | bytes) -> Any:
    """Return what a JSON text says; ValueError for whatever is wrong with it."""
    import json

    try:
        text = data if isinstance(data, str) else data.decode(json.detect_encoding(data), "surrogatepass")
        return _decoder().decode(text)
    except RecursionError:
        raise ValueError("it is too deeply nested") from None


@functools.cache  # of a hundred thousand records each would have one made
def _decoder() -> JSONDecoder:
    import json

    return json.JSONDecoder(parse_int=_parse_int)


def _parse_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def wrong(value: object, where: str, what: str) -> ValueError:
    """Return the error for a value that isn't what it must be."""
    shown = (
        repr(value) if not isinstance(value, (dict, list)) else f"a {'mapping' if isinstance(value, dict) else 'list'}"
    )
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return ValueError(f"{where}: {shown} is not {what}" if where else f"it is {shown}, not {what}")


def text(value: Any, where: str) -> str:
    """Take a text."""
    if not isinstance(value, str):
        raise wrong(value, where, "a text")
    return value


def argument(value: Any, where: str) -> str:
    """Take a text that a program can be given."""
    if not isinstance(value, str) or "\0" in value:
        raise wrong(value, where, "an argument")
    if value.isascii():
        return value
    try:  # one that another process has written may have its bytes in another form
        return os.fsdecode(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise wrong(value, where, "an argument") from None


def path(value: Any, where: str) -> str:
    """Take a text that may be a path, as this process writes it."""
    if value == "":
        raise wrong(value, where, "a path")
    return argument(value, where)


def file_name(value: Any, where: str) -> str:
    """Take the name of a file, which leads to no other directory."""
    if "/" in path(value, where) or value in (".", "..") or not value.isprintable():
        raise wrong(value, where, "the name of a file")
    return str(value)


def name(value: Any, where: str) -> str:
    """Take a name: a word in a table, that may have slashes in it but leads nowhere as a path."""
    is_name = isinstance(value, str) and value and value.isprintable() and len(value) <= 4096
    if not is_name or value.startswith("/") or ".." in value.split("/"):
        raise wrong(value, where, "a name")
    return str(value)


def time(value: Any, where: str) -> str:
    """Take a time, with its offset, as records keep it."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= 12 or not 1 <= int(found[2]) <= _DAYS[int(found[1]) - 1]:
        raise wrong(value, where, "a time")
    year = int(value[:4])
    if value[5:10] == "02-29" and (year % 4 or (year % 100 == 0 and year % 400)):
        raise wrong(value, where, "a time")
    return str(value)


def whole(value: Any, where: str) -> int:
    """Take a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _LARGEST:
        raise wrong(value, where, "a whole number")
    return value


def pid(value: Any, where: str) -> int:
    """Take the number of a process, and of no group of them."""
    if not 1 <= whole(value, where) < 2**31:
        raise wrong(value, where, "a process")
    return int(value)


def number(value: Any, where: str) -> float:
    """Take a number, which may be infinite."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
        raise wrong(value, where, "a number")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise wrong(value, where, "a number")
    return value


def duration(value: Any, where: str) -> float:
    """Take a number of seconds."""
    if not 0 <= number(value, where) < _LARGEST:
        raise wrong(value, where, "a number of seconds")
    return float(value) if isinstance(value, float) else value


def yes_or_no(value: Any, where: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise wrong(value, where, "true or false")
    return value


def anything(value: Any, where: str) -> Any:
    """Take what isn't endlessly deep."""
    level, depth = [value] if isinstance(value, (dict, list)) else [], 0
    while level:
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"{where}: it has more than {_DEEPEST} levels")
    return value


def checker(annotation: str, known: Mapping[str, Callable[[Any, str], Any]]) -> Callable[[Any, str], Any]:
    """Return what checks a value by a type as it is written: names in ``known``, list[…], dict[…], and … | ….

    Of alternatives the first one that is no list counts, or the list for a list.
    """
    alternatives = alternatives_of(annotation)
    if len(alternatives) > 1:
        wanted = [each for each in alternatives if each != "None"]
        may_be_none = len(wanted) < len(alternatives)
        lists = [checker(each, known) for each in wanted if each.startswith("list[")]
        others = [checker(each, known) for each in wanted if not each.startswith("list[")]

        def check(value: Any, where: str) -> Any:
            if value is None and may_be_none:
                return None
            return ((lists if isinstance(value, list) else others) or lists or others)[0](value, where)

        return check
    if annotation.startswith("list["):
        inner = checker(annotation[5:-1], known)

        def check_list(value: Any, where: str) -> Any:
            if not isinstance(value, list):
                raise wrong(value, where, "a list")
            try:
                return [inner(each, where) for each in value]
            except ValueError:  # once more, to say where
                return [inner(each, f"{where}[{number}]") for number, each in enumerate(value)]

        return check_list
    if annotation.startswith("dict["):
        inner = checker(_split(annotation[5:-1], ",")[1], known)

        def check_dict(value: Any, where: str) -> Any:
            if not isinstance(value, dict):
                raise wrong(value, where, "a mapping")
            try:
                return {key: inner(each, where) for key, each in value.items()}
            except ValueError:
                return {key: inner(each, f"{where}.{key}") for key, each in value.items()}

        return check_dict
    return known[annotation]


def alternatives_of(annotation: str) -> list[str]:
    """Return the types of which a type that is written as … | … is one."""
    return _split(annotation, "|")


def _split(annotation: str, mark: str) -> list[str]:
    """Split at a mark that is in no brackets."""
    parts, depth = [""], 0
    for letter in annotation:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


BASIC: dict[str, Callable[[Any, str], Any]] = {
    "str": text,
    "int": whole,
    "float": number,
    "bool": yes_or_no,
    "Any": anything,
}


def builder(kind: type[Any], known: Mapping[str, Callable[[Any, str], Any]]) -> Callable[[Any, str], Any]:
    """Return what makes an object of a light dataclass of plain data.

    Keys that it doesn't know are kept in its field `others`, if it has that, and else passed over.
    """
    checks = {
        field: (checker(annotation, known), _as_they_are(annotation))
        for field, annotation in kind.__annotations__.items()
        if field != OTHERS
    }
    keeps_others = OTHERS in kind.__annotations__
    needed = {field for field in kind.__annotations__ if not hasattr(kind, field)}

    def build(data: Any, where: str) -> Any:
        if not isinstance(data, dict):
            raise wrong(data, where, "a mapping")
        prefix = f"{where}." if where else ""
        if not needed <= data.keys():
            raise ValueError(f"{prefix}{min(needed - data.keys())} is missing")
        given: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for field, value in data.items():
            own = checks.get(field)
            if own is None:
                others[field] = value
            else:
                given[field] = value if type(value) in own[1] else own[0](value, prefix + field)
        if keeps_others:
            given[OTHERS] = anything(others, prefix + OTHERS) if others else others
        return kind(**given)

    return build


def _as_they_are(annotation: str) -> set[type]:
    """Return the types of which each value fits: records hold thousands of them."""
    alternatives = alternatives_of(annotation)
    return {kind for name, kind in (("None", type(None)), ("str", str), ("bool", bool)) if name in alternatives}
