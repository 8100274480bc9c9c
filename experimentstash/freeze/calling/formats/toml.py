"""Parameters as TOML 1.0. It has no null, its keys are texts, and its integers have 64 bits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex

_BARE = regex(r"[A-Za-z0-9_-]+", re.ASCII)
_ESCAPED = regex(r'[\x00-\x08\x0a-\x1f\x7f"\\]')
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f"}


def text(content: Mapping[Any, Any]) -> str:
    return "\n".join(_table(content, (), "params")).lstrip("\n") + "\n"


def value(given: Any, name: str) -> str:
    """Return one value, as it stands after a `=`."""
    if given is None:
        raise StashError(f"{name} is null, which TOML can't express.", "leave it out, or give a value")
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int):
        if not -(2**63) <= given < 2**63:
            raise StashError(f"{name} is {given}, and integers of TOML have 64 bits.", "give it as a text")
        return str(given)
    if isinstance(given, float):
        if math.isfinite(given):
            return repr(given)
        return "nan" if math.isnan(given) else "inf" if given > 0 else "-inf"
    if isinstance(given, str):
        return _quoted(given, name)
    if isinstance(given, Mapping):
        inner = (f"{_key(key, name)} = {value(each, f'{name}.{key}')}" for key, each in given.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(given, (list, tuple)):
        return f"[{', '.join(value(each, f'{name}[{index}]') for index, each in enumerate(given))}]"
    raise StashError(f"{name} is {given!r}, which has no form in TOML.", "use texts, numbers and booleans")


def _table(content: Mapping[Any, Any], path: tuple[str, ...], name: str) -> Iterator[str]:
    """Yield the lines of a table: its own values first, as what comes after a further table's head is in that one."""
    if path:
        yield f"\n[{'.'.join(path)}]"
    tables = {key: each for key, each in content.items() if isinstance(each, Mapping)}
    for key, each in content.items():
        if key not in tables:
            yield f"{_key(key, name)} = {value(each, f'{name}.{key}')}"
    for key, each in tables.items():
        yield from _table(each, (*path, _key(key, name)), f"{name}.{key}")


def _key(key: Any, name: str) -> str:
    if not isinstance(key, str):
        raise StashError(f"{name}.{key}: {key!r} is no text, and keys of TOML are.", "use a text as key")
    return key if _BARE.fullmatch(key) else _quoted(key, f"{name}.{key}")


def _quoted(given: str, name: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in given):
        raise StashError(f"{name} has half of a character (a lone surrogate), which TOML can't express.", "remove it")
    return '"' + _ESCAPED.sub(lambda found: _SHORT.get(found[0], f"\\u{ord(found[0]):04x}"), given) + '"'
