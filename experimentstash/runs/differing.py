"""What runs differ by: whatever makes a run what it is, by its name, and which of these names have several values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experimentstash.base.dotted import is_number
from experimentstash.base.patterns import regex
from experimentstash.runs.expression import alike
from experimentstash.runs.facts import Facts

# Overrides, the parameters' aside, that change what a run does.
_OTHERS = regex(r"(?:\+\+|\+|~)?((?:arguments|vars|paths|tool)(?:\.[^=]*)?)(?:=(.*))?", re.DOTALL)
# What a run has besides its parameters. `exp` tells most, and stands first.
EXPERIMENT, TOOL, INNER, ID = "exp", "tool", "experiment", "id"
_HEADINGS = {EXPERIMENT: "experiment", INNER: "in the tool", ID: "run"}
PARAMS = "params."
# Names, or the last part of them, of what runs are repeated with.
_SEED = regex(r"(?:.*\.)?(?:seeds?|random_state|rng|seed_everything|\w+_seed|seed_\w+)", re.IGNORECASE)
# What is shown of a run that has no such parameter.
ABSENT = "-"


class _Absent:
    """A run has no such setting."""

    def __repr__(self) -> str:
        return ABSENT


NOTHING = _Absent()


def settings_of(facts: Facts) -> dict[str, Any]:
    """Return what makes a run what it is, by its names."""
    found: dict[str, Any] = {EXPERIMENT: facts.experiment, TOOL: facts.tool}
    if facts.plain.inner is not None:
        found[INNER] = facts.plain.inner
    found[ID] = facts.id
    found |= {f"{PARAMS}{alike(name)}": value for name, value in facts.params.items()}
    for override in facts.overrides:
        if (other := _OTHERS.fullmatch(override)) is not None and other[1] != TOOL:
            found[other[1]] = other[2]
    return found


def is_seed(name: str) -> bool:
    """Tell whether a parameter only says which of several repetitions a run is, by its name."""
    return _SEED.fullmatch(name) is not None


def varies(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether runs have it with different values, or some of an experiment have it and others don't."""
    values: set[Any] = set()
    has: dict[str, bool] = {}
    for own in settings:
        if name in own:
            values.add(identity(own[name]))
        if len(values) > 1 or has.setdefault(own[EXPERIMENT], name in own) is not (name in own):
            return True
    return False


def follows(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a run's experiment says which tool it is of, and which experiment of that."""
    if name not in (TOOL, INNER):
        return False
    seen: dict[str, Any] = {}
    return all(seen.setdefault(own[EXPERIMENT], own.get(name)) == own.get(name) for own in settings)


def identity(value: Any) -> Any:
    """Return what equal values have in common: 1 and 1.0 are equal, 1 and true or "1" are not."""
    if is_number(value) and value == value:
        return value
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value) if isinstance(value, _Absent) else json.dumps(value, sort_keys=True, default=str)


def order(value: Any) -> tuple[int, float, str]:
    """Return what sorts values: what is absent, numbers, then the rest."""
    if isinstance(value, _Absent):
        return 0, 0.0, ""
    if is_number(value) and value == value:
        return 1, float(value), ""
    return 2, 0.0, said(value)


def said(value: Any) -> str:
    """Return a value of a setting as it is shown."""
    if isinstance(value, str):
        return value
    return ABSENT if isinstance(value, _Absent) else json.dumps(value, ensure_ascii=False, default=str)


def plain(value: Any) -> Any:
    """Return a value of a setting as data; None for what a run doesn't have."""
    return None if isinstance(value, _Absent) else value


def short(name: str) -> str:
    """Return a name as it is said."""
    return _HEADINGS.get(name, name.removeprefix(PARAMS))


def heading(name: str, names: Sequence[str]) -> str:
    """Return what a column of these names is headed: in short, if that tells them apart."""
    found = short(name)
    return found if [short(each) for each in names].count(found) == 1 else name
