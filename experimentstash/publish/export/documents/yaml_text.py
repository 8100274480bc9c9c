"""YAML as it is written into documents: every text in quotes, so that none is taken for something else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def document(data: Mapping[str, Any]) -> str:
    """Return YAML of mappings, lists, texts and numbers."""
    return "".join(f"{line}\n" for line in _lines(data))


def _lines(data: Any) -> list[str]:
    if isinstance(data, Mapping):
        return [line for name, value in data.items() for line in _entry(f"{name}:", value)]
    return [line for value in data for line in _item(value)]


def _entry(front: str, value: Any) -> list[str]:
    if isinstance(value, (Mapping, Sequence)) and not isinstance(value, str) and value:
        return [front, *(f"  {line}" for line in _lines(value))]
    return [f"{front} {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"- {_scalar(value)}"]
    first, *rest = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _scalar(value: Any) -> str:
    """Return a text as JSON has it, which YAML reads, too."""
    return json.dumps(value, ensure_ascii=False)
