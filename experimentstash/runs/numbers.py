"""The numbers that a run has come to: what its tool has left in `metrics.json`, and the value of its objective."""

from __future__ import annotations

import math
from collections.abc import Mapping

from experimentstash.base import typed
from experimentstash.base.dotted import is_number, leaves
from experimentstash.base.files import Unfit, read_regular
from experimentstash.base.output import say
from experimentstash.record.run import Run

FILE_NAME = "metrics.json"
# Bytes of that file, and numbers in it.
_LARGEST, _MOST = 1 << 20, 10_000


def numbers_of(run: Run) -> Mapping[str, float]:
    """Return a run's numbers by their names, dotted where they are nested; NaN and infinities are among them.

    Of a file that can't be read one line is said.
    """
    return {**_of_objective(run), **_of_file(run)}


def _of_objective(run: Run) -> dict[str, float]:
    if run.spec.objective is None or run.attempt.result is None:
        return {}
    sources = run.spec.objective if isinstance(run.spec.objective, list) else [run.spec.objective]
    results = run.attempt.result if isinstance(run.attempt.result, list) else [run.attempt.result]
    names = (source.get("key") or source.get("column") for source in sources)
    return {name: float(number) for name, number in zip(names, results, strict=False) if name is not None}


def _of_file(run: Run) -> dict[str, float]:
    try:
        content = typed.anything(typed.loads(read_regular(run.path / FILE_NAME, _LARGEST)), FILE_NAME)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, (Unfit, OSError)) else " ".join(str(error).split())
        say(f"{run.id}: there are no numbers from its {FILE_NAME}: {why}")
        return {}
    found = {name: _as_float(value) for name, value in leaves(content) if name and is_number(value)}
    if len(found) > _MOST:
        say(f"{run.id}: there are no numbers from its {FILE_NAME}: it has more than {_MOST:,} of them")
        return {}
    return found


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if number > 0 else -math.inf
