"""What a directory declares about the packages that its programs need, and which of it an environment is made from.

One answer for `tool add`, for every run and for the checks. What isn't used is said, with the reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import plain_package
from experimentstash.base.patterns import regex
from experimentstash.freeze.environment import poetry
from experimentstash.stash.schema import EnvironmentKind

# Project files, and what tells that they describe a project: many hold only the settings of linters.
PROJECT_FILES = {
    "pyproject.toml": regex(rb"(?m)^\s*\[\s*(?:project|build-system|dependency-groups|tool\.poetry)\b"),
    "setup.py": regex(rb""),
    "setup.cfg": regex(rb"(?m)^\[(?:metadata|options)\b"),
}
# PEP 723's own expression, for the type `script`.
_SCRIPT_BLOCK = regex(rb"(?m)^# /// script$\s(?:^#(?:| .*)$\s)+^# ///$")
_REQUIREMENTS = regex(r"(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|in)")
# Which of several requirements files are meant for those who only run the tool.
_USUAL = regex(r"(?:requirements|base|main|prod|production|core|default)")
_FOR_DEVELOPERS = regex(r"dev\w*|tests?|testing|docs?|lint|ci|build|style|extras?|optional")
_NAME = regex(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~@;,(#\s]|$)")
# What else says what a tool needs, the surest first, and which kind of environment is made from it.
CONDA_LOCKS = ("conda-lock.yml", "conda-lock.yaml")
CONDA_FILES = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml", "env.yml", "env.yaml")
PIXI_FILES = ("pixi.toml",)
_FURTHER = {
    **dict.fromkeys(PIXI_FILES, EnvironmentKind.pixi),
    **dict.fromkeys((*CONDA_LOCKS, *CONDA_FILES), EnvironmentKind.conda),
}
_NOT_READ = {"Pipfile": "pipenv's files aren't read"}


@dataclass(frozen=True)
class Choice:
    """What an environment is made from."""

    kind: EnvironmentKind
    file: Path | None = None
    requirements: tuple[Path, ...] = ()  # files whose requirements are installed with the project
    left: tuple[str, ...] = ()  # what else there is, and why it isn't used


def choose(directory: Path, program: Path | None, *, is_script: bool, runs_python: bool) -> Choice:
    """Return what the environment of a tool in ``directory`` is made from.

    ``program`` is the Python file that is started, if it is known: what lies beside it counts too; ``is_script`` tells
    that it is started as a file, so that its own PEP 723 block counts.
    """
    beside = _beside(directory, program)
    if program is not None and is_script and script_block(program):
        idle = [path for place in (*beside, directory) for path in (*_projects(place), *_requirements(place))]
        left = [_left(directory, path, "the script's own block says what it needs") for path in idle]
        return Choice(EnvironmentKind.script, program, (), (*left, *_unread(directory)))
    project = next((found[0] for place in (*beside, directory) if (found := _projects(place))), None)
    left, files = [], list[Path]()
    for place in (*beside, directory):
        chosen, others = _split(_requirements(place), is_root=place == directory)
        files += chosen
        left += [_left(directory, path, why) for path, why in others]
        if project is not None and place == project.parent:
            break
    further = [path for place in (*beside, directory) for path in _projects(place)]
    left += [
        _left(directory, path, f"{_shown(directory, project)} is nearer")
        for path in further
        if project is not None and path.parent != project.parent
    ]
    left += _unread(directory)
    if project is None:
        if not files and (besides := _further(directory)):
            file, kind = besides[0]
            return Choice(kind, file, (), tuple(each for each in left if not each.startswith(f"{file.name} (")))
        if not files:
            return Choice(EnvironmentKind.empty if runs_python else EnvironmentKind.none, None, (), tuple(left))
        first, *more = reversed(files)  # the outer one, then what lies beside the program
        return Choice(EnvironmentKind.requirements, first, tuple(more), tuple(left))
    if _lock(project.parent) is not None:
        left = [*(_left(directory, path, "uv.lock pins all versions") for path in files), *left]
        return Choice(EnvironmentKind.pyproject, project, (), tuple(left))
    kept = [path for path in reversed(files) if path.parent != project.parent or _says_more(project.parent, path)]
    left += [_left(directory, path, f"{project.name} names all of it") for path in files if path not in kept]
    return Choice(EnvironmentKind.pyproject, project, tuple(kept), tuple(left))


def _beside(directory: Path, program: Path | None) -> list[Path]:
    """Return the directories from the one of the program up to the tool's own, that one left out."""
    if program is None or not program.is_relative_to(directory) or program.parent == directory:
        return []
    return [place for place in program.parents if place != directory and place.is_relative_to(directory)]


def _projects(place: Path) -> list[Path]:
    return [place / name for name in PROJECT_FILES if describes_project(place / name)]


def _requirements(place: Path) -> list[Path]:
    """Return the requirements files of a directory, the usual one first."""
    try:
        named = [path for path in place.iterdir() if _REQUIREMENTS.fullmatch(path.name) and path.is_file()]
    except OSError:
        return []
    inside = [path for path in (place / "requirements").glob("*.*") if path.suffix in (".txt", ".in")]
    made = {path.with_suffix(".in") for path in (*named, *inside) if path.suffix == ".txt"}  # pip-compile's input
    found = [path for path in (*sorted(named), *sorted(inside)) if path not in made]
    return sorted(found, key=lambda path: path.name not in ("requirements.txt", "requirements.in"))


