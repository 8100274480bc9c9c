"""Which programs a build uses, and in which versions: other compilers make another tool of the same code."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, run, which

# Those that do nothing else when they are asked for their version. What nobody knows isn't executed for that.
_ASKED = regex(
    r"(?:\w+-\w+-(?:\w+-)?)?"
    r"(?:g?make|cmake|ctest|meson|ninja|scons|cargo|rustc|node|deno|bun|tsc|gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+"
    r"|gfortran|flang|nvcc|nvc|nvc\+\+|nvfortran|icc|icpc|icx|icpx|dpcpp|ifort|ifx|hipcc|mpi(?:cc|cxx|c\+\+|fort|f77|f90)"
    r"|h5p?(?:cc|fc)|ccache|sccache|distcc|ld|ar|as|tcc|swiftc?|ghc|cabal|stack|dotnet|java|javac|mvn|gradle|autoconf"
    r"|automake|autoreconf|aclocal|libtoolize|pkg-config|cython|R|Rscript|julia|perl|ruby|uv|git|curl|wget|tar|cp|ln|mkdir"
    r"|install|sed|patch|cat|chmod|mv|rm|touch|env)"
    r"[\d.]*(?:-\d[\d.]*)?"
)
_THROUGH = ("ccache", "sccache", "distcc")
# Of a name, the variable that chooses another program for it.
_NATIVE = {"cc": "CC", "c++": "CXX", "gfortran": "FC"}
# What a program that builds uses besides itself.
_BEHIND: Mapping[str, Iterable[str]] = {
    **dict.fromkeys(("make", "gmake", "cmake", "meson", "ninja", "scons", "sh", "bash"), _NATIVE),
    "cargo": ("rustc",),
    **dict.fromkeys(("npm", "npx", "yarn", "pnpm"), ("node",)),
}
_PYTHON = regex(r"(?:python|pip)[\d.]*")
# These take long to say their version, and their lock files say what they install.
_SLOW = ("npm", "npx", "yarn", "pnpm")
# Seconds for which a compiler may think about its version.
_PATIENCE = 60.0
_LONGEST = 200


def versions(
    commands: Iterable[Sequence[str]], cwd: Path, environment: Mapping[str, str], others: Iterable[str] = ()
) -> dict[str, str]:
    """Return the programs that commands use, as far as they are here, with their versions; in ``cwd``, as they may
    choose it by a file there. Of ``others``, too.

    Nothing is executed that might do more than say its version: a program that nobody knows is told by what is in it.
    """
    found: dict[str, str] = {}
    used = (each for command in commands for each in _used(command, environment))
    for program in dict.fromkeys([*used, *others]):
        if "/" in program and not os.path.isabs(program):
            continue  # part of the code
        path = which(program, environment.get("PATH"))
        if path is None:
            continue
        real = os.path.realpath(path)
        state = os.stat(real)
        stamp = (state.st_mtime_ns, state.st_size)
        if _ASKED.fullmatch(os.path.basename(program)):
            said = _version(path, stamp, str(cwd), tuple(sorted(environment.items())))
        else:
            said = _content(real, stamp)
        if said is not None:
            found[program] = said
    return found


def _used(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    name = os.path.basename(command[0])
    behind = _NATIVE if _PYTHON.fullmatch(name) else _BEHIND.get(name, ())
    if not behind and "/" in command[0]:  # a script of the tool's
        behind = _NATIVE
    chosen = [each for name in behind for each in _chosen(name, environment)]
    return chosen if name in _SLOW or _PYTHON.fullmatch(name) or name in ("sh", "bash") else [name, *chosen]


def _chosen(name: str, environment: Mapping[str, str]) -> list[str]:
    """Return the program that a variable chooses for a name, and what it is called through: `ccache gcc`."""
    try:
        words = shlex.split(environment.get(_NATIVE.get(name, ""), ""))
    except ValueError:
        words = []
    through = 1 + (os.path.basename(words[0]) in _THROUGH if words else 0)
    return words[:through] or [name]


@functools.lru_cache(maxsize=64)
def _version(path: str, stamp: tuple[int, int], cwd: str, environment: tuple[tuple[str, str], ...]) -> str | None:
    """Return the line in which a program says its version; it is asked anew once it has changed (``stamp``)."""
    del stamp
    try:
        done = run([path, "--version"], cwd=Path(cwd), env=dict(environment), check=False, timeout=_PATIENCE)
    except CommandError:
        return None
    lines = [line.strip() for line in (done.stdout or done.stderr).splitlines() if line.strip()]
    if done.returncode or not lines:
        return None
    says_it = any(letter.isdigit() for letter in lines[0])  # nvcc does further down
    return (lines[0] if says_it else " ".join(lines))[:_LONGEST]


@functools.lru_cache(maxsize=64)
def _content(path: str, stamp: tuple[int, int]) -> str | None:
    """Return what tells a program by what is in it."""
    del stamp
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError:
        return None
    return f"sha256 {digest.hexdigest()[:16]}"
