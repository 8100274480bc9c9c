"""What `outputs` could say of a file that varies by itself, so that all that was seen of it would be the same.

A proposal has been tried on each pair of what was seen before it is made. Where no tolerance tells a right result from
a wrong one, none is proposed, and that is said.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.dotted import is_number
from experimentstash.base.patterns import regex
from experimentstash.base.text import listed
from experimentstash.publish.comparators import choose, json_numbers, npz, tables
from experimentstash.publish.comparators.comparator import How, NotComparable, Tolerance

_NAMED = 5
# By how much more than was seen is proposed: the next runs may vary by a little more.
_MARGIN = 2.0
# Of a number itself, and of all that a column spans: what varies by more is another result.
_LARGEST_RTOL, _LARGEST_SHARE = 0.1, 0.1
# Below that a number is as good as 0, whatever is around it.
_NOTHING = 1e-12
# Columns whose tolerances are further apart than that, or larger, are named one by one.
_ALIKE, _SMALL = 100.0, 1e-3
_MOST_KEYS = 8
# What the columns of an array are called.
_AXIS = "axis "
# The most that a channel of a picture may deviate by, of 255, and shares of its pixels.
_MOST_LEVELS, _LEVELS, _SHARES = 16, 255, (1e-4, 1e-3, 1e-2)
# By their names, or by how they look, these tell of the moment, or of the machine.
_OF_THE_MOMENT = regex(
    r"(?i)(?:.*[^a-z])?(?:time|timestamp|date|datetime|seconds?|secs?|ms|duration|elapsed|runtime|walltime|host|hostname"
    r"|pid|uuid|created|started|finished|memory|rss)s?(?:[^a-z].*)?"
)
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"
_PATTERNS = (
    _MOMENT,
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d( [A-Z]+)? \d{4}",
    r"\d{4}-\d\d-\d\d",
    r"\d\d:\d\d:\d\d(\.\d+)?",
    r"\d+(\.\d+)?(e-?\d+)? ?(ns|µs|us|ms|s|secs?|seconds?|min|minutes?|h|hours?)\b",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"0x[0-9a-f]+",
    r"\b1\d{9}(\.\d+)?\b",
)

_Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Proposal:
    """What could be said of an output in `outputs`; None, and why there is nothing that would do."""

    how: How | None
    why: str = ""


def propose(how: How, files: Sequence[Path]) -> Proposal:
    """Return what would have all of these files be the same."""
    try:
        if how.compare == "text":
            return _of_text(how, files)
        if how.compare == "picture":
            return _of_picture(how, files)
        if how.compare in ("numbers", "embedding"):
            return _of_numbers(how, files)
    except NotComparable as error:
        return Proposal(None, str(error))
    except Exception as error:  # what others' libraries make of a strange file
        return Proposal(None, f"{type(error).__name__}: {error}")
    return Proposal(None, "only its bytes are compared (compare: nothing, if it is no result)")


def entry(how: How, usual: str) -> dict[str, Any]:
    """Return what `outputs` says of a file that is compared so; ``usual`` is by what it is compared anyway."""
    found: dict[str, Any] = {}
    if how.compare != usual and not how.up_to:
        found["compare"] = how.compare
    found |= {name: value for name in ("up_to", "coordinates", "key", "ignore") if (value := getattr(how, name))}
    found |= _tolerance(Tolerance(how.rtol, how.atol))
    if how.columns:
        found["columns"] = {name: _tolerance(each) for name, each in how.columns.items()}
    return found | ({"share": f"{how.share:g}"} if how.share else {})


def _tolerance(given: Tolerance) -> dict[str, str]:
    return {name: _plain(value) for name, value in vars(given).items() if value}


def _plain(value: float) -> str:
    """Return a number as one would write it: 2e-9, not 2e-09."""
    return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:g}")


def _holds(how: How, files: Sequence[Path]) -> bool:
    """Tell whether each of these files would be the same as each other one."""
    comparator = choose.named(how.compare)
    assert comparator is not None
    try:
        return all(comparator.compare(*pair, how).difference is None for pair in itertools.permutations(files, 2))
    except NotComparable:
        return False


# --- numbers ---------------------------------------------------------------------------------------------------------


def _of_numbers(how: How, files: Sequence[Path]) -> Proposal:
    found = [{name: each for name, each in _read(path).items() if not how.ignores(name)} for path in files]
    if any(each.keys() != found[0].keys() for each in found):
        return Proposal(None, "what is in it has other names each time")
    if any(len(each[name]) != len(found[0][name]) for each in found for name in each):
        return Proposal(None, "how much there is in it varies")
    why = ""
    for key in [how.key] if how.key else [[], *_keys(found, files[0])]:
        ordered = [_in_order(each, key) for each in found] if key else found
        fitting, loose = _fitted(replace(how, key=key), ordered)
        if fitting is not None and not loose and _holds(fitting, files):
            return Proposal(fitting)
        if loose and not why:
            why = f"no tolerance is sensible for {listed(loose, _NAMED)}"
        if fitting is not None and loose and not key and (turned := _turned(fitting, loose, ordered, files)):
            return Proposal(turned)
    rows = [sorted(map(str, zip(*each.values(), strict=True))) for each in found] if _is_table(files[0]) else []
    if rows and all(each == rows[0] for each in rows):
        return Proposal(None, "its rows are in another order each time, and nothing tells them apart")
    return Proposal(None, why or "no tolerance is sensible")


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv", ".parquet")


def _read(path: Path) -> _Columns:
    """Return the numbers in a file by the names of columns, keys or arrays; those in a list of JSON have one name."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return json_numbers.columns_of(path)
    if suffix in (".npy", ".npz"):
        arrays = npz.read(path)
        if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2:  # as embeddings have it
            return {f"{_AXIS}{number}": column.tolist() for number, column in enumerate(next(iter(arrays.values())).T)}
        return {name: array.ravel().tolist() for name, array in arrays.items()}
    return {name: list(column) for name, column in tables.read(path).columns.items()}


