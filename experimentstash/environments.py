"""Everything about uv: each tool's own Python environment, made from what the tool declares.

A *recipe* says what an environment is made from; it is computed from files alone, and its key covers everything that
the environment depends on. So a changed requirement makes another environment beside the old one, and a job that is
queued or running keeps its own. What no lock file pins is resolved when the environment is made; the ready mark keeps
which versions that were.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experimentstash import files, git, records
from experimentstash.errors import StashError
from experimentstash.process import clean_environment, run
from experimentstash.schema import EnvironmentKind, ToolConfig

READY_MARK = "experimentstash.json"

_FORMAT = 1  # part of every key: raise it when the way environments are made changes
# Settings of the user's uv that would change what is made; indexes, caches, proxies and the like are the user's to set.
_UV_LEAKS = {"UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_NO_EDITABLE", "UV_NO_PROJECT", "UV_SYSTEM_PYTHON", "UV_TARGET"}
_UV_LEAKS |= {"UV_PREFIX", "UV_WORKING_DIR", "UV_DEV", "UV_NO_DEV", "UV_NO_GROUP", "UV_NO_DEFAULT_GROUPS"}
# Project files, and what tells that they describe a project: many hold only the settings of linters.
_PROJECT_FILES = {
    "pyproject.toml": re.compile(rb"(?m)^\s*\[\s*(?:project|build-system|dependency-groups|tool\.poetry)\b"),
    "setup.py": re.compile(rb""),
    "setup.cfg": re.compile(rb"(?m)^\[(?:metadata|options)\b"),
}
# PEP 723's own expression, for the type `script`.
_SCRIPT_BLOCK = re.compile(rb"(?m)^# /// script$\s(?:^#(?:| .*)$\s)+^# ///$")
_INCLUDE = re.compile(rb"(?m)^\s*(?:-r|-c|--requirement|--constraint)[ \t=]*([^\s#].*?)(?:\s+#.*)?\s*$")
_REQUIREMENTS_NAME = re.compile(rb"[\w./-]*requirements[\w./-]*\.(?:txt|in)")
_NO_NETWORK = re.compile(
    r"(?i)network was disabled|network connectivity is disabled|error sending request|dns error|connection refused"
    r"|could not resolve host|timed out"
)


class NotMade(StashError):
    """An environment could not be made."""

    exit_code = 1


@dataclass(frozen=True)
class Recipe:
    """What a tool's environment is made from."""

    name: str  # the tool's
    tool: ToolConfig
    kind: EnvironmentKind  # never auto; an environment of `dependencies` alone, or empty, counts as requirements
    key: str
    project: Path  # where uv is started: the tool's directory, or the one of its project file or script
    file: Path | None  # what it is made from, besides the dependencies; interpreter: that
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
        relative = os.path.relpath(path)
        return str(path) if relative.startswith("..") else relative


def plan(
    name: str,
    tool: ToolConfig,
    tool_directory: Path,
    entry_script: Path | None,
    home: Path,
    *,
    runs_python: bool = True,
) -> Recipe:
    """Return the recipe of a tool's environment, which lives in ``home/<name>/<key>``; reads files, starts nothing.

    ``entry_script`` is the Python file that the entrypoint names, if it does; ``runs_python`` tells that the entrypoint
    needs an interpreter, so that a tool which declares nothing gets an empty environment.
    Raises StashError for a registration that can't be followed.
    """
    tool_directory, home = _absolute(tool_directory), _absolute(home)
    kind, file = _source(name, tool, tool_directory, entry_script and _absolute(entry_script), runs_python)
    made = kind not in (EnvironmentKind.interpreter, EnvironmentKind.none)
    project, lock_path = tool_directory, None
    if file and kind is EnvironmentKind.pyproject:
        project, lock_path = file.parent, _workspace(file.parent) / "uv.lock"
    elif file and kind is EnvironmentKind.script:
        project, lock_path = file.parent, file.with_name(f"{file.name}.lock")
    lock_path = lock_path if lock_path and lock_path.is_file() else None
    inputs = _inputs(kind, project, file, lock_path) if made else {}
    wanted = tool.environment
    facts: list[Any] = [_FORMAT, kind.value, str(file), str(tool_directory), str(home), name, inputs]
    facts += [tool.python_version, tool.dependencies, wanted.extras, wanted.groups, sys.platform, os.uname().machine]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    pin = lock_path or (file if kind in (EnvironmentKind.requirements, EnvironmentKind.script) else None)
    # Of a script the key covers its block alone, the record the whole file.
    pin_hash = _sha256(_read(pin) or b"") if pin and pin.suffix == ".py" else inputs.get(str(pin))
    return Recipe(
        name=name,
        tool=tool,
        kind=kind,
        key=key,
        project=project,
        file=file,
        directory=home / name / key if made else None,
        lock_path=lock_path,
        lock_file=os.path.relpath(pin, tool_directory) if pin else None,
        lock=f"sha256:{pin_hash}" if pin else None,
    )


