"""Whether a file was there before a run's latest attempt began: then it isn't what that has made."""

from __future__ import annotations

from experimentstash.record import times

OLDER = "older than the run's latest attempt"
# Seconds by which the clock of a run's machine may be behind the file system's.
_SLACK = 10.0


def is_older(modified: float | None, started: str | None) -> bool:
    """Tell whether a file was changed last before an attempt started; no, if either isn't known."""
    if modified is None or not started:
        return False
    try:
        return modified < times.moment(started) - _SLACK
    except ValueError:
        return False
