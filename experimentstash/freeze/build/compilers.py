"""Which programs a build uses, and in which versions: other compilers make another tool of the same code."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, run, which

# What people set to choose a compiler and its options.
VARIABLES = regex(
    r"CC|CXX|CPP|FC|F77|F90|LD|AR|NVCC|CUDA_HOME|CUDA_PATH|CUDAARCHS|TORCH_CUDA_ARCH_LIST|MAKEFLAGS|GNUMAKEFLAGS"
    r"|(?:C|CXX|CPP|F|FC|LD|ARFLAGS|NVCC_(?:APPEND|PREPEND)_)FLAGS|CMAKE_\w+|MESON_\w+|CARGO_(?:BUILD|PROFILE|TARGET)_\w+"
    r"|RUSTFLAGS|RUSTC|RUSTUP_TOOLCHAIN|NODE_ENV|NODE_OPTIONS|CPATH|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|LIBRARY_PATH"
    r"|PKG_CONFIG_PATH"
)
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


def versions(commands: Iterable[Sequence[str]], cwd: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the programs that commands use, as far as they are here and say their version; in ``cwd``, as they may
    choose it by a file there."""
    found: dict[str, str] = {}
    for program in dict.fromkeys(each for command in commands for each in _used(command, environment)):
        path = which(program, environment.get("PATH"))
        if path is None:
            continue
        real = os.path.realpath(path)
        state = os.stat(real)
        stamp = (state.st_mtime_ns, state.st_size)
        said = _version(path, stamp, str(cwd), tuple(sorted(environment.items())))
        if said is not None:
            found[program] = said
    return found


def _used(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    name = os.path.basename(command[0])
    behind = _NATIVE if _PYTHON.fullmatch(name) else _BEHIND.get(name, ())
    chosen = [_chosen(each, environment) for each in behind]
    return chosen if name in _SLOW or _PYTHON.fullmatch(name) or name in ("sh", "bash") else [name, *chosen]


def _chosen(name: str, environment: Mapping[str, str]) -> str:
    try:
        words = shlex.split(environment.get(_NATIVE.get(name, ""), ""))
    except ValueError:
        words = []
    return words[0] if words else name


@functools.lru_cache(maxsize=64)
def _version(path: str, stamp: tuple[int, int], cwd: str, environment: tuple[tuple[str, str], ...]) -> str | None:
    """Return the line in which a program says its version; it is asked anew once it has changed (``stamp``)."""
    del stamp
    try:
        done = run([path, "--version"], cwd=Path(cwd), env=dict(environment), check=False, timeout=_PATIENCE)
    except CommandError:
        return None
    lines = [line.strip() for line in (done.stdout or done.stderr).splitlines() if line.strip()]
    return lines[0][:_LONGEST] if done.returncode == 0 and lines else None
