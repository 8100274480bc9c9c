"""What is installed for a Python that somebody else keeps, as its files tell: nothing is started.

A package is told by its name, its version, and when it was installed. What somebody edits inside of one isn't seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.base.text import listed

# Files and directories side by side that are looked through, for all that is installed.
_MOST_ENTRIES = 20_000
_LARGEST_LIST = 1 << 25
_LARGEST_PTH = 1 << 16
_SHOWN = 3
_LIBRARIES = ("lib", "lib64")
_SYSTEM = Path("/usr")
_DPKG = Path("/var/lib/dpkg/status")
# What tells one installation of a package from another.
_TOLD_BY = ("METADATA", "PKG-INFO", "RECORD", "direct_url.json")
_OF_PACKAGE = (".dist-info", ".egg-info")
_CODE = ("import ", "import\t")  # begins a line of a .pth file that is run when Python starts
_MODULES = (".py", ".pyc", ".so")
# virtualenv and uv put it into what they make; it is in no package's list.
_OF_VENV = ("_virtualenv.py", "_virtualenv.pth")
_VERSION = regex(r"python3\.\d+t?")
_TOP = regex(rb'^"?([^/,"\n\r]+)', re.MULTILINE)
_SETTING = regex(r"\s*([\w-]+)\s*=\s*(.*?)\s*")


class Untold(StashError):
    """What is installed can't be known from files."""


@dataclass(frozen=True)
class _Layout:
    """Where a Python has what it imports."""

    version: str
    program: Path
    stdlib: Path  # its standard library
    prefixes: tuple[Path, ...]  # its environment's directory, and that of the Python which this was made from
    sites: tuple[Path, ...]
    of_system: tuple[Path, ...]  # sites that Debian's package manager fills


class Inventory:
    """What a Python has installed, looked at once; Untold, or OSError, where its files don't tell."""

    def __init__(self, python: Path, user_base: Path) -> None:
        self._layout = layout = _layout(python, user_base)
        self._sites = [_Site(str(each), layout) for each in (*layout.sites, *layout.of_system)]
        # Directories elsewhere whose modules it imports, too: what is in them isn't told.
        self.led = [path for site in self._sites for path in site.led()]

    def contents(self) -> tuple[str, str, list[Path]]:
        """Its version, the digest of all that tells what is installed, and where packages in editable mode lie."""
        layout = self._layout
        stdlib = [[each.name, _of(each.stat())] for each in os.scandir(layout.stdlib) if each.is_file()]
        facts = {
            "program": _state(str(layout.program)),
            "library": sorted(stdlib),
            "other libraries": [_state(str(each)) for each in _libraries(layout)],
            "conda": [sorted(each.name for each in _conda(prefix)) for prefix in layout.prefixes],
            "sites": [[site.path, site.facts()] for site in self._sites],
        }
        text = json.dumps(facts, sort_keys=True)
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return layout.version, digest, [path for site in self._sites for path in site.editable]


def user_base(variables: Mapping[str, str]) -> Path:
    """Return where a Python with these variables looks for the packages that a user has installed for himself."""
    home = variables.get("HOME") or os.path.expanduser("~")
    return Path(variables.get("PYTHONUSERBASE") or os.path.join(home, ".local"))


def _layout(python: Path, user_base: Path) -> _Layout:
    program = Path(os.path.realpath(python))
    with open(program, "rb") as stream:
        if stream.read(2) == b"#!":
            raise Untold(f"{python} is a script that starts a Python, and which one its files don't tell")
    # As Python itself: beside what is started, whatever that is a link to.
    marks = (folder / "pyvenv.cfg" for folder in (python.parent, python.parent.parent))
    mark = next((each for each in marks if each.is_file()), None)
    said = {} if mark is None else _settings(mark)
    bases = [program.parent.parent]
    if said.get("home"):
        bases.append(Path(os.path.realpath(said["home"])).parent)
    version, stdlib, base = _stdlib(python, program, bases, said.get("version") or said.get("version_info") or "")
    prefixes = [base] if mark is None else [mark.parent, base]
    places = _sites(version, prefixes[0])
    of_system: list[Path] = []
    if mark is None or said.get("include-system-site-packages", "").lower() == "true":
        places += [*_sites(version, base), *_sites(version, user_base)]
        if base == _SYSTEM:
            local = base / "local"
            places += [*_sites(version, local), local / "lib" / version / "dist-packages"]
            of_system = [base / "lib" / name / "dist-packages" for name in ("python3", version)]
    real = dict.fromkeys(Path(os.path.realpath(each)) for each in places if each.is_dir())
    return _Layout(
        version, program, stdlib, tuple(prefixes), tuple(real), tuple(each for each in of_system if each.is_dir())
    )


