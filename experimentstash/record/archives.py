"""Sweeps that are one file, as `experimentstash archive` makes it: what is in it is read where the directory was.

Such an archive is an ordinary zip file beside the place of the directory: ``12-00-00-k3f9a2b.runs.zip``. Its runs keep
their directories' paths, though nothing is there. One that has a record there again counts as it is there.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import TYPE_CHECKING
from experimentstash.base.errors import StashError
from experimentstash.base.files import MOST_BYTES, Unfit

if TYPE_CHECKING:
    import zipfile
    from typing import IO, BinaryIO

    _Opened = tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo], list[str]]

# A run's record, and, in a sweep's directory, earlier tries of runs that were begun anew.
RECORD, ASIDE = "run.json", ".superseded"
SUFFIX = ".runs.zip"
_AT_ONCE = 1 << 20  # bytes


def path_for(directory: Path) -> Path:
    """Return where the archive of a sweep's directory is, or would be."""
    return directory.with_name(directory.name + SUFFIX)


def directory_of(archive: Path) -> Path:
    """Return the directory that an archive stands for."""
    return archive.with_name(archive.name[: -len(SUFFIX)])


def of_sweep(directory: Path) -> Path | None:
    """Return the archive of the sweep whose directory this is, or was; None if there is none."""
    archive = path_for(directory) if directory.name else None
    if archive is None or not os.path.isfile(archive) or os.path.islink(archive):
        return None
    return archive


def holding(directory: Path | str) -> Path | None:
    """Return the archive that holds the run, or is of the sweep, whose directory this was; None if it is in none."""
    if os.path.lexists(os.path.join(directory, RECORD)):
        return None
    directory = Path(os.path.abspath(directory))
    for above in (directory, *directory.parents):
        if (archive := of_sweep(above)) is not None and _has(archive, directory.relative_to(above).as_posix()):
            return archive
    return None


def _has(archive: Path, name: str) -> bool:
    """Tell whether an archive has a directory; that can't be told of a damaged one, in which whoever reads it fails."""
    try:
        return name == "." or name in members(archive) or f"{name}/{RECORD}" in members(archive)
    except OSError:
        return True


def refuse(directory: Path, name: str) -> None:
    """Raise StashError if a run or a sweep, called ``name``, is archived: for who needs its files, or changes it."""
    archive = holding(directory)
    if archive is not None:
        raise StashError(f"{name} is archived, in {archive}.", restoring(archive))


def restoring(archive: Path) -> str:
    """Return the command that brings back what is in an archive."""
    import shlex  # here, and what is below, because jobs need none of it

    from experimentstash.stash.layout import token_of

    directory = directory_of(archive)
    return f"experimentstash archive --restore {token_of(directory.name) or shlex.quote(str(directory))}"


# --- reading ---------------------------------------------------------------------------------------------------------


def directories(archive: Path, *, superseded: bool = False) -> Iterator[Path]:
    """Yield the directories of the runs that count as they are in an archive, those of one folder together.

    Which are left out says `records.directories`.
    """
    found = {name[: -len(RECORD) - 1] for name in members(archive) if name.endswith(f"/{RECORD}")}
    root = directory_of(archive)
    is_there = os.path.isdir(root)
    for each in sorted(found, key=os.path.split):
        parts = each.split("/")
        is_hidden = any(part.startswith(".") and not (superseded and part == ASIDE) for part in parts)
        if is_hidden or any("/".join(parts[:count]) in found for count in range(1, len(parts))):
            continue
        if not (is_there and os.path.lexists(root / each / RECORD)):
            yield root / each


