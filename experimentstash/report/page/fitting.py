"""What finds room in the page: runs and comparisons always; then what failed, pictures, curves, and the other runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from experimentstash.base.output import Meter
from experimentstash.base.text import counted
from experimentstash.report.page import curves
from experimentstash.report.page.curves import Curves
from experimentstash.report.page.model import Detail, Figure, Report, as_data

# The part of the room for pictures that is kept for curves.
_OF_CURVES = 3
# The part of the room after pictures that curves may take; the rest is for details.
_OF_FOLLOWING = 1 / 2
# The part of the room for pictures that thumbnails take: the rest are names and links.
_OF_THUMBNAILS = 0.95
# Points of a curve: as many as there is room for.
_POINTS = (curves.POINTS, 200, 100, 50, 25)
_POINTS_OF_MEANS = 100  # where there is none for the curves of single runs
# So many details that find no room one after the other are enough to stop.
_IN_VAIN = 20
# Bytes in base64 for each byte.
_IN_BASE64 = 4 / 3
_GZIP = 31
# More than all pictures together.
_ALL = 1 << 40

Data = dict[str, Any]


class Room:
    """Counts what the page's data takes once it is packed; all of it in ``most`` bytes of the page, None: any."""

    def __init__(self, most: int | None) -> None:
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._most = None if most is None else most / _IN_BASE64
        self._taken = 0

    @property
    def left(self) -> float:
        """Bytes of the page."""
        return float("inf") if self._most is None else max(0.0, (self._most - self._taken) * _IN_BASE64)

    def fill(self) -> None:
        """Have room for nothing else."""
        self._most = 0.0

    def take(self, data: Any, most: float | None = None) -> bool:
        """Tell whether there is room for data (or ``most`` bytes for it), which is then taken."""
        if self._most is None:
            return True
        packer, size = self._packed(data)
        if size * _IN_BASE64 > min(self.left, float("inf") if most is None else most):
            return False
        self._packer, self._taken = packer, self._taken + size
        return True

    def size_of(self, data: Any) -> float:
        """Return the bytes of the page that data would take."""
        return self._packed(data)[1] * _IN_BASE64

    def _packed(self, data: Any) -> tuple[Any, int]:
        packer = self._packer.copy()
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        return packer, len(packer.compress(text)) + len(packer.flush(zlib.Z_SYNC_FLUSH))


class Fitting:
    """Puts the data of a page together within a room; what is left out is said."""

    def __init__(self, report: Report, room: Room) -> None:
        self._room = room
        self.data: Data = as_data(report)
        self.data["texts"] = []  # that several details have in common; they have its place here
        self._places: dict[str, int] = {}
        self.remarks: list[str] = []
        if not room.take(self.data):
            room.fill()
            self.remarks.append("the page is larger than it should be: its runs and comparisons alone take more")

    @property
    def left(self) -> float:
        return self._room.left

    def add_figures(
        self, make: Callable[[int, int], tuple[Sequence[Figure], Sequence[str]]], following: Curves
    ) -> None:
        """Add pictures; ``make`` makes them, with thumbnails of so many bytes, better of so many.

        Better are those that leave room for all points of the curves that follow.
        """
        left, has_curves = min(self.left, _ALL), bool(following.curves)
        share = int(left * (1 - 1 / _OF_CURVES if has_curves else 0.9))
        better = share
        if has_curves and left < _ALL:
            whole = self._room.size_of(as_data([following.curves, following.bands]))
            better = min(share, int(left * _OF_THUMBNAILS - whole / _OF_FOLLOWING))
        figures, remarks = make(share, better)
        data = as_data(figures)
        if not self._room.take(data):  # for all the names
            figures, remarks = make(0, 0)
            data = as_data(figures)
            if not self._room.take(data):
                data, remarks = [], ["there is no room for the list of pictures"]
        self.data["figures"] = data
        self.remarks += remarks

    def add_curves(self, found: Curves) -> None:
        """Add curves, with as many points as there is room for."""
        if not found.curves:
            return
        for points in _POINTS:
            fewer = found if points == _POINTS[0] else curves.thinned(found, points)
            data = as_data([fewer.curves, fewer.bands])
            if self._room.take(data, self.left * _OF_FOLLOWING):
                self.data["curves"], self.data["bands"] = data
                if points != _POINTS[0]:
                    self.remarks.append(f"curves have {points} points at most: there is no room for more")
                return
        left_out = f"{counted(len(found.curves), 'curve')} left out: there is no room for them"
        data = as_data([[], curves.thinned(found, _POINTS_OF_MEANS).bands])
        if found.bands and self._room.take(data, self.left / 2):
            self.data["curves"], self.data["bands"] = data
            left_out += ", only for the means of rows"
        self.remarks.append(left_out)

    def add_details(
        self, order: Sequence[int], of: Callable[[int], Detail | None], most: float | None = None
    ) -> list[int]:
        """Add details of runs in this order, in ``most`` bytes of the page; return those that find no room."""
        left_out: list[int] = []
        in_vain = 0
        before = self.left
        meter = Meter("read", len(order), noun="runs")
        for count, index in enumerate(order):
            share = None if most is None else most - (before - self.left)
            if in_vain >= _IN_VAIN or (share is not None and share <= 0):
                return [*left_out, *order[count:]]
            meter.step()
            found = of(index)
            if found is None:
                continue
            data = as_data(found)
            if any(self._added(index, each, share) for each in _shorter(data)):
                in_vain = 0
            else:
                in_vain += 1
                left_out.append(index)
        return left_out

    def _added(self, index: int, data: Data, most: float | None) -> bool:
        patch, place = data["patch"], None
        if patch is not None:
            place = self._places.get(patch, len(self._places))
            data = {**data, "patch": place}
        is_new = place is not None and place == len(self._places)
        if not self._room.take([data, patch] if is_new else data, most):
            return False
        if is_new and place is not None:
            self._places[patch] = place
            self.data["texts"].append(patch)
        self.data["details"][index] = data
        return True


def _shorter(data: Data) -> Iterator[Data]:
    """Yield a detail, and then with less in it."""
    yield data
    if data["patch"] is not None:
        yield {**data, "patch": "It is too large for this page."}


def page_link(data: Data, index: int, state: str, address: str) -> None:
    """Let a run of which there is nothing else in the page lead to a page of its own."""
    data["details"][index] = {**_EMPTY, "state": state, "page": address}


_EMPTY = as_data(Detail("", None, (), "", "", (), None, "", False, (), None))
