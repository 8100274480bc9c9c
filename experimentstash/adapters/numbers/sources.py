"""Where a number stands in what a tool leaves, as configurations and records say it, and one check of that."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experimentstash.adapters.numbers.csv_column import Column
from experimentstash.adapters.numbers.json_key import Key
from experimentstash.adapters.numbers.place import ALL, Place
from experimentstash.adapters.numbers.take import TAKE
from experimentstash.adapters.numbers.tensorboard_tag import Tensorboard
from experimentstash.adapters.numbers.text_pattern import Pattern
from experimentstash.adapters.numbers.wandb_summary import Wandb
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError, refuse_unknown_key

Source = Key | Column | Pattern | Wandb | Tensorboard
SOURCES: Mapping[str, type[Source]] = {
    "key": Key,
    "column": Column,
    "pattern": Pattern,
    "wandb": Wandb,
    "tensorboard": Tensorboard,
}
FORMS = "{key: loss}, {column: loss, file: history.csv}, {pattern: 'loss=(\\S+)'}, {wandb: loss} or {tensorboard: loss}"


def checked(given: Mapping[Any, Any], where: str, directory: Path, hint: str = FORMS) -> Source:
    """Return what a configuration means, its file relative to the run ``directory``, in which it must be.

    StashError, with ``where`` in front, for what makes no sense.
    """
    kinds = [name for name in SOURCES if name in given]
    kind = SOURCES[kinds[0]] if kinds else None
    valid = list(kind.__annotations__) if kind else [*SOURCES, "file", "take"]
    refuse_unknown_key(given, valid, where, hint)
    if kind is None:
        raise StashError(f"{where}: none of {', '.join(list(SOURCES)[:-1])} and {list(SOURCES)[-1]} is given.", hint)
    for name, value in given.items():
        if (not isinstance(value, str) or not value) and not (name == "file" and value is None):
            raise StashError(f"{where}: {name}: {value!r} is not a text.", hint)
    source = kind(**{name: value for name, value in given.items() if value is not None})
    if not isinstance(source, (Key, Wandb)) and source.take not in TAKE:
        raise StashError(f"{where}: take: {source.take!r} is none of {', '.join(TAKE)}.")
    if isinstance(source, Pattern):
        _check_pattern(source.pattern, where)
    if isinstance(source, Wandb) or source.file is None:
        return source
    return replace(source, file=_inside(source.file, where, directory))


def from_record(given: Mapping[str, Any]) -> Source:
    """Return what a record says, in which only what was checked is."""
    return next(kind(**given) for name, kind in SOURCES.items() if name in given)


def takes_all(source: Source) -> bool:
    """Tell whether not one number is meant, but all that there are."""
    return ALL in (getattr(source, name, None) for name in SOURCES)


def everything(source: Source, place: Place) -> tuple[Mapping[str, float], Mapping[str, str]]:
    """Return all numbers that a source is for, and why others, by their names, are none; or what UNREADABLE names."""
    return source.all(place) if isinstance(source, (Key, Wandb)) else (source.numbers(place), {})


def number(source: Source, place: Place) -> float:
    """Return the number that a source is for; what UNREADABLE names if there is none."""
    ((_, found),) = source.numbers(place).items()
    return found


def _check_pattern(pattern: str, where: str) -> None:
    try:
        groups = re.compile(pattern, re.MULTILINE).groups
    except re.error as error:
        raise StashError(f"{where}: pattern: {pattern!r} is no regular expression: {error}.") from error
    if groups > 1:
        raise StashError(
            f"{where}: pattern: {pattern!r} has {groups} groups; which one is the number?",
            "put (…) around the number alone, and write (?:…) for the others",
        )


def _inside(file: str, where: str, directory: Path) -> str:
    path = Path(os.path.normpath(directory / file))
    if not path.is_relative_to(directory) or path == directory:
        raise StashError(f"{where}: file: {file!r} is not in the run directory {directory}.")
    return str(path.relative_to(directory))
