"""Values and options as words of a command line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from experimentstash.errors import StashError

PLAIN_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)  # what every argparse takes for a number, not for an option


def word(value: Any, name: str) -> str:
    """Return one value as text: true, false, numbers so that they are read back exactly, lists and mappings as JSON."""
    if isinstance(value, str):
        reject_nul(name, value)
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple, Mapping)):
        return json_text(value, name)
    raise StashError(f"{name} is {value!r}, which has no form on a command line.", "use strings, numbers and booleans")


def flat(params: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and leaves; keys that aren't strings are written like values."""
    for key, value in params.items():
        text = f"{path}.{word(key, 'a key of params')}" if path else word(key, "a key of params")
        if isinstance(value, Mapping) and value:
            yield from flat(value, text)
        else:
            yield text, value


def option(name: str, text: str) -> list[str]:
    """Return an option with its value; joined, when the value alone would be read as another option."""
    if not text.startswith("-") or PLAIN_NEGATIVE.fullmatch(text):
        return [name, text]
    # click reads `-k=value` as the value `=value`, but both click and argparse read `-kvalue`.
    return [name + text] if re.fullmatch("-[^-]", name) else [f"{name}={text}"]


def json_text(value: Any, name: str, indent: int | None = None) -> str:
    """Return JSON; numbers and booleans as keys become strings there."""
    _reject_infinite(value, name)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _reject_infinite(value: Any, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StashError(f"{name} is {value}, which JSON can't express.", "use a string, null or a finite number")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _reject_infinite(inner, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _reject_infinite(inner, f"{name}[{index}]")


def reject_nul(name: str, text: str) -> None:
    if "\0" in text:
        raise StashError(f"{name} contains a NUL character, which no command line can carry.", f"remove it from {name}")
