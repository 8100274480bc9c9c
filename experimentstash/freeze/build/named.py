"""What the files of a build name: words that may be variables of the environment, and compilers."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters.git import gitindex
from experimentstash.adapters.git.command import GitError
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError
from experimentstash.freeze.build.commands import Command

# The files in which a build says what it does, besides those that its commands name.
_FILES = regex(
    r"(?:GNU)?[Mm]akefile.*|.*\.(?:mk|mak|cmake|sh|bash|gyp)|CMakeLists\.txt|CMake\w*Presets\.json|meson\.build"
    r"|meson_options\.txt|meson\.options|build\.rs|Cargo\.toml|setup\.py|pyproject\.toml|package\.json|SConstruct"
    r"|SConscript|wscript|configure|configure\.(?:ac|in)"
)
_MOST_FILES, _LARGEST = 200, 2 << 20
_WORD = regex(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPILER = regex(
    r"(?<![\w./+-])(?:\w+-\w+-(?:\w+-)?)?(?:gcc|g\+\+|clang|clang\+\+|gfortran|flang|nvcc|nvc|nvc\+\+|nvfortran|icc|icpc|icx"
    r"|icpx|ifort|ifx|hipcc|mpicc|mpicxx|mpic\+\+|mpifort|mpif90|tcc|rustc)(?:-\d[\d.]*)?(?![\w+-])"
)


@dataclass(frozen=True)
class Named:
    """What texts name."""

    words: frozenset[str] = frozenset()
    compilers: frozenset[str] = frozenset()


def named(directory: Path, commands: Iterable[Command]) -> Named:
    """Return what the commands of a build, and the files of it that git tracks in a tool's directory, name."""
    words = [word for command in commands for word in command]
    texts = [_in_text(each) for each in words]
    try:
        tracked = gitindex.tracked(directory, ["."])
    except (GitError, CommandError, OSError):
        tracked = []
    own = {os.path.normpath(each) for each in words}
    files = [each for each in tracked if each in own or _FILES.fullmatch(os.path.basename(each))]
    for each in sorted(files, key=lambda name: (name not in own, name.count("/"), name))[:_MOST_FILES]:
        with contextlib.suppress(OSError):
            path = directory / each
            found = path.stat()
            texts.append(_in_file(str(path), found.st_size, found.st_mtime_ns))
    return Named(
        frozenset().union(*(each.words for each in texts)), frozenset().union(*(each.compilers for each in texts))
    )


@functools.lru_cache(maxsize=1024)
def _in_file(path: str, size: int, moment: int) -> Named:
    del size, moment  # a file that has changed is read anew
    try:
        return _in_text(read_regular(path, _LARGEST).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return Named()


def _in_text(text: str) -> Named:
    return Named(frozenset(_WORD.findall(text)), frozenset(_COMPILER.findall(text)))
