"""Values as words of a command line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex

PLAIN_NEGATIVE = regex(r"-\d+|-\d*\.\d+", re.ASCII)  # what every argparse takes for a number, not for an option
# What YAML reads as it stands, in every version of it and with every prefix.
_YAML_BARE = regex(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_YAML_NO_STRING = regex(r"true|false|yes|no|on|off|y|n|null|none|[-+]?\.?(?:inf|nan)", re.IGNORECASE)
_UNPRINTABLE = regex("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x85\u2028\u2029\ufeff]")


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


def nested(params: Mapping[Any, Any], name: str = "params") -> dict[Any, Any]:
    """Return parameters with what stands under dotted keys in its place; one place can have one value only."""
    found: dict[Any, Any] = {}
    for key, value in params.items():
        label = f"{name}.{key}"
        put(found, key, nested(value, label) if isinstance(value, Mapping) else value, label)
    return found


def put(place: dict[Any, Any], key: Any, value: Any, name: str, *, is_path: bool = True) -> None:
    """Set a value where a key says, of which dots may be part; StashError if something else is there."""
    *outer, last = key.split(".") if is_path and isinstance(key, str) and _is_path(key) else [key]
    for step in outer:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise _clash(name)
    if last not in place:
        place[last] = value
        return
    there = place[last]
    if not (isinstance(there, dict) and isinstance(value, dict) and there and value):
        raise _clash(name)
    for inner, each in value.items():
        put(there, inner, each, f"{name}.{inner}", is_path=False)


def _is_path(key: str) -> bool:
    """Tell whether a key's dots stand between keys; in 0.5 there are none."""
    return all(key.split(".")) and not re.fullmatch(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", key)


def _clash(name: str) -> StashError:
    return StashError(f"{name} is given twice, or both as a value and with others inside it.", "keep one of them")


def option(name: str, text: str) -> list[str]:
    """Return an option with its value; joined, when the value alone would be read as another option, or as a file's."""
    if not text.startswith(("-", "@")) or PLAIN_NEGATIVE.fullmatch(text):
        return [name, text]
    return joined(name, text)


def joined(name: str, text: str) -> list[str]:
    """Return an option and its value in one word."""
    if not re.fullmatch("-[^-]", name):
        return [f"{name}={text}"]
    # click reads `-k=value` as the value `=value`, but both click and argparse read `-kvalue`.
    return [name + text] if text else [name, text]


def json_text(value: Any, name: str, indent: int | None = None) -> str:
    """Return JSON; numbers and booleans as keys become strings there."""
    _check_json(value, name)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def yaml_text(value: Any, name: str) -> str:
    """Return YAML in one line, which PyYAML, ruamel and OmegaConf read as the same."""
    if isinstance(value, Mapping):
        items = (f"{yaml_text(key, name)}: {yaml_text(inner, f'{name}.{key}')}" for key, inner in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml_text(inner, f"{name}[{index}]") for index, inner in enumerate(value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        text = repr(value)  # YAML 1.1 knows no exponent without a dot: 1e-05 is a string there
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    text = word(value, name)
    if not isinstance(value, str) or (_YAML_BARE.fullmatch(text) and not _YAML_NO_STRING.fullmatch(text)):
        return text
    return _UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def python_text(value: Any, name: str) -> str:
    """Return a Python literal, as `ast.literal_eval` reads it."""
    if isinstance(value, Mapping):
        items = (f"{python_text(key, name)}: {python_text(inner, f'{name}.{key}')}" for key, inner in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(python_text(inner, f"{name}[{index}]") for index, inner in enumerate(value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise StashError(f"{name} is nan, for which Python has no literal.", "use a string, null or a number")
        return "1e999" if value > 0 else "-1e999"
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        reject_nul(name, value)
        return repr(value)
    return word(value, name)


def _check_json(value: Any, name: str) -> None:
    """Refuse what JSON has no form for, and keys that are one in it."""
    if isinstance(value, float) and not math.isfinite(value):
        raise StashError(f"{name} is {value}, which JSON can't express.", "use a string, null or a finite number")
    if isinstance(value, Mapping):
        texts = set()
        for key, inner in value.items():
            _check_json(inner, f"{name}.{key}")
            texts.add(key if isinstance(key, str) else json.dumps(key))
        if len(texts) < len(value):
            raise StashError(f"{name} has two keys that are one in JSON, where all are strings.", "rename one of them")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_json(inner, f"{name}[{index}]")


def reject_nul(name: str, text: str) -> None:
    if "\0" in text:
        raise StashError(f"{name} contains a NUL character, which no command line can carry.", f"remove it from {name}")
