"""What a foreign repository is: how it is started, what its environment is made from, whether it is a Hydra app.

Reads files and syntax trees only; nothing of the tool is imported or executed.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.freeze.environment import declarations, poetry
from experimentstash.freeze.environment.declarations import Choice
from experimentstash.stash import entrypoints
from experimentstash.stash.schema import EnvironmentKind
from experimentstash.tools.detect import built, candidate, candidates, detect_writes
from experimentstash.tools.detect import sources as source_files
from experimentstash.tools.detect.candidate import Candidate
from experimentstash.tools.detect.detect_writes import Write
from experimentstash.tools.detect.sources import SCRIPT_BLOCK, Source, text

_MOST_IMPORTED = 100


@dataclass(frozen=True)
class Detection:
    """What a repository is."""

    kind: EnvironmentKind
    file: str | None  # what the environment is made from, relative to the tool's directory
    requirements: tuple[str, ...]  # further files with requirements, installed with that
    left: tuple[str, ...]  # what else says what it needs, and why that isn't used
    python: str | None  # which Python it asks for
    python_is_read: bool  # uv reads that itself where it stands
    description: str
    candidates: tuple[Candidate, ...]  # the first with what it declares of its command line
    notes: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()  # where the best candidate seems to write below its working directory
    lacking: tuple[str, ...] = ()  # what the best candidate imports though nothing says that it needs it

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def is_clear(self) -> bool:
        """Tell whether there is one candidate that no other equals."""
        return candidate.is_clear(self.candidates)


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
            named = candidates.with_build(named, self.directory)
            found = [named, *(each for each in found if each is not named)]
        found[:1] = [candidates.with_declared(each, self.directory) for each in found[:1]]
        best = found[0] if found else None
        choice = self._environment(best)
        python, is_read = _python(self.directory, self.project, best, choice.kind)
        lacking = _imports(best, self.sources) if choice.kind is EnvironmentKind.empty and best is not None else []
        return Detection(
            kind=choice.kind,
            file=_relative(self.directory, choice.file),
            requirements=tuple(each.relative_to(self.directory).as_posix() for each in choice.requirements),
            left=choice.left,
            python=python,
            python_is_read=is_read,
            description=_description(self.directory, self.project),
            candidates=tuple(found),
            notes=(
                *_notes(self.directory),
                *built.notes(
                    self.directory,
                    () if best is None else best.build,
                    is_installed=choice.kind is EnvironmentKind.pyproject,
                ),
            ),
            writes=() if best is None else _writes(best, self.sources),
            lacking=tuple(lacking),
        )

    def _environment(self, best: Candidate | None) -> Choice:
        """Return what the environment is made from, which a run will ask in the same way of the registration."""
        try:
            entry = None if best is None else entrypoints.read(best.entrypoint, self.directory)
        except StashError:  # it is refused elsewhere
            entry = None
        if entry is None:
            return declarations.choose(self.directory, None, is_script=False, runs_python=bool(self.sources))
        return declarations.choose(
            self.directory, entry.program, is_script=entry.script is not None, runs_python=entry.runs_python
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
    choice = declarations.choose(directory, None, is_script=False, runs_python=True)
    python, is_read = _python(directory, _toml(directory / "pyproject.toml"), None, choice.kind)
    requirements = tuple(each.relative_to(directory).as_posix() for each in choice.requirements)
    return Detection(choice.kind, _relative(directory, choice.file), requirements, choice.left, python, is_read, "", ())


def _relative(directory: Path, file: Path | None) -> str | None:
    return None if file is None else file.relative_to(directory).as_posix()


def _writes(best: Candidate, sources: Mapping[str, Source]) -> tuple[Write, ...]:
    """Return where a program and what it imports of the repository seem to write, unless an option says where."""
    source = None if best.file is None else sources.get(best.file)
    if source is None or (source.hydra is not None and source.hydra[2] in (None, "1.1")):
        return ()  # Hydra changes into the run's directory, or may do so
    said = {best.output_option.lstrip("-")} if best.output_option else set()
    usual = {option.example.strip("'\"") for option in best.options if option.example and option.name in said}
    options = {
        option.name: option.example.strip("'\"")
        for option in best.options
        if option.example and not option.is_positional and option.name.lstrip("-") not in said
    }
    reached = _reached(source, sources)
    found = [write for each in reached for write in detect_writes.found(each.tree, each.path, options)]
    found = [write for write in found if write.path not in usual]  # the run's directory takes its place
    return detect_writes.merged([*found, *detect_writes.of_options(options, source.path)])


def _reached(source: Source, sources: Mapping[str, Source]) -> list[Source]:
    """Return a file and what it imports of the repository, the nearest first."""
    read: dict[str, Source] = {}
    waiting = [source]
    while waiting and len(read) < _MOST_IMPORTED:
        first = waiting.pop(0)
        if first.path not in read:
            read[first.path] = first
            waiting += source_files.imported(first, sources)
    return list(read.values())


def _imports(best: Candidate, sources: Mapping[str, Source]) -> list[str]:
    """Return the top-level packages that a program imports, itself or by other files, which are not its own."""
    source = sources.get(best.file or "")
    own = {part.removesuffix(".py") for path in sources for part in path.split("/")}
    names = {name for each in ([] if source is None else _reached(source, sources)) for name in each.packages}
    return sorted(names - own - sys.stdlib_module_names)


# --- the environment -------------------------------------------------------------------------------------------------


def _python(
    directory: Path, project: Mapping[str, Any], best: Candidate | None, kind: EnvironmentKind
) -> tuple[str | None, bool]:
    if kind in (EnvironmentKind.conda, EnvironmentKind.pixi):
        return None, True  # what the environment is made from says it
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
    if declared := poetry.python(project):
        return declared, False
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
    if (directory / "poetry.lock").is_file() and not (directory / "uv.lock").is_file():
        yield "poetry.lock isn't read: the versions are resolved when the environment is made"


def _toml(path: Path) -> dict[str, Any]:
    try:
        data = declarations.toml_in(text(path))
    except ValueError:  # uv will say what is wrong with it
        return {}
    return {key: value for key, value in data.items() if isinstance(value, dict)}
