"""The file format of W&B's transaction log, ``run-<id>.wandb``: records as bytes, whatever they hold.

The format is LevelDB's log (https://github.com/google/leveldb/blob/main/doc/log_format.md) as wandb writes it (its
core/pkg/leveldb/record.go; in older versions also wandb/sdk/internal/datastore.py): seven bytes of W&B header, then
blocks of 32 KiB counted from the file's start, in which each chunk has a header of checksum, length and kind. Unlike
LevelDB's masked CRC-32C, the checksum is the plain CRC-32 of kind and data. A record is one FULL chunk or FIRST,
MIDDLE …, LAST; no chunk starts in the last six bytes of a block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from experimentstash.base.files import open_regular

FILE_HEADER = b":W&B\xe1\xbe\x00"
BLOCK = 32 * 1024
CHUNK_HEADER = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

# How much of a log's end is looked at first; what ends a run is there, and a log can have gigabytes.
TAIL = 16 * BLOCK


class Record(NamedTuple):
    """One record and where its chunks lie in the file."""

    payload: bytes
    start: int
    end: int


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a log for changing it, alone as far as the file system knows locks."""
    with open(path, "r+b", opener=open_regular) as stream:
        with contextlib.suppress(OSError):  # a file system without locks; the writers are few and quick
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


def records(stream: BinaryIO, start: int = 0) -> Iterator[Record]:
    """Yield the complete records that begin in the block of offset ``start`` or later.

    A torn or damaged chunk costs its own record and those after it in the same block, as LevelDB's recovery does it.
    """
    offset = start - start % BLOCK
    stream.seek(0)
    if stream.read(len(FILE_HEADER)) != FILE_HEADER:
        return
    stream.seek(offset)
    parts: list[bytes] = []
    first = 0
    while block := stream.read(BLOCK):
        position = len(FILE_HEADER) if offset == 0 else 0
        while position + CHUNK_HEADER.size <= len(block):
            checksum, length, kind = CHUNK_HEADER.unpack_from(block, position)
            data_start = position + CHUNK_HEADER.size
            data_end = data_start + length
            is_whole = data_end <= len(block) and FULL <= kind <= LAST
            if not is_whole or zlib.crc32(block[data_start - 1 : data_end]) != checksum:
                parts = []
                break
            if kind in (FULL, FIRST):
                parts, first = [], offset + position
            if kind in (FULL, FIRST) or parts:
                parts.append(block[data_start:data_end])
            if kind in (FULL, LAST) and parts:
                yield Record(b"".join(parts), first, offset + data_end)
                parts = []
            position = data_end
        offset += len(block)


def last_records(stream: BinaryIO) -> list[Record]:
    """Return the records of the log's end: some, unless the log has none at all."""
    size = stream.seek(0, os.SEEK_END)
    found = list(records(stream, max(0, size - TAIL)))
    if not found and size > TAIL:  # one enormous record, or a large piece of damage
        for record in records(stream):
            found = [record]
    return found


def is_damaged(stream: BinaryIO) -> bool:
    """Whether something between the records can't be read (a torn tail is no such damage)."""
    expected = len(FILE_HEADER)
    for record in records(stream):
        if record.start != _after_padding(expected):
            return True
        expected = record.end
    return False


def append(stream: BinaryIO, payloads: Iterable[bytes]) -> None:
    """Append records after the last good one; a torn tail is cut off.

    If this is killed in the middle, it leaves a torn tail, which the next call cuts off.
    """
    found = last_records(stream)
    size = stream.seek(0, os.SEEK_END)
    end = found[-1].end if found else min(size, len(FILE_HEADER))
    stream.seek(0)
    if FILE_HEADER[:end] != stream.read(min(end, len(FILE_HEADER))):
        raise ValueError("not a W&B log")
    if end < len(FILE_HEADER):  # killed while the file was begun
        stream.seek(0)
        stream.write(FILE_HEADER)
        end = len(FILE_HEADER)
    stream.truncate(end)
    stream.seek(end)
    stream.write(encode(payloads, end))
    stream.flush()
    os.fsync(stream.fileno())


def insert(path: Path, before: Record, payloads: Iterable[bytes]) -> None:
    """Put records before the given one, in one step: a reader sees the old log or the new."""
    descriptor, staged = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(path, "rb", opener=open_regular) as stream, os.fdopen(descriptor, "wb") as copy:
            following = [record.payload for record in records(stream, before.start) if record.start >= before.start]
            stream.seek(0)
            _copy(stream, copy, before.start)
            copy.write(encode([*payloads, *following], before.start))
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copymode(path, staged)
        os.replace(staged, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise


def write(path: Path, payloads: Iterable[bytes]) -> None:
    """Write a new log."""
    with open(path, "xb") as stream:
        stream.write(FILE_HEADER)
        for payload in payloads:
            stream.write(encode([payload], stream.tell()))


def encode(payloads: Iterable[bytes], offset: int) -> bytes:
    """Return records as chunks for writing at ``offset`` of the file."""
    chunks = bytearray()
    for payload in payloads:
        rest = memoryview(payload)
        is_first = True
        while True:
            position = offset + len(chunks)
            chunks.extend(bytes(_after_padding(position) - position))
            room = BLOCK - (offset + len(chunks)) % BLOCK - CHUNK_HEADER.size
            data, rest = rest[:room], rest[room:]
            is_last = not rest
            kind = (FULL if is_last else FIRST) if is_first else (LAST if is_last else MIDDLE)
            checked = bytes([kind]) + data
            chunks += CHUNK_HEADER.pack(zlib.crc32(checked), len(data), kind) + data
            is_first = False
            if is_last:
                break
    return bytes(chunks)


def _after_padding(offset: int) -> int:
    """Return where the next chunk starts: in the next block if the room here is too small for a chunk's header."""
    room = BLOCK - offset % BLOCK
    return offset + room if room < CHUNK_HEADER.size else offset


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size and (part := source.read(min(size, 1 << 20))):
        target.write(part)
        size -= len(part)
