"""What a foreign repository is: how it is started, what its environment is made from, whether it is a Hydra app.

Reads files and syntax trees only; nothing of the tool is imported or executed.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from experimentstash import detect_writes, entrypoints
from experimentstash.declared import library, program
from experimentstash.declared.option import Declared, Option
from experimentstash.detect_writes import Write
from experimentstash.errors import StashError
from experimentstash.schema import CallStyle, EnvironmentKind

# Directories that hold no program of the tool's.
_SKIPPED = {"tests", "test", "docs", "doc", "build", "dist", "node_modules", "site-packages", "venv", "env"}
_SKIPPED |= {"notebooks", "third_party", "vendor", "external", "outputs", "multirun", "wandb"}
_DEEPEST = 5
_MOST_FILES = 3000
_LARGEST_FILE = 1_000_000
_MOST_IMPORTED = 100
_OUTPUT_OPTIONS: tuple[str, ...] = (
    "output-dir",
    "output_dir",
    "out-dir",
    "out_dir",
    "outdir",
    "output",
    "out",
    "save-dir",
    "save_dir",
)
_OUTPUT_OPTIONS += ("results-dir", "results_dir", "log-dir", "logdir", "workdir", "work-dir", "work_dir")
_SCRIPT_BLOCK = re.compile(r"(?m)^# /// script$\s((?:^#(?:| .*)$\s)+)^# ///$")
_EXPERIMENT_GROUPS = ("experiment", "experiments", "exp")


class Rank(IntEnum):
    """How surely a file is what one starts, the surest first."""

    SCRIPT_OF_PROJECT = 1  # [project.scripts]
    PACKAGE_MAIN = 2  # package/__main__.py
    HYDRA_MAIN = 3
    MAIN_FILE = 4  # main.py
    COMMAND_LINE = 5  # parses arguments
    EXECUTABLE = 6


@dataclass(frozen=True)
class Hydra:
    """A Hydra application's configuration."""

    config_directory: str | None  # relative to the tool's directory
    config_name: str | None
    experiment_key: str | None  # "experiment", or "+experiment" if the defaults list doesn't have the group
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """Something that may be the tool's entrypoint."""

    entrypoint: str
    rank: Rank
    file: str | None  # relative to the tool's directory
    style: CallStyle
    hydra: Hydra | None = None
    declared: Declared = field(default_factory=Declared)

    @property
    def output_option(self) -> str | None:
        """The option that says where to write."""
        names = {each.name.lstrip("-") for each in self.options if not each.is_positional}
        return next((f"--{name}" for name in _OUTPUT_OPTIONS if name in names), None)

    @property
    def options(self) -> tuple[Option, ...]:
        return self.declared.options


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
        return len(self.candidates) == 1 or (
            len(self.candidates) > 1 and self.candidates[0].rank is not self.candidates[1].rank
        )


def detect(directory: Path, entrypoint: str | None = None) -> Detection:
    """Return what the repository in ``directory`` is; ``entrypoint``: the one that the user has named."""
    project = _toml(directory / "pyproject.toml")
    sources = dict(_sources(directory))
    candidates = _candidates(directory, project, sources)
    if entrypoint is not None:
        known = [each for each in candidates if each.entrypoint == entrypoint]
        candidates = known or [_named(directory, entrypoint, project, sources)]
    best = candidates[0] if candidates else None
    kind, file = _environment(directory, project, best, bool(sources))
    python, is_read = _python(directory, project, best)
    return Detection(
        kind=kind,
        file=file,
        is_locked=kind is EnvironmentKind.pyproject
        and bool(file)
        and (directory / (file or "")).with_name("uv.lock").is_file(),
        python=python,
        python_is_read=is_read,
        description=_description(directory, project),
        candidates=tuple(candidates),
        notes=tuple(_notes(directory)),
        writes=() if best is None else _writes(best, sources),
    )


def detect_environment(directory: Path) -> Detection:
    """Return what an environment can be made from in ``directory`` alone, whatever is started there."""
    project = _toml(directory / "pyproject.toml")
    kind, file = _environment(directory, project, None, False)
    python, is_read = _python(directory, project, None)
    is_locked = kind is EnvironmentKind.pyproject and (directory / "uv.lock").is_file()
    return Detection(kind, file, is_locked, python, is_read, "", ())


def _writes(best: Candidate, sources: Mapping[str, _Source]) -> tuple[Write, ...]:
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
    read: dict[str, _Source] = {}
    waiting = [source]
    while waiting and len(read) < _MOST_IMPORTED:
        first = waiting.pop(0)
        if first.path not in read:
            read[first.path] = first
            waiting += _imported(first, sources)
    found = [write for each in read.values() for write in detect_writes.found(each.tree, each.path, options)]
    return detect_writes.merged([*found, *detect_writes.of_options(options, source.path)])


