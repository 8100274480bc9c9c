"""Learning curves of runs for the page: thinned, and for runs that differ in their seeds only, means with bands.

Thinning is M4 (Jugel, Jerzak, Hackenbroich and Markl, VLDB 2014, https://doi.org/10.14778/2732951.2732953): of each of
some stretches the first, the last, the least and the greatest point. No peak is lost, and nothing is made up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from experimentstash.adapters.histories import find
from experimentstash.adapters.histories.history import EPOCH, STEP, History, points
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.text import counted
from experimentstash.record.run import Run
from experimentstash.report.page.age import OLDER, is_older
from experimentstash.report.summaries import WAYS

# Points of a curve, unless they are to be fewer; and digits that are kept.
POINTS = 400
_DIGITS, _DIGITS_OF_X = 6, 10
# Notes that are passed on; others are counted.
_MOST_NOTES = 10
# Bands are always these: other ways to sum up take too long for each of thousands of points.
_WAY = WAYS["std"]

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class Curve:
    """A metric of a run; None where there is no finite number: the line has a gap."""

    run: int  # its position among the runs
    metric: str
    source: str
    xs: Mapping[str, Numbers]  # by step, epoch, time; the curve is in the order of the first
    ys: Numbers
    is_thinned: bool = False
    note: str | None = None  # why it may not be what the run has come to


@dataclass(frozen=True)
class Band:
    """The mean of a metric over the runs of a group, and a standard deviation below and above it."""

    row: int  # the group: its position among the rows of the figures' first tables, one after the other
    metric: str
    count: int  # how many runs it is of
    xs: Mapping[str, Numbers]
    middles: Numbers
    lows: Numbers
    highs: Numbers
    is_thinned: bool = False


@dataclass(frozen=True)
class Curves:
    """All of them, and what there is to say of what isn't shown."""

    curves: Sequence[Curve]
    bands: Sequence[Band]
    remarks: Sequence[str]


def of_runs(runs: Sequence[Run | None], groups: Sequence[Sequence[int]] = (), most: int = POINTS) -> Curves:
    """Return the curves of runs, of at most about so many points each.

    ``groups``: which runs, by their positions, are in each row of a comparison. None: a run that can't be read now.
    """
    curves: list[Curve] = []
    bands: list[Band] = []
    notes: Counter[str] = Counter()
    grouped = {index for group in groups for index in group}
    alone = [index for index in range(len(runs)) if index not in grouped]
    # One group at a time: all the points of thousands of runs would be too many.
    for row, members in [*enumerate(groups), *((None, [index]) for index in alone)]:
        found: list[Curve] = []
        for index in members:
            run = runs[index]
            if run is None or run.removed is not None:
                continue
            own = find.of_run(run)
            notes.update(own.notes)
            found += _curves(index, own.histories, run.attempt.started)
        if row is not None and len(members) > 1:
            bands += (_thinned_band(band, most) for band in _bands(row, found))
        curves += (_thinned(curve, most) for curve in found)
    older = len({curve.run for curve in curves if curve.note == OLDER})
    if older:
        notes[f"those of {counted(older, 'run')} are {OLDER}, and in no mean"] += 1
    curves.sort(key=lambda curve: (curve.run, curve.metric, curve.source))
    return Curves(curves, bands, _remarks(notes))


def thinned(found: Curves, most: int) -> Curves:
    """Return curves with at most about so many points each: there was no room for more."""
    return replace(
        found,
        curves=[_thinned(curve, most) for curve in found.curves],
        bands=[_thinned_band(band, most) for band in found.bands],
    )


def _curves(run: int, histories: Iterable[History], started: str | None) -> list[Curve]:
    found = []
    for history in histories:
        note = OLDER if is_older(history.modified, started) else None
        for metric, numbers in history.ys.items():
            rows = list(points(history, metric))
            xs = {kind: [_rounded(column[row], _DIGITS_OF_X) for row in rows] for kind, column in history.xs.items()}
            ys = [_rounded(numbers[row], _DIGITS) for row in rows]
            found.append(Curve(run, metric, history.source, xs, ys, note=note))
    return found


def _rounded(number: float | None, digits: int) -> float | None:
    """Return a number with so many digits, whole ones without a point; None for what isn't finite."""
    if number is None or not math.isfinite(number):
        return None
    if number == int(number) and abs(number) < 10**digits:
        return int(number)
    return float(f"{number:.{digits}g}")


