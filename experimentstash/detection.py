"""What a foreign repository is: how it is started, what its environment is made from, whether it is a Hydra app.

Reads files and syntax trees only; nothing of the tool is imported or executed.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experimentstash import candidates, detect_writes
from experimentstash import sources as source_files
from experimentstash.candidates import Candidate, Rank, text
from experimentstash.detect_writes import Write
from experimentstash.schema import EnvironmentKind
from experimentstash.sources import SCRIPT_BLOCK, Source

_MOST_IMPORTED = 100


@dataclass(frozen=True)
class Detection:
    """What a repository is."""

    kind: EnvironmentKind
    file: str | None  # what the environment is made from, relative to the tool's directory
    is_locked: bool
    python: str | None  # which Python it asks for
    python_is_read: bool  # uv reads that itself where it stands
    description: str
    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = field(default=())
    writes: tuple[Write, ...] = ()  # where the best candidate seems to write below its working directory

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def is_clear(self) -> bool:
        """Tell whether there is one candidate that no other equals."""
        return candidates.is_clear(self.candidates)


@dataclass(frozen=True)
class Survey:
    """The files of a repository, looked at once, whatever is asked about them then."""

    directory: Path
    project: Mapping[str, Any]
    sources: Mapping[str, Source]
    candidates: tuple[Candidate, ...]

    def detect(self, entrypoint: str | None = None) -> Detection:
        """Return what the repository is, started in the likeliest way, or by the entrypoint that somebody has named."""
        found = list(self.candidates)
        if entrypoint is not None:
            known = [each for each in found if each.entrypoint == entrypoint]
            named = known[0] if known else candidates.named(self.directory, entrypoint, self.project, self.sources)
            found = [named, *(each for each in found if each is not named)]
        best = found[0] if found else None
        kind, file = _environment(self.directory, self.project, best, bool(self.sources))
        python, is_read = _python(self.directory, self.project, best)
        return Detection(
            kind=kind,
            file=file,
            is_locked=kind is EnvironmentKind.pyproject
            and bool(file)
            and (self.directory / (file or "")).with_name("uv.lock").is_file(),
            python=python,
            python_is_read=is_read,
            description=_description(self.directory, self.project),
            candidates=tuple(found),
            notes=tuple(_notes(self.directory)),
            writes=() if best is None else _writes(best, self.sources),
        )


def look(directory: Path) -> Survey:
    """Read the files of the repository in ``directory`` that tell what it is."""
    project = _toml(directory / "pyproject.toml")
    sources = source_files.find(directory)
    return Survey(directory, project, sources, tuple(candidates.find(directory, project, sources)))


def detect(directory: Path, entrypoint: str | None = None) -> Detection:
    """Return what the repository in ``directory`` is; ``entrypoint``: the one that the user has named."""
    return look(directory).detect(entrypoint)


def detect_environment(directory: Path) -> Detection:
    """Return what an environment can be made from in ``directory`` alone, whatever is started there."""
    project = _toml(directory / "pyproject.toml")
    kind, file = _environment(directory, project, None, False)
    python, is_read = _python(directory, project, None)
    is_locked = kind is EnvironmentKind.pyproject and (directory / "uv.lock").is_file()
    return Detection(kind, file, is_locked, python, is_read, "", ())


def _writes(best: Candidate, sources: Mapping[str, Source]) -> tuple[Write, ...]:
    """Return where a program and what it imports of the repository seem to write, unless an option says where."""
    source = None if best.file is None else sources.get(best.file)
    if source is None or (source.hydra is not None and source.hydra[2] in (None, "1.1")):
        return ()  # Hydra changes into the run's directory, or may do so
    said = {best.output_option.lstrip("-")} if best.output_option else set()
    options = {
        option.name: option.example.strip("'\"")
        for option in best.options
        if option.example and not option.is_positional and option.name.lstrip("-") not in said
    }
    read: dict[str, Source] = {}
    waiting = [source]
    while waiting and len(read) < _MOST_IMPORTED:
        first = waiting.pop(0)
        if first.path not in read:
            read[first.path] = first
            waiting += source_files.imported(first, sources)
    found = [write for each in read.values() for write in detect_writes.found(each.tree, each.path, options)]
    return detect_writes.merged([*found, *detect_writes.of_options(options, source.path)])


# --- the environment -------------------------------------------------------------------------------------------------


def _environment(
    directory: Path, project: Mapping[str, Any], best: Candidate | None, has_python: bool
) -> tuple[EnvironmentKind, str | None]:
    """Return what `environment.kind: auto` will come to, and the file."""
    script = best.file if best is not None and (best.file or "").endswith(".py") else None
    if script and SCRIPT_BLOCK.search(text(directory / script)):
        return EnvironmentKind.script, script
    if (
        "project" in project
        or "build-system" in project
        or "dependency-groups" in project
        or ("poetry" in project.get("tool", {}))
    ):
        return EnvironmentKind.pyproject, "pyproject.toml"
    if (directory / "setup.py").is_file():
        return EnvironmentKind.pyproject, "setup.py"
    if re.search(r"(?m)^\[(?:metadata|options)\b", text(directory / "setup.cfg")):
        return EnvironmentKind.pyproject, "setup.cfg"
    if (directory / "requirements.txt").is_file():
        return EnvironmentKind.requirements, "requirements.txt"
    elsewhere = sorted(path for path in directory.glob("requirements/*.txt"))
    preferred = [path for path in elsewhere if path.stem in ("base", "main", "requirements", "prod")]
    if preferred:
        return EnvironmentKind.requirements, preferred[0].relative_to(directory).as_posix()
    runs_python = best is None or best.rank is not Rank.EXECUTABLE
    return (EnvironmentKind.requirements if has_python and runs_python else EnvironmentKind.none), None


def _python(directory: Path, project: Mapping[str, Any], best: Candidate | None) -> tuple[str | None, bool]:
    if best is not None and best.file and best.file.endswith(".py"):
        block = SCRIPT_BLOCK.search(text(directory / best.file))
        asked = re.search(r'(?m)^#\s*requires-python\s*=\s*["\']([^"\']+)', block[1]) if block else None
        if asked:
            return asked[1], True
    declared = project.get("project", {}).get("requires-python")
    if isinstance(declared, str):
        return declared, True
    if version := text(directory / ".python-version").strip().splitlines():
        return version[0].strip(), True
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text(directory / "setup.cfg"))
        declared = parser.get("options", "python_requires", fallback=None)
    except configparser.Error:
        declared = None
    asked = re.search(r"python_requires\s*=\s*[\"']([^\"']+)", text(directory / "setup.py"))
    declared = declared or (asked[1] if asked else None)
    if declared:
        return declared, False
    for name in ("environment.yml", "environment.yaml"):
        asked = re.search(r"(?m)^\s*-\s*python\s*[=<>]+\s*([\d.]+)", text(directory / name))
        if asked:
            return asked[1], False
    return None, True


def _description(directory: Path, project: Mapping[str, Any]) -> str:
    declared = project.get("project", {}).get("description")
    if isinstance(declared, str) and declared.strip():
        return _one_line(declared)
    for name in ("README.md", "README.rst", "README.txt", "README"):
        for line in text(directory / name).splitlines()[:60]:
            bare = line.strip()
            if re.match(r"[A-Za-z]", bare) and len(bare) > 20 and not bare.startswith(("http", "[!", "<")):
                return _one_line(bare)
    return ""


def _one_line(said: str) -> str:
    plain = "".join(character for character in " ".join(said.split()) if character.isprintable())
    return plain if len(plain) <= 100 else plain[:99].rpartition(" ")[0] + " …"


def _notes(directory: Path) -> Iterator[str]:
    for name in ("environment.yml", "environment.yaml"):
        if (directory / name).is_file():
            yield (
                f"{name} describes a conda environment, which isn't made here: give what it needs in `dependencies:`,"
                " or the Python of such an environment as `environment.interpreter`"
            )
    if (directory / "poetry.lock").is_file() and not (directory / "uv.lock").is_file():
        yield "poetry.lock isn't read: the versions are resolved when the environment is made"


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    try:
        data: dict[str, Any] = tomllib.loads(text(path))
    except ValueError:  # uv will say what is wrong with it
        return {}
    return {key: value for key, value in data.items() if isinstance(value, dict)}
