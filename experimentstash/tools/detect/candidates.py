"""What may be the entrypoint of a foreign repository, the likeliest first."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.names import plain_package
from experimentstash.base.patterns import regex
from experimentstash.freeze.build.commands import PLACEHOLDER, names_place
from experimentstash.freeze.declared import program as programs
from experimentstash.freeze.declared.option import Declared
from experimentstash.freeze.environment import declarations
from experimentstash.freeze.notebooks import source as notebooks
from experimentstash.stash import entrypoints
from experimentstash.stash.schema import CallStyle
from experimentstash.tools.detect import built, configurator, hydra_configs
from experimentstash.tools.detect import sources as source_files
from experimentstash.tools.detect.candidate import Candidate, Rank
from experimentstash.tools.detect.sources import Source, text

_MOST_NOTEBOOKS = 100
_MAIN_FILES = ("train.py", "main.py", "run.py")
# Words in the name of a program, or of a directory above it, that tell of something before, beside or after the work.
_MINOR = regex(
    r"prep|prepare|preproc\w*|data|datasets?|dataloaders?|downloads?|evals?|evaluat\w+|tests?|testing|unittest|setup|install"
    r"|build|make|convert|conversion|export|plots?|plotting|visuali[sz]\w+|vi[sz]|figures?|bench|benchmarks?|docs|lint"
    r"|format|release|checks?|clean|utils?|helpers?|analy[sz]e|analysis|summari[sz]e|demos?|examples?"
)
# Programs in the root of a repository that build it.
_PREPARES = regex(r"(?:configure|autogen|bootstrap|build|install|setup|gradlew|mvnw)(?:\.(?:sh|bash))?")
_MAJOR = regex(r"(?:pre)?train(?:ing|er)?|finetun(?:e|ing)")


def find(directory: Path, project: Mapping[str, Any], sources: Mapping[str, Source]) -> list[Candidate]:
    """Return what may start the tool in a directory, the likeliest first."""
    found: dict[str, Candidate] = {}
    taken: set[str] = set()
    installed = _is_installed(directory)
    imported = {each.path for source in sources.values() for each in source_files.imported(source, sources)}

    def add(entrypoint: str, rank: Rank, source: Source | None, *, file: str | None = None, name: str = "") -> None:
        if source is not None and source.path in taken:
            return
        candidate = _candidate(directory, entrypoint, rank, source, file)
        path = file or (source.path if source else "")
        is_minor = _is_minor(name or path.removesuffix("/__main__.py").removesuffix(".py"))
        if source is not None and path in imported and rank is Rank.PROGRAM:
            is_minor = True
        found.setdefault(entrypoint, replace(candidate, is_minor=is_minor))
        taken.update(filter(None, (path, source.path if source else "")))

    for name, target in _scripts(project) if installed else ():
        inner = target.partition(":")[0].strip()
        is_named_so = plain_package(name) == plain_package(str(project.get("project", {}).get("name", "")))
        add(
            name,
            Rank.SCRIPT_OF_PROJECT,
            source_files.module(sources, inner),
            name="main" if is_named_so else f"{name}/{inner.rpartition('.')[2]}",
        )
    for path, source in sources.items():
        dotted = _as_module(path, directory, installed) if source.name == "__main__.py" else None
        if dotted is not None:
            # What `python -m package` does is mostly in another module, which it imports.
            inside = next((each for each in source_files.imported(source, sources) if each.hydra or each.parses), None)
            add(f"-m {dotted}", Rank.PACKAGE_MAIN, _either(source, inside), file=path)
    for path, source in sources.items():
        rank = _rank(source, directory)
        if rank is not None:
            add(_entrypoint(path, directory, installed), rank, source)
    for name, target in _setuptools_scripts(directory) if installed else ():
        add(name, Rank.SCRIPT_OF_PROJECT, source_files.module(sources, target.partition(":")[0].strip()))
    is_python = bool(found)
    for proposal in built.proposals(directory):
        for program in proposal.programs:
            name = program.removeprefix("node ").removesuffix(".js")
            each = Candidate(program, Rank.BUILT, proposal.file, CallStyle.options, build=proposal.commands)
            found.setdefault(program, replace(each, is_minor=_is_minor(os.path.basename(name))))
    if not is_python:
        for file in sorted(directory.iterdir()):
            if file.name in found or _PREPARES.fullmatch(file.name):
                continue
            if file.is_file() and not file.is_symlink() and not file.name.startswith(".") and os.access(file, os.X_OK):
                found[file.name] = Candidate(file.name, Rank.EXECUTABLE, file.name, CallStyle.options)
        for path in source_files.notebooks(directory)[:_MOST_NOTEBOOKS]:
            found[path] = replace(_notebook(directory, path), is_minor=_is_minor(path.removesuffix(".ipynb")))
        for path in source_files.in_other_languages(directory):
            if path not in found and (program := entrypoints.runner(path)) != entrypoints.UNKNOWN_RUNNER:
                entrypoint = shlex.join([program, path])
                found.setdefault(entrypoint, Candidate(entrypoint, Rank.OTHER_LANGUAGE, path, CallStyle.options))
    return sorted(found.values(), key=_order)


def _order(candidate: Candidate) -> tuple[int, int, bool, int]:
    path = candidate.file or ""
    return candidate.likeliness, candidate.rank, not _is_major(path.rpartition("/")[2]), path.count("/")


def _rank(source: Source, directory: Path) -> Rank | None:
    """Return why a file may be what one starts; None: it isn't."""
    folder = source.path.rpartition("/")[0]
    starts = source.is_guarded or source.is_script or source.name == "__main__.py"
    starts = starts or (source.acts and (not folder or source.parses or source.hydra is not None))
    if source.name in _MAIN_FILES and not folder:
        return Rank.PROGRAM if source.only_defines else Rank.MAIN_FILE
    if not starts:
        return None
    is_package = "/" not in folder and (directory / folder / "__init__.py").is_file()
    if source.name in _MAIN_FILES and (folder == "src" or is_package or _is_package_below_src(folder, directory)):
        return Rank.INNER_MAIN_FILE
    if source.hydra is not None:
        return Rank.HYDRA_MAIN
    return Rank.COMMAND_LINE if source.parses or source.is_script else Rank.PROGRAM