def _settings(mark: Path) -> dict[str, str]:
    text = read_regular(os.path.realpath(mark), _LARGEST_PTH).decode("utf-8", "replace")
    found = (_SETTING.fullmatch(line) for line in text.splitlines())
    return {each.group(1).lower(): each.group(2) for each in found if each is not None}


def _stdlib(python: Path, program: Path, bases: Sequence[Path], said: str) -> tuple[str, Path, Path]:
    """Return a Python's version, its standard library, and where this lies."""
    for base in bases:
        found = {
            each.parent.name: each.parent
            for name in _LIBRARIES
            for each in base.glob(f"{name}/python3.*/os.py")
            if _VERSION.fullmatch(each.parent.name)
        }
        wanted = f"python{'.'.join(said.split('.')[:2])}"
        only = next(iter(found)) if len(found) == 1 else ""
        version = next((each for each in (program.name, wanted, only) if each in found), None)
        if version is not None:
            return version, found[version], base
    raise Untold(f"where {python} has its library, its files don't tell")


def _sites(version: str, prefix: Path) -> list[Path]:
    return [prefix / name / version / "site-packages" for name in _LIBRARIES]


def _libraries(layout: _Layout) -> Iterator[Path]:
    """Yield what a Python may be besides its program and its standard library."""
    folder, name = layout.stdlib.parent, layout.version
    yield folder / f"{name.replace('.', '')}.zip"
    yield from (folder / f"lib{name}{end}" for end in (".so", ".so.1.0"))


def _conda(prefix: Path) -> list[Path]:
    """Return the files that tell of conda's packages, by names with their versions and builds."""
    return sorted((prefix / "conda-meta").glob("*.json"))


def _of(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns]


def _state(path: str) -> list[int] | None:
    try:
        return _of(os.stat(path))
    except FileNotFoundError:
        return None


