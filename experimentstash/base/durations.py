"""Durations as people write them: 45, 90s, 30m, 1h30m, 2:00:00, 1-12:00:00."""

from __future__ import annotations

import functools
import re

from experimentstash.base.errors import StashError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
# At most nine digits: longer ones would overflow, and are a mistake.
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]+)?"
_WORDS = (
    rf"({_NUMBER})\s*"
    r"(?:(w)(?:eeks?)?|(d)(?:ays?)?|(h)(?:(?:ou)?rs?)?|(m)(?:in(?:ute)?s?)?|(s)(?:ec(?:ond)?s?)?)\s*"
)
_CLOCK = r"(?:(?P<days>[0-9]{1,9})-)?(?P<fields>[0-9]{1,9}(?::[0-9]{1,2}){0,2})"


@functools.lru_cache(maxsize=256)  # the jobs of a sweep have the same
def parse(text: str, field: str) -> float:
    """Return the duration in seconds; ``field`` names it in the error.

    A bare number is seconds. Colons read as in SLURM's --time: MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS. (YAML 1.1
    reads an unquoted 2:00:00 as the number 7200, which is the same duration.)
    """
    cleaned = text.strip().lower()
    if re.fullmatch(_NUMBER, cleaned):
        return float(cleaned)
    if re.fullmatch(rf"(?:{_WORDS})+", cleaned):
        return sum(
            float(match[1]) * _UNITS[next(unit for unit in match.groups()[1:] if unit)]
            for match in re.finditer(_WORDS, cleaned)
        )
    clock = re.fullmatch(_CLOCK, cleaned)
    if clock:
        fields = [int(part) for part in clock["fields"].split(":")]
        if clock["days"] is not None:
            hours, minutes, seconds = [*fields, 0, 0][:3]
            return int(clock["days"]) * 86400.0 + hours * 3600 + minutes * 60 + seconds
        if len(fields) > 1:
            hours, minutes, seconds = [0, *fields][-3:]
            return hours * 3600.0 + minutes * 60 + seconds
    raise StashError(
        f"{field}: {text!r} is not a duration.", "write it like 45s, 30m, 2h, 1h30m, 2:00:00 or 1-12:00:00"
    )


def describe(seconds: float) -> str:
    """Return a duration in seconds as a person would say it: 0.4s, 12s, 3m05s, 2h10m, 1d04h."""
    if seconds < 9.95:  # what rounds to 10.0 has no decimals
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
