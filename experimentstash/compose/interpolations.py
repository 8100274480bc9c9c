"""A bound on what interpolations may stand for: a few lines that double each other would never come to an end.

OmegaConf remembers nothing: what is used twice is resolved twice.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from omegaconf import Container, Node, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from experimentstash.compose.foreseen import Foreseen, place_of
from experimentstash.compose.hydra_compat import bounding, convert_plainly, resolve_plainly

# Interpolations that one leads to, and that a whole configuration does, each counted as often as it is resolved;
# characters of the text that one stands for.
MOST, MOST_IN_ALL, LONGEST = 1_000, 10_000, 1 << 20
# After so many it is told beforehand how many there will be: each takes a good part of a millisecond.
_ENOUGH_TO_ASK = 100
_MANY_CONTAINERS, _MOST_CONTAINERS = 1_000, 200_000


class _UnderWay(threading.local):
    """What is resolved, a value and a whole configuration around it (None: nothing), and how much it has led to."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {"value": None, "whole": None}
        self.count = {"value": 0, "whole": 0}
        self.containers = 0  # of the whole

    @contextlib.contextmanager
    def within(self, what: str, node: Any) -> Iterator[None]:
        is_first = self.first[what] is None
        if is_first:
            self.first[what], self.count[what] = node, 0
        try:
            yield
        finally:
            if is_first:
                self.first[what] = None

    def enter(self) -> None:
        """Count one container that is converted, as OmegaConf 2.4 does it again and again where it resolves once."""
        if self.first["whole"] is None:
            self.containers = 0
        self.containers += 1
        is_told = self.containers == _MANY_CONTAINERS and _foreseen(self.first["whole"], is_whole=True) > MOST_IN_ALL
        if is_told or self.containers > _MOST_CONTAINERS:
            raise _too_many(MOST_IN_ALL)

    def step(self) -> None:
        """Count one interpolation; InterpolationResolutionError if that is too many, or if there will be too many."""
        for what, most in (("value", MOST), ("whole", MOST_IN_ALL)):
            if (node := self.first[what]) is None:
                continue
            self.count[what] += 1
            is_told = self.count[what] == _ENOUGH_TO_ASK and _foreseen(node, is_whole=what == "whole") > most
            if is_told or self.count[what] > most:
                raise _too_many(most)


def _too_many(most: int) -> InterpolationResolutionError:
    return InterpolationResolutionError(f"more than {most:,} interpolations to resolve (do some double others?)")


def _foreseen(node: Any, *, is_whole: bool) -> int:
    """Return how many interpolations a node will lead to, as far as that can be told."""
    try:
        data = OmegaConf.to_container(node._get_root(), resolve=False)
        return Foreseen(data).of(place_of(node._get_full_key(None) or ""), is_whole=is_whole)
    except RecursionError:  # we are deep in already
        return 0


_under_way = _UnderWay()


def bound() -> None:
    """Have OmegaConf refuse what grows beyond all bounds, in this process, from now on."""
    bounding(_resolve, _convert)


def _resolve(self: Container, parse_tree: Any, node: Node, *arguments: Any, **options: Any) -> Any:
    """Do what OmegaConf does for one interpolation."""
    with _under_way.within("value", node):
        _under_way.step()
        value = resolve_plainly(self, parse_tree, node, *arguments, **options)
        if isinstance(value, str) and len(value) > LONGEST:
            raise InterpolationResolutionError(f"interpolations make a text of more than {LONGEST:,} characters")
        return value


def _convert(conf: Container, *arguments: Any, **options: Any) -> Any:
    """Do what OmegaConf does to make plain values of a configuration."""
    _under_way.enter()
    with _under_way.within("whole", conf):
        return convert_plainly(conf, *arguments, **options)
