"""A bound on what interpolations may stand for: a few lines that double each other would never come to an end.

OmegaConf remembers nothing: what is used twice is resolved twice.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from omegaconf import Container
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import InterpolationResolutionError

# Interpolations that one leads to, and that a whole configuration does, each counted as often as it is resolved;
# characters of the text that one stands for.
MOST, MOST_IN_ALL, LONGEST = 1_000, 10_000, 1 << 20
_resolve_plainly = Container.resolve_parse_tree
_convert_plainly = BaseContainer._to_content


class _UnderWay(threading.local):
    """How deep in a value, or in a conversion of a whole configuration, we are, and how much it has led to."""

    def __init__(self) -> None:
        self.depth = {"value": 0, "whole": 0}
        self.count = {"value": 0, "whole": 0}

    @contextlib.contextmanager
    def within(self, what: str) -> Iterator[None]:
        if self.depth[what] == 0:
            self.count[what] = 0
        self.depth[what] += 1
        try:
            yield
        finally:
            self.depth[what] -= 1


_under_way = _UnderWay()


def bound() -> None:
    """Have OmegaConf refuse what grows beyond all bounds, in this process, from now on."""
    Container.resolve_parse_tree = _resolve  # type: ignore[method-assign]
    BaseContainer._to_content = staticmethod(_convert)  # type: ignore[method-assign]


def _resolve(self: Container, *arguments: Any, **options: Any) -> Any:
    """Do what OmegaConf does for one interpolation."""
    count = _under_way.count
    with _under_way.within("value"):
        count["value"] += 1
        count["whole"] += 1
        for what, most in (("value", MOST), ("whole", MOST_IN_ALL)):
            if _under_way.depth[what] and count[what] > most:
                raise InterpolationResolutionError(
                    f"more than {most:,} interpolations to resolve (do some double others?)"
                )
        value = _resolve_plainly(self, *arguments, **options)
        if isinstance(value, str) and len(value) > LONGEST:
            raise InterpolationResolutionError(f"interpolations make a text of more than {LONGEST:,} characters")
        return value


def _convert(*arguments: Any, **options: Any) -> Any:
    """Do what OmegaConf does to make plain values of a configuration."""
    with _under_way.within("whole"):
        return _convert_plainly(*arguments, **options)
