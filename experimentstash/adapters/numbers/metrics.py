"""The numbers that a run has come to: what its tool has left in `metrics.json`, and the value of its objective."""

from __future__ import annotations

import math
import os

from experimentstash.adapters.numbers.place import FILE_NAME, OLD, Missing, Place
from experimentstash.base import typed
from experimentstash.base.dotted import is_number, leaves
from experimentstash.base.files import read_regular
from experimentstash.base.redaction import redact
from experimentstash.record.run import Run

# Bytes of that file, numbers in it, and characters of their names; a record keeps as many, and as many of earlier
# attempts.
_LARGEST, MOST, _LONGEST = 1 << 20, 10_000, 1 << 20


def measure(run: Run, place: Place) -> list[str]:
    """Put into a run's record which numbers its attempt has come to; return notes of what can't be read."""
    found: dict[str, float] = {}
    notes = []
    try:
        found = _of_file(place)
    except FileNotFoundError:
        pass
    except (Missing, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        notes.append(f"there are no numbers from its {FILE_NAME}: {why}")
    run.attempt.metrics = {**_of_objective(run), **found}
    return notes + _forget_earlier(run)


def _of_objective(run: Run) -> dict[str, float]:
    """Return the value of its objective, or the values; what has no name of its own is called `objective`."""
    if run.spec.objective is None or run.attempt.result is None:
        return {}
    is_one = not isinstance(run.spec.objective, list)
    sources = [run.spec.objective] if is_one else run.spec.objective
    results = run.attempt.result if isinstance(run.attempt.result, list) else [run.attempt.result]
    names = (
        source.get("key") or source.get("column") or ("objective" if is_one else f"objective.{number}")
        for number, source in enumerate(sources, 1)
    )
    return dict(zip(names, map(float, results), strict=False))


def _of_file(place: Place) -> dict[str, float]:
    path = place.directory / FILE_NAME
    content = typed.anything(typed.loads(read_regular(path, _LARGEST)), FILE_NAME)
    if not place.is_own(path):
        raise Missing(OLD)
    found: dict[str, float] = {}
    length = 0
    for name, value in leaves(content):
        length += len(name)
        if length > _LONGEST:
            raise Missing(f"their names have more than {_LONGEST >> 20} MB")
        if name and is_number(value):
            found[name] = _as_float(value)
    if len(found) > MOST:
        raise Missing(f"it has more than {MOST:,} of them")
    return _without_secrets(found)


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if number > 0 else -math.inf


def _without_secrets(found: dict[str, float]) -> dict[str, float]:
    names = "\n".join(found)
    if redact(names, os.environ) == names:
        return found
    return {redact(name, os.environ): number for name, number in found.items()}


def _forget_earlier(run: Run) -> list[str]:
    """Drop numbers of attempts long ago: a record that grows with each attempt can't be read in the end."""
    notes = []
    kept = 0
    for attempt in reversed(run.earlier):
        kept += len(attempt.metrics or ())
        if attempt.metrics and kept > MOST:
            attempt.metrics = None
            notes.append(f"the numbers of attempt {attempt.number} are left out of the record: there are too many")
    return notes
