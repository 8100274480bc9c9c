"""What a kind of environment is: what it is made from, what that depends on, and how it is made.

Each kind is a file beside this one, a line in `recipes.KINDS`, and its name in `EnvironmentKind`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex
from experimentstash.freeze.environment import requirements_files
from experimentstash.freeze.environment.declarations import PROJECT_FILES, read
from experimentstash.stash.schema import EnvironmentKind, ToolConfig


class Uv(Protocol):
    """uv, and the other programs that make environments; what fails is raised with their own words."""

    is_offline: bool
    announce: Callable[[str], None]

    def __call__(self, *words: str, **environment: str) -> str:
        """Run uv with words, and variables by name, where the recipe's project is; return its stdout."""

    def other(self, program: str, *words: str, **environment: str) -> str:
        """Run another program likewise."""


_REQUIREMENTS_NAME = regex(rb"[\w./-]*requirements[\w./-]*\.(?:txt|in)")


class Inputs:
    """The files that an environment depends on, with a hash of what matters in each."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}

    def add(self, path: Path) -> bytes | None:
        """Take in a file as a whole and return its content; None if it isn't there, or is known."""
        content = None if str(path) in self.hashes else read(path)
        if content is not None:
            self.note(path, content)
        return content

    def note(self, path: Path, content: bytes) -> None:
        self.hashes[str(path)] = hashlib.sha256(content).hexdigest()

    def add_requirements(self, path: Path) -> None:
        """Take in a requirements file and those that it includes."""
        for each in requirements_files.included(path, self.add(path) or b""):
            self.add_requirements(each)

    def add_project(self, project: Path, requirements: Sequence[Path]) -> bytes:
        """Take in what may describe a project, and the requirements beside it; return what describes it."""
        for each in requirements:
            self.add_requirements(each)
        return b"\n".join(self.add(project / item) or b"" for item in PROJECT_FILES)


class Kind:
    """A kind of environment, with what is usual; ``file`` is what it is made from."""

    name: EnvironmentKind
    setting: str | None = "file"  # of `environment`, that names what it is made from; None: it is made from nothing
    is_made = True  # by us; else there is none, or it is somebody else's
    takes_dependencies = True
    takes_extras = False  # and groups
    takes_requirements = False  # besides
    takes_python_version = True  # else its file says which Python there is, or that there is none
    is_uvs = True  # it is a virtual environment, with all that it holds installed by uv
    remark = ""  # what its name leaves open

    def means(self, file_name: str) -> bool:
        """Tell whether who names such a file, and no kind, means this one."""
        return False

    def usual(self, directory: Path, entry_script: Path | None) -> Path | None:
        """Return what it is made from where nothing else is said."""
        return None

    def problem(self, file: Path) -> str | None:
        """Return why it can't be made from a file that is there."""
        return None

    def project(self, directory: Path, file: Path | None) -> Path:
        """Return where uv is started."""
        return directory

    def lack(self, file: Path | None) -> str | None:
        """Return what is missing on this machine to make it, and how to get it."""
        return None

    def lock(self, file: Path | None) -> Path | None:
        """Return where a lock file of it would be."""
        return None

    def pin(self, file: Path | None) -> Path | None:
        """Return what pins it where there is no lock file."""
        return None

    def has_local_code(self, project: Path, file: Path | None) -> bool:
        """Tell whether something from the tool's directory, or found by its place, is installed; in doubt it is."""
        return False

    def look(
        self, inputs: Inputs, project: Path, file: Path | None, requirements: Sequence[Path], lock: Path | None
    ) -> None:
        """Take in what it depends on."""
        described = inputs.add_project(project, requirements)
        if lock is None:  # setuptools may read the dependencies from files
            for mentioned in _REQUIREMENTS_NAME.findall(described):
                inputs.add_requirements(project / os.fsdecode(mentioned))

    def command_to_lock(self, recipe: Recipe) -> list[str]:
        """Return the command that brings its lock file up to date."""
        return ["uv", "lock", "--directory", str(recipe.project)]

    def prefix(self, directory: Path) -> Path:
        """Return where in what we make its `bin` is."""
        return directory

    def is_whole(self, prefix: Path) -> bool:
        """Tell whether what was made is still there."""
        return (prefix / "bin" / "python").exists()

    def variables(self, prefix: Path) -> Mapping[str, str]:
        """Return what tells programs, besides PATH, that they are in it."""
        return {}

    def packages(self, prefix: Path) -> list[str] | None:
        """Return what was installed in it; None: uv knows."""
        return None

    def pins(self, prefix: Path) -> list[str]:
        """Return what no further package may change, as constraints; nothing if uv knows that."""
        return []

    def python(self, prefix: Path) -> str | None:
        """Return the version of its Python; None: it has none, or a virtual environment says it."""
        return None

    def make(self, recipe: Recipe, directory: Path, uv: Uv) -> tuple[list[str], list[str]]:
        """Make it; return what is still to be installed: words for `uv pip install`, and packages."""
        # Without a pyproject.toml of its own a tool isn't part of the project (the stash, say) that it lies in.
        alone = [] if (recipe.project / "pyproject.toml").exists() else ["--no-project"]
        uv("venv", "--quiet", *alone, *python_wanted(recipe), str(directory))
        return [], []


def python_wanted(recipe: Recipe) -> list[str]:
    """Return the words that tell uv which Python to take."""
    return ["--python", recipe.tool.python_version] if recipe.tool.python_version else []


@dataclass(frozen=True)
class Recipe:
    """What a tool's environment is made from."""

    name: str  # the tool's
    tool: ToolConfig
    way: Kind  # never auto
    key: str
    base: Path  # the tool's directory
    project: Path  # where uv is started: the tool's directory, or the one of its project file or script
    file: Path | None  # what it is made from, besides the dependencies; interpreter: that
    requirements: tuple[Path, ...]  # further files whose requirements are installed with that
    directory: Path | None  # where the environment is or will be; None for interpreter and none
    lock_path: Path | None  # uv.lock, or the script's lock file
    lock_file: str | None  # the file that pins it, relative to the tool's directory, and "sha256:…" of its content
    lock: str | None
    brought: tuple[str, ...] = ()  # installed besides, by us, as far as it lacks them; nothing else is changed for that

    @property
    def kind(self) -> EnvironmentKind:
        return self.way.name

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else has made it, and it is used as it is."""
        return self.directory is None and self.file is not None

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
        path = None if self.is_foreign else self.lock_path or self.file
        names = [os.path.relpath(each, self.base) for each in (path, *self.requirements) if each is not None]
        names += ["dependencies"] if self.tool.dependencies and names else []
        kind, said = str(self.kind.value), self.way.remark or " + ".join(names)
        return f"{kind} ({said})" if said else kind


def _from_here(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
