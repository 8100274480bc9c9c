"""What a run reads besides its code, as far as it is told of it: the files and directories that its words name."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from experimentstash.base.dotted import leaves
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex

# Files up to so many bytes are told by what is in them, larger ones by their size and when they were changed.
_LARGEST_READ = 1 << 20
# A directory with more files than that is not looked through.
MOST_FILES = 1000
_LONGEST = 4096
_MOST_PIECES = 200
# Seconds for which something counts as it was when it was looked at; longer if the look has taken long.
_FRESH = 1.0
_SHARE = 20.0
_BETWEEN = regex(r"[\s=,;:'\"\[\](){}|&<>]+")
_Found = TypeVar("_Found")


class Unknowable(StashError):
    """What a run reads can't be known."""


class Recent:
    """What was looked at, each once in a while."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, Any]] = {}  # and until when it counts

    def get(self, key: Hashable, look: Callable[[], _Found]) -> _Found:
        """Return what a look has found not long ago, or finds now."""
        found: _Found
        until, found = self._known.get(key, (0.0, None))
        begun = time.monotonic()
        if begun >= until:
            found = look()
            now = time.monotonic()
            self._known[key] = now + max(_FRESH, _SHARE * (now - begun)), found
        return found


class Inputs:
    """Files and directories as they are, each looked at once in a while."""

    def __init__(self) -> None:
        self._recent = Recent()

    def of(self, texts: Iterable[str], base: str, own: Sequence[str], code: Sequence[str]) -> dict[str, Any]:
        """Return what the places that texts name are, by how they are named; ``base`` is where relative ones begin.

        What is in one of the directories ``own`` is the run's own, and what is one of ``code`` is known otherwise.
        Unknowable if it can't be told whether what is there has changed.
        """
        found: dict[str, Any] = {}
        for text in texts:
            for named in named_in(text):
                path = os.path.normpath(os.path.join(base, os.path.expanduser(named)))
                if path in code or any(is_in(path, each) for each in own):
                    continue
                state = self._state(path)
                if state is None:
                    continue
                if isinstance(state, str):
                    raise Unknowable(f"{named}: {state}")
                if "files" in state and any(is_in(each, path) for each in own):
                    raise Unknowable(f"{named} is a directory that runs themselves write into")
                found[named] = state
        return found

    def at(self, path: str) -> Any:
        """Return what a place is: None where nothing is; Unknowable if it can't be told."""
        state = self._state(path)
        if isinstance(state, str):
            raise Unknowable(f"{path}: {state}")
        return state

    def _state(self, path: str) -> Any:
        return self._recent.get(path, lambda: _look(path))


def words_of(params: Any) -> Iterator[str]:
    """Yield the texts among parameters."""
    for _, value in leaves(params):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                yield each
            elif isinstance(each, (dict, list)):
                yield from words_of(each)


def named_in(text: str) -> Iterator[str]:
    """Yield what in a text may be the name of a place: itself, and the parts of it that have a slash."""
    if 0 < len(text) <= _LONGEST and "\0" not in text and text not in (".", "..", "/"):
        yield text
    pieces = _BETWEEN.split(text)
    if len(pieces) > 1:
        for piece in pieces[:_MOST_PIECES]:
            if 1 < len(piece) <= _LONGEST and ("/" in piece or "." in piece) and piece != ".." and "\0" not in piece:
                yield piece


def is_in(path: str, directory: str) -> bool:
    """Tell whether a path is that of a directory, or of something in there."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _look(path: str) -> Any:
    """Return what a file or a directory is; None where nothing is; a text that says why it can't be told."""
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            return _of_file(path, found)
        return _of_directory(path) if stat.S_ISDIR(found.st_mode) else None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        # Most texts are no names of places at all.
        return None if not os.path.lexists(path) else f"it can't be read ({error.strerror})"


def _of_file(path: str, found: os.stat_result) -> dict[str, Any]:
    if found.st_size > _LARGEST_READ:
        return {"size": found.st_size, "changed": found.st_mtime_ns}
    return {"content": hashlib.sha256(read_regular(os.path.realpath(path), _LARGEST_READ)).hexdigest()}


def _of_directory(path: str) -> Any:
    files: dict[str, Any] = {}
    unread: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=unread.append):
        folders.sort()
        if len(files) + len(names) + len(folders) > MOST_FILES:
            return f"it holds more than {MOST_FILES} files, so whether they have changed can't be told"
        for name in names:
            place = os.path.join(folder, name)
            inside = os.path.relpath(place, path)
            found = os.stat(place) if os.path.exists(place) else None
            files[inside] = None if found is None or not stat.S_ISREG(found.st_mode) else _of_file(place, found)
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                return f"{name} in it is a link to a directory, so whether what is there has changed can't be told"
    if unread:
        raise unread[0]
    return {"files": hashlib.sha256(repr(sorted(files.items())).encode("utf-8", "surrogateescape")).hexdigest()}


def program(name: str, path: str) -> Path | None:
    """Return the file that a command's first word starts; None if there is none."""
    import shutil

    found = shutil.which(name, path=path)
    return None if found is None else Path(os.path.realpath(found))
