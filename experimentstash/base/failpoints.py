"""Where a change of the stash can be interrupted: tests look on here, and kill us when they choose."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

observer: ContextVar[Callable[[str], None] | None] = ContextVar("observer", default=None)


def step(name: str) -> None:
    """Say that ``name`` comes now."""
    watching = observer.get()
    if watching is not None:
        watching(name)