def members(archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    """Return what is in an archive, by its name below the sweep's directory, which has none.

    Unfit if the archive isn't whole, or has something outside that directory.
    """
    return _opened(archive)[1]


def files_below(archive: Path, directory: Path | str) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield the ordinary files that an archive has below a directory, by their names from there, in order."""
    from bisect import bisect_left  # here, because jobs read no archives

    within = os.path.relpath(os.path.abspath(directory), directory_of(archive))
    front = "" if within == "." else f"{within}/"
    _, found, names = _opened(archive)
    for place in range(bisect_left(names, front), len(names)):
        if not (name := names[place]).startswith(front):
            return
        if kind_of(found[name]) == "a file":
            yield name[len(front) :], found[name]


def sizes(archive: Path) -> dict[Path, int]:
    """Return how many bytes of an archive are of each of its runs."""
    root = directory_of(archive)
    found = dict.fromkeys(directories(archive, superseded=True), 0)
    for name, info in members(archive).items():
        run = next((above for above in (root / name).parents if above in found), None)
        if run is not None:
            found[run] += info.compress_size
    return found


def exists(path: Path) -> bool:
    """Tell whether there is a file, there or in an archive."""
    if os.path.lexists(path):
        return True
    with contextlib.suppress(OSError):
        return _member(path) is not None
    return False


def size_of(path: Path) -> int | None:
    """Return the size of a file, there or in an archive; None if there is none, or it is no ordinary one."""
    try:
        if os.path.lexists(path):
            found = os.lstat(path)
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        archived = _member(path)
    except OSError:
        return None
    return None if archived is None or kind_of(archived[1]) != "a file" else archived[1].file_size


def read(path: Path, limit: int = MOST_BYTES) -> bytes:
    """Return the content of a file as `read_regular` does, or what an archive holds in its place."""
    try:
        return files.read_regular(path, limit)
    except FileNotFoundError:
        archived = _open_archived(path)
    with archived as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise Unfit(path, f"it is larger than {limit >> 20} MB")
    return content


def read_end(path: Path, most: int) -> bytes:
    """Return the last bytes of a file, so many at the most, or of what an archive holds in its place."""
    try:
        return files.read_end(path, most)
    except FileNotFoundError:
        archived = _open_archived(path)
    end = b""
    with archived as stream:
        while part := stream.read(_AT_ONCE):
            end = (end + part)[-most:]
    return end


def open_file(path: Path) -> BinaryIO:
    """Open a file, or what an archive holds in its place; Unfit if it is no ordinary one."""
    with contextlib.suppress(FileNotFoundError):
        return open(path, "rb", opener=files.open_regular)
    return _open_archived(path)


def _open_archived(path: Path) -> BinaryIO:
    found = _member(path)
    if found is None:
        raise FileNotFoundError(2, os.strerror(2), str(path))
    archive, info = found
    if (kind := kind_of(info)) != "a file":
        raise Unfit(path, f"in the archive it is {kind}")
    return open_member(archive, info)


def open_member(archive: Path, info: zipfile.ZipInfo) -> BinaryIO:
    """Open what an archive holds. Reading to its end raises Unfit if that isn't what was put in."""
    with _sound(archive):
        return io.BufferedReader(_Reader(archive, _opened(archive)[0].open(info)), _AT_ONCE)


def kind_of(info: zipfile.ZipInfo) -> str:
    """Return what a member is: "a file", "a directory", "a symbolic link"."""
    if info.filename.endswith("/"):
        return "a directory"
    mode = info.external_attr >> 16
    return "a symbolic link" if stat.S_ISLNK(mode) else "a file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "odd"


def forget() -> None:
    """Close all archives: one is to go."""
    for each in list(_open.values()):
        each[0].close()
    _open.clear()


class _Reader(io.RawIOBase):
    """A member of an archive, whose faults are errors like any file's."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self._archive, self._stream = archive, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _sound(self._archive):
            part = self._stream.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _member(path: Path) -> tuple[Path, zipfile.ZipInfo] | None:
    archive = holding(os.path.dirname(path))
    if archive is None:
        return None
    name = os.path.relpath(os.path.abspath(path), directory_of(archive))
    info = members(archive).get(name)
    return None if info is None else (archive, info)


# The archives that were looked at last: to open one takes as long as it has files.
_open: dict[tuple[str, files.Stamp], _Opened] = {}
_MOST_OPEN = 4


def _opened(archive: Path) -> _Opened:
    found = os.lstat(archive)
    if not stat.S_ISREG(found.st_mode):
        raise Unfit(archive, f"it is {files.kind_at(archive)}")
    mark = str(archive), files.stamp(found)
    if mark not in _open:
        import zipfile  # here, because jobs read no archives

        with _sound(archive):
            opened = zipfile.ZipFile(archive)
        listed = [(info.filename.removesuffix("/"), info) for info in opened.infolist()]
        top = listed[0][0].partition("/")[0] if listed else ""
        for name, _ in listed:
            if name.partition("/")[0] != top or {"", ".", ".."} & set(name.split("/")):
                opened.close()
                raise Unfit(archive, f"it is no archive of a sweep: it has {name!r}")
        named = {name[len(top) + 1 :]: info for name, info in listed}
        while len(_open) >= _MOST_OPEN:
            _open.pop(next(iter(_open)))  # it is closed once nobody reads it
        _open[mark] = opened, named, sorted(named)
    return _open[mark]


@functools.cache
def _faults() -> tuple[type[Exception], ...]:
    import struct
    import zipfile
    import zlib

    return (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)


@contextlib.contextmanager
def _sound(archive: Path) -> Iterator[None]:
    """Have what is wrong with an archive be an error like any file's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if not isinstance(error, _faults()):
            raise
        raise Unfit(archive, f"it is damaged: {' '.join(str(error).split()) or 'it ends too early'}") from error
