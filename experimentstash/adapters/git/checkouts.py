"""A repository and its checkout: cloned, put at a commit, and made to find each other."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from experimentstash.adapters.git.command import git
from experimentstash.base.errors import StashError
from experimentstash.base.names import Url

# Ours alone: commits that were fetched by their hash, so that they don't look like unpushed work, nor are collected.
PINS = "refs/experimentstash"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"


def clone(
    url: Url, folder: Path, *, reference: str | None, known: Path | None = None, show_progress: bool
) -> tuple[Path, Path]:
    """Clone into ``folder/git`` and ``folder/tree``, without checking anything out, and return both.

    What an earlier clone, ``known``, has already isn't fetched again.
    """
    bare, tree = folder / "git", folder / "tree"
    words: list[str | Path] = ["clone", "--no-checkout", "--origin", "origin", "--separate-git-dir", bare]
    words += ["--no-local"] if url.is_local else []
    words += ["--branch", reference] if reference else []
    words += ["--reference-if-able", known, "--dissociate"] if known else []
    words += ["--progress"] if show_progress else ["--quiet"]
    git(
        folder,
        *words,
        "--",
        url.text,
        tree,
        settings={"protocol.file.allow": "always"} if url.is_local else None,
        show_progress=show_progress,
        hint="look at the URL, at the network and at your access to it" + (" (and at --branch)" if reference else ""),
    )
    return bare, tree


def resolve(directory: Path, reference: str, *, is_local: bool = False) -> str:
    """Return the commit that a branch of the remote, a tag or a hash stands for, fetched by its hash if need be."""
    for candidate in (f"refs/remotes/origin/{reference}", f"refs/tags/{reference}", reference):
        done = git(
            directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}", check=False
        )
        if done.code == 0:
            return done.text
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", reference):
        settings = {"protocol.file.allow": "always"} if is_local else None
        refspec = f"{reference}:{PINS}/{reference}"
        done = git(directory, "fetch", "--quiet", "--no-tags", "origin", refspec, check=False, settings=settings)
        if done.code == 0:
            return reference
    raise StashError(
        f"The repository has no branch, tag or commit {reference!r}.",
        f"git -C {directory} branch --all" if (directory / ".git").exists() else "look at its branches and tags",
    )


def head(directory: Path) -> tuple[str | None, str | None]:
    """Return the commit (None: there is none yet) and the branch (None: detached) of a checkout."""
    both = git(directory, "rev-parse", "--quiet", "HEAD^{commit}", "--symbolic-full-name", "HEAD", check=False)
    name, _, reference = both.text.partition("\n")
    if both.code == 0 and reference:
        return name, None if reference == "HEAD" else reference.removeprefix("refs/heads/")
    commit = git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False)
    branch = git(directory, "symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    return (commit.text if commit.code == 0 else None), (branch.text if branch.code == 0 else None)


def check_out(tree: Path, commit: str, branch: str | None, *, force: bool) -> None:
    """Check out a commit, on ``branch`` (which is moved there) or detached."""
    how = ["-B", branch] if branch else ["--detach"]
    git(tree, "checkout", "--quiet", *(["--force"] if force else []), *how, commit, "--")


def is_branch(directory: Path, reference: str) -> bool:
    """Tell whether the remote has a branch of this name."""
    asked = f"refs/remotes/origin/{reference}"
    return git(directory, "rev-parse", "--verify", "--quiet", asked, check=False).code == 0


def settle(
    repository: Path, tree: Path, final_repository: Path, final_tree: Path, nested: Iterable[tuple[str, Path]]
) -> None:
    """Make a repository and its checkout, and those inside them, point at each other from where they will be."""
    for path, place in (("", repository), *nested):
        final = Path(os.path.realpath(final_repository)) / os.path.relpath(
            os.path.realpath(place), os.path.realpath(repository)
        )
        work = Path(os.path.realpath(final_tree.parent)) / final_tree.name / path
        (tree / path / ".git").write_text(f"gitdir: {os.path.relpath(final, work)}\n", "utf-8", "surrogateescape")
        git(tree.parent, "config", "-f", place / "config", "core.worktree", os.path.relpath(work, final))


def led_elsewhere(tree: Path, module: Path) -> Path | None:
    """Return the repository of a checkout that lies neither in it nor where the submodule's is kept; None otherwise."""
    if not (tree / ".git").is_file() or tree.is_symlink():
        return None
    repository = repository_of(tree)
    return None if repository is None or repository.resolve() == module.resolve() else repository


def repository_of(tree: Path) -> Path | None:
    """Return the repository that git finds from a checkout; None if it finds none."""
    done = git(tree, "rev-parse", "--absolute-git-dir", check=False)
    return None if done.code else Path(done.text)


def lfs_pointers(tree: Path) -> int:
    """Return how many files of a checkout are Git LFS pointers instead of what they stand for."""
    if not any((tree / name).exists() for name in (".gitattributes", ".lfsconfig")):
        return 0
    count = 0
    for path in git(tree, "ls-files", "-z").items:
        with contextlib.suppress(OSError):
            file = os.path.join(tree, path)
            if os.path.isfile(file) and os.path.getsize(file) < 1024:
                with open(file, "rb") as stream:
                    count += stream.read(len(_LFS_POINTER)) == _LFS_POINTER
    return count
