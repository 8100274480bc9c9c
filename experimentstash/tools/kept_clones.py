"""The clone of a tool that couldn't be added yet, because nobody had said how it is started: for the next try.

It only spares that one what it has already: what the remote has now is asked of the remote.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.names import Url
from experimentstash.stash.layout import Stash


def of(stash: Stash, url: Url) -> Path | None:
    """Return the repository that an earlier clone of the URL has left."""
    kept = stash.clones / _name(url)
    return kept if files.kind_at(kept) == "a directory" else None


def keep(stash: Stash, url: Url, repository: Path) -> None:
    """Keep the repository of a clone, in place of the one that is kept; it isn't needed where it is any more."""
    with contextlib.suppress(OSError):  # then the next try clones again
        forget(stash)
        files.make_directory(stash.clones)
        os.rename(repository, stash.clones / _name(url))


def forget(stash: Stash) -> None:
    """Remove what is kept."""
    with contextlib.suppress(OSError):
        files.remove(stash.clones)


def _name(url: Url) -> str:
    return hashlib.sha256(url.text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
