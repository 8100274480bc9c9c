"""Modules as clusters have them (Lmod, Environment Modules): what `module load` makes of an environment."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.process import LEAKS, CommandError, run

# Seconds that a busy file system may need for it.
_PATIENCE = 300.0
_SHOWN_LINES = 10
_NAME = regex(r"[A-Za-z0-9_][\w.+:@/-]*")
_NONE_HERE = 97
# `module` is a function of a shell: one that the shell has from us, or what its own files make.
_SCRIPT = rf"""
for each in "" "${{LMOD_PKG:-}}/init/bash" "${{MODULESHOME:-}}/init/bash" /etc/profile.d/*lmod*.sh \
    /etc/profile.d/*modules*.sh /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
    if [ -n "$each" ] && [ -r "$each" ]; then . "$each" >&2; fi
    if type module >/dev/null 2>&1; then break; fi
done
type module >/dev/null 2>&1 || exit {_NONE_HERE}
module load "$@" >&2 || exit
exec env -0
"""
# What a shell sets for itself.
_OF_SHELL = ("_", "SHLVL", "PWD", "OLDPWD")


def refuse_other_names(names: Sequence[str], where: str) -> None:
    """Raise StashError for what can't be a module's name; ``where`` is the registration."""
    bad = next((each for each in names if not _NAME.fullmatch(each)), None)
    if bad is not None:
        raise StashError(f"{where}: modules: {bad!r} is no module's name.", "modules: [gcc/12.2, cuda]")


def load(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment after `module load` of these; StashError if one of them can't be loaded here.

    What they say about Python's own variables is left out, as a tool's environment is no other's.
    """
    return dict(_loaded(tuple(names), tuple(sorted(environment.items()))))


def loaded(environment: Mapping[str, str]) -> list[str]:
    """Return which modules are loaded in an environment, each with its version."""
    return [each for each in environment.get("LOADEDMODULES", "").split(":") if each]


@functools.lru_cache(maxsize=8)
def _loaded(names: tuple[str, ...], given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    before = dict(given)
    shown = f"`module load {' '.join(names)}`"
    argv = ["bash", "--noprofile", "--norc", "-c", _SCRIPT, "bash", *names]
    try:
        done = run(argv, env=before, check=False, timeout=_PATIENCE)
    except CommandError as error:
        raise StashError(f"modules: {shown} has come to no end: {error.message}") from error
    if done.returncode == _NONE_HERE:
        raise StashError(
            f"modules: there is no `module` on this machine, for {shown}.",
            "run it where the cluster's modules are, or have what they bring on PATH and leave `modules:` out",
        )
    found = dict(each.split("=", 1) for each in done.stdout.split("\0") if "=" in each)
    missing = [each for each in names if not any(_is(each, one) for one in loaded(found))]
    # Old ones succeed where nothing was loaded; a name may stand for another one.
    if done.returncode or (missing and loaded(found) == loaded(before)):
        said = "".join(f"\n    {line}" for line in done.stderr.strip().splitlines()[-_SHOWN_LINES:])
        raise StashError(f"modules: {shown} failed.{said}", f"module avail {(missing or names)[0].partition('/')[0]}")
    kept = {name: value for name, value in found.items() if name not in LEAKS and name not in _OF_SHELL}
    kept |= {name: value for name, value in before.items() if name in _OF_SHELL}
    return tuple(kept.items())


def _is(asked: str, one: str) -> bool:
    return one == asked or one.startswith(f"{asked}/")
