"""Coordinates that are the same but for the signs of axes, or for a rotation: those of PCA and spectral methods.

The rotation that brings them closest is the orthogonal Procrustes problem's (Schönemann, 1966): a reflection counts as
one, because axes have no direction. Neither scale nor place may differ.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dotted import is_number
from experimentstash.base.text import listed
from experimentstash.publish.comparators import npz
from experimentstash.publish.comparators.comparator import Comparator, Found, How, Largest, NotComparable
from experimentstash.publish.comparators.numbers import compare_tables
from experimentstash.publish.comparators.tables import Table, read

_NAMED = 3
_ARRAYS = (".npy", ".npz")
_Rows = Sequence[Sequence[float]]


def _compare(earlier: Path, later: Path, how: How) -> Found:
    if how.up_to not in ("sign", "rotation"):
        raise NotComparable("nothing says up to what an embedding is the same: up_to: sign, or up_to: rotation")
    if how.key:
        raise NotComparable("the rows of an embedding are compared in their order")
    if earlier.suffix.lower() in _ARRAYS:
        arrays = [_array(path) for path in (earlier, later)]
        kinds = [f"{name} is {array.dtype}" for name, array in arrays]
        if kinds[0] != kinds[1]:
            return Found(f"{kinds[1]}, and {kinds[0]} before")
        tables = [_axes(array) for _, array in arrays]
        names = how.coordinates or list(tables[0].columns)
    else:
        tables = [read(path) for path in (earlier, later)]
        names = how.coordinates
    if not names:
        raise NotComparable("nothing says which columns have the embedding's coordinates: coordinates: [x, y]")
    for table in tables:
        if lacking := [name for name in names if name not in table.columns]:
            raise NotComparable(f"there is no column {listed(lacking, _NAMED)}")
    rest = compare_tables(_without(tables[0], names), _without(tables[1], names), how)
    if rest.difference is not None:
        return rest
    points = [_points(table, names) for table in tables]
    if len(points[0]) != len(points[1]):
        return Found(f"{len(points[1]):,} rows, and {len(points[0]):,} before")
    turned, turning = (_by_sign if how.up_to == "sign" else _by_rotation)(points[0], points[1])
    largest = Largest(how)
    for number, (one, two) in enumerate(zip(points[0], turned, strict=True)):
        for name, before, after in zip(names, one, two, strict=True):
            largest.take(before, after, name, functools.partial("in row {}, column {}".format, number + 1, name))
    found = largest.found
    if found.difference is not None:
        return Found(f"{found.difference}, {turning or 'as it is'}", deviation=found.deviation)
    within = "; ".join(filter(None, (turning, found.within, rest.within)))
    return Found(within=within or None, deviation=found.deviation or rest.deviation)


def _array(path: Path) -> tuple[str, Any]:
    """Return the one array in a file, and its name."""
    arrays = npz.read(path)
    if len(arrays) != 1:
        raise NotComparable(f"{path.name} holds several arrays: {listed(list(arrays), _NAMED)}")
    ((name, array),) = arrays.items()
    if array.ndim != 2 or array.dtype.kind not in "iuf":
        raise NotComparable(f"{path.name} holds no points: its array is {array.dtype} {array.shape}")
    return name, array


def _axes(array: Any) -> Table:
    return Table({f"axis {number}": array[:, number].tolist() for number in range(array.shape[1])}, 1)


def _without(table: Table, names: Sequence[str]) -> Table:
    return Table({name: column for name, column in table.columns.items() if name not in names}, table.first_row)


def _points(table: Table, names: Sequence[str]) -> _Rows:
    columns = [table.columns[name] for name in names]
    if not all(is_number(each) and each - each == 0 for column in columns for each in column):
        raise NotComparable("not all coordinates are finite numbers")
    return list(zip(*columns, strict=True))


def _by_sign(before: _Rows, after: _Rows) -> tuple[_Rows, str | None]:
    """Return points with the axes turned round that fit better so, and what that was."""
    signs = []
    for one, two in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        signs.append(-1 if sum(a * b for a, b in zip(one, two, strict=True)) < 0 else 1)
    turned = [[sign * value for sign, value in zip(signs, row, strict=True)] for row in after]
    number = signs.count(-1)
    return turned, f"up to the sign of {number} of {len(signs)} axes" if number else None


def _by_rotation(before: _Rows, after: _Rows) -> tuple[_Rows, str | None]:
    """Return points turned to where they fit best, and that they were."""
    if before == after:
        return after, None
    try:
        import numpy  # here, because hardly any comparison needs it
    except ImportError:
        raise NotComparable("rotations are found by NumPy: pip install 'experimentstash[outputs]'") from None
    one, two = numpy.asarray(before, float), numpy.asarray(after, float)
    if one.shape[0] < one.shape[1]:
        raise NotComparable(
            f"{one.shape[0]} points of {one.shape[1]} axes: a rotation would make most of them the same"
        )
    left, _, right = numpy.linalg.svd(two.T @ one)
    return (two @ (left @ right)).tolist(), "up to a rotation"


COMPARATOR = Comparator(
    "embedding", (), _compare, lambda path: ("rtol", "atol", "columns", "ignore", "up_to", "coordinates")
)
