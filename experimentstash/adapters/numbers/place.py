"""Where a run's numbers are: its directory, and what in it belongs to the attempt that they are read for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import did_you_mean

FILE_NAME = "metrics.json"
ALL = "*"  # as a key, a column …: all that there are
# Keys, columns or files that a message lists.
LISTED = 20


class Missing(Exception):
    """There is no such number, and why."""


# What reading a number may raise.
UNREADABLE = (Missing, OSError, OverflowError, RecursionError, re.error)


def why_not(error: Exception) -> str:
    """Return why a number can't be read, in a few words."""
    return error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())


@dataclass(frozen=True)
class Place:
    """What an attempt at a run has left."""

    directory: Path  # the run's
    log: str  # the file of the tool's output …
    offset: int = 0  # … in which the attempt begins here
    since: int = 0  # when it began, in nanoseconds, by the clock of the file system: what is older isn't its own
    is_copy: bool = False  # the directory is a copy: only when its files' contents were written can be told
    most: int | None = None  # bytes of a file that is to be read now; None: however large it is
    wandb: Callable[[], Sequence[Path]] = tuple  # finds the logs of its W&B runs

    def file(self, name: str) -> Path:
        """Return the file of that name, or the one that a pattern stands for; Missing if there is none of its own."""
        path = self._found(name)
        self.refuse_large(path, name)
        if not self.is_own(path):
            raise Missing(f"{name} is from before this attempt, which has not written it")
        return path

    def refuse_large(self, path: Path, name: str, slower: int = 1) -> None:
        """Raise Missing for a file that is too large to be read now, where reading is so many times slower."""
        if self.most is not None and path.stat().st_size > (most := self.most // slower):
            raise Missing(f"{name} has more than {most >> 20} MB: `experimentstash metrics refresh` reads it")

    def is_own(self, path: Path) -> bool:
        """Tell whether the attempt has written a file, or brought it here."""
        found = os.stat(path)
        return max(found.st_mtime_ns, 0 if self.is_copy else found.st_ctime_ns) >= self.since

    def _found(self, name: str) -> Path:
        path = self.directory / name
        if path.is_file():
            return path
        if path.exists():
            raise Missing(f"{name} is not a file")
        if any(mark in name for mark in "*?["):
            found = [path for path in islice(self.directory.glob(name), LISTED + 1) if path.is_file()]
            if len(found) == 1:
                return found[0]
            names = ", ".join(sorted(path.relative_to(self.directory).as_posix() for path in found)[:LISTED])
            raise Missing(
                f"{len(found)} files in the run directory match {name}: {names}" if found else f"no file matches {name}"
            )
        alike = sorted(other.name for other in self.directory.glob(f"*{path.suffix}") if other.name != "run.json")
        deeper = next((other for other in islice(self.directory.rglob(path.name), 1) if other.is_file()), None)
        hint = (
            ""
            if deeper is None
            else f" There is {deeper.relative_to(self.directory).as_posix()}: give `file:`, with * for a folder."
        )
        raise Missing(f"the run directory has no {name}.{hint}{instead(name, alike, 'files of this kind')}")


def instead(wrong: str, valid: list[str], what: str) -> str:
    """Return what there is in place of what was looked for."""
    if not valid:
        return f" There are no {what}."
    more = f" and {len(valid) - LISTED} more" if len(valid) > LISTED else ""
    return f"{did_you_mean(wrong, valid)} The {what}: {', '.join(valid[:LISTED])}{more}"
