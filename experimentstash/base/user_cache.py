"""The folder in which a user's caches are: what can be made anew."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path | None:
    """Return it, whether it exists or not; None: nobody knows where that would be."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.expanduser("~/.cache")
    return Path(home) / "experimentstash" if os.path.isabs(home) else None
