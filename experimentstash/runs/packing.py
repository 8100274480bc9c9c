"""What an archive of a sweep is made of, and what is made of it: written, read back, and unpacked."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.text import listed
from experimentstash.record import archives, records

_AT_ONCE = 1 << 20  # bytes
_LARGE = 1 << 30  # from where on a file's size may not fit into a short entry
_NAMED = 5
_LONGEST_LINK = 1 << 16
# Times to 100 nanoseconds, as zip files keep them for NTFS: the tag of that field, and where its time begins.
_NTFS, _NTFS_HEAD, _NTFS_EPOCH = struct.Struct("<HHIHHQQQ"), (0x000A, 32, 0, 1, 24), 116_444_736_000_000_000
# A record's note of its directory's inode, as we write it: the directory will be another one.
_INODE = re.compile(rb'^(  "inode": )(\d+|null)', re.MULTILINE)


class Entry(NamedTuple):
    """What is in a sweep's directory, as it was looked at: another one, and it has changed."""

    name: str  # below it; empty: itself
    mode: int
    size: int
    mtime: int  # nanoseconds
    ctime: int  # nanoseconds
    inode: int

    @property
    def kind(self) -> str:
        return "directory" if stat.S_ISDIR(self.mode) else "link" if stat.S_ISLNK(self.mode) else "file"


def entries_of(directory: Path, refusal: Callable[..., StashError]) -> list[Entry]:
    """Return all that is in a directory, itself first; the error of ``refusal`` for what can't be kept."""
    device = os.lstat(directory).st_dev

    def fail(error: OSError) -> None:
        raise refusal(f"{error.filename} can't be read ({error.strerror})")

    def entry(path: str) -> Entry:
        found = os.lstat(path)
        name = os.path.relpath(path, directory)
        try:
            name.encode()
        except UnicodeEncodeError:
            raise refusal(f"the name of {path!r} is no UTF-8") from None
        if found.st_dev != device:
            raise refusal(f"{path} lies on another file system")
        if (kind := files.kind_at(path)) not in ("a file", "a directory", "a symbolic link"):
            raise refusal(f"{path} is {kind}")
        is_file = stat.S_ISREG(found.st_mode)
        if is_file and found.st_nlink > 1:
            raise refusal(f"{path} is a hard link: the same file has another name", "make it a copy")
        if is_file and not os.access(path, os.R_OK):
            raise refusal(f"{path} can't be read (Permission denied)")
        times = found.st_mtime_ns, found.st_ctime_ns
        return Entry("" if name == "." else name, found.st_mode, found.st_size, *times, found.st_ino)

    found = [entry(str(directory))]
    for folder, folders, names in os.walk(directory, onerror=fail):
        folders.sort()
        found += [entry(os.path.join(folder, name)) for name in sorted([*folders, *names])]
    return found


# --- writing an archive ----------------------------------------------------------------------------------------------


def write(directory: Path, entries: Sequence[Entry], staged: Path) -> dict[str, int]:
    """Write an archive, and return the checksums of what was read."""
    sums = {}
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    with open(staged, "w+b", opener=lambda path, _: os.open(path, flags | os.O_NOFOLLOW, 0o600)) as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for each in entries:
                path, info = directory / each.name, _info(directory.name, each)
                if each.kind == "file":
                    sums[each.name] = _pack(path, each, info, packed)
                else:
                    content = os.fsencode(os.readlink(path)) if each.kind == "link" else b""
                    packed.writestr(info, content)
                    sums[each.name] = zlib.crc32(content)
        # As open to others as all that is in it.
        mode = 0o444
        for each in entries:
            mode &= each.mode if each.kind != "link" else 0o777
        os.fchmod(stream.fileno(), mode | 0o600)
        stream.flush()
        os.fsync(stream.fileno())
    return sums