def _is_package_below_src(folder: str, directory: Path) -> bool:
    return re.fullmatch("src/[^/]+", folder) is not None and (directory / folder / "__init__.py").is_file()


def _is_minor(path: str) -> bool:
    """Tell whether a program prepares, tests or shows something, by its name and those of the directories above it."""
    return _has(_MINOR, path) and not _is_major(path.rpartition("/")[2])


def _is_major(name: str) -> bool:
    return _has(_MAJOR, name)


def _has(words: re.Pattern[str], path: str) -> bool:
    return any(words.fullmatch(word.lower()) for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", path))


def _scripts(project: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the scripts that a pyproject.toml declares, with what they call."""
    for table in (project.get("project", {}), project.get("tool", {}).get("poetry", {})):
        scripts = table.get("scripts", {}) if isinstance(table, dict) else {}
        for name, target in scripts.items() if isinstance(scripts, dict) else ():
            if isinstance(target, dict):  # poetry
                target = target.get("reference", target.get("callable"))
            if isinstance(target, str) and re.fullmatch(r"[\w.-]+", name):
                yield name, target


def _setuptools_scripts(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the scripts that setup.cfg and setup.py declare, as far as that can be read."""
    texts = []
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text(directory / "setup.cfg"))
        texts += parser.get("options.entry_points", "console_scripts", fallback="").splitlines()
        tree = ast.parse(text(directory / "setup.py"))
    except (configparser.Error, SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "console_scripts":
                    inside = [each.value for each in ast.walk(value) if isinstance(each, ast.Constant)]
                    texts += [line for each in inside if isinstance(each, str) for line in each.splitlines()]
    for line in texts:
        declared = re.fullmatch(r"\s*([\w.-]+)\s*=\s*([\w.]+:[\w.]+).*", line)
        if declared:
            yield declared[1], declared[2]


def _candidate(directory: Path, entrypoint: str, rank: Rank, source: Source | None, file: str | None) -> Candidate:
    path = file or (source.path if source else None)
    if source is not None and source.hydra is not None:
        return Candidate(entrypoint, rank, path, CallStyle.hydra, hydra=hydra_configs.of(directory, source))
    return Candidate(entrypoint, rank, path, CallStyle.options)


def _notebook(directory: Path, path: str) -> Candidate:
    """Return a notebook as a candidate, with what its tagged cell takes."""
    try:
        declared = notebooks.read(directory / path).program.declared
    except StashError:  # it is refused elsewhere
        declared = Declared()
    return Candidate(path, Rank.NOTEBOOK, path, CallStyle.notebook, declared=declared)


def with_declared(candidate: Candidate, directory: Path) -> Candidate:
    """Return a candidate with what it declares of its command line; for all of a large repository that takes long."""
    if candidate.style in (CallStyle.hydra, CallStyle.notebook):
        return candidate
    try:
        found = programs.read(directory, entrypoints.read(candidate.entrypoint, directory).words)
    except StashError:  # it is refused elsewhere
        return candidate
    if found.style is None and (candidate.file or "").endswith(".py"):
        return _with_configurator(candidate, directory)
    return replace(candidate, style=found.style or CallStyle.options, declared=found.declared)


def _with_configurator(candidate: Candidate, directory: Path) -> Candidate:
    """Return a candidate that may read its command line itself."""
    found = configurator.read(directory, candidate.file or "")
    if found is None:
        return candidate
    if not found.has_dashes:
        return replace(candidate, style=CallStyle.key_value)
    settings = {"joined": "true", **({"booleans": "python"} if found.evaluates else {})}
    return replace(candidate, declared=Declared(found.variables), settings=settings)


def named(directory: Path, entrypoint: str, project: Mapping[str, Any], sources: Mapping[str, Source]) -> Candidate:
    """Return what is known of an entrypoint that the user has named."""
    words = entrypoint.split()
    source = None
    if (directory / entrypoint).is_file() and entrypoint.lower().endswith(entrypoints.NOTEBOOKS):
        return _notebook(directory, entrypoint)
    if words[:1] == ["-m"] and len(words) > 1:
        source = source_files.module(sources, words[1])
        main = source_files.module(sources, f"{words[1]}.__main__")
        if main is not None:
            inside = (each for each in source_files.imported(main, sources) if each.hydra or each.parses)
            source = _either(main, next(inside, None))
    elif words and words[0].endswith(".py"):
        source = sources.get(words[0]) or source_files.read(directory / words[0], words[0])
    elif words:
        target = dict(_scripts(project)).get(words[0])
        source = source_files.module(sources, target.partition(":")[0]) if target is not None else None
    return _candidate(directory, entrypoint, Rank.SCRIPT_OF_PROJECT, source, None)


def with_build(candidate: Candidate, directory: Path) -> Candidate:
    """Return what somebody has named with what makes it, if it isn't there and only one thing can make it."""
    words = candidate.entrypoint.split()
    if candidate.build or candidate.file is not None or not words or (directory / words[0]).exists():
        return candidate
    found = built.proposals(directory)
    is_apart = PLACEHOLDER in candidate.entrypoint
    fitting = [each for each in found if names_place(each.commands) == is_apart]
    return replace(candidate, build=fitting[0].commands, rank=Rank.BUILT) if len(fitting) == 1 else candidate


def _either(source: Source, inner: Source | None) -> Source:
    return source if source.hydra or source.parses or inner is None else inner


def _is_installed(directory: Path) -> bool:
    """Tell whether the environment will have the project itself in it, as a package."""
    try:
        return declarations.is_package(directory)
    except StashError:  # whoever makes the environment says what is wrong with it
        return False


def _as_module(path: str, directory: Path, installed: bool) -> str | None:
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


def _entrypoint(path: str, directory: Path, installed: bool) -> str:
    dotted = _as_module(path, directory, installed)
    return f"-m {dotted}" if dotted else path
