"""What is installed, Hydra's own settings and the types: the configs, and what several of them come to.

It stays as it is while a process lives, and is the same in the next one. So what is read and merged of it is kept in a
file among the user's caches, which counts as long as nothing that has a part in it is another: the versions, our own
code, and where each config comes from. Types of other packages are not kept there: nobody can tell what they hang on.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import omegaconf

import experimentstash
from experimentstash.base import files, user_cache
from experimentstash.compose.hydra_compat import ConfigResult, type_stored
from experimentstash.compose.nodes import pickled

# The packages, or the rooms of ours, whose code makes the configs that are kept; ours may be edited at any time.
_FOREIGN = ("hydra.conf", "hydra._internal.core_plugins")
_OURS = ("experimentstash.stash.schema", "experimentstash")
_ROOT = os.path.dirname(experimentstash.__file__)
_ROOMS = ("base", "stash", "compose", "compose/fast")
# What is kept at most, of what several configs come to: one for each way to launch.
_MOST_MERGED = 16
_MOST_BYTES = 4 << 20


class Step(NamedTuple):
    """What decides what merging one entry of the final defaults list does."""

    path: str | None
    package: str | None
    is_primary: bool
    origin: int | None  # which installed config it is


class Kept:
    """A config that was read. It is copied before it is merged: merging takes the nodes of what is merged."""

    def __init__(self, original: ConfigResult, node: object = None) -> None:
        self.original = original
        self.node = node  # what it is known by lives as long

    @functools.cached_property
    def _pickled(self) -> bytes | None:
        return pickled(self.original.config)

    def copy(self) -> ConfigResult:
        """Return a config of one's own."""
        result = copy.copy(self.original)
        kept = self._pickled
        result.config = copy.deepcopy(self.original.config) if kept is None else pickle.loads(kept)
        return result


class Installed:
    """What this process knows of it; the file is read when something is first asked for."""

    def __init__(self) -> None:
        self.merged: dict[tuple[Step, ...], bytes] = {}
        self._read: dict[tuple[str, int], Kept] = {}
        self._marks: dict[int, str | None] = {}
        self._has_new = False

    def config(self, path: str, node: object, read: Callable[[], ConfigResult | None]) -> Kept | None:
        """Return an installed config, as it is known or by reading it; ``node`` is what it is to this process."""
        known = self._read.get((path, id(node)))
        if known is not None:
            return known
        mark = self._marks[id(node)] = _mark(node)
        text = None if mark is None else self._file.read.get((path, mark))
        found = None if text is None else _unpickled(text)
        if found is None:
            found = read()
            if found is not None and mark is not None and (text := _as_bytes(found)) is not None:
                self._file.read[path, mark] = text
                self._has_new = True
        if found is None:
            return None
        kept = self._read[path, id(node)] = Kept(found, node)
        return kept

    def recall(self, steps: tuple[Step, ...]) -> None:
        """Learn from the file what these steps come to."""
        key = self._key(steps)
        if steps not in self.merged and key is not None and (known := self._file.merged.get(key)) is not None:
            self.merged[steps] = known

    def keep(self, steps: tuple[Step, ...], config: bytes) -> None:
        """Note what these steps come to, and write what is new into the file."""
        self.merged[steps] = config
        key = self._key(steps)
        if key is not None and len(self._file.merged) < _MOST_MERGED:
            self._file.merged[key] = config
            self._has_new = True
        if self._has_new:
            self._has_new = False
            self._file.write()

    def _key(self, steps: tuple[Step, ...]) -> tuple[object, ...] | None:
        marks = [None if step.origin is None else self._marks.get(step.origin) for step in steps]
        if not steps or None in marks:
            return None
        return tuple((*step[:3], mark) for step, mark in zip(steps, marks, strict=True))

    @functools.cached_property
    def _file(self) -> _File:
        return _File()


class _File:
    """The file, which is of use only to who has the same installation; another one's is written anew."""

    def __init__(self) -> None:
        folder = user_cache.folder()
        place = zlib.crc32(os.fsencode("\n".join((sys.prefix, hydra.__file__, _ROOT, sys.version))))
        self._path = None if folder is None else folder / f"installed-{place:08x}.pickle"
        self._installation = _installation()
        self.read: dict[tuple[str, str], bytes] = {}
        self.merged: dict[tuple[object, ...], bytes] = {}
        with contextlib.suppress(Exception):  # whatever it is, all is made anew
            installation, read, merged = pickle.loads(_own(self._path))
            if installation == self._installation:
                self.read, self.merged = dict(read), dict(merged)

    def write(self) -> None:
        """Write it, if it can be written."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            os.makedirs(self._path.parent, 0o700, exist_ok=True)
            files.write_atomically(self._path, pickle.dumps((self._installation, self.read, self.merged)), mode=0o600)


def _own(path: Path | None) -> bytes:
    """Return the content of a file that nobody but this user can have written: to read it may execute what it says."""
    if path is None:
        return b""
    descriptor = files.open_regular(path)
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        is_own = found.st_uid == os.geteuid() and not found.st_mode & 0o022
        return stream.read(_MOST_BYTES) if is_own else b""


def _installation() -> tuple[object, ...]:
    """Return what tells this installation, as it is now, from another one."""
    stamps = []
    for room in _ROOMS:
        with os.scandir(f"{_ROOT}/{room}") as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found = entry.stat()
                    stamps.append((room, entry.name, found.st_mtime_ns, found.st_size, found.st_ino))
    versions = (sys.version, hydra.__version__, omegaconf.__version__, experimentstash.__version__)
    return (*versions, tuple(sorted(stamps)))


def _mark(node: Any) -> str | None:
    """Return what tells an installed config from others in each process alike; None if that can't be told."""
    if node is hydra:
        return "hydra"
    made_of = type_stored(node)
    if made_of is None:
        return _OURS[1] if node.provider == _OURS[1] else None
    place = made_of.__module__
    if place != _OURS[0] and not place.startswith(_FOREIGN):
        return None
    return f"{place} {made_of.__qualname__} {node.package} {node.provider}"


def _as_bytes(read: ConfigResult) -> bytes | None:
    try:
        return pickle.dumps(read)
    except Exception:  # there are types in it that Hydra has executed twice
        return None


def _unpickled(text: bytes) -> ConfigResult | None:
    try:
        found = pickle.loads(text)
    except Exception:
        return None
    return found if isinstance(found, ConfigResult) else None
