"""Names that stand for paths in texts, where it makes no difference which paths they are."""

from __future__ import annotations

from collections.abc import Mapping


def named(text: str, names: Mapping[str, str]) -> str:
    """Return a text with names for paths: ``names`` has the longest paths first. What only begins like one stays."""
    for path, name in names.items():
        if path in text:
            first, *rest = text.split(path)
            text = first + "".join((path if _goes_on(each) else name) + each for each in rest)
    return text


def _goes_on(text: str) -> bool:
    """Tell whether the path before a text is the beginning of another name only."""
    return text[:1].isalnum() or text[:1] in ("_", ".", "-")
