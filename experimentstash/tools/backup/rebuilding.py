"""A tool is put together again from its backup, beside where it will be.

Link by link without following one, and git never sees a setting that would have it run something.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import bare, git
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.names import (
    Url,
    check_url,
)
from experimentstash.base.process import CommandError
from experimentstash.tools.backup import git_state
from experimentstash.tools.backup.manifest import Backup, Repository


def rebuild(
    folder: Path, backup: Backup, target: Path, *, show_progress: bool, report: Callable[[str], None]
) -> tuple[Path, Path, list[tuple[str, Path]]]:
    """Make the tool's repositories and its checkout again, in ``target/git`` and ``target/tree``, and return both.

    The third value are the nested ones: (path, repository). Raises StashError if something can't be had any more.
    """
    bare, tree = target / "git", target / "tree"
    tree.mkdir()
    nested: list[tuple[str, Path]] = []
    for number, repository in enumerate(backup.repositories):
        place = bare / repository.module if repository.module else bare
        step("rebuilding a repository")
        source = folder / "repositories" / str(number)
        left_out = _rebuild_repository(source, repository, place, target, show_progress)
        if line := git_state.tell(left_out, source / "state"):
            report(line)
        if repository.path:
            nested.append((repository.path, place))
        if repository.commit is not None and backup.has_checkout:
            work = _directory(tree, repository.path) if repository.path else tree
            variables = {"GIT_INDEX_FILE": str(target / "index")}
            reach = [f"--git-dir={place}", f"--work-tree={work}"]
            git(work, *reach, "read-tree", repository.commit, variables=variables)
            git(work, *reach, "checkout-index", "--all", "--force", variables=variables)
            (target / "index").unlink()
    for path in backup.absent:
        if files.kind_at(_inside(tree, path)) != "a directory":
            (tree / path).unlink(missing_ok=True)
    for path in backup.directories:
        _directory(tree, path)
    put_files(folder / "files", tree, report)
    return bare, tree, nested


def _inside(tree: Path, path: str) -> Path:
    try:
        return files.inside(tree, tree / path)
    except files.Unfit as error:
        raise StashError(
            f"The backup is refused: its {path!a} leads through {error.filename}: {error.strerror}."
        ) from error


def _directory(tree: Path, path: str) -> Path:
    """Make a directory of the tool, and those above it."""
    place = _inside(tree, path)
    if files.kind_at(place) not in ("a directory", None):
        raise StashError(f"The backup is refused: its {path!a} is {files.kind_at(place)}.")
    place.mkdir(parents=True, exist_ok=True)
    return place


def put_files(source: Path, tree: Path, report: Callable[[str], None]) -> None:
    """Copy what a backup kept of a checkout over it: never through a link, and repositories without what misleads."""
    left_out: list[str] = []
    for folder, folders, names in os.walk(source):
        relative = os.path.relpath(folder, source)
        place = tree if relative == "." else _inside(tree, relative)
        if files.kind_at(place) not in ("a directory", None):
            place.unlink()
        place.mkdir(parents=True, exist_ok=True)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if name not in links]
        for name in [*names, *links]:
            step("putting a file back")
            if name == ".git" and relative == ".":
                left_out.append(name)
                continue
            target = place / name
            files.remove(target)
            copy(Path(folder, name), target)
        if ".git" in folders:
            folders.remove(".git")
            files.remove(place / ".git")
            found = git_state.take_back(Path(folder, ".git"), place / ".git", whole=True)
            left_out += [os.path.normpath(f"{relative}/.git/{each}") for each in found]
    if line := git_state.tell(left_out, source):
        report(line)


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a link as itself, to where nothing is."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
        shutil.copystat(source, target, follow_symlinks=False)
    else:
        git_state.copy_file(source, target)


def _rebuild_repository(
    folder: Path, repository: Repository, place: Path, target: Path, show_progress: bool
) -> list[str]:
    """Make a repository again in ``place``, which isn't there; return what of its state is left out."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fetched = target / "fetched"
    shutil.rmtree(fetched, ignore_errors=True)
    bundle = folder / "objects.bundle"
    if repository.has_bundle and repository.is_complete:
        git(target, "init", "--quiet", "--bare", fetched)
    elif repository.url is None:
        raise StashError(f"The repository of {repository.path or 'the tool'} has no URL to clone from.")
    else:
        url = Url(repository.url, False) if repository.path else check_url(repository.url, Path("/"))
        words = ["--bare", *(["--no-local"] if url.is_local else []), "--progress" if show_progress else "--quiet"]
        git(
            target,
            "clone",
            *words,
            "--",
            url.text,
            fetched,
            settings={"protocol.file.allow": "always"} if url.is_local else None,
            show_progress=show_progress,
            hint=f"what the remote doesn't have is in {folder}; it must be reachable for the rest",
        )
    if repository.has_bundle:
        try:
            git(fetched, "bundle", "unbundle", bundle)
        except CommandError as error:
            raise StashError(
                f"{repository.url} no longer has the commits on which {bundle} builds.\n{error.stderr.strip()}",
                "find a clone that still has them, and fetch them into that repository",
            ) from error
    left_out = git_state.take_back(folder / "state", place)
    os.rename(fetched / "objects", place / "objects")
    shutil.rmtree(fetched)
    if (place / "shallow").exists() and not repository.is_complete:
        (place / "shallow").unlink()  # the new clone has it all
    _mend_references(place, repository)
    git_state.check_index(place)
    return left_out


def _mend_references(place: Path, repository: Repository) -> None:
    """Drop remote-tracking references to what the remote has thrown away; StashError if anything else is missing."""
    listed = bare(place, "for-each-ref", "--format=%(objectname) %(refname)", check=False).text.splitlines()
    names = [line.split(" ", 1) for line in listed]
    wanted = [name for name, _ in names] + ([repository.commit] if repository.commit else [])
    missing = {name for name, kind in objects.kinds(place, wanted, is_bare=True).items() if kind is None}
    for name, reference in names:
        if name in missing and reference.startswith("refs/remotes/"):
            bare(place, "update-ref", "--no-deref", "-d", reference)
            missing -= {name} if all(other != name or r.startswith("refs/remotes/") for other, r in names) else set()
    if repository.commit in missing or missing:
        raise StashError(f"{repository.url} no longer has {', '.join(sorted(missing))}.", "ask those who maintain it")