def _fitted(how: How, found: Sequence[_Columns]) -> tuple[How | None, list[str]]:
    """Return what would allow what varies, and the columns for which nothing sensible does."""
    tolerances: dict[str, Tolerance] = {}
    moment, loose = [], []
    for name in found[0]:
        values = [each[name] for each in found]
        if all(map(_is_same, *values)):
            continue
        if _OF_THE_MOMENT.fullmatch(name) or all(
            re.fullmatch(_MOMENT, str(each)) for column in values for each in column
        ):
            moment.append(name)
        elif (needed := _needed(values)) is not None:
            tolerances[name] = needed
        else:
            loose.append(name)
    if len(moment) + len(loose) == len(found[0]) and moment:  # nothing would be left that is compared
        loose += moment
    how = replace(how, ignore=[*how.ignore, *moment])
    is_alike = not how.columns and all(not each.atol and each.rtol <= _SMALL for each in tolerances.values())
    largest = max((each.rtol for each in tolerances.values()), default=0.0)
    if is_alike and all(largest <= _ALIKE * each.rtol for each in tolerances.values()):
        return replace(how, rtol=max(how.rtol, largest)), loose
    if any(name.startswith(_AXIS) for name in tolerances):
        atol = max(each.atol for each in tolerances.values())
        return replace(how, rtol=max(how.rtol, largest), atol=max(how.atol, atol)), loose
    return replace(how, columns={**how.columns, **tolerances}), loose


def _is_same(*values: Any) -> bool:
    first = values[0]
    return all(each == first or (each != each and first != first) for each in values)


def _needed(columns: Sequence[Sequence[Any]]) -> Tolerance | None:
    """Return the tolerance that allows what varies in a column; None: none that is sensible."""
    relative = absolute = 0.0
    for values in zip(*columns, strict=True):
        if _is_same(*values):
            continue
        if not all(is_number(each) and math.isfinite(each) for each in values):
            return None
        distance, smallest = float(max(values) - min(values)), float(min(map(abs, values)))
        absolute = max(absolute, distance)
        relative = max(relative, distance / smallest if smallest else math.inf)
    if relative * _MARGIN <= _LARGEST_RTOL:
        return Tolerance(rtol=_rounded(relative))
    if absolute * _MARGIN <= max(_LARGEST_SHARE * _span(columns), _NOTHING):
        return Tolerance(atol=_rounded(absolute))
    return None