def is_ready(recipe: Recipe) -> bool:
    """Tell whether the environment can be used as it is."""
    if recipe.directory is None:
        return True
    return (recipe.directory / READY_MARK).exists() and (recipe.directory / "bin" / "python").exists()


def interpreter(recipe: Recipe) -> Path | None:
    """Return the Python to run the tool with; None if it needs none."""
    return recipe.directory / "bin" / "python" if recipe.directory else recipe.file


def record(recipe: Recipe) -> records.Environment:
    """Return what a run's record says about the environment. Starts a process only for a Python outside any venv."""
    python = interpreter(recipe)
    version = _venv_says("version(?:_info)?", python.parent.parent) if python else None
    if python and version is None and recipe.kind is EnvironmentKind.interpreter:
        asked = [str(python), "-c", "import platform; print(platform.python_version())"]
        version = run(asked, env=clean_environment(), check=False, timeout=60).stdout.strip() or None
    return records.Environment(
        kind=recipe.kind.value,
        interpreter=str(python) if python else None,
        version=version,
        lock=recipe.lock,
        lock_file=recipe.lock_file,
        key=recipe.key,
    )


def make(recipe: Recipe, *, offline: bool = False, announce: Callable[[str], None] = lambda line: None) -> None:
    """Make the environment unless it is ready; of several processes at once, one makes it and the others wait.

    Raises NotMade with uv's own words; nothing half-made stays behind.
    """
    if recipe.directory is None or is_ready(recipe):
        return
    title = f"the environment of {recipe.name!r}"
    try:
        with files.locked(
            recipe.directory.with_name(f"{recipe.key}.lock"),
            on_wait=lambda: announce(f"Waiting for another process that makes {title} …"),
        ) as lock:
            if is_ready(recipe):
                return
            announce(f"Making {title} from {recipe.origin} …")
            started = time.monotonic()
            with _gone_unless_finished(recipe.directory), _clean_checkout(recipe.project):
                _install(recipe, recipe.directory, _Uv(recipe, offline, lock))
            announce(f"Made {title} in {time.monotonic() - started:.1f} s.")
    except OSError as error:
        raise NotMade(f"T{title[1:]} could not be made: {error}") from error


def _source(
    name: str, tool: ToolConfig, directory: Path, entry_script: Path | None, runs_python: bool
) -> tuple[EnvironmentKind, Path | None]:
    """Return the kind of environment and the file that it is made from, or the interpreter."""
    wanted, kind = tool.environment, tool.environment.kind
    projects = [directory / item for item in _PROJECT_FILES if _describes_project(directory / item)]
    usual = {
        EnvironmentKind.script: entry_script,
        EnvironmentKind.pyproject: projects[0] if projects else directory / "pyproject.toml",
        EnvironmentKind.requirements: directory / "requirements.txt",
    }
    if kind is EnvironmentKind.auto:
        if wanted.interpreter:
            kind = EnvironmentKind.interpreter
        elif wanted.file:
            file_name = Path(wanted.file).name
            kind = EnvironmentKind.script if file_name.endswith(".py") else EnvironmentKind.requirements
            kind = EnvironmentKind.pyproject if file_name in (*_PROJECT_FILES, "uv.lock") else kind
        elif entry_script and _script_block(entry_script):
            kind = EnvironmentKind.script
        elif projects:
            kind = EnvironmentKind.pyproject
        elif (directory / "requirements.txt").is_file():
            kind = EnvironmentKind.requirements
        else:
            kind = EnvironmentKind.requirements if runs_python or tool.dependencies else EnvironmentKind.none
            usual[kind] = None
    setting = "interpreter" if kind is EnvironmentKind.interpreter else "file"
    given = getattr(wanted, setting)
    file = _absolute(directory / Path(given).expanduser()) if given else usual.get(kind)
    problem = None
    if kind is EnvironmentKind.interpreter and tool.python_version:
        raise StashError(
            f"The tool {name!r} asks for python_version {tool.python_version}, but it uses an interpreter as it is.",
            f"leave out python_version in conf/tool/{name}.yaml, or the interpreter",
        )
    if kind in (EnvironmentKind.interpreter, EnvironmentKind.none) and tool.dependencies:
        setting, problem = "kind", "nothing is installed there, but it has `dependencies`"
    elif kind is not EnvironmentKind.pyproject and (wanted.extras or wanted.groups):
        setting, problem = "kind", "only a pyproject has extras and groups"
    elif kind is EnvironmentKind.none:
        file = None
    elif file is None and (kind is not EnvironmentKind.requirements):
        problem = f"it names no {setting}"
    elif file and not file.is_file():
        problem = f"{file} is no file"
    elif file and kind is EnvironmentKind.interpreter and not os.access(file, os.X_OK):
        problem = f"{file} is not executable"
    elif file and kind is EnvironmentKind.script and not _script_block(file):
        problem = f"{file} has no `# /// script` block (PEP 723)"
    if problem:
        raise StashError(
            f"The tool {name!r} can't have an environment of the kind {kind.value}: {problem}.",
            f"mend environment.{setting} in conf/tool/{name}.yaml",
        )
    return kind, file