def _split(found: list[Path], *, is_root: bool) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return which of a directory's requirements files count, and the others with the reason why they don't."""
    if not found:
        return [], []
    usual = [path for path in found if _USUAL.fullmatch(path.stem)]
    plain = [path for path in found if not _is_for_developers(path)]
    chosen = usual[:1] or (plain if is_root and len(plain) == 1 else [])
    others = [path for path in found if path not in chosen]
    several = "several, and none is the usual one: `environment: {file: …}` takes one"
    return chosen, [
        (path, "for developers" if _is_for_developers(path) else "not the usual one" if chosen else several)
        for path in others
    ]


def _is_for_developers(path: Path) -> bool:
    return any(_FOR_DEVELOPERS.fullmatch(word) for word in re.split(r"[-_.]", path.stem.lower()))


def _further(directory: Path) -> list[tuple[Path, EnvironmentKind]]:
    return [(directory / name, kind) for name, kind in _FURTHER.items() if (directory / name).is_file()]


def _unread(directory: Path) -> list[str]:
    further = _further(directory)
    found = [f"{file.name} (for {kind.value}: `environment: {{file: {file.name}}}` takes it)" for file, kind in further]
    return [*found, *(f"{name} ({why})" for name, why in _NOT_READ.items() if (directory / name).is_file())]


def _left(directory: Path, path: Path, why: str) -> str:
    return f"{_shown(directory, path)} ({why})"


def _shown(directory: Path, path: Path) -> str:
    return path.relative_to(directory).as_posix()


def _says_more(project: Path, requirements: Path) -> bool:
    """Tell whether a requirements file names packages that the project's own file doesn't, as far as that is known."""
    data = toml(project / "pyproject.toml")
    declared = data.get("project", {}).get("dependencies") or poetry.requirements(data)
    if not declared or "dependencies" in data.get("project", {}).get("dynamic", []):
        return True
    return not set(_names((read(requirements) or b"").decode("utf-8", "replace").splitlines())) <= set(_names(declared))


def _names(lines: Iterable[Any]) -> Iterator[str]:
    """Yield the plain names of requirements; a line that names none yields itself."""
    for line in lines:
        bare = str(line).strip()
        if bare and not bare.startswith("#"):
            name = _NAME.match(bare)
            yield plain_package(name[1]) if name else bare


def is_package(project: Path) -> bool:
    """Tell whether a project is to be installed itself, not only what it declares."""
    data = toml(project / "pyproject.toml")
    # No installer takes a setup.cfg alone.
    is_described = describes_project(project / "setup.cfg") and (project / "pyproject.toml").is_file()
    has_setup = is_described or (project / "setup.py").is_file()
    declared = data.get("tool", {}).get("uv", {}).get("package", has_setup or "build-system" in data)
    return bool(declared) and poetry.is_installable(project, data)


def of_setup_cfg(project: Path, extras: Iterable[str] = ()) -> list[str]:
    """Return the packages that a setup.cfg declares, as far as it isn't read with a project that is installed."""
    import configparser  # here, because hardly a tool has a setup.cfg

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string((read(project / "setup.cfg") or b"").decode("utf-8", "replace"))
    except configparser.Error:
        return []
    texts = [parser.get("options", "install_requires", fallback="")]
    texts += [parser.get("options.extras_require", extra, fallback="") for extra in extras]
    lines = [line.strip() for text in texts for part in text.split("\n") for line in part.split("#")[:1]]
    return [line for line in lines if line and not line.startswith("file:")]


def describes_project(path: Path) -> bool:
    content = read(path)
    return content is not None and PROJECT_FILES[path.name].search(content) is not None


def script_block(script: Path) -> bytes | None:
    """Return the PEP 723 block of a script."""
    found = _SCRIPT_BLOCK.search((read(script) or b"").replace(b"\r\n", b"\n"))
    return found[0] if found else None


def workspace(project: Path) -> Path:
    """Return the root of the uv workspace that the project is a member of, or the project itself."""
    for above in project.parents:
        if b"workspace" in (read(above / "pyproject.toml") or b""):
            declared = toml(above / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace")
            if declared is not None:
                members, excluded = (
                    any(project in above.glob(pattern) for pattern in declared.get(which, ()))
                    for which in ("members", "exclude")
                )
                return above if members and not excluded else project
    return project


def _lock(project: Path) -> Path | None:
    lock = workspace(project) / "uv.lock"
    return lock if lock.is_file() else None


def toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file says; StashError if it can't be understood."""
    try:
        return toml_in((read(path) or b"").decode())
    except ValueError as error:
        raise StashError(f"{path} is not valid TOML: {error}", f"fix {path}") from error


def toml_in(text: str) -> dict[str, Any]:
    """Return what a text in TOML says; ValueError if it isn't that."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    data: dict[str, Any] = tomllib.loads(text)
    return data


def read(path: Path) -> bytes | None:
    """Return a file's content; None if there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