def _info(top: str, entry: Entry) -> zipfile.ZipInfo:
    date = max((1980, 1, 1, 0, 0, 0), min(time.localtime(entry.mtime // 10**9)[:6], (2107, 12, 31, 23, 59, 58)))
    name = f"{top}/{entry.name}".removesuffix("/")
    info = zipfile.ZipInfo(f"{name}/" if entry.kind == "directory" else name, date)
    info.create_system = 3  # Unix
    info.external_attr = entry.mode << 16 | (0x10 if entry.kind == "directory" else 0)
    info.compress_type = zipfile.ZIP_DEFLATED if entry.kind == "file" else zipfile.ZIP_STORED
    moment = max(0, entry.mtime // 100 + _NTFS_EPOCH)
    info.extra = _NTFS.pack(*_NTFS_HEAD, moment, moment, moment)
    return info


def _pack(path: Path, entry: Entry, info: zipfile.ZipInfo, packed: zipfile.ZipFile) -> int:
    checksum, size = 0, 0
    with (
        open(path, "rb", opener=files.open_regular) as source,
        packed.open(info, "w", force_zip64=entry.size > _LARGE) as target,
    ):
        while part := source.read(_AT_ONCE):
            checksum, size = zlib.crc32(part, checksum), size + len(part)
            if size > entry.size:
                break
            target.write(part)
    if size != entry.size:
        raise StashError(f"{path} has changed while it was read.", "try again")
    return checksum


def verify(staged: Path, entries: Sequence[Entry], sums: dict[str, int]) -> None:
    """Read an archive back; StashError unless it holds what was read."""
    found = archives.members(staged)
    wrong = set(found) ^ {each.name for each in entries}
    for each in entries:
        if each.name in found:
            info = found[each.name]
            with archives.open_member(staged, info) as stream:
                checksum, size = _checked(stream)
            expected = each.size if each.kind != "directory" else 0
            if (checksum, size, info.external_attr >> 16) != (sums[each.name], expected, each.mode):
                wrong.add(each.name)
    archives.forget()
    if wrong:
        raise StashError(f"The archive can't be read back: {listed(sorted(wrong), _NAMED)}.", "nothing was changed")


def _checked(stream: BinaryIO) -> tuple[int, int]:
    checksum, size = 0, 0
    while part := stream.read(_AT_ONCE):
        checksum, size = zlib.crc32(part, checksum), size + len(part)
    return checksum, size


# --- reading one back ------------------------------------------------------------------------------------------------


def unpack(packed: Path, staged: Path) -> None:
    """Make what an archive holds below a new directory; no link is followed for that."""
    found = archives.members(packed)
    root = archives.directory_of(packed)
    ours = {str((each / records.FILE_NAME).relative_to(root)) for each in archives.directories(packed, superseded=True)}
    for name in sorted(name for name, info in found.items() if archives.kind_of(info) == "a directory"):
        os.mkdir(staged / name, 0o700)
    for name, info in found.items():
        kind = archives.kind_of(info)
        if kind in ("a directory", "a symbolic link"):
            continue
        if kind == "a file":
            _unpack_file(packed, info, staged / name, is_record=name in ours)
        else:
            raise files.Unfit(packed, f"{name} in it is no file, directory or link")
    for name, info in found.items():  # only now: nothing is written through them
        if archives.kind_of(info) == "a symbolic link":
            with archives.open_member(packed, info) as stream:
                os.symlink(os.fsdecode(stream.read(_LONGEST_LINK)), staged / name)
    for name in sorted(found, reverse=True):  # what is in a directory changes its time, and needs it to be open
        _put_right(staged / name, found[name])


def _unpack_file(packed: Path, info: zipfile.ZipInfo, target: Path, *, is_record: bool) -> None:
    checksum = size = 0
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with (
        archives.open_member(packed, info) as source,
        open(target, "w+b", opener=lambda path, _: os.open(path, flags, 0o600)) as stream,
    ):
        while part := source.read(_AT_ONCE):
            if is_record:
                part = _without_inode(part + source.read(files.MOST_BYTES))
            stream.write(part)
            checksum, size = zlib.crc32(part, checksum), size + len(part)
        stream.seek(0)
        if _checked(stream) != (checksum, size):
            raise files.Unfit(target, "what was written can't be read back")


def _without_inode(record: bytes) -> bytes:
    return _INODE.sub(rb"\1null", record, count=1)


def _put_right(path: Path, info: zipfile.ZipInfo) -> None:
    """Give what was made its mode and its time. What would run as somebody else doesn't."""
    kind, mode = archives.kind_of(info), info.external_attr >> 16
    if kind != "a symbolic link":
        os.chmod(path, mode & (0o3777 if kind == "a directory" else 0o777) or 0o700)
    moment = _moment(info)
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def _moment(info: zipfile.ZipInfo) -> int:
    if len(info.extra) >= _NTFS.size:
        *head, moment, _, _ = _NTFS.unpack_from(info.extra)
        if tuple(head) == _NTFS_HEAD:
            return int(moment - _NTFS_EPOCH) * 100
    with contextlib.suppress(ValueError, OverflowError):
        return int(time.mktime((*info.date_time, 0, 0, -1))) * 10**9
    return 0


# --- both side by side ------------------------------------------------------------------------------------------------


def is_same(path: Path, info: zipfile.ZipInfo, other: Path) -> bool:
    """Tell whether what an archive holds stands at another path, too."""
    kind = archives.kind_of(info)
    if files.kind_at(other) != kind:
        return False
    if kind == "a directory":
        return True
    with archives.open_member(path, info) as stream:
        if kind == "a symbolic link":
            return stream.read(_LONGEST_LINK) == os.fsencode(os.readlink(other))
        if other.name == records.FILE_NAME:
            before = stream.read(files.MOST_BYTES)
            return before == (now := files.read_regular(other)) or _without_inode(before) == _without_inode(now)
        with open(other, "rb", opener=files.open_regular) as there:
            return os.fstat(there.fileno()).st_size == info.file_size and _checked(stream) == _checked(there)
