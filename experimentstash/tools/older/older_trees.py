"""The second layout of older stashes: `configs/<tool>/` is a Hydra tool's whole configuration, experiments included.

It was handed over with `--config-path configs/<tool> --config-name experiment/NAME`, and so it is again: the files are
copied as they are, and each experiment gets an organizer.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git import gitconfig
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.names import remote_problem

_EXPERIMENTS = "experiment"
_CONFIGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Tree:
    """The configuration of one tool in an older stash."""

    tool: str
    place: Path

    @property
    def path(self) -> str:
        """Where it lies in a stash."""
        return f"configs/{self.tool}"

    def files(self) -> Iterator[Path]:
        """Yield its files but for hidden ones, those of Python's, and whatever is a link."""
        for folder, folders, names in os.walk(self.place):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
            for name in sorted(names):
                path = Path(folder, name)
                if not name.startswith(".") and not name.endswith((".py", ".pyc")) and not path.is_symlink():
                    yield path

    def experiments(self) -> Iterator[tuple[str, Path]]:
        """Yield the name of each experiment, as Hydra knows it, and its file."""
        for path in self.files():
            inner = path.relative_to(self.place)
            if inner.parts[0] == _EXPERIMENTS and len(inner.parts) > 1 and path.suffix in _CONFIGS:
                yield inner.with_suffix("").as_posix(), path


def find(configs: Path, tool: str) -> Tree | None:
    """Return the configuration of a tool in an older stash; None if that has another layout."""
    place = configs / tool
    is_one = not place.is_symlink() and (place / _EXPERIMENTS).is_dir()
    return Tree(tool, place) if is_one else None


@dataclass(frozen=True)
class Submodule:
    """Where the code of a tool comes from."""

    path: str
    url: str
    commit: str | None

    @property
    def problem(self) -> str | None:
        """Why it should not be cloned from there."""
        return remote_problem(self.url)

    @property
    def command(self) -> str:
        words = ["git", "submodule", "add", self.url, self.path]
        there = ["git", "-C", self.path, "checkout", "--quiet", self.commit or ""]
        return shlex.join(words) + (f" && {shlex.join(there)}" if self.commit else "")


def submodules(root: Path) -> list[Submodule]:
    """Return what .gitmodules of an older stash says, with the commits that its index has."""
    if not (root / ".gitmodules").is_file():
        return []
    commits = gitlinks(root) if (root / ".git").exists() else {}
    return [Submodule(path, url, commits.get(path)) for path, url in gitconfig.declared_submodules(root).items()]
