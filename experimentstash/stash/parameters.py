"""Parameters as one tree, in whatever way they are written: docs/parameters.md has the rules for users.

A dot in a key is a step down: ``{model.n: 2}`` is ``{model: {n: 2}}``. A text and values below it stand side by side,
because the text may choose a config of a group: in the tree it is then the entry ``_choice_`` of the mapping. A mark in
front of a key (``+``, ``++``, ``~``: how a Hydra tool is told) stands at the last key, and isn't part of the name.
Standard library only: a job reads them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base import json_floats
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex

CHOICE = "_choice_"
MISSING = "???"

_MARKED = regex(r"(\+\+|\+|~|)(.*)", re.DOTALL)
_GROUP = regex(r"[A-Za-z_][\w-]*(?:/[A-Za-z_][\w-]*)+(?:@[^/]*)?", re.ASCII)
# A key with a dot that doesn't stand between keys.
_NUMBER = regex(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_WORD = regex(r"[A-Za-z_][\w-]*", re.ASCII)
# An interpolation that begins where it stands: ${.sibling}, ${..above}. A backslash takes its meaning away.
_RELATIVE = regex(r"(?<!\\)((?:\\\\)*\$\{)(\.+)")
_REFERENCE = regex(r"(?<!\\)((?:\\\\)*\$\{)(\.*)([^\s{}:.][^\s{}:]*)\}")

# The name of a parameter: its keys without marks, as text. `model/optimizer` is what `model.optimizer` is.
Name = tuple[str, ...]


class ClashError(ValueError):
    """Two things are said that can't both be meant; ``first`` and ``second`` are the leaves, as they are written."""

    def __init__(self, first: Leaf, second: Leaf) -> None:
        super().__init__(f"{first.label}: {first.value!r} and {second.label}: {second.value!r}")
        self.first = first
        self.second = second


@dataclass
class Leaf:
    """A value that is no mapping (an empty one counts), and where it is."""

    keys: tuple[Any, ...]  # without marks
    value: Any
    mark: str = ""
    written: tuple[Any, ...] = ()  # the keys as they are written: what leads to the value in the mapping it is from
    is_choice: bool = False  # it is written as `_choice_`
    is_beneath: bool = False  # what a choice that is an interpolation stands for: what is written out outranks it

    @property
    def label(self) -> str:
        return ".".join(map(str, ("params", *self.written)))


Leaves = dict[Name, Leaf]


def name_of(keys: Sequence[Any]) -> Name:
    """Return the name for keys without marks."""
    return tuple(part for key in keys for part in (key.split("/") if is_group(key) else (_text(key),)))


def is_group(key: Any) -> bool:
    """Tell whether a key is the path of a config group."""
    return isinstance(key, str) and "/" in key and _GROUP.fullmatch(key) is not None


def may_choose(value: Any) -> bool:
    """Tell whether a value may be the choice of a config group, beside which there may be values inside."""
    if isinstance(value, str):
        return value != MISSING
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def parts_of(key: Any) -> tuple[Any, ...]:
    """Return the keys that a dotted key is made of."""
    if not isinstance(key, str) or "." not in key or _NUMBER.fullmatch(split_mark(key)[1]):
        return (key,)
    path, at, package = key.partition("@")  # the package of a choice may have dots of its own
    parts = tuple(path.split("."))
    return (*parts[:-1], parts[-1] + at + package) if all(parts) else (key,)


def read(tree: Mapping[Any, Any]) -> Leaves:
    """Return the leaves of a mapping, as one file or one value has it, by name. ClashError for what is said twice."""
    found: Leaves = {}
    for leaf in _walk(tree, (), "", (), False):
        name = name_of(leaf.keys)
        known = found.get(name)
        if known is None or known.is_beneath or leaf.is_beneath:
            if known is None or not leaf.is_beneath:
                found[name] = leaf
        elif not (same(known.value, leaf.value) and known.mark == leaf.mark):
            raise ClashError(known, leaf)
    for name in list(found):
        for length in range(1, len(name)):
            above = found.get(name[:length])
            if above is None or name not in found or may_choose(above.value):
                continue
            if _is_empty(above.value) or above.is_beneath:
                del found[name[:length]]
            elif found[name].is_beneath:
                del found[name]
            else:
                raise ClashError(above, found[name])
    return found


