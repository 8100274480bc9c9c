"""Makes the environments of kept runs as they were, and tells what of them isn't."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.text import listed
from experimentstash.freeze.environment import store
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.publish import packages
from experimentstash.publish.frozen import FrozenRun, Python

_NAMED = 5


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
    if python is None or python.kind == "none":
        return []
    if theirs is not None:
        return _why_others(python, theirs)
    found = []
    if python.lock is None and python.packages is None:
        found.append("neither a lock file nor a list of packages says what was in its environment")
    if python.version is not None and not store.is_python_there(python.version):
        found.append(f"Python {python.version} isn't here, and uv doesn't find it")
    return found


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
