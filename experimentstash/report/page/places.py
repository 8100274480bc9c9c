"""Where the page's links lead: to files where they are, to copies of them beside the page, or to what is inside it."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from experimentstash.base.errors import StashError
from experimentstash.base.files import Unfit, inside, kind_at
from experimentstash.base.masking import Mask
from experimentstash.base.redaction import find_secret
from experimentstash.base.text import counted, size
from experimentstash.record import archives

# Bytes of a file that is copied because it is a picture, of any other, and of all others together.
LARGEST, LARGEST_OTHER, MOST_OTHERS = 50 << 20, 1 << 20, 100 << 20
# It says where everything is on this machine, and stays there.
_STAYS = archives.RECORD

# What a browser shows, and never runs. Whatever else there is may be a program to it: SVG, HTML, XML, scripts.
_PLAIN = frozenset(
    (
        *(".txt", ".log", ".out", ".err", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
        *(".md", ".patch", ".diff", ".py", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".pdf"),
    )
)


def is_plain(name: str) -> bool:
    """Tell whether a browser may open a file of this name: what could be a program in the page's place may not."""
    return os.path.splitext(name)[1].lower() in _PLAIN


class Links(Protocol):
    """Gives addresses to files of runs."""

    lead_away: bool  # to files that stay where they are if the page is sent elsewhere

    def to(self, directory: Path, name: str, *, is_needed: bool = True) -> str | None:
        """Return the address of a run's file, or of its directory if it has no name; None if there can't be one.

        What isn't ``is_needed``, as a picture is, may be left out where files are copied.
        """


class Beside:
    """Addresses of files where they are, relative to the directory that the page is in."""

    lead_away = True

    def __init__(self, page: Path) -> None:
        self._page = os.path.realpath(page)

    def to(self, directory: Path, name: str, *, is_needed: bool = True) -> str | None:
        if not is_inside(directory, name) or _holds_secret(name):
            return None
        return address(way(self._page, directory, name)) + ("" if name else "/")


class Embedded:
    """Addresses that are the files themselves."""

    lead_away = False

    def __init__(self) -> None:
        self._bounds = _Bounds()

    @property
    def remarks(self) -> list[str]:
        return self._bounds.remarks

    def to(self, directory: Path, name: str, *, is_needed: bool = True) -> str | None:
        if not name or not self._bounds.lets_in(directory, name, is_needed):
            return None
        try:
            content = content_of(directory, name)
        except OSError:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"


class Copied:
    """Addresses of copies; ``copies`` says which are to be made."""

    lead_away = False

    def __init__(self, root: Path, folder: str) -> None:
        self._root, self._folder = os.path.realpath(root), folder
        self._bounds = _Bounds()
        self._wanted: dict[str, tuple[Path, str]] = {}

    @property
    def remarks(self) -> list[str]:
        return self._bounds.remarks

    def to(self, directory: Path, name: str, *, is_needed: bool = True) -> str | None:
        if not name:
            return None
        path = f"{self._folder}/{self._place(directory)}/{name}"
        if path not in self._wanted:
            if not self._bounds.lets_in(directory, name, is_needed):
                return None
            self._wanted[path] = directory, name
        return address(path)

    def _place(self, directory: Path) -> str:
        real = os.path.realpath(directory)
        if real.startswith(f"{self._root}/"):
            return real[len(self._root) + 1 :]
        return f"elsewhere/{hashlib.sha256(os.fsencode(real)).hexdigest()[:12]}"

    def copies(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files that the page's links lead to, without the secrets that are known here.

        StashError for one that can't be read any more.
        """
        for path, (directory, name) in self._wanted.items():
            try:
                yield path, content_of(directory, name)
            except OSError as error:
                raise StashError(f"{directory / name} can't be copied: {error.strerror}.") from error


class _Bounds:
    """How much is copied, and what is said of the rest."""

    def __init__(self) -> None:
        self._others = 0
        self._left_out: list[int] = []

    @property
    def remarks(self) -> list[str]:
        if not self._left_out:
            return []
        return [f"{counted(len(self._left_out), 'file')} of runs not copied, with {size(sum(self._left_out))} in all"]

    def lets_in(self, directory: Path, name: str, is_needed: bool) -> bool:
        taken = _size(directory, name)
        if not taken or name == _STAYS or not _is_text(name) or _holds_secret(name):
            return False
        if taken > (LARGEST if is_needed else min(LARGEST_OTHER, MOST_OTHERS - self._others)):
            self._left_out.append(taken)
            return False
        self._others += 0 if is_needed else taken
        return True


def _is_text(name: str) -> bool:
    """Tell whether a name can be written anywhere: one of Latin-1, say, has bytes that are no text."""
    return name.encode("utf-8", "replace").decode() == name


def _holds_secret(name: str) -> bool:
    """Tell whether an address would say a secret that is known here."""
    return find_secret([name], os.environ) is not None


def _size(directory: Path, name: str) -> int | None:
    """Return the size of a run's file, there or in an archive; None if it is no regular one."""
    if not is_inside(directory, name) and archives.holding(directory) is None:
        return None
    return archives.size_of(directory / name)


def content_of(directory: Path, name: str) -> bytes:
    """Return what is in a run's file, masked as logs are. Unfit if something on the way to it is a link."""
    return Mask(os.environ).masked(archives.read(inside(directory, directory / name), LARGEST))


def is_inside(directory: Path, name: str) -> bool:
    """Tell whether a run has such a file, or is there itself: nothing on the way to it is a link."""
    if not name:
        return kind_at(directory) == "a directory"
    try:
        return kind_at(inside(directory, directory / name)) == "a file"
    except (Unfit, ValueError):
        return False


def way(start: str, directory: Path, name: str = "") -> str:
    """Return the way from a directory, by its real path, to another, or to a file in that."""
    return os.path.relpath(os.path.join(os.path.realpath(directory), name), start)


def address(path: str) -> str:
    """Return a relative path as a link has it; its first part is never taken for a scheme."""
    quoted = quote(os.fsencode(path), safe="/~!$'()*,;=@+")
    return quoted if quoted.startswith(".") else f"./{quoted}"
