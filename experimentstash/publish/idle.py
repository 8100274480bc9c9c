"""What of ``outputs`` does nothing for a run: options that a comparator doesn't know, names that aren't there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from experimentstash.base.text import listed
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import How, NotComparable, is_meant
from experimentstash.publish.declared import Declared
from experimentstash.publish.outputs import LOG

_NAMED = 3
_OPTIONS = ("rtol", "atol", "columns", "key", "ignore", "up_to", "coordinates", "share")
# Those that name columns, keys or arrays.
_NAMES = ("columns", "key", "coordinates", "ignore")


def notes(declared: Declared, results: Mapping[str, How], folder: Path) -> list[str]:
    """Return what there is to say of a run's outputs; ``folder`` is where they are."""
    by_entry: dict[str, list[str]] = {}
    for path in results:
        if (entry := declared.entry(path)) in declared.near and entry is not None:
            by_entry.setdefault(entry, []).append(path)
    found = [
        f"outputs: it has written no {name}"
        for name in declared.own
        if name not in by_entry and _is_missing(name, folder)
    ]
    for entry, several in by_entry.items():
        found += _of_entry(entry, {path: results[path] for path in several}, folder)
    return found


def _is_missing(name: str, folder: Path) -> bool:
    return name != LOG and not any(sign in name for sign in "*?[") and not (folder / name).exists()


def _of_entry(entry: str, results: Mapping[str, How], folder: Path) -> Iterator[str]:
    """Yield what does nothing for any output that an entry is about."""
    given = next(iter(results.values()))
    used = {option for path, how in results.items() for option in choose.used(path, how)}
    if idle := [option for option in _OPTIONS if getattr(given, option) and option not in used]:
        kinds = listed(sorted({how.compare for how in results.values()}), _NAMED)
        yield f"outputs: {entry}: {listed(idle, _NAMED)} does nothing, for it is compared by {kinds}"
    wanted = [name for option in _NAMES if option in used for name in getattr(given, option)]
    if not wanted or given.compare not in ("numbers", "embedding"):
        return
    there: set[str] = set()
    for path in results:
        try:
            there |= choose.names(folder / path)
        except NotComparable:  # the verdict will say so
            return
    if lacking := [name for name in wanted if not any(is_meant(each, name) for each in there)]:
        yield f"outputs: {entry}: there is no {listed(lacking, _NAMED)} in it"
