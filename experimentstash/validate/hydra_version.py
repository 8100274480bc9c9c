"""A tool whose Hydra can't start on its Python: hydra-core before 1.4, on Python 3.14 and later."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.checks import Problem, Severity

_FIRST_WITHOUT = (3, 14)
_FIRST_ABLE = (1, 4)


def check_hydra(recipe: Recipe) -> list[Problem]:
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
                        f"conf/tool/{recipe.name}.yaml",
                        f"let it ask for 'hydra-core>=1.4.0rc3', or for an older Python (python_version: '3.13'); then"
                        f" experimentstash tool sync {shlex.quote(recipe.name)}",
                        Severity.warning,
                    )
                ]
    return []


def _packages(recipe: Recipe) -> list[Path]:
    """Return the folders of packages of a tool's environment, as far as it has been made."""
    prefix = recipe.directory
    if recipe.is_foreign and recipe.file is not None:
        prefix = Path(os.path.abspath(recipe.file)).parent.parent
    return [] if prefix is None else sorted(prefix.glob("lib/python3*/site-packages"))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
