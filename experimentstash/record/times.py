"""Moments as records keep them."""

from __future__ import annotations

import time


def now() -> str:
    """Return the present time as records keep it, to the millisecond."""
    return as_text(time.time())


def as_text(moment: float) -> str:
    """Return a time, given as seconds since the epoch, as records keep it."""
    seconds, thousandths = divmod(round(moment * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{thousandths:03}+00:00"


def moment(text: str) -> float:
    """Return a time, given as records keep it, as seconds since the epoch."""
    import datetime  # here, because what only writes records needs nothing of it

    return datetime.datetime.fromisoformat(text).timestamp()
