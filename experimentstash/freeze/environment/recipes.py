"""What a tool's Python environment is made from, worked out from files alone: its recipe.

The recipe's key covers everything that the environment depends on. So a changed requirement makes another environment
beside the old one, and a job that is queued or running keeps its own. What no lock file pins is resolved when the
environment is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.environment import declarations
from experimentstash.freeze.environment.declarations import PROJECT_FILES, is_package, read, script_block, workspace
from experimentstash.stash.schema import EnvironmentKind, ToolConfig

_FORMAT = 2  # part of every key: raise it when the way environments are made changes
_INCLUDE = regex(rb"(?m)^\s*(?:-r|-c|--requirement|--constraint)[ \t=]*([^\s#].*?)(?:\s+#.*)?\s*$")
_REQUIREMENTS_NAME = regex(rb"[\w./-]*requirements[\w./-]*\.(?:txt|in)")


@dataclass(frozen=True)
class Recipe:
    """What a tool's environment is made from."""

    name: str  # the tool's
    tool: ToolConfig
    kind: EnvironmentKind  # never auto
    key: str
    base: Path  # the tool's directory
    project: Path  # where uv is started: the tool's directory, or the one of its project file or script
    file: Path | None  # what it is made from, besides the dependencies; interpreter: that
    requirements: tuple[Path, ...]  # further files whose requirements are installed with that
    directory: Path | None  # where the environment is or will be; None for interpreter and none
    lock_path: Path | None  # uv.lock, or the script's lock file
    lock_file: str | None  # the file that pins it, relative to the tool's directory, and "sha256:…" of its content
    lock: str | None

    @property
    def origin(self) -> str:
        """What it is made from, for people."""
        path = self.lock_path or self.file
        if path is None:
            return "its dependencies" if self.tool.dependencies else "nothing (it declares no dependencies)"
        return " with ".join(_from_here(each) for each in (path, *self.requirements))

    @property
    def shown(self) -> str:
        """What it is, for people: its kind, and the files relative to the tool's directory."""
        if self.kind is EnvironmentKind.empty:
            return "empty (nothing says what it needs)"
        path = None if self.kind is EnvironmentKind.interpreter else self.lock_path or self.file
        names = [os.path.relpath(each, self.base) for each in (path, *self.requirements) if each is not None]
        names += ["dependencies"] if self.tool.dependencies and names else []
        kind = str(self.kind.value)
        return f"{kind} ({' + '.join(names)})" if names else kind


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
) -> Recipe:
    """Return the recipe of a tool's environment, which lives in ``home/<name>/<key>``; reads files, starts nothing.

    One with code from the tool's directory in it (the tool itself, installed in editable mode) is for this directory
    alone, and lives in ``own_home`` if that is given; any other is shared by all copies of the tool that declare the
    same. ``entry_script`` is the Python file that the entrypoint names, if it does, and ``program`` the one that it
    starts, by its name or as a module; ``runs_python`` tells that the entrypoint needs an interpreter, so that a tool
    which declares nothing gets an empty environment.
    Raises StashError for a registration that can't be followed.
    """
    tool_directory, home = _absolute(tool_directory), _absolute(home)
    entry_script = entry_script and _absolute(entry_script)
    program = entry_script or (program and _absolute(program))
    kind, file, requirements = _source(name, tool, tool_directory, entry_script, program, runs_python)
    made = kind not in (EnvironmentKind.interpreter, EnvironmentKind.none)
    project, lock_path = tool_directory, None
    if file and kind is EnvironmentKind.pyproject:
        project, lock_path = file.parent, workspace(file.parent) / "uv.lock"
    elif file and kind is EnvironmentKind.script:
        project, lock_path = file.parent, file.with_name(f"{file.name}.lock")
    lock_path = lock_path if lock_path and lock_path.is_file() else None
    inputs = _inputs(kind, project, file, requirements, lock_path) if made else {}
    wanted = tool.environment
    has_local = _has_local_code(kind, tool, project, file, requirements)
    if has_local and own_home is not None:
        home = _absolute(own_home)
    facts: list[Any] = [_FORMAT, kind.value, str(home), name]
    if has_local or not made:
        facts += [str(file), str(tool_directory), inputs]
    else:
        facts.append(sorted([os.path.basename(path), content] for path, content in inputs.items()))
    facts += [tool.python_version, tool.dependencies, wanted.extras, wanted.groups, sys.platform, os.uname().machine]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    pin = lock_path or (file if kind in (EnvironmentKind.requirements, EnvironmentKind.script) else None)
    pin = pin or next(iter(requirements), None)
    # Of a script the key covers its block alone, the record the whole file.
    pin_hash = _sha256(read(pin) or b"") if pin and pin.suffix == ".py" else inputs.get(str(pin))
    return Recipe(
        name=name,
        tool=tool,
        kind=kind,
        key=key,
        base=tool_directory,
        project=project,
        file=file,
        requirements=requirements,
        directory=home / name / key if made else None,
        lock_path=lock_path,
        lock_file=os.path.relpath(pin, tool_directory) if pin else None,
        lock=f"sha256:{pin_hash}" if pin else None,
    )


