"""Which runs belong together in the page: those of a figure, which is the directory of organizers that theirs is in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from experimentstash.runs.facts import Facts

_DIGITS = re.compile(r"(\d+)")


def figure_of(facts: Facts) -> str:
    """Return the figure that a run belongs to; "" for none."""
    return (facts.organizer or "").rpartition("/")[0]


def by_figure(runs: Sequence[Facts]) -> dict[str, list[int]]:
    """Return the positions of the runs of each figure, in the figures' order; those of none come last."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, facts in enumerate(runs):
        found[figure_of(facts)].append(index)
    return {name: found[name] for name in sorted(found, key=lambda name: (not name, natural(name)))}


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return what names are sorted by, so that sample_2 comes before sample_10."""
    parts = _DIGITS.split(name.casefold())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts] + [
        (2, 0, name)
    ]