# --- candidates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A Python file, as far as it matters here."""

    path: str
    tree: ast.Module
    text: str
    is_run: bool  # has `if __name__ == "__main__"`, or is made to be run in another way
    hydra: tuple[str | None, str | None, str | None] | None  # config_path, config_name, version_base
    parses: bool


def _sources(directory: Path) -> Iterator[tuple[str, _Source]]:
    count = 0
    for folder, folders, names in os.walk(directory):
        depth = len(Path(folder).relative_to(directory).parts)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not name.endswith(".egg-info")
            and not (Path(folder, name) / "pyvenv.cfg").exists()
            and depth < _DEEPEST
        )
        for name in sorted(names):
            if (
                not name.endswith(".py")
                or name in ("setup.py", "conftest.py", "noxfile.py")
                or name.startswith("test_")
            ):
                continue
            count += 1
            if count > _MOST_FILES:
                return
            path = Path(folder, name)
            source = _read_source(path, path.relative_to(directory).as_posix())
            if source is not None:
                yield source.path, source


def _read_source(path: Path, name: str) -> _Source | None:
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_FILE:
            return None
        text = path.read_text(encoding="utf-8", errors="replace")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _Source(
        path=name,
        tree=tree,
        text=text,
        is_run=any(program.is_main_guard(node) for node in tree.body) or name.rpartition("/")[2] == "__main__.py",
        hydra=_hydra_main(tree),
        parses=_parses(tree),
    )


def _parses(tree: ast.Module) -> bool:
    """Tell whether a file reads a command line: argparse alone may be imported for many reasons."""
    style = library.style(tree)
    return style is not None and (style is not CallStyle.argparse or bool(library.read(tree, style).options))