def _source(
    name: str,
    tool: ToolConfig,
    directory: Path,
    entry_script: Path | None,
    program: Path | None,
    runs_python: bool,
) -> tuple[EnvironmentKind, Path | None, tuple[Path, ...]]:
    """Return the kind of environment, the file that it is made from, or the interpreter, and further requirements."""
    wanted, kind = tool.environment, tool.environment.kind
    usual = {
        EnvironmentKind.script: entry_script,
        EnvironmentKind.pyproject: next(
            (directory / each for each in PROJECT_FILES if declarations.describes_project(directory / each)),
            directory / "pyproject.toml",
        ),
        EnvironmentKind.requirements: directory / "requirements.txt",
    }
    requirements: tuple[Path, ...] = ()
    if kind is EnvironmentKind.auto:
        if wanted.interpreter:
            kind = EnvironmentKind.interpreter
        elif wanted.file:
            file_name = Path(wanted.file).name
            kind = EnvironmentKind.script if file_name.endswith(".py") else EnvironmentKind.requirements
            kind = EnvironmentKind.pyproject if file_name in (*PROJECT_FILES, "uv.lock") else kind
        else:
            found = declarations.choose(directory, program, is_script=entry_script is not None, runs_python=runs_python)
            kind, requirements, usual[found.kind] = found.kind, found.requirements, found.file
            if found.file is None and tool.dependencies:
                kind = EnvironmentKind.dependencies
    if wanted.requirements is not None:
        requirements = tuple(_absolute(directory / Path(each).expanduser()) for each in wanted.requirements)
    setting = "interpreter" if kind is EnvironmentKind.interpreter else "file"
    given = getattr(wanted, setting)
    file = _absolute(directory / Path(given).expanduser()) if given else usual.get(kind)
    problem = None
    nothing_more = (EnvironmentKind.interpreter, EnvironmentKind.none, EnvironmentKind.empty)
    if kind in nothing_more and tool.dependencies:
        setting, problem = "kind", "nothing is installed there, but it has `dependencies`"
    elif kind is not EnvironmentKind.pyproject and (wanted.extras or wanted.groups):
        setting, problem = "kind", "only a pyproject has extras and groups"
    elif requirements and kind not in (EnvironmentKind.pyproject, EnvironmentKind.requirements):
        setting, problem = "requirements", "only a project has requirements besides"
    elif missing := next((each for each in requirements if not each.is_file()), None):
        setting, problem = "requirements", f"{missing} is no file"
    elif kind in (EnvironmentKind.none, EnvironmentKind.empty, EnvironmentKind.dependencies):
        file = None
    elif file is None:
        problem = f"it names no {setting}"
    elif file and not file.is_file():
        problem = f"{file} is no file"
    elif file and kind is EnvironmentKind.interpreter and not os.access(file, os.X_OK):
        problem = f"{file} is not executable"
    elif file and kind is EnvironmentKind.script and not script_block(file):
        problem = f"{file} has no `# /// script` block (PEP 723)"
    if problem:
        raise StashError(
            f"The tool {name!r} can't have an environment of the kind {kind.value}: {problem}.",
            f"mend environment.{setting} in conf/tool/{name}.yaml",
        )
    return kind, file, requirements


