"""Checks of tools' environments: whether one is made, and whether its Hydra can start on its Python."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.problem import Problem, Severity, registration_file, warning

# hydra-core before 1.4 can't start on Python 3.14 and later.
_FIRST_WITHOUT = (3, 14)
_FIRST_ABLE = (1, 4)


def check_environment(stash: Stash, recipe: Recipe) -> list[Problem]:
    """Look whether a tool's environment is made, from what the tool asks for now."""
    if environments.is_ready(recipe) or recipe.directory is None:
        return []
    had_one = recipe.directory.parent.is_dir() and any(
        (path / environments.READY_MARK).exists() for path in recipe.directory.parent.iterdir()
    )
    others = f": the one that is here was made from another {recipe.origin}, or in another place" if had_one else ""
    what = f"the environment of the tool as it is now is not made yet{others}"
    hint = f"experimentstash tool sync {shlex.quote(recipe.name)}"
    if (lack := recipe.way.lack(recipe.file)) is not None:
        what += f", and on this machine it can't be: {lack}"
    return [warning("environment", what, registration_file(stash, recipe.name), hint)]


def check_hydra(stash: Stash, recipe: Recipe) -> list[Problem]:
    """Look at what is in the environment of a tool that is called as a Hydra application; it isn't started."""
    if recipe.tool.call.style is not CallStyle.hydra:
        return []
    for folder in _packages(recipe):
        python = _version(folder.parent.name.removeprefix("python"))
        for installed in folder.glob("hydra_core-*.dist-info"):
            hydra = installed.name.removeprefix("hydra_core-").removesuffix(".dist-info")
            if python >= _FIRST_WITHOUT and _version(hydra) < _FIRST_ABLE:
                return [
                    Problem(
                        "environment",
                        f"its hydra-core {hydra} can't start on its Python {'.'.join(map(str, python))}",
                        registration_file(stash, recipe.name),
                        f"let it ask for 'hydra-core>=1.4.0rc3', or for an older Python (python_version: '3.13'); then"
                        f" experimentstash tool sync {shlex.quote(recipe.name)}",
                        Severity.warning,
                    )
                ]
    return []


def _packages(recipe: Recipe) -> list[Path]:
    """Return the folders of packages of a tool's environment, as far as it has been made."""
    prefix = None if recipe.directory is None else recipe.way.prefix(recipe.directory)
    if recipe.is_foreign and recipe.file is not None:
        prefix = Path(os.path.abspath(recipe.file)).parent.parent
    return [] if prefix is None else sorted(prefix.glob("lib/python3*/site-packages"))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
