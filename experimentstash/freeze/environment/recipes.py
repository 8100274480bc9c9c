"""What a tool's environment is made from, worked out from files alone: its recipe.

The recipe's key covers everything that the environment depends on. So a changed requirement makes another environment
beside the old one, and a job that is queued or running keeps its own. What no lock file pins is resolved when the
environment is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.freeze.environment import declarations, requirements_files
from experimentstash.freeze.environment.declarations import Choice, read
from experimentstash.freeze.environment.kinds import (
    conda,
    dependencies,
    empty,
    interpreter,
    none,
    pixi,
    pyproject,
    script,
)
from experimentstash.freeze.environment.kinds import requirements as requirements_kind
from experimentstash.freeze.environment.kinds.kind import Inputs, Kind, Recipe
from experimentstash.stash import paths
from experimentstash.stash.schema import EnvironmentKind, ToolConfig

_FORMAT = 2  # part of every key: raise it when the way environments are made changes
# The next kind is a file more, and a line here. Of a file that is named alone, the first that it may mean.
KINDS = (
    pyproject.KIND,
    script.KIND,
    pixi.KIND,
    conda.KIND,
    requirements_kind.KIND,
    dependencies.KIND,
    empty.KIND,
    interpreter.KIND,
    none.KIND,
)
_KINDS = {each.name: each for each in KINDS}


def kind_named(name: str) -> Kind | None:
    """Return the kind of environment that a record names; None if there is none of that name."""
    return next((each for each in KINDS if each.name.value == name), None)


def plan(
    name: str,
    tool: ToolConfig,
    tool_directory: Path,
    entry_script: Path | None,
    home: Path,
    *,
    own_home: Path | None = None,
    runs_python: bool = True,
    program: Path | None = None,
    brought: Sequence[str] = (),
) -> Recipe:
    """Return the recipe of a tool's environment, which lives in ``home/<name>/<key>``; reads files, starts nothing.

    One with code from the tool's directory in it (the tool itself, installed in editable mode) is for this directory
    alone, and lives in ``own_home`` if that is given; any other is shared by all copies of the tool that declare the
    same. ``entry_script`` is the Python file that the entrypoint names, if it does, and ``program`` the one that it
    starts, by its name or as a module; ``brought`` are packages that start the tool, and that it need not
    declare; ``runs_python`` tells that the entrypoint needs an interpreter, so that a tool
    which declares nothing gets an empty environment.
    Raises StashError for a registration that can't be followed.
    """
    tool_directory, home = _absolute(tool_directory), _absolute(home)
    entry_script = entry_script and _absolute(entry_script)
    program = entry_script or (program and _absolute(program))
    kind, file, requirements = _source(name, tool, tool_directory, entry_script, program, runs_python)
    made = kind.is_made
    project, lock_path = kind.project(tool_directory, file), kind.lock(file)
    lock_path = lock_path if lock_path and lock_path.is_file() else None
    inputs = _inputs(kind, project, file, requirements, lock_path) if made else {}
    wanted = tool.environment
    has_local = _has_local_code(kind, tool, project, file, requirements)
    if has_local and own_home is not None:
        home = _absolute(own_home)
    facts: list[Any] = [_FORMAT, kind.name.value, str(home), name]
    if has_local or not made:
        facts += [str(file), str(tool_directory), inputs]
    else:
        facts.append(sorted([os.path.basename(path), content] for path, content in inputs.items()))
    facts += [tool.python_version, tool.dependencies, wanted.extras, wanted.groups, sys.platform, os.uname().machine]
    facts += [["brought", *brought]] if brought else []
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    pin = lock_path or kind.pin(file) or next(iter(requirements), None)
    # Of a script the key covers its block alone, the record the whole file.
    pin_hash = _sha256(read(pin) or b"") if pin and pin.suffix == ".py" else inputs.get(str(pin))
    return Recipe(
        name=name,
        tool=tool,
        way=kind,
        key=key,
        base=tool_directory,
        project=project,
        file=file,
        requirements=requirements,
        directory=home / name / key if made else None,
        lock_path=lock_path,
        lock_file=os.path.relpath(pin, tool_directory) if pin else None,
        lock=f"sha256:{pin_hash}" if pin else None,
        brought=tuple(brought),
    )


def _source(
    name: str,
    tool: ToolConfig,
    directory: Path,
    entry_script: Path | None,
    program: Path | None,
    runs_python: bool,
) -> tuple[Kind, Path | None, tuple[Path, ...]]:
    """Return the kind of environment, the file that it is made from, or the interpreter, and further requirements."""
    wanted, named = tool.environment, tool.environment.kind
    requirements: tuple[Path, ...] = ()
    found: Choice | None = None
    if named is not EnvironmentKind.auto:
        kind = _KINDS[named]
    elif wanted.interpreter:
        kind = interpreter.KIND
    elif wanted.file:
        kind = next(each for each in KINDS if each.means(Path(wanted.file).name))
    else:
        found = declarations.choose(directory, program, is_script=entry_script is not None, runs_python=runs_python)
        requirements = found.requirements
        # Who lists packages has said what it needs, where nothing of Python's does.
        is_pythons = found.file is not None and _KINDS[found.kind].is_uvs
        kind = dependencies.KIND if tool.dependencies and not is_pythons else _KINDS[found.kind]
    if wanted.requirements is not None:
        requirements = tuple(_absolute(directory / Path(each).expanduser()) for each in wanted.requirements)
    given = getattr(wanted, kind.setting) if kind.setting else None
    usual = found.file if found is not None and found.kind is kind.name else kind.usual(directory, entry_script)
    file = _absolute(directory / Path(given).expanduser()) if given else usual if kind.setting else None
    setting, problem = kind.setting or "kind", None
    if tool.dependencies and not kind.takes_dependencies:
        setting, problem = "kind", "nothing is installed there, but it has `dependencies`"
    elif (wanted.extras or wanted.groups) and not kind.takes_extras:
        setting, problem = "kind", "only a pyproject has extras and groups"
    elif tool.python_version and not kind.takes_python_version:
        setting, problem = "kind", "its file says which Python there is, but it has a `python_version`"
    elif requirements and not kind.takes_requirements:
        setting, problem = "requirements", "only a project has requirements besides"
    elif missing := next((each for each in requirements if not each.is_file()), None):
        setting, problem = "requirements", f"{missing} is no file"
    elif kind.setting is None:
        pass
    elif file is None:
        problem = f"it names no {setting}"
    elif not file.is_file():
        problem = f"{file} is no file"
    else:
        problem = kind.problem(file)
    if problem:
        raise StashError(
            f"The tool {name!r} can't have an environment of the kind {kind.name.value}: {problem}.",
            f"fix environment.{setting} in {paths.registration(name)}",
        )
    return kind, file, requirements


def _has_local_code(
    kind: Kind, tool: ToolConfig, project: Path, file: Path | None, requirements: Sequence[Path]
) -> bool:
    """Tell whether something from the tool's directory, or found by its place, is installed; in doubt it is."""
    lines = [line for each in requirements for line in requirements_files.lines(each)]
    return any(map(requirements_files.is_local, (*tool.dependencies, *lines))) or kind.has_local_code(project, file)


def _inputs(
    kind: Kind, project: Path, file: Path | None, requirements: Sequence[Path], lock_path: Path | None
) -> dict[str, str]:
    """Return the files that the environment depends on, with a hash of what matters in each."""
    inputs = Inputs()
    any(inputs.add(above / ".python-version") is not None for above in (project, *project.parents))  # the nearest one
    inputs.add(project / "uv.toml")
    kind.look(inputs, project, file, requirements, lock_path)
    if lock_path:
        inputs.add(lock_path)
        if kind.is_uvs:
            inputs.add(lock_path.with_name("pyproject.toml"))
    return inputs.hashes


def _absolute(path: Path) -> Path:
    """Return the absolute path, without `..` but with symbolic links (the python of an environment is one)."""
    return Path(os.path.abspath(path))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