# A line of a requirements file that names no local path: an option that takes none, or a package, by name or URL.
_REMOTE = regex(
    r"""--?(?:r|c|i|requirement|constraint|index-url|extra-index-url|pre|prefer-binary|require-hashes|no-binary
        |only-binary|hash)\b.*
    |   [a-z0-9][\w.-]*\s*(?:\[[^\]]*\]\s*)?(?:@\s*(?:https?|git\+https?|git\+ssh)://\S+|[^@/]*)(?:\s;.*)?""",
    re.VERBOSE | re.IGNORECASE,
)


def _has_local_code(
    kind: EnvironmentKind, tool: ToolConfig, project: Path, file: Path | None, requirements: Sequence[Path]
) -> bool:
    """Tell whether something from the tool's directory, or found by its place, is installed; in doubt it is."""
    lines = [line for each in requirements for line in _requirement_lines(each, set())]
    if any(_REMOTE.fullmatch(line.strip()) is None for line in (*tool.dependencies, *lines)):
        return True
    if kind is EnvironmentKind.script and file:
        return re.search(rb"\bpath\s*=|file:", script_block(file) or b"") is not None
    if kind is EnvironmentKind.requirements:
        return file is not None and any(_REMOTE.fullmatch(line) is None for line in _requirement_lines(file, set()))
    if kind is EnvironmentKind.pyproject:
        text = read(project / "pyproject.toml") or b""
        is_member = workspace(project) != project or b"workspace" in text
        return is_package(project) or is_member or re.search(rb"\bpath\s*=|file:", text) is not None
    return False


def _requirement_lines(file: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the lines of a requirements file and of those that it includes, without comments."""
    if file in seen:
        return
    seen.add(file)
    content = read(file) or b""
    for line in content.decode("utf-8", "replace").splitlines():
        bare = re.sub(r"(?:^|\s)#.*", "", line).strip().rstrip("\\").strip()
        if bare:
            yield bare
    for match in _INCLUDE.finditer(content):
        yield from _requirement_lines(file.parent / os.fsdecode(match[1].strip(b"\"'")), seen)


def _inputs(
    kind: EnvironmentKind, project: Path, file: Path | None, requirements: Sequence[Path], lock_path: Path | None
) -> dict[str, str]:
    """Return the files that the environment depends on, with a hash of what matters in each."""
    inputs: dict[str, str] = {}

    def add(path: Path) -> bytes | None:
        content = None if str(path) in inputs else read(path)
        if content is not None:
            inputs[str(path)] = _sha256(content)
        return content

    def add_requirements(path: Path) -> None:
        for match in _INCLUDE.finditer(add(path) or b""):
            add_requirements(path.parent / os.fsdecode(match[1].strip(b"\"'")))

    any(add(above / ".python-version") is not None for above in (project, *project.parents))  # the nearest one
    add(project / "uv.toml")
    if kind is EnvironmentKind.script and file:
        inputs[str(file)] = _sha256(script_block(file) or b"")  # the rest of the script may change
    else:
        for each in requirements:
            add_requirements(each)
        described = b"\n".join(add(project / item) or b"" for item in PROJECT_FILES)
        if kind is EnvironmentKind.requirements and file:
            add_requirements(file)
        elif lock_path is None:  # setuptools may read the dependencies from files
            for mentioned in _REQUIREMENTS_NAME.findall(described):
                add_requirements(project / os.fsdecode(mentioned))
    if lock_path:
        add(lock_path)
        add(lock_path.with_name("pyproject.toml"))
    return inputs


def _from_here(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _absolute(path: Path) -> Path:
    """Return the absolute path, without `..` but with symbolic links (the python of an environment is one)."""
    return Path(os.path.abspath(path))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