def _span(columns: Sequence[Sequence[Any]]) -> float:
    """Return how far apart the numbers of a column are, whichever file's that is the least."""
    numbers = [[float(each) for each in column if is_number(each) and math.isfinite(each)] for column in columns]
    return min((max(each) - min(each) for each in numbers if each), default=0.0)


def _rounded(value: float) -> float:
    """Return a number a little larger, of one digit."""
    larger = value * _MARGIN
    exponent = math.floor(math.log10(larger))
    return float(f"{math.ceil(larger / 10**exponent)}e{exponent}")


def _keys(found: Sequence[_Columns], path: Path) -> Iterator[list[str]]:
    """Yield the columns by which the rows of all tables find each other; numbers with a point come last."""
    if not _is_table(path):
        return
    names = sorted(found[0], key=lambda name: any(isinstance(each, float) for each in found[0][name]))[:_MOST_KEYS]
    for key in (*([name] for name in names), *map(list, itertools.combinations(names, 2))):
        rows = [[tuple(map(str, row)) for row in zip(*(each[name] for name in key), strict=True)] for each in found]
        if len({*rows[0]}) == len(rows[0]) > 1 and all(sorted(each) == sorted(rows[0]) for each in rows):
            yield key


def _in_order(columns: _Columns, key: Sequence[str]) -> _Columns:
    rows = sorted(range(len(columns[key[0]])), key=lambda row: [str(columns[name][row]) for name in key])
    return {name: [column[row] for row in rows] for name, column in columns.items()}


def _turned(how: How, loose: Sequence[str], found: Sequence[_Columns], files: Sequence[Path]) -> How | None:
    """Return up to what, and within what, columns are the same embedding; None: they aren't."""
    values = (value for each in found for name in loose for value in each[name])
    if (
        how.key
        or files[0].suffix.lower() == ".json"
        or not all(is_number(each) and each - each == 0 for each in values)
    ):
        return None
    is_array = files[0].suffix.lower() in (".npy", ".npz")
    span = min(_span([each[name] for each in found]) for name in loose)
    for up_to in ("sign", "rotation") if len(loose) > 1 else ("sign",):
        usual = replace(how, compare="embedding", up_to=up_to, coordinates=[] if is_array else list(loose))
        comparator = choose.named("embedding")
        assert comparator is not None
        largest = 0.0
        for pair in itertools.permutations(files, 2):
            seen = comparator.compare(*pair, replace(usual, atol=sys.float_info.max))
            if seen.difference is not None:
                return None
            largest = max(largest, 0.0 if seen.deviation is None else seen.deviation.absolute)
        within = replace(usual, atol=_rounded(largest)) if largest else usual
        if largest * _MARGIN <= _LARGEST_SHARE * span and _holds(within, files):
            return within
    return None


# --- texts and pictures ----------------------------------------------------------------------------------------------


def _of_text(how: How, files: Sequence[Path]) -> Proposal:
    """Propose which patterns may differ: no more than it takes."""
    patterns = list(_PATTERNS)
    if not _holds(replace(how, ignore=[*how.ignore, *patterns]), files):
        return Proposal(None, "its lines vary by more than moments and durations")
    for each in _PATTERNS[::-1]:
        fewer = [one for one in patterns if one != each]
        if _holds(replace(how, ignore=[*how.ignore, *fewer]), files):
            patterns = fewer
    return Proposal(replace(how, ignore=[*how.ignore, *patterns]))


def _of_picture(how: How, files: Sequence[Path]) -> Proposal:
    """Propose by how much all pixels, or how many of them, may differ."""
    for levels in range(1, _MOST_LEVELS // int(_MARGIN) + 1):
        if _holds(replace(how, atol=float(levels)), files):
            return Proposal(replace(how, atol=levels * _MARGIN))
    for share in _SHARES:
        if _holds(replace(how, share=share / _MARGIN), files):
            return Proposal(replace(how, share=share))
    return Proposal(None, "it is another picture each time")
