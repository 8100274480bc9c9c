"""The program that a planned run would start: whether it is there and can be started, without importing the tool.

It is looked for in the very code and environment that the run will use.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from experimentstash.adapters import environment_modules
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import ignored
from experimentstash.adapters.python import modules
from experimentstash.base.errors import StashError
from experimentstash.base.process import clean_environment, which
from experimentstash.freeze import startable
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.notebooks.source import Notebook
from experimentstash.freeze.plan import Plan
from experimentstash.stash import entrypoints

_FIX = "fix `entrypoint:` there"
_SHELLS = ("sh", "bash", "dash", "zsh")


def missing_program(planned: Plan) -> StashError | None:
    """Return what is wrong with the module or program that a tool is started by; None: nothing that can be known.

    Nothing is said about what an environment, or a build, would bring that isn't made.
    """
    argv = planned.command.argv
    is_ready = environments.is_ready(planned.recipe)
    is_built = planned.build is None or planned.build.is_ready()
    if len(argv) > 2 and argv[1] == "-m":
        return _missing_module(planned, is_ready=is_ready and is_built)
    environment = clean_environment()
    if planned.command.modules:
        try:
            environment = environment_modules.load(planned.command.modules, environment)
        except StashError as error:  # a node may have others
            return None if planned.request.for_job else error
    places = os.pathsep.join(filter(None, (planned.command.path, environment.get("PATH", os.defpath))))
    if planned.notebook is not None and (lack := _lack_of_notebook(planned, planned.notebook, places)) is not None:
        return lack
    if "/" not in argv[0]:
        if not is_ready:
            return None
        found = which(argv[0], places)
        if found is None:
            what = f"entrypoint: there is no program {argv[0]}, neither in its environment nor on PATH"
            return StashError(what, f"{_FIX}, or add what brings it{_of_build(planned)}")
        program = Path(found)
    else:
        program = here(planned, argv[0])
        is_of_environment = planned.recipe.directory is not None and program.is_relative_to(planned.recipe.directory)
        if not is_built or (is_of_environment and not is_ready):
            return None
        if not os.path.lexists(program):
            return StashError(f"entrypoint: {program} does not exist", f"{_FIX}{_of_build(planned)}")
    why = startable.why_not(program, places)
    if why is not None:
        return StashError(f"entrypoint: {why.what}", why.hint or _FIX)
    return _missing_script(planned) if is_built else None


def not_in_frozen_code(planned: Plan) -> StashError | None:
    """Return what is to be said of a program in a tool's checkout that isn't there where the code is frozen."""
    tool = planned.request.config.tool
    if planned.request.frozen is not None or planned.build is not None or not tool.path:
        return None
    root = toplevel(planned.directory)
    words = entrypoints.read(tool.entrypoint, planned.directory).words
    starts = [Path(os.path.normpath(planned.directory / each)) for each in words]
    own = [each for each in starts if each.is_relative_to(planned.directory) and each.is_file()]
    shared = [Path(os.path.normpath(planned.directory / each)) for each in tool.shared]
    own = [each for each in own if not any(each.is_relative_to(place) for place in shared)]
    if root is None or not own:
        return None
    try:
        unknown = ignored(root, tuple(os.path.relpath(each.resolve(), root) for each in own))
    except GitError:
        return None
    if not unknown:
        return None
    name = os.path.relpath(root / min(unknown), planned.directory.resolve())
    return StashError(
        f"entrypoint: git ignores {name}, so frozen code, as with hydra/launcher=slurm, doesn't have it",
        f"say there how it is made, build: [[make]] for example, or that it is no code: shared: [{name}]",
    )


def here(planned: Plan, path: str) -> Path:
    """Return where a file of a run's is now: the copy of the code that it will have for itself isn't made yet."""
    apart, found = planned.apart, Path(os.path.join(planned.command.cwd, path))
    if apart is None or not found.is_relative_to(apart.path):
        return found
    inside = found.relative_to(apart.path)
    copied = Path(apart.source) / inside
    return copied if os.path.lexists(copied) else Path(apart.live) / inside


def _missing_module(planned: Plan, *, is_ready: bool) -> StashError | None:
    argv = planned.command.argv
    started_in = here(planned, "")
    given = filter(None, planned.command.environment.get("PYTHONPATH", "").split(os.pathsep))
    exists = modules.exists(argv[2], [started_in, *(here(planned, path) for path in given)])
    if exists is None and is_ready:
        exists = modules.is_in_environment(argv[0], argv[2])
    elif exists is None:  # an installed package may come from src/, or from anywhere
        exists = modules.exists(argv[2], [planned.directory / "src"]) is not False
    if exists:
        return None
    path = planned.request.config.tool.path
    what = f"entrypoint: there is no module {argv[2]} to run, neither in {path} nor in its environment"
    return StashError(what, f"{_FIX}; a package needs a __main__.py")


def _missing_script(planned: Plan) -> StashError | None:
    """Return what is wrong if the file isn't there that the program is to run: `bash run.sh`, `node main.js`."""
    words = planned.command.argv[:2]
    if len(words) < 2 or words[1].startswith("-"):
        return None
    runner, program = entrypoints.runner(words[1]), os.path.basename(words[0])
    if program != runner and not (runner in _SHELLS and program in _SHELLS):
        return None
    if here(planned, words[1]).exists():
        return None
    what = f"entrypoint: there is no {words[1]} in {here(planned, '')} for {words[0]} to run"
    return StashError(what, f"{_FIX}{_of_build(planned)}")


def _of_build(planned: Plan) -> str:
    """Return what else may help where a file of the tool's isn't there."""
    if planned.build is not None:
        return f"; what its build has made is in {shlex.quote(str(planned.build.products))}"
    return "; what git ignores isn't there, but `build:` may make it" if planned.request.frozen is not None else ""


def _lack_of_notebook(planned: Plan, notebook: Notebook, places: str) -> StashError | None:
    """Return what is lacking to run a notebook, where we install nothing."""
    python = planned.command.argv[0]
    if notebook.is_quartos and which("quarto", places) is None:
        what = f"entrypoint: {notebook.path.name} is Quarto's, and there is no program quarto on PATH to read it"
        return StashError(what, "install it from https://quarto.org, or `quarto convert` it where it is")
    if not planned.recipe.is_foreign:
        return None
    needs = [re.sub(r"[<>=].*", "", each) for each in notebook.needs]
    lacking = modules.lacking(python, needs)
    if not lacking:
        return None
    what = f"entrypoint: {python} runs no notebooks: it lacks {', '.join(lacking)}"
    return StashError(what, f"{shlex.quote(python)} -m pip install {' '.join(needs)}")
