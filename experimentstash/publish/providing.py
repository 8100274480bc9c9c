"""Brings here what a kept run is made of: its commit, from a bundle or a remote, and its environment."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.checkouts import PINS
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.names import remote_problem
from experimentstash.base.process import CommandError
from experimentstash.base.text import listed
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.publish import frozen, packages
from experimentstash.publish.frozen import Code, FrozenRun, Python
from experimentstash.publish.origins import REFERENCE
from experimentstash.publish.places import unmarked
from experimentstash.stash.layout import Stash

_NAMED = 5
# Seconds that a remote gets to answer.
_PATIENCE = 20.0
# … and to give one commit.
_LONG = 120.0
_LOCAL = {"protocol.file.allow": "always"}  # of a bundle, and of nothing else


def secure_code(stash: Stash, kept: FrozenRun, place: Path, announce: Callable[[str], None]) -> None:
    """Have the commits of a kept run in the repositories that are here; StashError if one can't be had."""
    _secure(stash, kept.stash, stash.root, place, announce)
    if kept.code.path is None:
        raise StashError(f"Nothing says where the tool {kept.tool!r} belongs.")
    _secure(stash, kept.code, stash.root / kept.code.path, place, announce)


def why_no_code(stash: Stash, kept: FrozenRun, place: Path) -> list[str]:
    """Return what is missing of a kept run's code and isn't in a bundle; what a remote has to give counts as there."""
    found = []
    for what, code in (("stash", kept.stash), (f"tool {kept.tool}", kept.code)):
        where = stash.root if code.path is None else stash.root / code.path
        if is_here(stash, code, where):
            continue
        if not code.is_own and (why := _why_no_submodule(stash, where, _repository(stash, code, where))):
            found.append(why)
            continue
        if code.bundle is not None and (place / code.bundle).is_file():
            continue
        if code.url is None:
            found.append(f"commit {str(code.commit)[:12]} of the {what} is neither here nor in a bundle")
        elif why := _why_not_given(code.url, str(code.commit)):
            found.append(f"commit {str(code.commit)[:12]} of the {what} isn't here, and {why}")
    return found


def _why_not_given(url: str, commit: str) -> str | None:
    """Return why a remote doesn't give a commit; that it answers says nothing, for it may have dropped that."""
    if (problem := remote_problem(url)) is not None:
        return f"{url} is no remote: {problem}"
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        git(Path(scratch), "init", "--quiet", "--bare")
        told = git(Path(scratch), "ls-remote", "--quiet", "--", url, check=False, patience=_PATIENCE)
        if told.code:
            return f"{url} doesn't answer"
        if any(line.startswith(f"{commit}\t") for line in told.out.splitlines()):
            return None
        # Of a server that can do so, without its files.
        words = ["fetch", "--quiet", "--no-tags", "--depth=1", "--filter=tree:0", "--", url, commit]
        given = git(Path(scratch), *words, check=False, patience=_LONG)
    if given.code == 0:
        return None
    return f"{url} doesn't give it{f': {given.error.strip().splitlines()[-1]}' if given.error.strip() else ''}"


def is_here(stash: Stash, code: Code, where: Path) -> bool:
    """Tell whether the repository at a place has a commit."""
    root = _repository(stash, code, where)
    return root is not None and objects.object_at(root, f"{code.commit}^{{commit}}") is not None


def _repository(stash: Stash, code: Code, where: Path) -> Path | None:
    """Return the repository that code belongs to; None: it isn't here."""
    if code.is_own:
        return toplevel(stash.root)
    root = toplevel(where) if where.is_dir() else None
    return None if root is None or root == toplevel(stash.root) else root


