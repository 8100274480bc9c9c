"""Parameters as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experimentstash.freeze.calling import words


def text(content: Mapping[Any, Any]) -> str:
    return words.json_text(content, "params", indent=2) + "\n"
