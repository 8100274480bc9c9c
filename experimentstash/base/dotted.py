"""Nested mappings, and the dotted names of what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted names and the values of all that is no mapping, or an empty one; a lone value has no name."""
    if not isinstance(content, Mapping) or (path and not content):
        yield path, content
        return
    for name, value in content.items():
        yield from leaves(value, f"{path}.{name}" if path else str(name))


def is_number(value: Any) -> bool:
    """Tell whether a value is a number as people mean it: true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
