"""Brings here the commits of kept runs, from bundles or remotes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.checkouts import PINS
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.names import remote_problem
from experimentstash.base.process import CommandError
from experimentstash.code.frozen_names import bundle_of
from experimentstash.publish.frozen import Code, FrozenRun
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

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
    _secure(stash, kept.code, _place_of(stash, kept, kept.code), place, announce)
    for code in kept.submodules:
        _secure_submodule(stash, code, stash.root / str(code.path), place, announce)


def why_no_code(stash: Stash, kept: FrozenRun, place: Path) -> list[str]:
    """Return what is missing of a kept run's code and isn't in a bundle; what a remote has to give counts as there."""
    found = []
    for what, code in (("stash", kept.stash), (f"tool {kept.tool}", kept.code)):
        where = _place_of(stash, kept, code)
        if is_here(stash, code, where):
            continue
        if not code.is_own and (why := _why_no_submodule(stash, where, _repository(stash, code, where))):
            found.append(why)
            continue
        found += _why_not_had(code, what, place)
    for code in kept.submodules:
        root = _submodule(stash.root / str(code.path))
        if root is None or not objects.has_commit(root, code.commit):
            found += _why_not_had(code, f"submodule {code.path}", place)
    return found


def _why_not_had(code: Code, what: str, place: Path) -> list[str]:
    """Return why a commit that isn't here couldn't be brought here."""
    if bundle_of(place, str(code.commit), code.bundle) is not None:
        return []
    if code.url is None:
        return [f"commit {str(code.commit)[:12]} of the {what} is neither here nor in a bundle"]
    why = _why_not_given(code.url, str(code.commit))
    return [] if why is None else [f"commit {str(code.commit)[:12]} of the {what} isn't here, and {why}"]


def _place_of(stash: Stash, kept: FrozenRun, code: Code) -> Path:
    """Return where the checkout is, or would be, that code belongs to: a tool may be a directory of a submodule."""
    where, top = stash.root if code.path is None else stash.root / code.path, toplevel(stash.root)
    if code.is_own or top is None or not objects.has_commit(top, kept.stash.commit):
        return where
    links = (top / each for each in objects.links_in(top, str(kept.stash.commit)))
    return next((each for each in links if where.is_relative_to(each)), where)


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
    return root is not None and objects.has_commit(root, code.commit)


def _repository(stash: Stash, code: Code, where: Path) -> Path | None:
    """Return the repository that code belongs to; None: it isn't here."""
    if code.is_own:
        return _own_repository(stash)
    root = toplevel(where) if where.is_dir() else None
    return None if root is None or root == toplevel(stash.root) else root


def _own_repository(stash: Stash) -> Path | None:
    """Return the repository of the stash; None if it is an archive that was unpacked, in whatever repository."""
    root = toplevel(stash.root)
    return None if root != stash.root and _is_unpacked(stash) else root


def _is_unpacked(stash: Stash) -> bool:
    """Tell whether a stash is what an export has made, which has no repository of its own yet."""
    return (stash.root / paths.CRATE).is_file() and not os.path.lexists(stash.root / ".git")


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
    is_unpacked = root is None and where == stash.root and _is_unpacked(stash)
    new = _new_repository if is_unpacked else _new_checkout
    with contextlib.nullcontext(root) if root is not None else new(where) as repository:
        _fetch(stash, repository, code, place, announce)
        # Where the stash is nothing is checked out: somebody may have made a repository of what was unpacked.
        is_own = is_unpacked or repository == _own_repository(stash)
        if not is_own and objects.object_at(repository, "HEAD^{commit}") is None:
            _check_out(repository, commit)


def _fetch(stash: Stash, repository: Path, code: Code, place: Path, announce: Callable[[str], None]) -> None:
    """Have a commit in a repository, from a bundle or its remote."""
    commit = str(code.commit)
    in_bundle = bundle_of(place, commit, code.bundle)
    source, reference = (code.url, commit) if in_bundle is None else (str(in_bundle[0]), in_bundle[1])
    if source is None or (in_bundle is None and remote_problem(source) is not None):
        raise StashError(f"Commit {commit[:12]} is neither here nor in a bundle, and no remote is known that has it.")
    announce(f"Fetching commit {commit[:12]} from {source if in_bundle is None else stash.relative(source)} …")
    settings = None if in_bundle is None else _LOCAL
    try:
        words = ["--quiet", "--no-tags", source, f"{reference}:{PINS}/{commit}"]
        git(repository, "fetch", *words, settings=settings)
    except CommandError as error:
        raise StashError(f"Commit {commit[:12]} can't be fetched from {source}: {error}") from error
    if not objects.has_commit(repository, commit):
        raise StashError(f"{source} doesn't hold commit {commit[:12]}.")


def _check_out(repository: Path, commit: str) -> None:
    try:
        git(repository, "checkout", "--quiet", "--detach", commit, "--")
    except CommandError as error:
        raise StashError(f"Commit {commit[:12]} can't be checked out in {repository}: {error}") from error


def _submodule(where: Path) -> Path | None:
    """Return the repository of a submodule; None: it isn't checked out."""
    return where if os.path.lexists(where / ".git") else None


def _secure_submodule(stash: Stash, code: Code, where: Path, place: Path, announce: Callable[[str], None]) -> None:
    """Have a commit of a tool's submodule in its repository.

    One that isn't checked out is, at the commit that its checkout has it at: no checkout becomes another one.
    """
    root, commit = _submodule(where), str(code.commit)
    if root is not None and objects.has_commit(root, commit):
        return
    if not where.resolve().is_relative_to(stash.root.resolve()):
        raise StashError(
            f"{where}, where a submodule belongs, is outside of the stash, and has no commit {commit[:12]}.",
            "check it out there yourself, and fetch that commit",
        )
    if root is not None:
        _fetch(stash, root, code, place, announce)
        return
    outer = toplevel(files.inside(stash.root, where).parent) if where.parent.is_dir() else None
    path = None if outer is None else where.resolve().relative_to(outer.resolve()).as_posix()
    link = None if outer is None or path is None else objects.links_in(outer, "HEAD", path).get(path)
    if link is None:
        raise StashError(
            f"{where} isn't checked out: {path} is no submodule of what is checked out in {outer}.",
            f"have a commit there that has it, and: git submodule update --init --recursive {path}",
        )
    with _new_checkout(where) as repository:
        _fetch(stash, repository, code, place, announce)
        if not objects.has_commit(repository, link):
            raise StashError(
                f"The submodule {path} of {outer} isn't checked out.", f"git submodule update --init --recursive {path}"
            )
        if code.url is not None:
            git(repository, "remote", "add", "origin", code.url)
        _check_out(repository, link)


def _why_no_submodule(stash: Stash, where: Path, root: Path | None) -> str | None:
    """Return why nothing is brought to a place: it is a submodule's that isn't checked out; None: it isn't."""
    top = toplevel(stash.root)
    if root is not None or top is None or not where.is_relative_to(top) or where == top:
        return None
    path = where.relative_to(top).as_posix()
    if path not in gitlinks(top):  # one of a tool that was removed is none, whatever is committed yet
        return None
    return f"the submodule {path} isn't checked out: git submodule update --init {path}"


@contextlib.contextmanager
def _new_repository(where: Path) -> Iterator[Path]:
    """Have a repository where an archive was unpacked, which has nothing checked out."""
    try:
        git(where, "init", "--quiet")
        yield where
    except BaseException:
        files.remove(where / ".git")
        raise


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
