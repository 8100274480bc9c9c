"""No secret is in what a run asks for, of which its record keeps all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experimentstash.base.redaction import contains_secret, is_named_secret


def refuse_named_secrets(tree: Mapping[str, Any], path: str) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            refuse_named_secrets(value, f"{path}.{name}")
        elif isinstance(value, str | int) and not isinstance(value, bool) and is_named_secret(name, str(value)):
            raise contains_secret("a secret", f"{path}.{name}")


def texts_in(value: Any) -> list[str]:
    """Return all texts in plain data and in settings, keys included."""
    found: list[str] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[str]) -> None:
    kind = type(value)
    if kind is str:
        found.append(value)
    elif value is None or kind is bool or kind is int or kind is float:
        pass
    elif isinstance(value, Mapping):
        for key, each in value.items():
            found.append(str(key))
            _gather(each, found)
    elif isinstance(value, list | tuple):
        for each in value:
            _gather(each, found)
    elif isinstance(value, str | Path):
        found.append(str(value))
    elif dataclasses.is_dataclass(value):
        _gather(vars(value), found)
