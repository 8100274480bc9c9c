"""The numbers that a run has come to: those that are declared, all of `metrics.json`, the value of its objective."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping

from experimentstash.adapters.numbers.json_key import Key
from experimentstash.adapters.numbers.place import ALL, FILE_NAME, UNREADABLE, Place, why_not
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass
from experimentstash.base.redaction import redact
from experimentstash.record.run import Run, State

if TYPE_CHECKING:
    from typing import Any


# Numbers of a run that a record keeps, and those of earlier attempts; and characters of their names.
MOST, _LONGEST_NAMES = 10_000, 1 << 20
# Of several numbers that are missing for the same reason, so many are noted.
_NAMED, _LONGEST_NAME = 20, 100
_OTHERS = ""  # what stands for the others: no metric is called so
# What notes begin with.
NONE_READ, NO_VALUE = "there are no numbers", "no value for the metric"


@dataclass(frozen=True)
class Reading:
    """What was read, and why other numbers weren't: by the names of declared metrics, `*` for all others.

    None: there is nothing to read, which is no fault.
    """

    numbers: Mapping[str, float]
    problems: Mapping[str, str | None]

    @property
    def notes(self) -> list[str]:
        return [note for note in self.problems.values() if note is not None]


def measure(run: Run, place: Place) -> list[str]:
    """Put into a run's record which numbers its attempt has come to; return notes of what can't be read."""
    reading = read(run, place, run.spec.metric_sources)
    run.attempt.metrics = dict(reading.numbers)
    return reading.notes + _forget_earlier(run)


def read(run: Run, place: Place, declared: Mapping[str, Mapping[str, Any]]) -> Reading:
    """Return which numbers an attempt at a run has come to.

    What is declared and missing is noted only of a run that has completed: others need not have come so far.
    """
    found: dict[str, float] = {}
    problems: dict[str, str | None] = {}
    if ALL not in declared:
        try:
            found, problems = _by_default(place)
        except UNREADABLE as error:
            problems[ALL] = f"{NONE_READ}: {why_not(error)}"
    if declared:
        of_declared, missing = _declared(declared, place)
        found |= of_declared
        is_asked_for = run.attempt.state is State.COMPLETED
        problems |= missing if is_asked_for else dict.fromkeys(missing)
    found = {**_of_objective(run), **found}
    problems = {name: why for name, why in problems.items() if name not in found}
    if len(found) > MOST or sum(map(len, found)) > _LONGEST_NAMES:
        problems[ALL] = f"{NONE_READ}: there are {len(found):,}, or their names are very long"
        found = _of_objective(run)
    return Reading(_without_secrets(found), problems)


def _by_default(place: Place) -> tuple[dict[str, float], dict[str, str | None]]:
    """Return all of `metrics.json`, or where there is none, of the W&B run's summary; and why others are missing."""
    if os.path.lexists(place.directory / FILE_NAME):
        found, problems = Key(ALL).all(place)
        return found, _noted(problems)
    if not place.wandb():
        return {}, {ALL: None}
    from experimentstash.adapters.numbers.wandb_summary import Wandb  # here, because most runs need nothing of it

    found, problems = Wandb(ALL).all(place)
    return found, _noted(problems)


def _noted(problems: Mapping[str, str]) -> dict[str, str | None]:
    """Return notes of why numbers are none, by their names; not of too many, nor with names that are too long."""
    noted: dict[str, str | None] = {
        name: f"{NO_VALUE} {redact(name, os.environ)[:_LONGEST_NAME]}: {why}"
        for name, why in itertools.islice(problems.items(), _NAMED)
    }
    if (more := len(problems) - len(noted)) > 0:
        noted[_OTHERS] = f"{NO_VALUE}s of {more:,} more names either"
    return noted


def _declared(
    declared: Mapping[str, Mapping[str, Any]], place: Place
) -> tuple[dict[str, float], dict[str, str | None]]:
    """Return the numbers that are declared, and notes of those that are missing; names of their own win."""
    from experimentstash.adapters.numbers import sources  # here, because it brings all that reads numbers

    found: dict[str, float] = {}
    problems: dict[str, str | None] = {}
    for name, given in sorted(declared.items(), key=lambda item: item[0] != ALL):
        source = sources.from_record(given)
        try:
            if not sources.takes_all(source):
                found[name] = sources.number(source, place)
            else:
                prefix = "" if name == ALL else f"{name}."
                numbers, others = sources.everything(source, place)
                found |= {f"{prefix}{key}": number for key, number in numbers.items()}
                notes = _noted({f"{prefix}{key}": why for key, why in others.items()})
                problems |= {key: note for key, note in notes.items() if key not in declared}
        except UNREADABLE as error:
            problems[name] = f"{NO_VALUE} {name} ({source}): {why_not(error)}"
    return found, problems


def _of_objective(run: Run) -> dict[str, float]:
    """Return the value of its objective, or the values; what has no name of its own is called `objective`."""
    if run.spec.objective is None or run.attempt.result is None:
        return {}
    is_one = not isinstance(run.spec.objective, list)
    sources = [run.spec.objective] if is_one else run.spec.objective
    results = run.attempt.result if isinstance(run.attempt.result, list) else [run.attempt.result]
    names = {repr(sorted(source.items())): name for name, source in run.spec.metric_sources.items()}
    return {
        names.get(repr(sorted(source.items()))) or _name(source, None if is_one else number): float(result)
        for number, (source, result) in enumerate(zip(sources, results, strict=False), 1)
    }


def _name(source: Mapping[str, Any], number: int | None) -> str:
    own = (source.get(kind) for kind in ("key", "column", "wandb", "tensorboard"))
    return next(filter(None, own), "objective" if number is None else f"objective.{number}")


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