# --- bands -----------------------------------------------------------------------------------------------------------


def _bands(row: int, curves: Sequence[Curve]) -> list[Band]:
    by_metric: dict[str, dict[int, list[Curve]]] = {}
    for curve in curves:
        if curve.note is None:
            by_metric.setdefault(curve.metric, {}).setdefault(curve.run, []).append(curve)
    found = []
    for metric, by_run in by_metric.items():
        # Which of several curves of one run is meant can't be told.
        members = [own[0] for own in by_run.values() if len(own) == 1]
        if len(members) > 1 and len(members) == len(by_run) and (band := _band(row, metric, members)) is not None:
            found.append(band)
    return found


def _band(row: int, metric: str, members: Sequence[Curve]) -> Band | None:
    """Return the mean at the steps that all of them have; None if these are fewer than two."""
    kind = next((kind for kind in (STEP, EPOCH) if all(kind in curve.xs for curve in members)), None)
    if kind is None:
        return None
    places = [{x: place for place, x in enumerate(curve.xs[kind]) if x is not None} for curve in members]
    common = [x for x in places[0] if all(x in each for each in places)]
    if len(common) < 2:
        return None
    middles: list[float | None] = []
    lows: list[float | None] = []
    highs: list[float | None] = []
    for x in common:
        numbers = [y for curve, each in zip(members, places, strict=True) if (y := curve.ys[each[x]]) is not None]
        summary = _WAY.sum_up(numbers) if len(numbers) == len(members) else None
        middle = None if summary is None else summary.middle
        apart = None if summary is None else summary.apart
        middles.append(_rounded(middle, _DIGITS))
        lows.append(None if middle is None or apart is None else _rounded(middle - apart, _DIGITS))
        highs.append(None if middle is None or apart is None else _rounded(middle + apart, _DIGITS))
    xs: dict[str, Numbers] = {kind: common}
    for other in (STEP, EPOCH):  # what else is the same in all of them
        if other != kind and all(other in curve.xs for curve in members):
            columns = [[curve.xs[other][each[x]] for x in common] for curve, each in zip(members, places, strict=True)]
            if all(column == columns[0] for column in columns):
                xs[other] = columns[0]
    return Band(row, metric, len(members), xs, middles, lows, highs)


# --- thinning --------------------------------------------------------------------------------------------------------


def _thinned(curve: Curve, most: int) -> Curve:
    kept = m4(curve.ys, most)
    if kept is None:
        return curve
    return replace(curve, xs=_picked(curve.xs, kept), ys=[curve.ys[row] for row in kept], is_thinned=True)


def _thinned_band(band: Band, most: int) -> Band:
    kept = m4(band.middles, most)
    if kept is None:
        return band
    columns = {name: [getattr(band, name)[row] for row in kept] for name in ("middles", "lows", "highs")}
    return replace(band, xs=_picked(band.xs, kept), **columns, is_thinned=True)


def _picked(xs: Mapping[str, Numbers], kept: Sequence[int]) -> dict[str, Numbers]:
    return {kind: [column[row] for row in kept] for kind, column in xs.items()}


def m4(ys: Numbers, most: int) -> list[int] | None:
    """Return which points stay when at most about so many may; None: all.

    Stretches of as many points each; of each the first, the last, the least, the greatest, and where it has gaps, one.
    """
    if len(ys) <= max(most, 4):
        return None
    stretches = max(1, most // 4)
    kept: set[int] = set()
    for stretch in range(stretches):
        rows = range(stretch * len(ys) // stretches, (stretch + 1) * len(ys) // stretches)
        kept |= {rows[0], rows[-1]}
        there = [(y, row) for row in rows if (y := ys[row]) is not None]
        if there:
            kept |= {min(there)[1], max(there)[1]}
        if len(there) < len(rows):
            kept.add(next(row for row in rows if ys[row] is None))
    return sorted(kept)


def _remarks(notes: Counter[str]) -> list[str]:
    told = [
        f"curves: {note}" + (f" (in {counted(count, 'run')})" if count > 1 else "")
        for note, count in notes.most_common(_MOST_NOTES)
    ]
    more = len(notes) - len(told)
    return [*told, f"curves: {counted(more, 'more file')} can't be read"] if more > 0 else told
