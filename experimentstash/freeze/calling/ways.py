"""The ways in which one parameter can be written, and which of them a registration names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.stash.schema import CallConfig

BOOLEAN = {
    "flag": "true: --{key}; false: nothing",
    "negatable": "true: --{key}; false: --no-{key}",
    "value": "--{key} true or --{key} false",
    "only_true": "true: --{key}; false can't be said",
    "nonempty": "true: --{key}=true; false: --{key}= (argparse's type=bool)",
}
LIST = {
    "spread": "--{key} a b",
    "filled": "--{key} a b, with one or more",
    "repeat": "--{key} a --{key} b",
    "comma": "--{key} a,b",
}
WHOLE = {
    "json": "--{key} with JSON",
    "yaml": "--{key} with YAML",
    "python": "--{key} with a Python literal: True, None, ['a']",
}
MAPPING = {"dotted": "--{key}.inner 1"}
NULL = {"omit": "null: nothing is written, for an option whose default is null"}
EMPTY = {"omit_empty": "an empty list: nothing is written, for an option whose default is an empty list"}
WORD = {"word": "a string or a number, as it is"}
EVERY = {**WORD, **BOOLEAN, **LIST, **WHOLE, **MAPPING, **NULL, **EMPTY}


@dataclass(frozen=True)
class Way:
    """How one parameter is written; ``pair``: the words for true and for false, if they are given one by one."""

    names: frozenset[str] = frozenset()
    pair: tuple[str, str] | None = None

    def of(self, kinds: Iterable[str]) -> str | None:
        """Return the one of ``kinds`` that this way says."""
        return next((kind for kind in kinds if kind in self.names), None)


def read(call: CallConfig) -> dict[str, Way]:
    """Return the ways that a registration gives, by parameter. StashError for one that there isn't."""
    return {str(key): _way(f"call.ways.{key}", given) for key, given in call.ways.items()}


def _way(name: str, given: Any) -> Way:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(text, str) for text in texts):
        raise StashError(f"{name}: {given!r} is no way to write a parameter.", _valid())
    pairs = [text for text in texts if "/" in text]
    for text in texts:
        if text not in EVERY and text not in pairs:
            raise StashError(f"{name}: there is no way {text!r}.{did_you_mean(text, EVERY)}", _valid())
    names = frozenset(text for text in texts if text not in pairs)
    for kinds in (BOOLEAN, LIST, WHOLE):
        if sum(kind in names for kind in kinds) + (len(pairs) if kinds is BOOLEAN else 0) > 1:
            raise StashError(f"{name}: {', '.join(texts)} exclude each other.", "keep one of them")
    if not pairs:
        return Way(names)
    yes, no = (half.strip() for half in pairs[0].split("/", 1))
    for half in (yes, no):
        if half and (not half.startswith("-") or any(character.isspace() for character in half)):
            raise StashError(f"{name}: {half!r} is no option.", "write the two as `--on/--off`, each may be empty")
    return Way(names, (yes, no))


def _valid() -> str:
    return f"one of {', '.join(EVERY)}, a list of several, or the words for true and false: --on/--off"


def settings(call: CallConfig) -> dict[str, str]:
    """Return what a registration says for all parameters, by kind of value."""
    found = {
        "boolean": call.booleans and call.booleans.value,
        "list": call.lists and call.lists.value,
        "mapping": call.mappings and call.mappings.value,
        "null": call.nulls and call.nulls.value,
    }
    return {kind: way for kind, way in found.items() if way is not None}


SETTING = {"boolean": "booleans", "list": "lists", "mapping": "mappings", "null": "nulls"}
_KINDS: Mapping[str, Mapping[str, str]] = {
    "boolean": {**BOOLEAN, **WHOLE},
    "list": {**LIST, **WHOLE},
    "mapping": {**MAPPING, **WHOLE},
    "null": {**NULL, **WHOLE},
}


def choices(kind: str, key: str, possible: Iterable[str]) -> str:
    """Say which ways there are to write a value of a kind."""
    bare = key.lstrip("-")
    listed = [f"`{way}` ({text.format(key=bare)})" for way, text in _KINDS[kind].items() if way in set(possible)]
    if not listed:
        return "there is no way to write it: leave it out, or hand it over in another form"
    return f"say which the tool takes in its registration, `call: {{ways: {{{key}: WAY}}}}`: {', '.join(listed)}"
