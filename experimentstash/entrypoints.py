"""What an entrypoint says: `-m package.module`, `file.py`, or an executable; words after it are kept."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from experimentstash.errors import StashError


@dataclass(frozen=True)
class Entrypoint:
    """The words of an entrypoint, and the script that it runs if it is a file of Python's."""

    words: tuple[str, ...]
    script: Path | None

    @property
    def is_module(self) -> bool:
        return self.words[0] == "-m"

    @property
    def runs_python(self) -> bool:
        return self.is_module or self.script is not None


def read(entrypoint: str, directory: Path) -> Entrypoint:
    """Return what the entrypoint of a tool in ``directory`` says; StashError if it says nothing.

    A file's name may have spaces in it.
    """
    if (directory / entrypoint).is_file():
        words = [entrypoint]
    else:
        try:
            words = shlex.split(entrypoint)
        except ValueError as error:
            raise StashError(f"The entrypoint {entrypoint!r} can't be read: {error}.") from error
    if not words or (words[0] == "-m" and len(words) < 2):
        raise StashError(
            f"The entrypoint {entrypoint!r} names nothing to run.", "write `-m package.module` or `file.py`"
        )
    return Entrypoint(tuple(words), directory / words[0] if words[0].endswith(".py") else None)
