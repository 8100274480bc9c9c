"""Makes the environments of kept runs as they were, and tells what of them isn't."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import plain_package, remote_problem
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError
from experimentstash.base.text import listed
from experimentstash.freeze.environment import declarations, recipes, store, uv_errors
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.publish import packages
from experimentstash.publish.frozen import FrozenRun, Python

_NAMED = 5
# What uv says of packages that it hasn't itself.
_FROM_INDEX = regex(r"(?m)^Would download ")
# The index that is asked where nobody says which.
_USUAL = "https://pypi.org/simple"
# Kinds of environments that nobody makes.
_OF_OTHERS = ("none", "interpreter")
_NOT_COMPARED = (
    "of what {} has installed only Python's packages are compared; the rest stands in each run's packages.txt"
)


class Environments:
    """Makes environments as they were, and says what of them isn't."""

    def __init__(self, kept: FrozenRun, announce: Callable[[str], None]) -> None:
        self._kept = kept
        self._announce = announce
        self.notes: list[str] = []

    def make(self, recipe: Recipe) -> None:
        """Make what a recipe stands for with the packages that the run had; StashError if it has others."""
        python = self._kept.python
        if python is None:
            return
        if recipe.directory is not None and not store.is_ready(recipe):
            with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
                constraints = None
                if recipe.lock_path is None and python.packages is not None:
                    constraints = Path(scratch, "constraints.txt")
                    constraints.write_text(packages.constraints(python.packages))
                store.make(recipe, announce=self._announce, constraints=constraints, python=python.version)
        interpreter = store.interpreter(recipe)
        if not recipe.way.is_uvs:
            self.notes.append(_NOT_COMPARED.format(recipe.kind.value))
        if interpreter is None:
            return
        if python.packages is None:
            self.notes.append("which packages it had isn't known")
            return
        made = store.contents(recipe)
        if made is not None and made.is_changed:
            raise StashError(
                f"The environment of {recipe.name!r} was changed after it was made: {recipe.directory}",
                f"remove it, and it is made anew: rm -r {recipe.directory}",
            )
        told = packages.look(interpreter)
        if told.version != python.version:
            raise StashError(f"Its Python was {python.version}, and is {told.version}.")
        versions, builds = packages.differences(python.packages, told.packages)
        has_its_lock = recipe.lock_path is not None and recipe.lock == f"sha256:{python.lock_sha256}"
        if versions and not has_its_lock:
            raise StashError(f"It had other packages: {listed(versions, _NAMED)}")
        if versions:  # a lock says for each platform what belongs there
            self.notes.append(f"by the same lock file, other packages: {listed(versions, _NAMED)}")
        if unknown := packages.unknown(told.packages):
            self.notes.append(unknown)
        if builds:
            self.notes.append(f"other builds of the same packages: {listed(builds, _NAMED)}")


def why_no_python(kept: FrozenRun, theirs: Path | None) -> list[str]:
    """Return what is missing of the Python that a run had, as far as that is seen without making it.

    ``theirs`` is the interpreter, if somebody else has made its environment.
    """
    python = kept.python
    if python is None or python.kind == _OF_OTHERS[0]:
        return []
    if theirs is not None:
        return _why_others(python, theirs)
    found = []
    if python.lock is None and python.packages is None:
        found.append("neither a lock file nor a list of packages says what was in its environment")
    if not _is_uvs(python):
        return found
    if python.version is not None and not store.is_python_there(python.version):
        found.append(f"Python {python.version} isn't here, and uv doesn't find it")
    return found


def why_no_maker(kept: FrozenRun) -> list[str]:
    """Return what isn't here that makes a run's environment, if it isn't made yet."""
    python = kept.python
    way = None if python is None else recipes.kind_named(python.kind)
    if python is None or way is None:
        return []
    lack = way.lack(None if python.lock_name is None else Path(python.lock_name))
    return [] if lack is None else [f"if its environment isn't here any more, {lack}"]


@functools.cache  # many runs have the same
def why_no_packages(requirements: str, python: str) -> tuple[str | None, bool]:
    """Return why uv couldn't install packages now, and whether that is because it reaches no index; None: it could.

    It is asked for what it has itself first, so that all is well without a network where nothing is needed from one.
    """
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        file = Path(scratch, "requirements.txt")
        file.write_text(requirements)
        try:
            told = store.would_install(file, python, offline=True)
            if told.returncode == 0 and not _FROM_INDEX.search(told.stderr):
                return None, False
            told = store.would_install(file, python, offline=False)
        except CommandError as error:
            return str(error).splitlines()[0], True
    if told.returncode == 0:
        return None, False
    causes = [line.strip().removeprefix("cause:").strip() for line in told.stderr.splitlines()]
    lines = [line for line in causes if line and not line.startswith(("Using ", "hint:"))]
    said = next((line for line in lines if line.startswith("Because ")), lines[0] if lines else "it says nothing")
    return said.partition(", we can conclude")[0], uv_errors.is_elsewhere(told.stderr)


@dataclass(frozen=True)
class FromIndex:
    """The packages of a run that come from an index, as requirements; and the names of those that don't."""

    requirements: str
    elsewhere: list[str]
    is_told: bool  # a lock file says where each comes from; else all may


def from_index(kept: FrozenRun, place: Path) -> FromIndex:
    """Return which packages of a run come from an index."""
    python = kept.python
    if python is None or python.packages is None or python.kind in _OF_OTHERS or not _is_uvs(python):
        return FromIndex("", [], is_told=True)
    sources = _sources(place / kept.folder / python.lock) if python.lock is not None else {}
    pinned, elsewhere = [], []
    indexes: dict[str, None] = {}
    for each in python.packages:
        source = sources.get(plain_package(each.name), {"registry": _USUAL})
        if each.sha256 is not None and "registry" in source:
            pinned.append(each)
            indexes[str(source["registry"])] = None
        elif "git" in source or "url" in source:
            elsewhere.append(each.name)
    lines = [f"--extra-index-url {each}\n" for each in indexes if each != _USUAL and remote_problem(each) is None]
    return FromIndex("".join(lines) + packages.constraints(pinned), elsewhere, is_told=bool(sources))


def _sources(lock: Path) -> dict[str, Any]:
    """Return where each package of a lock file of uv's comes from; nothing of another one."""
    try:
        found = declarations.toml_in(files.read_regular(lock).decode()).get("package", [])
        return {plain_package(each["name"]): each["source"] for each in found}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_uvs(python: Python) -> bool:
    way = recipes.kind_named(python.kind)
    return way is None or way.is_uvs


def _why_others(python: Python, theirs: Path) -> list[str]:
    """Return what an interpreter that somebody else keeps has other than a run had."""
    if not theirs.exists():
        return [f"its Python, {theirs}, isn't here"]
    if python.packages is None:  # what it had isn't known: the run's report will say so
        return []
    try:
        told = packages.look(theirs)
    except StashError as error:
        return [error.message]
    found = [f"its Python was {python.version}, and is {told.version}"] if told.version != python.version else []
    versions, _ = packages.differences(python.packages, told.packages)
    return [*found, f"it had other packages: {listed(versions, _NAMED)}"] if versions else found
