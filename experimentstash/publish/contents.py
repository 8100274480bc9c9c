"""What is in files: their sizes and hashes, each read once, and copied along the way if that is asked for."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base.files import open_regular
from experimentstash.publish.frozen import Content

_CHUNK = 1 << 20


def content_of(path: Path, copy: Path | None = None) -> Content:
    """Return a regular file's size and hash; ``copy`` becomes a copy of what was read. Unfit if it is no file."""
    digest, size = hashlib.sha256(), 0
    with contextlib.ExitStack() as opened:
        source = opened.enter_context(open(path, "rb", buffering=0, opener=open_regular))
        target = None if copy is None else opened.enter_context(open(copy, "xb", opener=open_regular))
        buffer = memoryview(bytearray(_CHUNK))
        while number := source.readinto(buffer):
            digest.update(buffer[:number])
            size += number
            if target is not None:
                target.write(buffer[:number])
    return Content(size, digest.hexdigest())


def below(folder: Path) -> Iterator[str]:
    """Yield the paths of all files below a directory, and of links, relative to it and sorted; no link is followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        links = [each for each in folders if os.path.islink(os.path.join(place, each))]
        for name in sorted([*names, *links]):
            yield os.path.relpath(os.path.join(place, name), folder)
