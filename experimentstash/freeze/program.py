"""The program that a planned run would start: whether it is there, without importing the tool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from experimentstash.adapters.python import modules
from experimentstash.base.errors import StashError
from experimentstash.base.process import clean_environment
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.plan import Plan


def missing_program(planned: Plan) -> StashError | None:
    """Return what is wrong with the module or program that a tool is started by; None: nothing that can be known.

    Files have been looked for by `freeze.plan`. Nothing is said about what an environment would bring that isn't made.
    """
    argv = planned.command.argv
    is_ready = environments.is_ready(planned.recipe)
    if len(argv) > 2 and argv[1] == "-m":
        started_in = Path(planned.command.cwd)
        given = filter(None, planned.command.environment.get("PYTHONPATH", "").split(os.pathsep))
        exists = modules.exists(argv[2], [started_in, *(started_in / path for path in given)])
        if exists is None and is_ready:
            exists = modules.is_in_environment(argv[0], argv[2])
        elif exists is None:  # an installed package may come from src/, or from anywhere
            exists = modules.exists(argv[2], [planned.directory / "src"]) is not False
        if not exists:
            path = planned.request.config.tool.path
            what = f"entrypoint: there is no module {argv[2]} to run, neither in {path} nor in its environment"
            return StashError(what, "fix `entrypoint:` there; a package needs a __main__.py")
    elif "/" not in argv[0] and is_ready:
        places = os.pathsep.join(filter(None, (planned.command.path, clean_environment().get("PATH", os.defpath))))
        if shutil.which(argv[0], path=places) is None:
            what = f"entrypoint: there is no program {argv[0]}, neither in its environment nor on PATH"
            return StashError(what, "fix `entrypoint:` there, or add what brings it")
    return None
