"""Where a tool lies: its directory, and the checkout that holds it, which may hold other tools too."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.adapters.git import gitconfig
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_text
from experimentstash.base.patterns import regex
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import Unresolved
from experimentstash.tools import registrations

_PATH = regex(r"(?m)^path[ \t]*:[ \t]*['\"]?([^'\"#\n]+?)['\"]?[ \t]*(?:#.*)?$")


@dataclass(frozen=True)
class Place:
    """The directory of a tool, and the smallest thing that a tool command can take away or move as a whole."""

    tool: str
    directory: Path
    checkout: Path  # the submodule, or another repository below the stash; else the directory itself
    is_submodule: bool
    module: str  # the submodule's name, which its repository is kept by; its path if none is declared
    others: tuple[str, ...]  # tools that lie in the same checkout
    is_installed: bool = False  # it lies nowhere here: it is a package of an interpreter

    @property
    def inner(self) -> str:
        """The tool's directory in its checkout; "": the checkout itself."""
        return "" if self.directory == self.checkout else self.directory.relative_to(self.checkout).as_posix()

    def path(self, project: Superproject) -> str:
        """Return the path of the checkout in the stash's repository."""
        return self.checkout.relative_to(project.root).as_posix()


def find(stash: Stash, project: Superproject, name: str) -> Place:
    """Return where a tool lies; StashError if that isn't certain, or not below tools/."""
    tool = registrations.read(stash, name)
    where = stash.registration(name).relative_to(stash.root)
    if isinstance(tool.path, Unresolved):
        raise StashError(f"{where}: path: {tool.path} stands for something only in a run.", f"write it out in {where}")
    if not tool.path:
        nominal = stash.root / paths.TOOLS / name
        return Place(name, nominal, nominal, False, nominal.relative_to(project.root).as_posix(), (), is_installed=True)
    directory = Path(os.path.normpath(stash.root / tool.path))
    if not directory.is_relative_to(stash.root / paths.TOOLS) or directory == stash.root / paths.TOOLS:
        raise StashError(f"{where}: path: {tool.path!r} is not below tools/.", f"fix `path:` in {where}")
    names = {settings.get("path", each): each for each, settings in gitconfig.sections(project).items()}
    known = [*gitlinks(project.root), *names]
    checkout = next((project.root / each for each in known if directory.is_relative_to(project.root / each)), None)
    is_submodule = checkout is not None
    if checkout is None:
        repository = toplevel(directory)
        is_own = repository is not None and repository != stash.root and repository.is_relative_to(stash.root)
        checkout = repository if is_own else directory
    assert checkout is not None
    inside = checkout.is_relative_to(stash.root / paths.TOOLS) and checkout != stash.root / paths.TOOLS
    root = stash.root.resolve()
    is_certain = inside and checkout.parent.resolve() == root / checkout.parent.relative_to(stash.root)
    is_certain = is_certain and not (checkout.is_symlink() and (checkout / ".git").exists())
    if not is_certain or not directory.resolve().is_relative_to(checkout.resolve()):
        raise StashError(f"{where}: path: {tool.path!r} is not below tools/, or a link leads there.", f"fix {where}")
    path = checkout.relative_to(project.root).as_posix()
    others = tuple(each for each in inhabitants(stash, checkout) if each != name)
    return Place(name, directory, checkout, is_submodule, names.get(path, path), others)


def inhabitants(stash: Stash, directory: Path) -> list[str]:
    """Return the tools that lie in a directory, or are it, by whatever links."""
    return [name for name, place in directories(stash).items() if lies_in(place, directory)]


def lies_in(place: Path, directory: Path) -> bool:
    """Tell whether a tool lies in a directory, by whatever links."""
    try:
        return place.is_relative_to(directory) or place.resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError):  # a link that leads round
        return False


def directories(stash: Stash) -> dict[str, Path]:
    """Return where each tool lies, as far as its registration can be read."""
    found = {name: _directory_of(stash, name) for name in stash.tools()}
    return {name: Path(directory) for name, directory in found.items() if directory is not None}


def _directory_of(stash: Stash, name: str) -> str | None:
    """Return where a tool lies, also if its registration can't be understood; None if it lies nowhere here."""
    try:
        path = registrations.read(stash, name).path
        if not path:
            return None
    except StashError:
        try:
            text = read_text(stash.registration(name), errors="replace")
        except OSError:
            text = ""
        found = _PATH.search(text)
        path = found[1] if found else f"{paths.TOOLS}/{name}"
    return os.path.normpath(stash.root / path)
