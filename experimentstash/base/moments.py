"""Moments as people name them, on a clock here: 2d (ago), yesterday, 2026-11-20, 2026-11-20 14:30."""

from __future__ import annotations

import datetime

from experimentstash.base import durations
from experimentstash.base.errors import StashError

_DAYS_AGO = {"today": 0, "yesterday": 1}
_FORM = "write it like 2d, 90m, yesterday, 2026-11-20 or '2026-11-20 14:30'"


def parse(text: str, field: str, *, is_end: bool = False, now: datetime.datetime | None = None) -> float:
    """Return a moment as seconds since the epoch; ``field`` names it in the error.

    A duration is so long ago. A day is its first moment, or, if it ``is_end``, the first one after it.
    """
    present = (now or datetime.datetime.now()).astimezone()
    cleaned = text.strip().lower()
    try:
        if cleaned in _DAYS_AGO or len(cleaned) == len("2026-11-20"):
            day = (
                present.date() - datetime.timedelta(_DAYS_AGO[cleaned])
                if cleaned in _DAYS_AGO
                else datetime.date.fromisoformat(cleaned)
            )
            day += datetime.timedelta(1 if is_end else 0)
            return datetime.datetime.combine(day, datetime.time()).astimezone().timestamp()
        if cleaned[:4].isdecimal() and cleaned[4:5] == "-" and ":" in cleaned:
            return datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00")).astimezone().timestamp()
        if cleaned.isdecimal() or ":" in cleaned or "-" in cleaned:
            raise ValueError  # as durations 14:30 and 2026-11 were minutes, and days, ago: nobody means that here
        return (present - datetime.timedelta(seconds=durations.parse(cleaned.removesuffix(" ago"), field))).timestamp()
    except (ValueError, OverflowError, OSError, StashError):
        raise StashError(f"{field}: {text!r} is no time.", _FORM) from None
