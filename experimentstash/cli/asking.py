"""What the person at the terminal is asked; where there is none nobody is."""

from __future__ import annotations

import sys

from experimentstash.base.errors import StashError
from experimentstash.base.output import is_terminal


def can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal()


def ask(question: str) -> str:
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def agrees(question: str) -> bool:
    """Tell whether the person agrees; StashError, with ``--yes``, if there is none."""
    if not can_ask():
        raise StashError(f"{question} That needs a confirmation, and there is no terminal.", "--yes")
    return ask(f"{question} [y/N]").lower() in ("y", "yes")
