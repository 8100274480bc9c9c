"""The repository that a stash is in, and has its tools as submodules of."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError


@dataclass(frozen=True)
class Superproject:
    """The repository that a stash is in; the stash may be a subdirectory of it."""

    root: Path
    git_directory: Path
    prefix: str  # of the stash below the root: "" or "papers/first/"

    @property
    def gitmodules(self) -> Path:
        return self.root / ".gitmodules"

    def path(self, tool: str) -> str:
        """Return the path of a tool's submodule, which is its name as well."""
        return f"{self.prefix}tools/{tool}"

    def module(self, name: str) -> Path:
        """Return where git keeps the repository of a submodule."""
        return self.git_directory / "modules" / name


def superproject(stash_root: Path) -> Superproject:
    """Return the repository that a stash is in. StashError if there is none."""
    root = toplevel(stash_root)
    if root is None:
        raise StashError(
            f"The stash {stash_root} is not a git repository, and a tool is a git submodule.", f"git init {stash_root}"
        )
    place = git(root, "rev-parse", "--absolute-git-dir").text
    prefix = os.path.relpath(stash_root, root)
    return Superproject(root, Path(place), "" if prefix == "." else f"{prefix}/")


def is_used_elsewhere(project: Superproject, name: str) -> bool:
    """Tell whether another worktree of the stash's repository has a submodule checked out: both share its settings."""
    own = project.git_directory
    common = own.parent.parent if (own / "commondir").exists() else own
    return any((each / "modules" / name).is_dir() for each in (common, *common.glob("worktrees/*")) if each != own)
