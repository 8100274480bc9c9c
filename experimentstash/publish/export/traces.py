"""What tells of the machine that an archive is made on, and of who uses it: looked for in all that goes into one.

Looked into is what files hold, and what is packed in them by gzip or as a zip file; not what they hold otherwise
compressed, nor the history in git bundles, which says who has written the code.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import pwd
import re
import socket
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from experimentstash.adapters.git.command import ask
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.redaction import contains_secret, known
from experimentstash.base.text import clean
from experimentstash.stash.layout import Stash

# Bytes that are looked through at a time, how many of them once more with the next ones, and of what is unpacked.
_AT_ONCE, _AGAIN, _MOST_UNPACKED = 8 << 20, 1 << 12, 256 << 20
# Names that half of all machines have: they tell of nobody, and are words.
_OF_EVERYBODY = {
    *("root", "user", "admin", "administrator", "nobody", "guest", "default", "local", "docker", "vagrant", "runner"),
    *("ubuntu", "debian", "fedora", "centos", "ec2-user", "jovyan", "localhost", "localdomain", "host", "server"),
    *("node", "compute", "login", "head", "master", "laptop", "desktop", "workstation"),
}
# So do these places.
_OF_EVERY_SYSTEM = ("/bin/", "/dev/", "/etc/", "/lib", "/opt/", "/proc/", "/sbin/", "/sys/", "/usr/")
_OF_EVERY_MACHINE = ("/tmp", "/var/tmp", "/home", "/root", "/mnt", "/media", "/srv", "/data", "/scratch")
# From so many characters on a name is looked for wherever it stands alone; a shorter one, or one that may well be a
# word, only in a path or an address.
_TELLING = 5
_SHOWN, _LISTED = 24, 10
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


class Traces:
    """What of a machine and its user is found in the files of an archive."""

    def __init__(self, stash: Stash, public: Iterable[str], elsewhere: Iterable[str] = ()) -> None:
        """Look for what is of here.

        ``public`` is what may be named: authors, and the URLs of code; ``elsewhere`` are further places of here, if
        they are absolute.
        """
        may_be = {each for each in public if each}
        self._public = sorted(map(_bytes, may_be), key=len, reverse=True)
        self._patterns = [*_patterns(stash, may_be, elsewhere)]
        self._secrets = known(os.environ)
        # By the names of files in the archive: what was found first of each kind, with what stands around it.
        self.found: dict[str, dict[str, str]] = {}

    def look(self, name: str, content: bytes) -> None:
        """Look through what an archive has under a name; SecretError if a secret of now is in it."""
        self._look_through(name, io.BytesIO(content))

    def look_in(self, name: str, path: Path) -> None:
        """Look through a file that an archive has under a name; SecretError if a secret of now is in it."""
        with open(path, "rb", opener=files.open_regular) as stream:
            self._look_through(name, stream)

    def told(self) -> list[str]:
        """Return in which files something was found, and what."""
        return [f"{name}: {', '.join(sorted(found))}" for name, found in self.found.items()]

    def error(self) -> StashError:
        """Return the error for what was found."""
        lines = [f"  {name}: {what} (…{seen}…)" for name, found in self.found.items() for what, seen in found.items()]
        more = [f"  … and {len(lines) - _LISTED:,} more"] if len(lines) > _LISTED else []
        return StashError(
            "\n".join(["What the archive would hold tells of this machine, or of you:", *lines[:_LISTED], *more]),
            "have it not written and freeze the runs anew, or hand it on as it is: --with-names",
        )

    def _look_through(self, name: str, stream: BinaryIO) -> None:
        self._look(name, _bytes(name))
        start = stream.read(4)
        stream.seek(0)
        self._look_at_all(name, stream.read)
        stream.seek(0)
        # What only begins like such a file, or was packed in another way, has nothing to be unpacked.
        with contextlib.suppress(OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            if start.startswith(_GZIP):
                self._look_at_all(name, gzip.GzipFile(fileobj=stream).read, _MOST_UNPACKED)
            if start.startswith(_ZIP):
                self._look_into(name, stream)

    def _look_into(self, name: str, stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream) as packed:
            for each in packed.infolist():
                self._look(name, _bytes(each.filename))
                with packed.open(each) as inner:
                    self._look_at_all(name, inner.read, _MOST_UNPACKED)

    def _look_at_all(self, name: str, read: Callable[[int], bytes], most: float = math.inf) -> None:
        before, total = b"", 0
        while total < most and (part := read(_AT_ONCE)):
            self._look(name, before + part)
            before, total = part[-_AGAIN:], total + len(part)

    def _look(self, name: str, content: bytes) -> None:
        secret = self._secrets.find_value(content.decode("utf-8", "replace"))
        if secret is not None:
            raise contains_secret(secret, name)
        for what, words, pattern in self._patterns:
            if not any(word in content for word in words):  # which is much faster than the pattern
                continue
            if (match := pattern.search(content)) is not None and (seen := self._shown(content, match)) is not None:
                self.found.setdefault(name, {}).setdefault(what, seen)

    def _shown(self, content: bytes, match: re.Match[bytes]) -> str | None:
        """Return what stands around a match; None if it is part of what may be named, and no other is there."""
        found: re.Match[bytes] | None = match
        while found is not None and self._is_public(content, found):
            found = found.re.search(content, found.end())
        if found is None:
            return None
        around = content[max(0, found.start() - _SHOWN) : found.end() + _SHOWN].decode("utf-8", "replace")
        return clean(" ".join(around.split()))

    def _is_public(self, content: bytes, match: re.Match[bytes]) -> bool:
        for each in self._public:
            start = content.find(each, max(0, match.start() - len(each)), match.end() + len(each))
            if 0 <= start <= match.start() and match.end() <= start + len(each):
                return True
        return False


def _patterns(
    stash: Stash, public: set[str], elsewhere: Iterable[str]
) -> Iterator[tuple[str, list[bytes], re.Pattern[bytes]]]:
    """Yield what is looked for, of what kind it is, and its pattern."""
    home = os.path.expanduser("~")
    places = dict.fromkeys((home, os.path.realpath(home)), "the home directory")
    places |= dict.fromkeys((str(stash.root), os.path.realpath(stash.root)), "the stash's place")
    for each in elsewhere:
        # Its first two names are enough to find it, however many files are there.
        place = "/".join(each.split("/")[:3])
        if os.path.isabs(each) and not each.startswith(_OF_EVERY_SYSTEM) and place not in _OF_EVERY_MACHINE:
            places.setdefault(place, "a place of this machine")
    for place, what in places.items():
        if os.path.isabs(place) and place.strip("/"):
            forms = _forms(place)
            yield what, forms, re.compile(rb"(?<![\w.-])(?:" + b"|".join(map(re.escape, forms)) + rb")(?![\w-])")
    for names, what in ((_users(), "the user's name"), (_hosts(), "the machine's name")):
        for name in sorted(names - public - _OF_EVERYBODY):
            yield what, [_bytes(name)], _name_pattern(name)
    for address in sorted(_addresses(stash, os.environ) - public):
        word = _bytes(address)
        yield "a mail address", [word], re.compile(rb"(?<![\w.-])" + re.escape(word) + rb"(?![\w-])")


def _forms(path: str) -> list[bytes]:
    """Return how a path may be written: as it is, in JSON, in a URL, and in quotes of a shell, of Hydra and of YAML."""
    written = {path, json.dumps(path)[1:-1], json.dumps(path, ensure_ascii=False)[1:-1], quote(path)}
    written |= {path.replace("'", each) for each in ("\\'", "''", "'\"'\"'")}
    return sorted(map(_bytes, written))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _name_pattern(name: str) -> re.Pattern[bytes]:
    word = re.escape(_bytes(name))
    if len(name) >= _TELLING or any(each.isdigit() for each in name):
        return re.compile(rb"(?<![A-Za-z0-9_])" + word + rb"(?![A-Za-z0-9_])")
    return re.compile(rb"(?<=/)" + word + rb"(?=/)|(?<![\w.-])" + word + rb"(?=@)|(?<=@)" + word + rb"(?![\w-])")


def _users() -> set[str]:
    found = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with contextlib.suppress(KeyError):  # a user whom nothing knows
        found.add(pwd.getpwuid(os.getuid()).pw_name)
    return found - {""}


def _hosts() -> set[str]:
    found = {socket.gethostname(), os.environ.get("HOSTNAME", "")}
    return {name for each in found for name in (each, each.partition(".")[0])} - {""}


def _addresses(stash: Stash, environment: Mapping[str, str]) -> set[str]:
    found = {environment.get(name, "") for name in ("EMAIL", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")}
    found.add(ask(["config", "user.email"], stash.root, also=[1]).out.strip())
    return {each for each in found if "@" in each}
