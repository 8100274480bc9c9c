"""What a run is optimised for: a number among what its tool has written, named in the experiment's configuration.

A tool needs to know nothing of it: its metrics are read when it has ended, in bounded memory however large they are.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

from experimentstash.adapters.numbers.place import Missing, Place
from experimentstash.adapters.numbers.sources import SOURCES, TAKE, Key, Pattern, Source
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError, did_you_mean

# As a record keeps them: a mapping for each number, or a list of them for sweepers with several objectives.
Spec = dict[str, Any] | list[dict[str, Any]]
Result = float | list[float]
_FORMS = "write a key of metrics.json, {column: NAME, file: history.csv}, {pattern: 'loss=(\\S+)'}, or a list of these"


def check(given: Any, directory: Path) -> Spec:
    """Return an ``objective`` of the configuration as records keep it; StashError for what makes no sense.

    ``directory`` is the run's, in which all files must be.
    """
    if not isinstance(given, list):
        return dict(vars(_source(given, directory)))
    if not given:
        raise StashError("objective: the list is empty.", _FORMS)
    return [dict(vars(_source(one, directory))) for one in given]


def read(spec: Spec, place: Place) -> tuple[Result | None, list[str]]:
    """Return what a run has come to, and notes of what is missing for it: then there is no result."""
    numbers: list[float] = []
    notes = []
    for source in _sources(spec):
        try:
            number = source.number(place)
            if math.isnan(number):
                raise Missing("it is NaN")
            numbers.append(number)
        except (Missing, OSError, OverflowError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            notes.append(f"no value for the objective ({source}): {why}")
    if notes:
        return None, notes
    return (numbers if isinstance(spec, list) else numbers[0]), []


def words(spec: Spec) -> str:
    """Return what an objective is, in words."""
    return ", ".join(map(str, _sources(spec)))


def _sources(spec: Spec) -> list[Source]:
    each = spec if isinstance(spec, list) else [spec]
    return [next(kind(**one) for name, kind in SOURCES.items() if name in one) for one in each]


def _source(given: Any, directory: Path) -> Source:
    """Return what one objective means, its file relative to the run directory."""
    if isinstance(given, str) and given:
        given = {"key": given}
    if not isinstance(given, dict):
        raise StashError(f"objective: {given!r} names no number of the tool's.", _FORMS)
    kinds = [name for name in SOURCES if name in given]
    kind = SOURCES[kinds[0]] if kinds else None
    valid = list(kind.__annotations__) if kind else list(SOURCES)
    unknown = next((str(name) for name in given if name not in valid), None)
    if unknown is not None:
        raise StashError(
            f"objective: unknown key {unknown!r}.{did_you_mean(unknown, valid)}\nValid: {', '.join(valid)}", _FORMS
        )
    if kind is None:
        raise StashError("objective: none of key, column and pattern is given.", _FORMS)
    for name, value in given.items():
        if (not isinstance(value, str) or not value) and not (name == "file" and value is None):
            raise StashError(f"objective: {name}: {value!r} is not a text.", _FORMS)
    source = kind(**{name: value for name, value in given.items() if value is not None})
    if not isinstance(source, Key) and source.take not in TAKE:
        raise StashError(f"objective: take: {source.take!r} is none of {', '.join(TAKE)}.")
    if isinstance(source, Pattern):
        check_pattern(source.pattern)
    return source if source.file is None else replace(source, file=inside(source.file, directory))


def check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern, re.MULTILINE).groups
    except re.error as error:
        raise StashError(f"objective: pattern: {pattern!r} is no regular expression: {error}.") from error
    if groups > 1:
        raise StashError(
            f"objective: pattern: {pattern!r} has {groups} groups; which one is the number?",
            "put (…) around the number alone, and write (?:…) for the others",
        )


def inside(file: str, directory: Path) -> str:
    path = Path(os.path.normpath(directory / file))
    if not path.is_relative_to(directory) or path == directory:
        raise StashError(f"objective: file: {file!r} is not in the run directory {directory}.")
    return str(path.relative_to(directory))
