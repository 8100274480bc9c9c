"""Where the page's links lead: by relative paths to where files are, as long as the page isn't moved without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from experimentstash.base.files import Unfit, inside, kind_at


class Links(Protocol):
    """Gives addresses to files of runs."""

    def to(self, directory: Path, name: str) -> str | None:
        """Return the address of a run's file, or of its directory if it has no name; None if there can't be one."""


class Beside:
    """Addresses of files where they are, relative to the directory that the page is in."""

    def __init__(self, page: Path) -> None:
        self._page = os.path.realpath(page)

    def to(self, directory: Path, name: str) -> str | None:
        path = directory / name if name else directory
        if not is_inside(directory, name):
            return None
        return address(os.path.relpath(os.path.join(os.path.realpath(directory), name), self._page)) + (
            "" if name or not path.is_dir() else "/"
        )


def is_inside(directory: Path, name: str) -> bool:
    """Tell whether a run has such a file, or is there itself: nothing on the way to it is a link."""
    if not name:
        return kind_at(directory) == "a directory"
    try:
        return kind_at(inside(directory, directory / name)) == "a file"
    except (Unfit, ValueError):
        return False


def address(path: str) -> str:
    """Return a relative path as a link has it; its first part is never taken for a scheme."""
    quoted = quote(os.fsencode(path), safe="/~!$'()*,;=@+")
    return quoted if quoted.startswith(".") else f"./{quoted}"