def _hydra_main(tree: ast.Module) -> tuple[str | None, str | None, str | None] | None:
    """Return config_path, config_name and version_base of a function decorated with hydra.main; None: there is none."""
    names = {"hydra.main"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {f"{alias.asname}.main" for alias in node.names if alias.name == "hydra" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in ("hydra", "hydra.main"):
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "main"}
    for node in ast.walk(tree):
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else ()
        for call in [
            *decorators,
            *([node.func] if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) else []),
        ]:
            if isinstance(call, ast.Call) and ast.unparse(call.func) in names:
                words = {word.arg: word.value for word in call.keywords if word.arg}
                words |= dict(zip(("config_path", "config_name", "version_base"), call.args, strict=False))
                path, name, base = (_constant(words.get(key)) for key in ("config_path", "config_name", "version_base"))
                if path is None and not isinstance(words.get("config_path", ast.Constant(None)), ast.Constant):
                    path = ""  # computed: nobody knows
                return path, name, base
    return None


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _candidates(directory: Path, project: Mapping[str, Any], sources: Mapping[str, _Source]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    installed = _is_installed(directory, project)

    def add(entrypoint: str, rank: Rank, source: _Source | None, file: str | None = None) -> None:
        taken = {each.file for each in found.values() if each.file}
        if source is None or source.path not in taken:
            candidate = _candidate(directory, entrypoint, rank, source, file)
            found.setdefault(entrypoint, candidate)

    scripts = project.get("project", {}).get("scripts", {})
    for name, target in scripts.items() if isinstance(scripts, dict) else ():
        if isinstance(name, str) and isinstance(target, str) and re.fullmatch(r"[\w.-]+", name) and installed:
            add(name, Rank.SCRIPT_OF_PROJECT, _module(sources, target.partition(":")[0].strip()))
    for path, source in sources.items():
        if path.endswith("/__main__.py") and _as_module(path, sources, directory, installed):
            # What `python -m package` does is mostly in another module, which it imports.
            inner = next((each for each in _imported(source, sources) if each.hydra or each.parses), None)
            add(
                f"-m {_as_module(path, sources, directory, installed)}", Rank.PACKAGE_MAIN, _either(source, inner), path
            )
    for path, source in sources.items():
        if source.hydra is not None and source.is_run:
            add(_entrypoint(path, sources, directory, installed), Rank.HYDRA_MAIN, source)
    for name in ("main.py", "src/main.py", "run.py", "train.py"):
        if name in sources and (sources[name].is_run or name == "main.py"):
            add(_entrypoint(name, sources, directory, installed), Rank.MAIN_FILE, sources[name])
    for path, source in sources.items():
        if source.is_run and (source.parses or _SCRIPT_BLOCK.search(source.text)):
            add(_entrypoint(path, sources, directory, installed), Rank.COMMAND_LINE, source)
    for path, source in sources.items():  # a PEP 723 script is made to be run, with or without a guard
        if _SCRIPT_BLOCK.search(source.text):
            add(_entrypoint(path, sources, directory, installed), Rank.COMMAND_LINE, source)
    if not found:
        runnable = [path for path, source in sources.items() if source.is_run]
        for path in runnable if len(runnable) <= 5 else ():
            add(_entrypoint(path, sources, directory, installed), Rank.COMMAND_LINE, sources[path])
    if not found:
        for file in sorted(directory.iterdir()):
            if file.is_file() and not file.is_symlink() and not file.name.startswith(".") and os.access(file, os.X_OK):
                found[file.name] = Candidate(file.name, Rank.EXECUTABLE, file.name, CallStyle.options)
    return sorted(found.values(), key=lambda each: each.rank)


def _candidate(directory: Path, entrypoint: str, rank: Rank, source: _Source | None, file: str | None) -> Candidate:
    path = file or (source.path if source else None)
    if source is not None and source.hydra is not None:
        return Candidate(entrypoint, rank, path, CallStyle.hydra, hydra=_hydra(directory, source))
    try:
        found = program.read(directory, entrypoints.read(entrypoint, directory).words)
    except StashError:  # it is refused elsewhere
        found = program.NOTHING
    return Candidate(entrypoint, rank, path, found.style or CallStyle.options, declared=found.declared)


def _named(directory: Path, entrypoint: str, project: Mapping[str, Any], sources: Mapping[str, _Source]) -> Candidate:
    """Return what is known of an entrypoint that the user has named."""
    words = entrypoint.split()
    source = None
    if words[:1] == ["-m"] and len(words) > 1:
        source = _module(sources, words[1])
        main = _module(sources, f"{words[1]}.__main__")
        if main is not None:
            source = _either(main, next((each for each in _imported(main, sources) if each.hydra or each.parses), None))
    elif words and words[0].endswith(".py"):
        source = sources.get(words[0]) or _read_source(directory / words[0], words[0])
    elif words:
        target = project.get("project", {}).get("scripts", {}).get(words[0])
        source = _module(sources, target.partition(":")[0]) if isinstance(target, str) else None
    return _candidate(directory, entrypoint, Rank.SCRIPT_OF_PROJECT, source, None)


def _either(source: _Source, inner: _Source | None) -> _Source:
    return source if source.hydra or source.parses or inner is None else inner


def _module(sources: Mapping[str, _Source], name: str) -> _Source | None:
    path = name.replace(".", "/")
    for candidate in (f"{path}.py", f"src/{path}.py", f"{path}/__init__.py", f"src/{path}/__init__.py"):
        if candidate in sources:
            return sources[candidate]
    return None


def _imported(source: _Source, sources: Mapping[str, _Source]) -> Iterator[_Source]:
    package = source.path.rpartition("/")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            start = package if node.level else ""
            base = "/".join(part for part in (start, (node.module or "").replace(".", "/")) if part)
            names = [base, *(f"{base}/{alias.name}" for alias in node.names)]
            for name in names:
                found = sources.get(f"{name}.py") or sources.get(f"src/{name}.py")
                if found is not None:
                    yield found


def _is_installed(directory: Path, project: Mapping[str, Any]) -> bool:
    """Tell whether the environment will have the project itself in it, as a package."""
    package = project.get("tool", {}).get("uv", {}).get("package")
    if isinstance(package, bool):
        return package
    return "build-system" in project or any((directory / name).is_file() for name in ("setup.py",))


def _as_module(path: str, sources: Mapping[str, _Source], directory: Path, installed: bool) -> str | None:
    """Return the dotted name under which `python -m` finds a file from the tool's directory; None if it doesn't."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__main__":
        parts = parts[:-1]
    if parts[:1] == ["src"] and not (directory / "src" / "__init__.py").exists():
        if not installed:
            return None
        parts, base = parts[1:], directory / "src"
    else:
        base = directory
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    packages = parts if path.endswith("/__main__.py") else parts[:-1]
    if not packages:
        return None
    for end in range(1, len(packages) + 1):
        if not (base.joinpath(*packages[:end]) / "__init__.py").is_file():
            return None
    return ".".join(parts)


def _entrypoint(path: str, sources: Mapping[str, _Source], directory: Path, installed: bool) -> str:
    module = _as_module(path, sources, directory, installed)
    return f"-m {module}" if module else path


# --- Hydra -----------------------------------------------------------------------------------------------------------


def _hydra(directory: Path, source: _Source) -> Hydra:
    assert source.hydra is not None
    path, name, base = source.hydra
    here = (directory / source.path).parent
    place: Path | None = None
    if path and not path.startswith(("pkg://", "/")):
        place = Path(os.path.normpath(here / path))
    elif path is None and base is None and name is not None:
        place = here  # before version_base 1.2, a missing config_path meant the script's own directory
    if place is None or not place.is_dir():
        wanted = f"{name.removesuffix('.yaml')}.yaml" if name else "config.yaml"
        guesses = [folder / word for folder in (here, directory) for word in ("configs", "conf", "config")]
        place = next((guess for guess in guesses if (guess / wanted).is_file()), None)
    if place is None or not place.is_relative_to(directory):
        return Hydra(None, name, None, ())
    key, experiments = _experiments(place, name)
    return Hydra(place.relative_to(directory).as_posix(), name, key, experiments)


def _experiments(place: Path, config_name: str | None) -> tuple[str | None, tuple[str, ...]]:
    groups = [name for name in _EXPERIMENT_GROUPS if (place / name).is_dir()]
    if not groups:
        return None, ()
    group = groups[0]
    files = sorted((place / group).rglob("*.yaml"))
    names = [path.relative_to(place / group).with_suffix("").as_posix() for path in files]
    names = [name for name in names if not name.rpartition("/")[2].startswith(("_", "."))]
    primary = place / f"{(config_name or 'config').removesuffix('.yaml')}.yaml"
    return (group if group in _default_groups(primary) else f"+{group}"), tuple(names)


def _default_groups(path: Path) -> set[str]:
    """Return the config groups that a config's defaults list has."""
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return set()
    found: set[str] = set()
    for entry in data.get("defaults") or () if isinstance(data, dict) else ():
        for key in entry if isinstance(entry, dict) else ():
            found.add(str(key).split()[-1].partition("@")[0].lstrip("/"))
    return found


# --- the environment -------------------------------------------------------------------------------------------------


def _environment(
    directory: Path, project: Mapping[str, Any], best: Candidate | None, has_python: bool
) -> tuple[EnvironmentKind, str | None]:
    """Return what `environment.kind: auto` will come to, and the file."""
    script = best.file if best is not None and (best.file or "").endswith(".py") else None
    if script and _SCRIPT_BLOCK.search(_text(directory / script)):
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
    if re.search(r"(?m)^\[(?:metadata|options)\b", _text(directory / "setup.cfg")):
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
        block = _SCRIPT_BLOCK.search(_text(directory / best.file))
        asked = re.search(r'(?m)^#\s*requires-python\s*=\s*["\']([^"\']+)', block[1]) if block else None
        if asked:
            return asked[1], True
    declared = project.get("project", {}).get("requires-python")
    if isinstance(declared, str):
        return declared, True
    if version := _text(directory / ".python-version").strip().splitlines():
        return version[0].strip(), True
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(directory / "setup.cfg"))
        declared = parser.get("options", "python_requires", fallback=None)
    except configparser.Error:
        declared = None
    asked = re.search(r"python_requires\s*=\s*[\"']([^\"']+)", _text(directory / "setup.py"))
    declared = declared or (asked[1] if asked else None)
    if declared:
        return declared, False
    for name in ("environment.yml", "environment.yaml"):
        asked = re.search(r"(?m)^\s*-\s*python\s*[=<>]+\s*([\d.]+)", _text(directory / name))
        if asked:
            return asked[1], False
    return None, True