def _secure(stash: Stash, code: Code, where: Path, place: Path, announce: Callable[[str], None]) -> None:
    if is_here(stash, code, where):
        return
    root, commit = _repository(stash, code, where), str(code.commit)
    if not where.resolve().is_relative_to(stash.root.resolve()):  # nothing is written there
        raise StashError(
            f"{where}, where the tool's code belongs, is outside of the stash, and has no commit {commit[:12]}.",
            "clone it there yourself, and fetch that commit",
        )
    if why := _why_no_submodule(stash, where, root):  # another commit there would be a change of the stash
        raise StashError(why)
    source = str(place / code.bundle) if code.bundle is not None else code.url
    if source is None or (code.bundle is None and remote_problem(source) is not None):
        raise StashError(f"Commit {commit[:12]} is neither here nor in a bundle, and no remote is known that has it.")
    announce(f"Fetching commit {commit[:12]} from {stash.relative(source) if code.bundle else source} …")
    reference = REFERENCE if code.bundle is not None else commit
    settings = _LOCAL if code.bundle is not None else None
    with contextlib.nullcontext(root) if root is not None else _new_checkout(where) as repository:
        try:
            words = ["--quiet", "--no-tags", source, f"{reference}:{PINS}/{commit}"]
            git(repository, "fetch", *words, settings=settings)
            if objects.object_at(repository, f"{commit}^{{commit}}") is None:
                raise StashError(f"{source} doesn't hold commit {commit[:12]}.")
            if objects.object_at(repository, "HEAD^{commit}") is None:
                git(repository, "checkout", "--quiet", "--detach", commit, "--")
        except CommandError as error:
            raise StashError(f"Commit {commit[:12]} can't be fetched from {source}: {error}") from error


def _why_no_submodule(stash: Stash, where: Path, root: Path | None) -> str | None:
    """Return why nothing is brought to a place: it is a submodule's that isn't checked out; None: it isn't."""
    top = toplevel(stash.root)
    if root is not None or top is None or not where.is_relative_to(top) or where == top:
        return None
    path = where.relative_to(top).as_posix()
    if objects.object_at(top, "HEAD^{commit}") is None or path not in objects.links_in(top, "HEAD", path):
        return None
    return f"the submodule {path} isn't checked out: git submodule update --init {path}"


@contextlib.contextmanager
def _new_checkout(where: Path) -> Iterator[Path]:
    """Have an empty repository where a tool's checkout belongs, for as long as nothing goes wrong with it.

    StashError if something else is there.
    """
    was_there = where.is_dir()
    if was_there and any(where.iterdir()):
        raise StashError(f"{where} is no git checkout, and not empty: the tool's code belongs there.")
    where.mkdir(parents=True, exist_ok=True)
    try:
        git(where, "init", "--quiet")
        yield where
    except BaseException:
        if [each.name for each in where.iterdir()] == [".git"]:
            files.remove(where / ".git")
            if not was_there:
                where.rmdir()
        raise


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
        if recipe.directory is not None and not environments.is_ready(recipe):
            with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
                constraints = None
                if recipe.lock_path is None and python.packages is not None:
                    constraints = Path(scratch, "constraints.txt")
                    constraints.write_text(packages.constraints(python.packages))
                environments.make(recipe, announce=self._announce, constraints=constraints, python=python.version)
        interpreter = environments.interpreter(recipe)
        if interpreter is None:
            return
        if python.packages is None:
            self.notes.append("which packages it had isn't known")
            return
        made = environments.contents(recipe)
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
    if python.version is not None and not environments.is_python_there(python.version):
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


def restored(stash: Stash, kept: FrozenRun, names: Iterable[str], place: Path, scratch: Path) -> None:
    """Write what is kept of a run, by these names in ``place``, into ``scratch``, with the places of here."""
    patches = {each.patch for each in (kept.code, kept.stash) if each.patch is not None}
    for path in names:
        name = path.removeprefix(f"{kept.folder}/")
        if name == path or name.startswith(f"{frozen.OUTPUTS}/") or name == frozen.RECORD or not frozen.is_inside(name):
            continue
        text = files.read_regular(files.inside(place, place / path)).decode("utf-8", "surrogateescape")
        files.make_directory((scratch / name).parent)
        said = text if name in patches else unmarked(text, stash, scratch)
        files.write(scratch / name, said.encode("utf-8", "surrogateescape"))
