"""What a tool prints without the secrets that it was given: in its log once it has ended, and on a terminal.

Only what is in its environment: each shape of a token would have to be looked for in gigabytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from experimentstash.base.files import open_regular
from experimentstash.base.redaction import known

# Bytes of a log that are looked at together.
_AT_ONCE = 4 << 20


class Mask:
    """Replaces the secrets of an environment in a stream of bytes, each by as many asterisks: no offset changes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._forms = known(environment).as_bytes
        self._longest = max(map(len, self._forms), default=0)
        self._held = b""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to replace."""
        return not self._forms

    def feed(self, part: bytes) -> bytes:
        """Take the next part and return what can be passed on: an end that may be the beginning of a secret is held."""
        if part.startswith(b"*"):  # the rest of it has been replaced in the file meanwhile
            self._held = b"*" * len(self._held)
        whole = self.masked(self._held + part)
        held = self._beginning_at_end(whole)
        self._held = whole[len(whole) - held :]
        return whole[: len(whole) - held]

    def rest(self) -> bytes:
        """Return what is still held, at the end of the stream."""
        held, self._held = self._held, b""
        return held

    def masked(self, content: bytes) -> bytes:
        """Return a content with the secrets replaced."""
        for form in self._forms:
            if form in content:
                content = content.replace(form, b"*" * len(form))
        return content

    def _beginning_at_end(self, content: bytes) -> int:
        """Return the length of the longest end of a content that begins a secret."""
        earliest = len(content)
        for form in self._forms:
            place = content.find(form[:1], max(0, len(content) - len(form) + 1))
            while 0 <= place < earliest:
                if form.startswith(content[place:]):
                    earliest = place
                place = content.find(form[:1], place + 1)
        return len(content) - earliest

    def file(self, path: str | os.PathLike[str], offset: int = 0) -> None:
        """Replace the secrets in a file, from an offset on, where they stand; OSError if that is impossible."""
        if self.is_idle:
            return
        descriptor = open_regular(os.fspath(path), os.O_RDWR)
        try:
            while part := os.pread(descriptor, _AT_ONCE + self._longest, offset):
                masked = self.masked(part)
                if masked != part:
                    os.pwrite(descriptor, masked, offset)
                offset += _AT_ONCE
        finally:
            os.close(descriptor)
