"""What a run is optimised for: a number among what its tool has written, named in the experiment's configuration.

A tool needs to know nothing of it: its metrics are read when it has ended, in bounded memory however large they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experimentstash.adapters.numbers import sources
from experimentstash.adapters.numbers.place import UNREADABLE, Missing, Place, why_not
from experimentstash.base.errors import StashError

# As a record keeps them: a mapping for each number, or a list of them for sweepers with several objectives.
Spec = dict[str, Any] | list[dict[str, Any]]
Result = float | list[float]
_FORMS = (
    "write a metric's name, a key of metrics.json, {column: NAME, file: history.csv}, {pattern: 'loss=(\\S+)'}, or a"
    " list of these"
)


def check(given: Any, directory: Path, metrics: Mapping[str, dict[str, Any]] | None = None) -> Spec:
    """Return an ``objective`` of the configuration as records keep it; StashError for what makes no sense.

    ``directory`` is the run's, in which all files must be; ``metrics`` are those that a name may stand for.
    """
    if not isinstance(given, list):
        return _source(given, directory, metrics or {})
    if not given:
        raise StashError("objective: the list is empty.", _FORMS)
    return [_source(one, directory, metrics or {}) for one in given]


def read(spec: Spec, place: Place) -> tuple[Result | None, list[str]]:
    """Return what a run has come to, and notes of what is missing for it: then there is no result."""
    numbers: list[float] = []
    notes = []
    for source in _sources(spec):
        try:
            number = sources.number(source, place)
            if math.isnan(number):
                raise Missing("it is NaN")
            numbers.append(number)
        except UNREADABLE as error:
            notes.append(f"no value for the objective ({source}): {why_not(error)}")
    if notes:
        return None, notes
    return (numbers if isinstance(spec, list) else numbers[0]), []


def words(spec: Spec) -> str:
    """Return what an objective is, in words."""
    return ", ".join(map(str, _sources(spec)))


def _sources(spec: Spec) -> list[sources.Source]:
    return [sources.from_record(one) for one in (spec if isinstance(spec, list) else [spec])]


def _source(given: Any, directory: Path, metrics: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what one objective means, its file relative to the run directory."""
    if isinstance(given, str) and given:
        if given in metrics:
            return metrics[given]
        given = {"key": given}
    if not isinstance(given, dict):
        raise StashError(f"objective: {given!r} names no number of the tool's.", _FORMS)
    source = sources.checked(given, "objective", directory, _FORMS)
    if sources.takes_all(source):
        raise StashError("objective: which number? * are all of them.", _FORMS)
    return dict(vars(source))