def _describes_project(path: Path) -> bool:
    content = _read(path)
    return content is not None and _PROJECT_FILES[path.name].search(content) is not None


def _script_block(script: Path) -> bytes | None:
    found = _SCRIPT_BLOCK.search((_read(script) or b"").replace(b"\r\n", b"\n"))
    return found[0] if found else None


def _workspace(project: Path) -> Path:
    """Return the root of the uv workspace that the project is a member of, or the project itself."""
    for above in project.parents:
        if b"workspace" in (_read(above / "pyproject.toml") or b""):
            workspace = _toml(above / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace")
            if workspace is not None:
                members, excluded = (
                    any(project in above.glob(pattern) for pattern in workspace.get(which, ()))
                    for which in ("members", "exclude")
                )
                return above if members and not excluded else project
    return project


def _inputs(kind: EnvironmentKind, project: Path, file: Path | None, lock_path: Path | None) -> dict[str, str]:
    """Return the files that the environment depends on, with a hash of what matters in each."""
    inputs: dict[str, str] = {}

    def add(path: Path) -> bytes | None:
        content = None if str(path) in inputs else _read(path)
        if content is not None:
            inputs[str(path)] = _sha256(content)
        return content

    def add_requirements(path: Path) -> None:
        for match in _INCLUDE.finditer(add(path) or b""):
            add_requirements(path.parent / os.fsdecode(match[1].strip(b"\"'")))

    any(add(above / ".python-version") is not None for above in (project, *project.parents))  # the nearest one
    add(project / "uv.toml")
    if kind is EnvironmentKind.script and file:
        inputs[str(file)] = _sha256(_script_block(file) or b"")  # the rest of the script may change
    else:
        described = b"\n".join(add(project / item) or b"" for item in _PROJECT_FILES)
        if kind is EnvironmentKind.requirements and file:
            add_requirements(file)
        elif lock_path is None:  # setuptools may read the dependencies from files
            for mentioned in _REQUIREMENTS_NAME.findall(described):
                add_requirements(project / os.fsdecode(mentioned))
    if lock_path:
        add(lock_path)
        add(lock_path.with_name("pyproject.toml"))
    return inputs


class _Uv:
    """uv, set up to make one environment. It inherits the lock, and so keeps it if we are killed before it ends."""

    def __init__(self, recipe: Recipe, offline: bool, lock: int) -> None:
        self.recipe = recipe
        self.lock = lock
        self.binary = _find_uv()
        self.environment = {key: value for key, value in clean_environment().items() if key not in _UV_LEAKS}
        if offline:
            self.environment["UV_OFFLINE"] = "1"

    def __call__(self, *words: str, **environment: str) -> str:
        """Run uv to its end and return its stdout; raises NotMade."""
        done = run(
            [self.binary, *words],
            cwd=self.recipe.project,
            env={**self.environment, **environment},
            check=False,
            show_progress=sys.stderr is not None and sys.stderr.isatty(),
            pass_fds=[self.lock],
        )
        if done.returncode == 0:
            return done.stdout
        recipe, said = self.recipe, done.stderr.strip()
        error = re.search(r"(?m)^(?:error|  ×)", said)
        last_words = said[error.start() if error else 0 :].splitlines()[-30:]
        sync = f"experimentstash tool sync {shlex.quote(recipe.name)}"
        mend = f"mend {f'{recipe.origin} or ' if recipe.file else ''}conf/tool/{recipe.name}.yaml, then: {sync}"
        if "needs to be updated" in said:
            which = (
                ("--script", recipe.file) if recipe.kind is EnvironmentKind.script else ("--directory", recipe.project)
            )
            mend = f"bring the lock file up to date: {shlex.join(['uv', 'lock', *map(str, which)])}"
        elif "UV_OFFLINE" in self.environment or _NO_NETWORK.search(said):
            mend = f"make it on a machine with internet (of a cluster: the login node): {sync}"
        raise NotMade(
            f"The environment of {recipe.name!r} could not be made from {recipe.origin}: "
            f"`{shlex.join(['uv', *words])}` failed with exit code {done.returncode}.\n    "
            + "\n    ".join(last_words),
            mend,
        )


def _find_uv() -> str:
    try:
        from uv import find_uv_bin  # here, because whoever finds the environment ready needs none of it

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        if found := shutil.which("uv"):
            return found
        raise StashError("uv, which makes the tools' environments, is not installed.", "pip install uv") from error


def _install(recipe: Recipe, directory: Path, uv: _Uv) -> None:
    """Run uv until the environment is complete, then set the ready mark."""
    tool, wanted, place = recipe.tool, recipe.tool.environment, str(directory)
    python = ["--python", str(directory / "bin" / "python")]
    version = ["--python", tool.python_version] if tool.python_version else []
    locked = ["--locked"] if recipe.lock_path else []
    extras = [word for extra in wanted.extras for word in ("--extra", extra)]
    groups = [word for group in wanted.groups for word in ("--group", group)]
    what: list[str] = []
    if recipe.kind is EnvironmentKind.script:
        uv("sync", "--script", str(recipe.file), "--active", *locked, *version, VIRTUAL_ENV=place)
    elif locked:
        uv("sync", *locked, "--no-dev", *extras, *groups, *version, UV_PROJECT_ENVIRONMENT=place)
    else:
        # Without a pyproject.toml of its own a tool isn't part of the project (the stash, say) that it lies in.
        alone = [] if (recipe.project / "pyproject.toml").exists() else ["--no-project"]
        uv("venv", "--quiet", *alone, *version, place)
        if recipe.kind is EnvironmentKind.pyproject:
            what = [*_project(recipe, extras), *groups]
        elif recipe.file:
            what = ["-r", str(recipe.file)]
    if what or tool.dependencies:
        uv("pip", "install", *python, *what, "--", *tool.dependencies)
    mark = {
        "python": _venv_says("version_info", directory),
        "uv": _venv_says("uv", directory),
        "made": records.now(),
        "tool": recipe.name,
        "kind": recipe.kind.value,
        "from": str(recipe.lock_path or recipe.file or ""),
        "packages": uv("pip", "freeze", *python).splitlines(),
    }
    files.write_atomically(directory / READY_MARK, json.dumps(mark, indent=2) + "\n")


def _project(recipe: Recipe, extras: list[str]) -> list[str]:
    """Return what tells `uv pip install` to install the project, editable, or what it declares if it is no package."""
    data = _toml(recipe.project / "pyproject.toml")
    has_setup = any(_describes_project(recipe.project / item) for item in ("setup.py", "setup.cfg"))
    if data.get("tool", {}).get("uv", {}).get("package", has_setup or "build-system" in data):
        chosen = ",".join(recipe.tool.environment.extras)
        return ["--editable", f".[{chosen}]" if chosen else "."]
    return ["-r", "pyproject.toml", *extras] if "project" in data else []


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    try:
        data: dict[str, Any] = tomllib.loads((_read(path) or b"").decode())
    except ValueError as error:
        raise NotMade(f"{path} is not valid TOML: {error}", f"mend {path}") from error
    return data


@contextlib.contextmanager
def _gone_unless_finished(directory: Path) -> Iterator[None]:
    """Begin without leftovers of an interrupted make, and leave none, whatever happens."""
    try:
        if directory.exists():
            shutil.rmtree(directory)
        yield
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


@contextlib.contextmanager
def _clean_checkout(directory: Path) -> Iterator[None]:
    """Keep what build backends leave in a checkout (setuptools does) out of its `git status`, with a local exclude."""
    before = git.status(directory)
    try:
        yield
    finally:
        after = git.status(directory) if before else None
        new = set(after.untracked) - set(before.untracked) if before and after else set()
        left = {match[1] for path in new if (match := re.match(r"((?:.*?/)?(?:[^/]+\.egg-info|build)/)", path))}
        if left:
            asked = ["git", "rev-parse", "--git-path", "info/exclude"]
            exclude = directory / run(asked, cwd=directory, env=git.environment()).stdout.rstrip("\n")
            exclude.parent.mkdir(parents=True, exist_ok=True)
            with exclude.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.writelines("\n/" + re.sub(r"([\\*?\[])", r"\\\1", path) for path in sorted(left))
                stream.write("\n")


def _venv_says(key: str, directory: Path) -> str | None:
    """Return the version number that a virtual environment's pyvenv.cfg gives for ``key``; None outside one."""
    found = re.search(rf"(?m)^{key}\s*=\s*([\d.]*\d)".encode(), _read(directory / "pyvenv.cfg") or b"")
    return found[1].decode() if found else None


def _absolute(path: Path) -> Path:
    """Return the absolute path, without `..` but with symbolic links (the python of an environment is one)."""
    return Path(os.path.abspath(path))


def _read(path: Path) -> bytes | None:
    """Return a file's content; None if there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
