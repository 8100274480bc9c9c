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
        found = _found(place)
        if self.wandb == ALL:
            return {name: numbers[0] for name, numbers in found.items() if len(numbers) == 1}
        if self.wandb not in found:
            raise Missing(f"it has no {self.wandb!r}.{instead(self.wandb, list(found), 'numbers')}")
        if len(found[self.wandb]) > 1:
            raise Missing(f"{len(found[self.wandb])} W&B runs have it: which one is meant?")
        return {self.wandb: found[self.wandb][0]}

    def ambiguous(self, place: Place) -> list[str]:
        """Return the names that several W&B runs have, of which none is taken when all are meant."""
        return [name for name, numbers in _found(place).items() if len(numbers) > 1]


def _found(place: Place) -> dict[str, list[float]]:
    """Return the numbers in the summaries of an attempt's W&B runs; Missing if it has none."""
    logs = [log for log in place.wandb() if place.is_own(log)]
    if not logs and place.wandb():
        raise Missing("the W&B run is from before this attempt, which has not written it")
    if not logs:
        raise Missing("there is no W&B run")
    found: dict[str, list[float]] = {}
    for log in logs:
        place.refuse_large(log, log.name)
        for name, number in _summary(log, log.stat().st_mtime_ns).items():
            found.setdefault(name, []).append(number)
    return found


@functools.lru_cache(maxsize=4)
def _summary(log: Path, changed: int) -> dict[str, float]:
    """Return the numbers in a summary: several may be asked for one after the other."""
    return all_of(summary.read(log))
