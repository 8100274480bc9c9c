"""What builds a foreign repository, by the files of its build system, and which programs that makes. Nothing is run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex
from experimentstash.freeze.build.commands import PLACEHOLDER, Command
from experimentstash.freeze.environment import declarations
from experimentstash.tools.detect.sources import text
from experimentstash.tools.registrations import scalar

# How deep the files of a build system lie, and how many of them are read.
_DEEPEST, _MOST_FILES = 3, 50
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".cu", ".f", ".f90", ".f95", ".f03", ".f08", ".for", ".go", ".hs", ".ml")
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_CMAKE_PROGRAM = regex(
    rf"(?im)^[^#\n]*?\badd_executable\s*\(\s*(\$\{{PROJECT_NAME\}}|{_NAME})(\s+(?:IMPORTED|ALIAS)\b)?"
)
_CMAKE_PROJECT = regex(rf"(?im)^[^#\n]*?\bproject\s*\(\s*({_NAME})")
_CMAKE_PLACE = regex(
    r"(?i)CMAKE_RUNTIME_OUTPUT_DIRECTORY\s+\"?\$\{(?:CMAKE|PROJECT)_BINARY_DIR\}(?:/([A-Za-z0-9_./-]+))?\"?\s*\)"
)
_MESON_PROGRAM = regex(rf"(?m)^[^#\n]*?\bexecutable\s*\(\s*'({_NAME})'")
_MAKE_VARIABLE = regex(
    rf"(?m)^(?:PROG|PROGRAM|PROGNAME|TARGET|BIN|BINARY|EXE|EXEC|EXECUTABLE)\s*[:?]?=\s*(?:\./)?((?:{_NAME}/)*{_NAME})\s*$"
)
_MAKE_RULE = regex(rf"(?m)^(?:\./)?((?:{_NAME}/)*{_NAME})\s*:(?!=)([^\n]*)\n((?:\t[^\n]*\n?)*)")
_LINKS = regex(
    r"(?:-o\s|\$\((?:CC|CXX|FC|LD|NVCC|LINK)[.\w]*\)|\b(?:gcc|g\+\+|cc|c\+\+|clang|gfortran|nvcc|mpicc|mpicxx)\b)"
)
_OBJECT = regex(r"\.(?:o|obj|a|so|lo|la|d|mod|h|hpp|c|cc|cpp|cxx|cu|f|f90|pdf|html|txt|md)$")
_COMPILED_PYTHON = regex(r"\b(?:ext_modules|cythonize|build_ext|CUDAExtension|CppExtension)\b")


@dataclass(frozen=True)
class Proposal:
    """What may build a repository: by which file, with which commands, and the programs that these make."""

    file: str
    commands: tuple[Command, ...]
    programs: tuple[str, ...]  # as entrypoints


def proposals(directory: Path) -> list[Proposal]:
    """Return what may build the repository in a directory; there may be several, of which somebody chooses one."""
    found = [make(directory) for make in (_cargo, _cmake, _meson, _npm, _make)]
    return [each for each in found if each is not None]


def notes(directory: Path, commands: Sequence[Command], *, is_installed: bool) -> Iterator[str]:
    """Yield what to say of how a repository is built, where these commands do it; ``is_installed``: as a package."""
    if commands:
        yield "it is built before its first run: how, `build:` in its registration says; `tool sync` does it now"
        return
    for each in proposals(directory):
        yield (
            f"there is a {each.file}: if that makes something it needs, say so in its registration, for example"
            f" build: {written(each.commands)}"
        )
    if not is_installed and _COMPILED_PYTHON.search(text(directory / "setup.py")):
        yield (
            "its setup.py compiles modules: if it needs them, say so in its registration, build: [[python, setup.py,"
            " build_ext, --inplace]]"
        )


def written(commands: Sequence[Command]) -> str:
    """Return commands as a registration has them."""
    return f"[{', '.join('[' + ', '.join(map(scalar, each)) + ']' for each in commands)}]"


def _cargo(directory: Path) -> Proposal | None:
    try:
        data = declarations.toml_in(text(directory / "Cargo.toml"))
    except ValueError:
        return None
    package = data.get("package")
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        return None
    declared = data.get("bin")
    names = [each.get("name") for each in declared if isinstance(each, dict)] if isinstance(declared, list) else []
    if (directory / "src" / "main.rs").is_file():
        names.append(package["name"])
    names += sorted(each.stem for each in (directory / "src" / "bin").glob("*.rs"))
    locked = ("--locked",) if (directory / "Cargo.lock").is_file() else ()
    command = ("cargo", "build", "--release", *locked, "--target-dir", PLACEHOLDER)
    usual = package.get("default-run")
    names = [usual] if isinstance(usual, str) else [each for each in names if isinstance(each, str)]
    return Proposal("Cargo.toml", (command,), _programs(f"{PLACEHOLDER}/release/{each}" for each in names))


def _cmake(directory: Path) -> Proposal | None:
    texts = dict(_all(directory, "CMakeLists.txt"))
    if "" not in texts:
        return None
    project = _CMAKE_PROJECT.search(texts[""])
    place = next((match for said in texts.values() if (match := _CMAKE_PLACE.search(said))), None)
    is_elsewhere = place is None and any("RUNTIME_OUTPUT_DIRECTORY" in said for said in texts.values())
    names = []
    for folder, said in texts.items():
        for match in _CMAKE_PROGRAM.finditer(said):
            name = project[1] if match[1].startswith("$") and project is not None else match[1]
            if match[2] is None and not name.startswith("$"):
                inside = folder if place is None else place[1] or ""
                names.append("/".join(filter(None, (PLACEHOLDER, inside, name))))
    configure = ("cmake", "-S", ".", "-B", PLACEHOLDER, "-DCMAKE_BUILD_TYPE=Release")
    programs = () if is_elsewhere else _programs(names)
    return Proposal("CMakeLists.txt", (configure, ("cmake", "--build", PLACEHOLDER)), programs)


def _meson(directory: Path) -> Proposal | None:
    texts = dict(_all(directory, "meson.build"))
    if "" not in texts:
        return None
    names = [
        "/".join(filter(None, (PLACEHOLDER, folder, match[1])))
        for folder, said in texts.items()
        for match in _MESON_PROGRAM.finditer(said)
    ]
    commands = (("meson", "setup", PLACEHOLDER, "--buildtype=release"), ("meson", "compile", "-C", PLACEHOLDER))
    return Proposal("meson.build", commands, _programs(names))


def _npm(directory: Path) -> Proposal | None:
    try:
        data = json.loads(text(directory / "package.json"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    commands: list[Command] = []
    if (directory / "package-lock.json").is_file() or (directory / "npm-shrinkwrap.json").is_file():
        commands.append(("npm", "ci"))
    elif data.get("dependencies"):
        commands.append(("npm", "install"))
    scripts = data.get("scripts")
    if isinstance(scripts, dict) and isinstance(scripts.get("build"), str):
        commands.append(("npm", "run", "build"))
    if not commands:
        return None
    given = data.get("bin")
    named: list[Any] = [*given.values()] if isinstance(given, dict) else [given] if given else [data.get("main")]
    names = [os.path.normpath(each) for each in named if isinstance(each, str) and re.fullmatch(r"[\w./-]+", each)]
    if not names and (directory / "index.js").is_file():
        names = ["index.js"]
    names = [each for each in names if not each.startswith(("/", ".."))]
    return Proposal("package.json", tuple(commands), _programs(f"node {each}" for each in names))


def _make(directory: Path) -> Proposal | None:
    """Return what a Makefile makes of what must be compiled; elsewhere it holds commands for who develops."""
    file = next((name for name in ("GNUmakefile", "makefile", "Makefile") if (directory / name).is_file()), None)
    if file is None or not _has_sources(directory):
        return None
    makefile = text(directory / file).replace("\\\n", " ")
    names = [match[1] for match in _MAKE_VARIABLE.finditer(makefile)]
    if not names:
        phony = {word for match in re.finditer(r"(?m)^\.PHONY\s*:([^\n]*)", makefile) for word in match[1].split()}
        for match in _MAKE_RULE.finditer(f"{makefile}\n"):
            if match[1] not in phony and not _OBJECT.search(match[1]) and _LINKS.search(match[3]):
                names.append(match[1])
    return Proposal(file, (("make",),), _programs(os.path.normpath(each) for each in names))


def _has_sources(directory: Path) -> bool:
    for place in (directory, directory / "src", directory / "source"):
        try:
            if any(name.lower().endswith(_SOURCES) for name in os.listdir(place)):
                return True
        except OSError:
            continue
    return False


def _programs(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _all(directory: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a build system, the outermost first: the folder in which each is, and its text."""
    read = 0
    for folder, folders, names in os.walk(directory):
        inside = os.path.relpath(folder, directory)
        inside = "" if inside == "." else inside
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".") and inside.count("/") + bool(inside) < _DEEPEST and not _is_others(each)
        )
        if name in names and read < _MOST_FILES:
            read += 1
            yield inside, text(Path(folder, name))


_is_others: Callable[[str], object] = regex(
    r"build.*|third[-_]?party|external|extern|deps|vendor|subprojects|node_modules"
).fullmatch
