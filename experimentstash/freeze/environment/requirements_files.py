"""What is read in requirements files: which others they include, and whether they name something by its place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.freeze.environment.declarations import read

_INCLUDE = regex(rb"(?m)^\s*(?:-r|-c|--requirement|--constraint)[ \t=]*([^\s#].*?)(?:\s+#.*)?\s*$")
# A line of a requirements file that names no local path: an option that takes none, or a package, by name or URL.
_REMOTE = regex(
    r"""--?(?:r|c|i|requirement|constraint|index-url|extra-index-url|pre|prefer-binary|require-hashes|no-binary
        |only-binary|hash)\b.*
    |   [a-z0-9][\w.-]*\s*(?:\[[^\]]*\]\s*)?(?:@\s*(?:https?|git\+https?|git\+ssh)://\S+|[^@/]*)(?:\s;.*)?""",
    re.VERBOSE | re.IGNORECASE,
)


def included(file: Path, content: bytes) -> Iterator[Path]:
    """Yield the files that a requirements file with this content includes."""
    for match in _INCLUDE.finditer(content):
        yield file.parent / os.fsdecode(match[1].strip(b"\"'"))


def is_local(line: str) -> bool:
    """Tell whether a requirement is something found by its place; in doubt it is."""
    return _REMOTE.fullmatch(line.strip()) is None


def lines(file: Path, seen: set[Path] | None = None) -> Iterator[str]:
    """Yield the lines of a requirements file and of those that it includes, without comments."""
    seen = set() if seen is None else seen
    if file in seen:
        return
    seen.add(file)
    content = read(file) or b""
    for line in content.decode("utf-8", "replace").splitlines():
        bare = re.sub(r"(?:^|\s)#.*", "", line).strip().rstrip("\\").strip()
        if bare:
            yield bare
    for each in included(file, content):
        yield from lines(each, seen)
