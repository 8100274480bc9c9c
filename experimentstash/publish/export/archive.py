"""Writes an archive: a zip file that is whole or absent, in which the same always stands in the same order."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.output import Meter
from experimentstash.publish.frozen import Content

_AT_ONCE = 1 << 20  # bytes
_LARGE = 1 << 30  # from where on a file's size may not fit into a short entry
# As early as zip files know: when something was written changes nothing of what is in it.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644
# What was packed before, and takes long to be packed again.
_PACKED = (
    ".bundle",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".npz",
    ".parquet",
    ".gz",
    ".zip",
    ".whl",
    ".xz",
    ".zst",
)


class Archive:
    """A zip file that is being written, and what is in it by now."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self._meter = Meter("packed", noun="files")
        self.contents: dict[str, Content] = {}

    def text(self, name: str, text: str) -> None:
        """Add a text."""
        self.binary(name, text.encode("utf-8", "surrogateescape"))

    def binary(self, name: str, content: bytes) -> None:
        """Add what was made here."""
        self._packed.writestr(self._info(name), content)
        self._note(name, Content(len(content), hashlib.sha256(content).hexdigest()))

    def file(self, name: str, source: Path, expected: Content | None = None) -> None:
        """Add a file, a part at a time; StashError if it isn't what is ``expected``."""
        digest, size = hashlib.sha256(), 0
        info = self._info(name)
        with open(source, "rb", buffering=0, opener=files.open_regular) as stream:
            is_large = os.fstat(stream.fileno()).st_size > _LARGE
            with self._packed.open(info, "w", force_zip64=is_large) as target:
                while part := stream.read(_AT_ONCE):
                    digest.update(part)
                    size += len(part)
                    target.write(part)
        content = Content(size, digest.hexdigest())
        if expected is not None and content != expected:
            raise StashError(f"{source} isn't what was frozen.", "bring it back, or freeze the runs anew")
        self._note(name, content)

    def _note(self, name: str, content: Content) -> None:
        self.contents[name] = content
        self._meter.step()

    def _info(self, name: str) -> zipfile.ZipInfo:
        if name in self.contents:
            raise ValueError(f"{name} is in the archive already")
        info = zipfile.ZipInfo(name, _DATE)
        info.create_system = 3  # Unix
        info.external_attr = _MODE << 16
        info.compress_type = zipfile.ZIP_STORED if name.lower().endswith(_PACKED) else zipfile.ZIP_DEFLATED
        return info


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Archive]:
    """Yield an archive; what is in it at the end is at ``path``, and nothing is if that goes wrong."""
    try:
        with files.replacing(path) as stream:
            with zipfile.ZipFile(stream, "w") as packed:
                yield Archive(packed)
            stream.flush()
            os.fsync(stream.fileno())
            step("before an archive is in place")
    except OSError as error:
        raise StashError(f"{error.filename or path} can't be read or written: {error.strerror}.") from error