def _walk(
    tree: Mapping[Any, Any], keys: tuple[Any, ...], mark: str, written: tuple[Any, ...], is_beneath: bool
) -> Iterator[Leaf]:
    for key, value in tree.items():
        path, own, is_choice = keys, mark, False
        for part in parts_of(key):
            its_mark, bare = split_mark(part)
            own = its_mark or own
            is_choice = bare == CHOICE and bool(path)
            path = path if is_choice else (*path, bare)
        if isinstance(value, Mapping) and value:
            yield from _walk(value, path, own, (*written, key), is_beneath or is_choice)
        else:
            yield Leaf(path, value, own, (*written, key), is_choice, is_beneath)


def split_mark(key: Any) -> tuple[str, Any]:
    """Return the mark in front of a key, and the key without it."""
    if not isinstance(key, str):
        return "", key
    mark, bare = _MARKED.findall(key)[0]
    return (mark, bare) if bare else ("", key)


def put(leaves: Leaves, name: Name, leaf: Leaf) -> list[Name]:
    """Give a parameter a value, over what was said before; return the names of others that are gone thereby."""
    known = leaves.get(name)
    gone = []
    if known is not None and leaf.value == MISSING:
        return []
    if _is_empty(leaf.value) and (any(_is_below(other, name) for other in leaves) or _is_choice(known)):
        return []  # a mapping is merged: an empty one says nothing
    for length in range(1, len(name)):
        above = leaves.get(name[:length])
        if above is not None and not may_choose(above.value):
            gone.append(name[:length])
    if not may_choose(leaf.value):
        gone += [other for other in leaves if _is_below(other, name)]
    for other in gone:
        del leaves[other]
    if known is not None:
        keys = leaf.keys if any(map(is_group, leaf.keys)) else known.keys
        mark = leaf.mark or ("" if known.mark == "~" else known.mark)
        leaf = Leaf(keys, leaf.value, mark, leaf.written, leaf.is_choice or known.is_choice)
    leaves[name] = leaf
    return gone


def remove(leaves: Leaves, name: Name) -> list[Name]:
    """Remove what a name stands for, what is below it included; return the names of what is gone."""
    gone = [other for other in leaves if other == name or _is_below(other, name)]
    for other in gone:
        del leaves[other]
    return gone


def merge(leaves: Leaves, over: Leaves) -> None:
    """Put other parameters over these."""
    for name, leaf in over.items():
        put(leaves, name, leaf)


def tree(leaves: Leaves) -> dict[Any, Any]:
    """Return the tree. Relative interpolations in it mean what they meant where they were written."""
    above = {leaf.keys[:length] for leaf in leaves.values() for length in range(len(leaf.keys))}
    made: dict[Any, Any] = {}
    for leaf in leaves.values():
        is_choice = leaf.is_choice or leaf.keys in above
        *path, last = _marked((*leaf.keys, CHOICE) if is_choice else leaf.keys, leaf.mark)
        node = made
        for key in path:
            node = node.setdefault(key, {})
        steps = len(path) + 1 - len(leaf.written)
        value = _deeper(leaf.value, steps) if steps > 0 else leaf.value
        inner = dict(node) if is_choice else {}  # a choice stands before the values inside
        if inner:
            node.clear()
        node[last] = value
        node.update(inner)
    return made


def _marked(keys: Sequence[Any], mark: str) -> list[Any]:
    """Return keys with the mark at the last text among them: other keys have no place for one."""
    marked = list(keys)
    if mark:
        place = max((number for number, key in enumerate(keys) if isinstance(key, str)), default=None)
        if place is not None:
            marked[place] = f"{mark}{keys[place]}"
    return marked


