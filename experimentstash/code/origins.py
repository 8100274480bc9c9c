"""Where a commit can be had from: a remote that has it, or a git bundle that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experimentstash.adapters.git import gitconfig, objects
from experimentstash.adapters.git.command import git
from experimentstash.base.names import remote_problem
from experimentstash.base.once import Once

# Seconds that a remote gets to say what it has.
_PATIENCE = 20.0
# What the commit is called in a bundle.
REFERENCE = "refs/heads/frozen"


def url_of(root: Path) -> str | None:
    """Return where a repository is cloned from; None: from nowhere, from here, or by a URL with a password in it."""
    url = gitconfig.origin(root)
    return url if url is not None and remote_problem(url) is None else None


def is_on_remote(root: Path, commit: str, once: Once) -> bool:
    """Tell whether the remote has a commit right now: what was fetched once may have been overwritten there since.

    It is asked once, because that takes as long as the network does, and many runs have the same.
    """
    tips = [each for each in once(("tips", root), lambda: _tips(root)) if objects.has_commit(root, each)]
    return any(is_before(root, commit, each) for each in tips)


def is_before(root: Path, commit: str, other: str) -> bool:
    """Tell whether a commit is another one, or comes before it."""
    return git(root, "merge-base", "--is-ancestor", commit, other, check=False).code == 0


def _tips(root: Path) -> tuple[str, ...]:
    if url_of(root) is None:
        return ()
    asked = git(root, "ls-remote", "--quiet", "--heads", "--tags", "origin", check=False, patience=_PATIENCE)
    return () if asked.code else tuple(sorted({line.partition("\t")[0] for line in asked.text.splitlines()}))


def heads_of(bundle: Path) -> dict[str, str]:
    """Return which commits a bundle holds, each with what it is called in there; none if it isn't one."""
    listed = git(bundle.parent, "bundle", "list-heads", bundle, check=False)
    return {commit: name for commit, _, name in (line.partition(" ") for line in listed.out.splitlines())}


def bundle(root: Path, commits: Mapping[str, str], target: Path, scratch: Path) -> None:
    """Write a bundle of commits and of all before them, which needs nothing else; the repository isn't touched.

    ``commits`` has what each is called in the bundle.
    """
    place = Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir").text)
    git(scratch, "init", "--quiet", "--bare", "repository")
    own = scratch / "repository"
    (own / "objects" / "info").mkdir(exist_ok=True)
    (own / "objects" / "info" / "alternates").write_text(f"{place / 'objects'}\n", "utf-8", "surrogateescape")
    if (place / "shallow").exists():
        (own / "shallow").write_bytes((place / "shallow").read_bytes())
    for reference, commit in commits.items():
        git(own, "update-ref", reference, commit)
    git(own, "bundle", "create", "--quiet", target, *commits)
