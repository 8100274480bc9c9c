"""Writes what is kept of runs into a directory. It is for others to see, so no secret gets there."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.redaction import contains_secret, known
from experimentstash.base.text import size
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Content

# Bytes of an output up to which a copy is kept.
LARGEST = 64 << 20
# … and up to which it is looked, too, whether something in it looks like a secret; that takes long.
LARGEST_SEARCHED = 1 << 20


class Keeper:
    """A directory that is filled; of each file it is known what was in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: dict[str, Content] = {}

    def text(self, name: str, text: str) -> None:
        """Write a text; StashError if a secret of now is in it."""
        refuse_secrets(text, name)
        files.write(self.place(name), text.encode("utf-8", "surrogateescape"), os.O_EXCL)
        self.note(name)

    def copy(self, name: str, source: Path, what: str) -> Content:
        """Copy a file and return what is in it; StashError, with ``what`` in front, if a secret is."""
        target = self.place(name)
        content = self.files[name] = content_of(source, target)
        text = files.read_regular(target, LARGEST).decode("utf-8", "replace")
        refuse_secrets(text, what, by_shape=content.size <= LARGEST_SEARCHED)
        return content

    def place(self, name: str) -> Path:
        """Return where a file belongs, for somebody else to make it there and ``note`` it."""
        target = self._folder / name
        files.make_directory(target.parent)
        return target

    def note(self, name: str) -> None:
        """Note what is in a file that has been made."""
        self.files[name] = content_of(self._folder / name)


def refuse_secrets(text: str, what: str, *, by_shape: bool = False) -> None:
    """Raise StashError for a secret of now in a text, and ``by_shape`` for what only looks like one."""
    secrets = known(os.environ)
    secret = secrets.find(text) if by_shape else secrets.find_value(text)
    if secret is not None:
        raise contains_secret(secret, what)


def text_of(path: Path) -> str:
    """Return a text that is to be kept; StashError for one that reproducing wouldn't read."""
    if os.stat(path).st_size > files.MOST_BYTES:
        raise StashError(
            f"{path} can't be frozen: it has {size(os.stat(path).st_size)}, and patches and configurations have"
            f" {size(files.MOST_BYTES)} at most.",
            "commit what a patch holds, or have git ignore it, and: experimentstash rerun RUN",
        )
    return files.read_regular(path).decode("utf-8", "surrogateescape")