def merged(below: Mapping[Any, Any], over: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the tree of parameters of which ``over`` wins. ClashError for what ``over`` alone says twice."""
    upper = read(over)
    leaves = read(below)
    merge(leaves, upper)
    return tree(leaves)


def tidy(leaves: Leaves) -> dict[Any, Any]:
    """Return the tree with `_choice_` only where it says something: beside values, and for a group inside another."""
    resolved = (*[""] * max(map(len, leaves), default=0), CHOICE)  # texts stay as they are
    return tree(
        {
            name: Leaf(leaf.keys, leaf.value, leaf.mark, resolved, leaf.is_choice and len(leaf.keys) > 1)
            for name, leaf in leaves.items()
        }
    )


def canonical(tree: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the tidy tree of resolved parameters: what most of them are already. ClashError as from `read`."""
    return tree if _is_plain(tree) else tidy(read(tree))


def _is_plain(tree: Mapping[Any, Any]) -> bool:
    """Tell whether a mapping has no keys but words."""
    return all(
        type(key) is str
        and _WORD.fullmatch(key) is not None
        and key != CHOICE
        and (not isinstance(value, Mapping) or _is_plain(value))
        for key, value in tree.items()
    )


def apart(tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the tree with a choice and the values beside it as entries of their own: {model: rf, model.n: 2}."""
    made: dict[Any, Any] = {}
    for key, value in tree.items():
        inner = apart(value) if isinstance(value, Mapping) else value
        if not isinstance(inner, dict) or CHOICE not in inner:
            made[key] = inner
            continue
        made[key] = inner.pop(CHOICE)
        made.update({f"{_text(key)}.{_text(each)}": inner[each] for each in inner})
    return made


def choices(tree: Mapping[Any, Any], path: Name = ()) -> Iterator[Name]:
    """Yield the keys that lead to mappings with a choice in them."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            if any(split_mark(each)[1] == CHOICE for each in value):
                yield (*path, str(key))
            yield from choices(value, (*path, str(key)))


def pointed_at_choices(text: str, place: Sequence[Any], chosen: Mapping[Name, str]) -> str:
    """Return a text in which ``${params.model}`` means the choice, where that has values beside it.

    ``place`` are the keys that lead to the text; ``chosen`` has the entry of each choice by the full keys of its place.
    """

    def replaced(found: re.Match[str]) -> str:
        start, dots, path = found.groups()
        names = tuple(part for part in re.split(r"[.\[\]]+", path) if part)
        full = (*map(str, place[: len(place) - len(dots)]), *names) if dots else names
        return f"{start}{dots}{path}.{chosen[full]}}}" if full in chosen else found[0]

    return _REFERENCE.sub(replaced, text)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are one: 1 is neither true nor 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


def _deeper(value: Any, steps: int, inside: int = 0) -> Any:
    """Return a value whose relative interpolations mean the same from so many steps further down."""
    if isinstance(value, str):
        return _RELATIVE.sub(lambda found: _with_dots(found, steps, inside), value) if "${" in value else value
    if isinstance(value, list):
        return [_deeper(each, steps, inside + 1) for each in value]
    if isinstance(value, Mapping):
        return {key: _deeper(each, steps, inside + 1) for key, each in value.items()}
    return value


def _with_dots(found: re.Match[str], steps: int, inside: int) -> str:
    leaves_value = len(found[2]) > inside
    return found[0] + "." * steps if leaves_value else found[0]


def _is_below(name: Name, other: Name) -> bool:
    return len(name) > len(other) and name[: len(other)] == other


def _is_empty(value: Any) -> bool:
    return isinstance(value, Mapping) and not value


def _is_choice(leaf: Leaf | None) -> bool:
    return leaf is not None and may_choose(leaf.value)


def _text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


# --- what a record keeps ---------------------------------------------------------------------------------------------


def as_json(value: Any) -> Any:
    """Return a value as plain JSON has it: other keys than texts become texts, numbers that JSON lacks `_float_`."""
    return _converted(value, json_floats.as_json)


def _converted(value: Any, of_float: Callable[[float], Any]) -> Any:
    if isinstance(value, Mapping):
        return {_text(key): _converted(each, of_float) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(each, of_float) for each in value]
    if isinstance(value, float):
        return of_float(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def from_json(value: Any) -> Any:
    """Return a value as it was before `as_json`, but for keys that were no texts."""
    if isinstance(value, Mapping):
        if list(value) == [json_floats.FLOAT]:
            return json_floats.from_json(value)
        return {key: from_json(each) for key, each in value.items()}
    return [from_json(each) for each in value] if isinstance(value, list) else value
