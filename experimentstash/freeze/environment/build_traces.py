"""Keeps a checkout as it was while its environment is made: build backends write into it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from experimentstash.adapters.git import command
from experimentstash.adapters.git.status import known_status
from experimentstash.base import files
from experimentstash.base.patterns import regex

# What setuptools tells itself about a project that it builds. Nobody needs it: the environment has its own.
_NEEDLESS = (".egg-info", ".eggs")
_METADATA = regex(r"((?:.*?/)?(?:[^/]*\.egg-info|\.eggs))/")
# What an installation may go on using: compiled modules, a version that was written, a directory that is built in.
_NEEDED = regex(
    r"((?:.*/)?(?:build|dist|_skbuild|\.pdm-build|target|cmake-build-[^/]*)/|.*\.(?:so|pyd|dylib)|(?:.*/)?_?version\.py)"
)


@contextlib.contextmanager
def none_left(directory: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Leave no trace of what happens inside in a checkout; what must stay is made unknown to git, and announced."""
    before, known = known_status(directory), {place: _content(place) for place in _metadata(directory)}
    has_build = os.path.lexists(directory / "build")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for place in _metadata(directory):
                _put_back(place, known.get(place))
            if not has_build:
                _remove_empty(directory / "build")
        after = known_status(directory) if before else None
        new = sorted(set(after.untracked) - set(before.untracked)) if before and after else []
        for elsewhere in {match[1] for path in new if (match := _METADATA.match(path))}:  # of what else is installed
            assert after is not None
            with contextlib.suppress(OSError):
                files.remove(after.root / elsewhere)
        left = sorted({match[1] for path in new if (match := _NEEDED.match(path))})
        if left:
            _exclude(directory, left)
            announce(f"Making it has left {', '.join(left[:5])} in the checkout; git passes over that from now on.")


def _metadata(directory: Path) -> list[Path]:
    """Return what setuptools keeps of a project: beside it, or where its packages are."""
    return sorted(
        Path(entry)
        for folder in (directory, *_folders(directory))
        for entry in _entries(folder)
        if entry.name.endswith(_NEEDLESS) and entry.is_dir(follow_symlinks=False)
    )


def _folders(directory: Path) -> list[Path]:
    return [Path(entry) for entry in _entries(directory) if entry.is_dir(follow_symlinks=False)]


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _content(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.is_symlink()}


def _put_back(place: Path, before: dict[Path, bytes] | None) -> None:
    if before is None:
        files.remove(place)
        return
    now = _content(place)
    for path in now.keys() - before.keys():
        path.unlink()
    for path, content in before.items():
        if now.get(path) != content:
            path.write_bytes(content)


def _remove_empty(directory: Path) -> None:
    """Remove a directory in which there are only empty ones."""
    for folder, _, names in os.walk(directory, topdown=False):
        if not names:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _exclude(directory: Path, paths: list[str]) -> None:
    exclude = directory / command.path_of(directory, "info/exclude")
    exclude.parent.mkdir(parents=True, exist_ok=True)
    with open(exclude, "a", encoding="utf-8", errors="surrogateescape", opener=files.open_regular) as stream:
        stream.writelines("\n/" + re.sub(r"([\\*?\[])", r"\\\1", path) for path in paths)
        stream.write("\n")
