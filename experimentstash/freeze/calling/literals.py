"""What the dialects share that write every value as a literal of one language: no type needs saying there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling import ways, words
from experimentstash.freeze.calling.command_line import canonical
from experimentstash.freeze.calling.ways import Way
from experimentstash.stash.schema import CallConfig


def refuse_settings(call: CallConfig, *also: str) -> None:
    """Refuse what a registration says about the writing of values; ``also``: what this dialect has use for."""
    for kind, said in ways.settings(call).items():
        setting = ways.SETTING[kind]
        if setting not in also:
            raise StashError(
                f"call.{setting}: {said}: the style {call.style.value} leaves no choice how a {kind} is written.",
                f"remove `{setting}:`",
            )
    if call.joined is not None:
        raise StashError(f"call.joined: the style {call.style.value} has no use for it.", "remove `joined:`")


def refuse_ways(call: CallConfig) -> None:
    if call.ways:
        raise StashError(f"call.ways: the style {call.style.value} has no use for it.", "remove `ways:`")


def way(given: Mapping[str, Way], key: str) -> str | None:
    """Return the way that a registration gives a parameter: a `word` is written as it is, `python` as one literal."""
    found = next((each for name, each in given.items() if canonical(name) == canonical(key)), None)
    if found is None:
        return None
    for each in ("word", "python"):
        if found.names == {each}:
            return each
    raise StashError(
        f"call.ways.{key}: every value is a literal in this style.", "remove it, or write `word` or `python`"
    )


def leaves(
    params: Mapping[Any, Any], given: Mapping[str, Way], path: str = "", depth: int | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; a mapping that has a way of its own, or lies below ``depth``, is one value."""
    for key, value in params.items():
        if not isinstance(key, str):
            raise StashError(f"params.{path}{key}: {key!r} can't be part of a dotted key.", "use a string as key")
        text = f"{path}{key}"
        if isinstance(value, Mapping) and value and way(given, text) is None and depth != 1:
            yield from leaves(value, given, f"{text}.", depth and depth - 1)
        else:
            yield text, value


def once(pairs: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield keys and values; StashError for a key that comes again."""
    seen = set()
    for key, value in pairs:
        words.reject_nul("a key of params", key)
        if key in seen:
            raise StashError(f"params.{key} is given twice.", "keep one of them")
        seen.add(key)
        yield key, value
