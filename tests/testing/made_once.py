"""What many tests begin with is made once by a process, and copied for each: git is the dearest of all they start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

# Where the originals are, set when the tests begin.
FOLDER = Path()
_originals: dict[Hashable, Path] = {}


def made_once(paths: Sequence[Path], make: Callable[[], object], *what: Hashable) -> None:
    """Have ``make`` make these paths; the next time for the same ``what`` they are copies of what it made then.

    What is made must not tell where it is, or be at the same place each time: see `same_place`.
    """
    key = (make.__module__, make.__qualname__, *what)
    original = _originals.get(key)
    if original is None:
        make()
        original = FOLDER / str(len(_originals))
        for number, path in enumerate(paths):
            copy(path, original / str(number))
        _originals[key] = original
        return
    for number, path in enumerate(paths):
        if path.exists():
            shutil.rmtree(path)
        copy(original / str(number), path)


def same_place(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory for a test that is at the same path for all of them; then it moves into the test's own."""
    place = tmp_path.parent / "same-place"
    place.mkdir()
    yield place
    place.rename(tmp_path / "was-at-the-same-place")


def copy(source: Path, target: Path) -> None:
    """Copy a directory; objects of git, into which nobody ever writes again, are hard links."""
    os.makedirs(target.parent, exist_ok=True)
    shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)


def _copy_file(source: str, target: str) -> None:
    if "/objects/" in source and "/.git/" in source:
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copy2(source, target)
