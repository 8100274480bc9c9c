"""The newest runs of a stash with very many, without a look at all of them.

Names tell: a single run's directory is called by the time at which it was begun, a sweep's runs have numbers in the
order in which they are made, and those that were begun anew have an earlier try beside them. Where anything is called
otherwise, names tell nothing, and all runs are looked at.
"""

from __future__ import annotations

import datetime
import heapq
import os
import re
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.record import records, run_places, times
from experimentstash.record.records import ASIDE, FILE_NAME
from experimentstash.stash.layout import TOKEN, Stash

# With fewer runs than that a look at all of them is quick, and tells how many there are.
_FEW = 2000
# Records that may be looked into, at most.
_MOST = 5000
# Seconds by which a run may have been made later than its directory's name says, whatever the clock that wrote it.
_LATER = 26 * 3600.0
# Seconds by which the time of a sweep's directory may lie before that of the last run made in it.
_SLACK = 3600.0
# Of many names at once, each with a slash behind it: that is quicker than one by one.
_DAYS = regex(r"(?:\d{4}-\d\d-\d\d/)*")
_TIMES = regex(rf"(?:\d\d-\d\d-\d\d-{TOKEN}/)*")
# As we write it: what is nested is indented further, or stands in one line.
_CREATED = regex(rb'\n  "created": "([^"]+)"')


class _UnusualError(Exception):
    """Names don't tell which runs are new."""


def newest(stash: Stash, count: int) -> list[Path] | None:
    """Return the directories of the newest runs, so many; None if names don't tell, or there are few runs."""
    try:
        return _Names(stash).newest(count)
    except (_UnusualError, OSError):
        return None


class _Names:
    def __init__(self, stash: Stash) -> None:
        if run_places.roots(stash) != list(stash.run_roots) or not run_places.are_usual(stash):
            raise _UnusualError
        single, several = stash.run_roots
        self._single = {day: _runs(single / day) for day in sorted(_days(single), reverse=True)}
        sweeps = [several / day / name for day in _days(several) for name in _runs(several / day)]
        self._numbers = {sweep: _numbers(sweep) for sweep in sweeps}
        self._root = single
        self._looks = 0

    def newest(self, count: int) -> list[Path] | None:
        if sum(map(len, self._single.values())) + sum(map(len, self._numbers.values())) < _FEW:
            return None
        found: list[tuple[float, str]] = []  # a heap of the newest so far
        for made, directory in self._of_sweeps(count):
            heapq.heappush(found, (made, directory))
        found = heapq.nlargest(count, found)
        heapq.heapify(found)
        names = (f"{day}/{name}" for day, several in self._single.items() for name in sorted(several, reverse=True))
        for name in names:
            if len(found) == count and _named(name) + _LATER < found[0][0]:
                break
            directory = str(self._root / name)
            single = self._made(directory)
            if single is not None:
                (heapq.heappushpop if len(found) == count else heapq.heappush)(found, (single, directory))
        return [Path(directory) for _, directory in sorted(found, reverse=True)]

    def _of_sweeps(self, count: int) -> Iterator[tuple[float, str]]:
        """Yield the newest runs of sweeps, and others."""
        by_time = sorted(((os.stat(sweep).st_mtime, sweep) for sweep in self._numbers), reverse=True)
        least: list[float] = []  # a heap of the newest times so far
        for changed, sweep in by_time:
            if len(least) == count and changed + _SLACK < least[0]:
                return
            anew = _numbers(sweep / ASIDE) if os.path.isdir(sweep / ASIDE) else []
            for number in dict.fromkeys([*anew, *self._numbers[sweep]]):
                directory = str(sweep / str(number))
                made = self._made(directory)
                if made is None:
                    continue
                yield made, directory
                is_old = len(least) == count and made < least[0]
                (heapq.heappushpop if len(least) == count else heapq.heappush)(least, made)
                if is_old and number not in anew:
                    break

    def _made(self, directory: str) -> float | None:
        """Return when the run in a directory was made; None if there is none."""
        self._looks += 1
        if self._looks > _MOST:
            raise _UnusualError
        try:
            found = _CREATED.search(read_regular(f"{directory}/{FILE_NAME}"))
            created = found[1].decode() if found is not None else records.read(Path(directory)).created
            return 0.0 if created is None else times.moment(created)
        except FileNotFoundError:
            if any(entry.is_dir() for entry in os.scandir(directory)):
                raise _UnusualError from None
            return None
        except (StashError, OSError, ValueError):  # who lists it says so
            raise _UnusualError from None


def _days(root: Path) -> list[str]:
    """Return the names of the days below a root."""
    if not root.is_dir():
        if os.path.lexists(root):  # a link to where nothing is, which is said elsewhere
            raise _UnusualError
        return []
    return _called(_DAYS, root)


def _runs(day: Path) -> list[str]:
    return _called(_TIMES, day)


def _called(pattern: re.Pattern[str], folder: Path) -> list[str]:
    """Return the names in a folder, which all are as they usually are."""
    names = [name for name in os.listdir(folder) if name[0] != "."]
    if not pattern.fullmatch("".join(f"{name}/" for name in names)):
        raise _UnusualError
    return names


def _numbers(sweep: Path) -> list[int]:
    """Return the numbers of a sweep's runs, the highest first."""
    with os.scandir(sweep) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name == FILE_NAME or (not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False))
        ]
    together = "".join(names)
    if names and not (together.isascii() and together.isdecimal()):
        raise _UnusualError
    return sorted(map(int, names), reverse=True)


def _named(name: str) -> float:
    """Return the time that a run's directory is called by, as a clock here has it."""
    try:
        return datetime.datetime.strptime(name[:19], "%Y-%m-%d/%H-%M-%S").timestamp()
    except (ValueError, OverflowError):
        raise _UnusualError from None
