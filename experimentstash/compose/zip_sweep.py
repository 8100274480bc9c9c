"""Sweeps in which parameters vary together: lists of equal length are gone through in step, the rest is a product."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from experimentstash.base.errors import StashError, did_you_mean

# For each key, as it is overridden, what each of its values makes an override: {"+params.seed": ["+params.seed=1", …]}.
Swept = Mapping[str, Sequence[str]]


def jobs(overrides: Swept, groups: Sequence[Sequence[str]] | None) -> list[list[str]]:
    """Return the overrides of each job, the first key's values varying slowest.

    ``groups`` name the keys that vary in step; None: all that have several values. StashError if they can't.
    """
    keys = {key.lstrip("+"): key for key in overrides}
    swept = [name for name, key in keys.items() if len(overrides[key]) > 1]
    axis_of: dict[str, list[str]] = {}
    for group in groups if groups is not None else [swept]:
        axis = []
        for name in (word.lstrip("+") for word in group):
            if name not in keys:
                raise StashError(
                    f"hydra.sweeper.together names {name!r}, which is not swept.{did_you_mean(name, swept)}"
                    f"\nSwept: {', '.join(swept) or 'nothing'}"
                )
            if keys[name] in axis_of:
                raise StashError(
                    f"hydra.sweeper.together names {name!r} twice.", "name it once, with what it varies with"
                )
            axis.append(keys[name])
            axis_of[keys[name]] = axis
        _check_lengths({key.lstrip("+"): len(overrides[key]) for key in axis})
    axes = dict.fromkeys(tuple(axis_of.get(key, [key])) for key in overrides)
    order = [key for axis in axes for key in axis]
    found = []
    for choice in itertools.product(*(zip(*(overrides[key] for key in axis), strict=True) for axis in axes)):
        chosen = dict(zip(order, itertools.chain.from_iterable(choice), strict=True))
        found.append([chosen[key] for key in overrides])
    return found


def _check_lengths(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise StashError(
            f"What varies together needs equally many values: {told}.",
            "give them as many, or say with hydra.sweeper.together=[[KEY,KEY]] which do; the rest is a product",
        )
