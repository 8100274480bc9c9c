"""Numbers in tables: row by row, or as a key tells, each within what its column allows."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from experimentstash.base.dotted import is_number
from experimentstash.base.text import listed
from experimentstash.publish.comparators import json_numbers, npz
from experimentstash.publish.comparators.comparator import (
    Comparator,
    Found,
    How,
    Largest,
    NotComparable,
    refuse_nothing,
)
from experimentstash.publish.comparators.tables import Table, header, read

_NAMED = 3
_OTHERS = {".json": json_numbers.compare, ".npz": npz.compare, ".npy": npz.compare}


def _compare(earlier: Path, later: Path, how: How) -> Found:
    other = _OTHERS.get(earlier.suffix.lower())
    if other is not None:
        return other(earlier, later, how)
    before, after = read(earlier), read(later)
    for table in (before, after):
        refuse_nothing(table.columns, [name for name in table.columns if not how.ignores(name)])
    return compare_tables(before, after, how)


def compare_tables(earlier: Table, later: Table, how: How) -> Found:
    """Compare two tables, columns by their names in whatever order."""
    names = [name for name in earlier.columns if not how.ignores(name)]
    others = [name for name in later.columns if not how.ignores(name)]
    if lacking := [name for name in names if name not in others]:
        return Found(f"without the column {listed(lacking, _NAMED)}")
    if new := [name for name in others if name not in names]:
        return Found(f"with another column, {listed(new, _NAMED)}")
    if earlier.length != later.length:
        return Found(f"{later.length:,} rows, and {earlier.length:,} before")
    if unknown := [name for name in how.key if name not in earlier.columns]:
        raise NotComparable(f"there is no column {listed(unknown, _NAMED)}, which is to be the key")
    pairs = list(_pairs(earlier, later, how.key))
    if lost := next((shown for _, number, shown in pairs if number is None), None):
        return Found(f"there is no row {lost} any more")
    largest = Largest(how)
    for name in names:
        before, after = earlier.columns[name], later.columns[name]
        for first, second, shown in pairs:
            assert second is not None
            one, two = before[first], after[second]
            if is_number(one) and is_number(two):
                largest.take(one, two, name, functools.partial("in row {}, column {}".format, shown, name))
            elif one != two or type(one) is not type(two):
                return Found(f"row {shown}, column {name} is {two!r}, and {one!r} before")
    return largest.found


def _pairs(earlier: Table, later: Table, key: Sequence[str]) -> Iterator[tuple[int, int | None, str]]:
    """Yield which row of the later table is which of the earlier one, and how it is called; None: none is."""
    if not key:
        yield from ((number, number, str(number + earlier.first_row)) for number in range(earlier.length))
        return
    places: dict[str, int] = {}
    for number in range(later.length):
        if places.setdefault(_named(later, key, number), number) != number:
            raise NotComparable(f"two rows are {_named(later, key, number)}: the key doesn't tell them apart")
    seen: set[str] = set()
    for number in range(earlier.length):
        name = _named(earlier, key, number)
        if name in seen:
            raise NotComparable(f"two rows were {name}: the key doesn't tell them apart")
        seen.add(name)
        yield number, places.get(name), name


def _named(table: Table, key: Sequence[str], number: int) -> str:
    return ", ".join(f"{name}={table.columns[name][number]}" for name in key)


def names(path: Path) -> set[str]:
    """Return what columns, keys or arrays in a file are called; NotComparable if it can't be read."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return json_numbers.names(path)
    return {*(npz.read(path) if suffix in _OTHERS else header(path))}


def _used(path: str) -> tuple[str, ...]:
    has_rows = not path.lower().endswith(tuple(_OTHERS))
    return ("rtol", "atol", "columns", "ignore", *(["key"] if has_rows else []))


COMPARATOR = Comparator("numbers", (".csv", ".tsv", ".parquet", *_OTHERS), _compare, _used)