class _Site:
    """A directory of installed packages."""

    def __init__(self, path: str, layout: _Layout) -> None:
        self.path = path
        self.editable: list[Path] = []  # where the packages lie that are installed so
        self._layout = layout
        self._is_system = Path(path) in layout.of_system
        self._names = sorted(os.listdir(path))
        self._owned: set[str] = set(_OF_VENV)  # names that a package says it brings
        self._modules: set[str] = set()  # the same, without suffixes
        if len(self._names) > _MOST_ENTRIES:
            raise Untold(f"{path} holds more than {_MOST_ENTRIES} files")
        self._pths = {name: self._text(name, _LARGEST_PTH) for name in self._names if name.endswith(".pth")}

    def led(self) -> Iterator[Path]:
        """Yield the directories elsewhere that it leads to."""
        for text in self._pths.values():
            for line in map(str.strip, text.lstrip("\ufeff").splitlines()):
                if line and not line.startswith(("#", *_CODE)):
                    yield from self._elsewhere(line)
        for name in self._names:
            if name.endswith(".egg-link"):
                yield from self._elsewhere(self._text(name).partition("\n")[0])

    def facts(self) -> Any:
        """Return what tells what is in it from anything else."""
        packages: dict[str, Any] = {name: self._package(name) for name in self._names if name.endswith(_OF_PACKAGE)}
        if self._is_system:
            if (state := _state(str(_DPKG))) is None:
                raise Untold(f"no package manager that is known tells what is in {self.path}")
            packages["dpkg"] = [state, [[name, _state(f"{self.path}/{name}")] for name in self._names]]
        else:
            self._refuse_loose()
        return [packages, self._pths]

    def _package(self, name: str) -> Any:
        """Return what is known of a package, and note what it brings."""
        path = f"{self.path}/{name}"
        if not os.path.isdir(path):
            self._modules.add(name.partition("-")[0])
            return _state(path)
        present = set(os.listdir(path))
        if "RECORD" in present:
            self._owned.update(_tops(self._read(f"{name}/RECORD")))
        else:
            self._modules.update(self._text(f"{name}/top_level.txt").split() if "top_level.txt" in present else ())
            if "installed-files.txt" in present:
                files = self._read(f"{name}/installed-files.txt").splitlines()
                self._owned.update(_tops(b"\n".join(each[3:] for each in files if each.startswith(b"../"))))
        if "direct_url.json" in present:
            try:
                direct = typed.loads(self._read(f"{name}/direct_url.json"))
                if direct.get("dir_info", {}).get("editable"):
                    self.editable += self._elsewhere(unquote(str(direct["url"]).removeprefix("file://")))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Untold(f"{path}/direct_url.json makes no sense") from error
        return [[each, _state(f"{path}/{each}")] for each in _TOLD_BY if each in present]

    def _refuse_loose(self) -> None:
        """Raise Untold if there are modules, or code to run at the start, which no package says that it brings."""
        loose = [name for name in self._names if not self._is_owned(name) and self._is_module(name)]
        if loose and any(map(_conda, self._layout.prefixes)):
            self._owned.update(self._of_conda())
            loose = [name for name in loose if not self._is_owned(name)]
        if loose:
            verb = "is" if len(loose) == 1 else "are"
            raise Untold(f"{listed(loose, _SHOWN)} in {self.path} {verb} of no installed package")

    def _is_owned(self, name: str) -> bool:
        return name in self._owned or name.partition(".")[0] in self._modules

    def _is_module(self, name: str) -> bool:
        if name in self._pths:
            return any(line.lstrip("\ufeff").startswith(_CODE) for line in self._pths[name].splitlines())
        path = f"{self.path}/{name}"
        if os.path.isdir(path):
            is_name = name.replace("-", "_").isidentifier() and name != "__pycache__"
            return is_name and any(each != "__pycache__" for each in os.listdir(path))  # removed packages leave that
        return name.endswith(_MODULES)

    def _of_conda(self) -> Iterator[str]:
        """Yield what conda's packages bring to this directory."""
        for prefix in self._layout.prefixes:
            inside = f"{os.path.relpath(self.path, os.path.realpath(prefix))}/"
            for each in _conda(prefix):
                try:
                    files = typed.loads(read_regular(os.path.realpath(each), _LARGEST_LIST)).get("files") or []
                    yield from (file[len(inside) :].partition("/")[0] for file in files if file.startswith(inside))
                except (ValueError, TypeError, AttributeError) as error:
                    raise Untold(f"{each} makes no sense") from error

    def _elsewhere(self, line: str) -> Iterator[Path]:
        """Yield the directory that a line names, if it is none of those that are known."""
        path = Path(os.path.realpath(os.path.join(self.path, line.strip())))
        if not path.exists() or path in (*self._layout.sites, *self._layout.of_system):
            return
        if any(path.is_relative_to(os.path.realpath(each)) for each in self._layout.prefixes):
            raise Untold(f"it imports from {path}, and whether that has changed can't be known")
        yield path

    def _read(self, name: str, limit: int = _LARGEST_LIST) -> bytes:
        path = f"{self.path}/{name}"
        return read_regular(os.path.realpath(path) if os.path.islink(path) else path, limit)

    def _text(self, name: str, limit: int = _LARGEST_LIST) -> str:
        return self._read(name, limit).decode("utf-8", "surrogateescape")


def _tops(files: bytes) -> set[str]:
    """Return the first parts of the paths in a list of a package's files."""
    return {each.decode("utf-8", "surrogateescape") for each in set(_TOP.findall(files))}
