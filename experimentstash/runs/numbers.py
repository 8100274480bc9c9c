"""The numbers that a run has come to, as its record has them."""

from __future__ import annotations

from collections.abc import Mapping

from experimentstash.record.run import Run

REFRESH = "experimentstash metrics refresh"  # the command that reads them


def numbers_of(run: Run) -> Mapping[str, float]:
    """Return a run's numbers by their names, dotted where they are nested; NaN and infinities are among them."""
    return run.attempt.metrics or {}


def is_unread(run: Run) -> bool:
    """Tell whether nobody has looked for the numbers of a run that has been at work and whose files are there."""
    has_ended = run.attempt.started is not None and run.attempt.state.is_final
    return has_ended and run.attempt.metrics is None and run.removed is None