def _description(directory: Path, project: Mapping[str, Any]) -> str:
    declared = project.get("project", {}).get("description")
    if isinstance(declared, str) and declared.strip():
        return _one_line(declared)
    for name in ("README.md", "README.rst", "README.txt", "README"):
        for line in _text(directory / name).splitlines()[:60]:
            text = line.strip()
            if re.match(r"[A-Za-z]", text) and len(text) > 20 and not text.startswith(("http", "[!", "<")):
                return _one_line(text)
    return ""


def _one_line(text: str) -> str:
    plain = "".join(character for character in " ".join(text.split()) if character.isprintable())
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
        data: dict[str, Any] = tomllib.loads(_text(path))
    except ValueError:  # uv will say what is wrong with it
        return {}
    return {key: value for key, value in data.items() if isinstance(value, dict)}


def _text(path: Path) -> str:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, RuntimeError):
        return ""


def describe(candidates: Iterable[Candidate]) -> str:
    """Return the candidates as a list for people."""
    reasons = {
        Rank.SCRIPT_OF_PROJECT: "a script of its pyproject.toml",
        Rank.PACKAGE_MAIN: "a package that can be run",
        Rank.HYDRA_MAIN: "a Hydra application",
        Rank.MAIN_FILE: "by its name",
        Rank.COMMAND_LINE: "a command line",
        Rank.EXECUTABLE: "an executable",
    }
    return "\n".join(f"  {each.entrypoint:<30} {reasons[each.rank]}" for each in candidates)
