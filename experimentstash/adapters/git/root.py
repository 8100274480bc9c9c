"""Where a checkout begins, told without asking git: light, because every job asks."""

from __future__ import annotations

import os
from pathlib import Path


def root_of(directory: str) -> str | None:
    """Return the root of the checkout that ``directory`` is in; None outside one."""
    while not os.path.exists(os.path.join(directory, ".git")):
        directory, before = os.path.dirname(directory), directory
        if directory == before:
            return None
    return directory


def toplevel(directory: Path) -> Path | None:
    """Return the root of the checkout that ``directory`` is in, without asking git; None outside one."""
    root = root_of(str(directory))
    return None if root is None else Path(root)
