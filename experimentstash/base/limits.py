"""Limits as people write them, looked at before anything runs: the signal of the warning, and amounts of time."""

from __future__ import annotations

import functools
import math
import re
import signal

from experimentstash.base import durations
from experimentstash.base.errors import StashError
from experimentstash.base.signals import REQUESTS

_NO_WARNING = {
    "KILL": "ends a process without a word",
    "STOP": "stops a process without a word",
    "CONT": "comes with every other signal of SLURM's",
}


@functools.lru_cache(maxsize=64)  # the jobs of a sweep have the same
def warning_signal(text: str, field: str = "grace.signal") -> str:
    """Return the name of a signal that may warn a supervisor (USR1), from USR1, sigusr1 or 10; else StashError."""
    word = text.strip().upper()
    if re.fullmatch(r"[0-9]{1,3}", word):
        word = next((known.name for known in signal.Signals if known == int(word)), word)
    name = word.removeprefix("SIG")
    known = [request.name.removeprefix("SIG") for request in REQUESTS]
    if name in known:
        return name
    is_signal = f"SIG{name}" in signal.Signals.__members__
    why = _NO_WARNING.get(name, "is no request to stop" if is_signal else "is no signal")
    raise StashError(f"{field}: {text} {why}: it can't be a warning.", f"write one of {', '.join(sorted(known))}")


def seconds(value: float, field: str) -> float:
    """Return an amount of seconds; StashError for one that no clock can count to. ``field`` names it in the error."""
    if math.isfinite(value) and value >= 0:
        return value
    raise StashError(f"{field}: {value:g} is no amount of time.", "write how many seconds, from 0 on")


def duration(text: str, field: str) -> float:
    """Return a time limit in seconds, written as ``durations.parse`` reads it; StashError if it is none."""
    parsed = durations.parse(text, field)
    if parsed > 0:
        return parsed
    raise StashError(f"{field}: {text!r} leaves no time at all.", "give it some, or leave it out (null) for no limit")
