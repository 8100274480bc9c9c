"""Numbers in the summaries of W&B runs, sent or not: their logs on the disk have them."""

from __future__ import annotations

import functools
from pathlib import Path

from experimentstash.adapters.numbers.json_key import all_of
from experimentstash.adapters.numbers.place import ALL, Missing, Place, instead
from experimentstash.adapters.wandb import summary
from experimentstash.base.dataclass_light import dataclass


@dataclass(frozen=True)
class Wandb:
    """A key of a W&B run's summary; a dotted one looks into nested mappings."""

    wandb: str

    def __str__(self) -> str:
        return f"{self.wandb} in the W&B run's summary"

    def numbers(self, place: Place) -> dict[str, float]:
        """Return the number; or all that there are, if all are meant. Of several runs the one that has it is meant."""
        if self.wandb == ALL:
            return self.all(place)[0]
        found, problems = _found(place)
        if self.wandb in problems:
            raise Missing(problems[self.wandb])
        if self.wandb not in found:
            raise Missing(f"it has no {self.wandb!r}.{instead(self.wandb, list(found), 'numbers')}")
        if len(found[self.wandb]) > 1:
            raise Missing(f"{len(found[self.wandb])} W&B runs have it: which one is meant?")
        return {self.wandb: found[self.wandb][0]}

    def all(self, place: Place) -> tuple[dict[str, float], dict[str, str]]:
        """Return all numbers that there are; and why others, by their names, are none."""
        found, problems = _found(place)
        several = {name: "several W&B runs have it" for name, numbers in found.items() if len(numbers) > 1}
        numbers = {name: each[0] for name, each in found.items() if name not in several and name not in problems}
        return numbers, several | problems


def _found(place: Place) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the numbers in the summaries of an attempt's W&B runs, and why others are none; Missing if it has none."""
    logs = [log for log in place.wandb() if place.is_own(log)]
    if not logs and place.wandb():
        raise Missing("the W&B run is from before this attempt, which has not written it")
    if not logs:
        raise Missing("there is no W&B run")
    found: dict[str, list[float]] = {}
    problems: dict[str, str] = {}
    for log in logs:
        place.refuse_large(log, log.name)
        numbers, others = _summary(log, log.stat().st_mtime_ns)
        problems |= others
        for name, number in numbers.items():
            found.setdefault(name, []).append(number)
    return found, problems


@functools.lru_cache(maxsize=4)
def _summary(log: Path, changed: int) -> tuple[dict[str, float], dict[str, str]]:
    """Return the numbers in a summary, and why others are none: several may be asked for one after the other."""
    return all_of(summary.read(log))
