"""What names stand for, and what commits hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.git.command import GitError, ask, environment, git
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.process import run

# What git says where a name stands for nothing; else it has an answer to nothing.
_NO_OBJECT = regex(
    r"Needed a single revision|unknown revision|bad (?:revision|object)|[Nn]ot a valid object name|expected commit type"
    r"|log for .* only has|does not exist in|exists on disk, but not in"
)


def object_at(root: Path, name: str) -> str | None:
    """Return the object that ``name`` stands for (HEAD^{tree}, TREE:path, …); None if there is none."""
    return _named(["rev-parse", "--verify", "--quiet", name], root)


def object_type(root: Path, name: str) -> str | None:
    """Return what kind of object ``name`` stands for; None if there is none."""
    return _named(["cat-file", "-t", name], root)


def _named(words: Sequence[str], root: Path) -> str | None:
    """Return what git says of a name; None if it stands for nothing."""
    done = ask(words, root, also=[1, 128])
    if done.returncode == 128 and done.stderr.strip() and not _NO_OBJECT.search(done.stderr):
        raise GitError(["git", *words], done.returncode, done.stdout, done.stderr, root)
    return done.stdout.strip() if done.returncode == 0 else None


def commit_named(root: Path, name: str) -> str | None:
    """Return the commit that a name stands for in a checkout, by git's own rules and nothing fetched; None if none.

    StashError if it stands for more than one.
    """
    if not name.strip() or not name.isprintable():
        return None
    # What isn't here isn't fetched, as git would by itself where a clone is partial.
    ours = ("-c", "core.warnAmbiguousRefs=true", "-c", "protocol.allow=never")
    words = [*ours, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"]
    done = ask(words, root, variables={"LANGUAGE": ""}, also=[1, 128])
    if done.returncode == 128 and not _NO_OBJECT.search(done.stderr) and "is ambiguous" not in done.stderr:
        raise GitError(["git", *words], done.returncode, done.stdout, done.stderr, root)
    commit = done.stdout.strip()
    others = "is ambiguous" in done.stderr
    if commit and re.fullmatch("[0-9a-f]{4,39}", name.lower()) and not commit.startswith(name.lower()):
        # A reference that is called like the beginning of a hash.
        listed = ask(["rev-parse", f"--disambiguate={name}"], root).stdout
        others = any(object_at(root, f"{each}^{{commit}}") for each in listed.split())
    if others:
        raise StashError(
            f"{name!r} stands for several commits in {root}.",
            f"write the whole hash (git -C {shlex.quote(str(root))} log --all), or refs/heads/… or refs/tags/…",
        )
    return commit if done.returncode == 0 and commit else None


def links_in(root: Path, commit: str, path: str = "") -> dict[str, str]:
    """Return the submodules of a commit at ``path`` ("": anywhere) and below: path → commit."""
    words = [
        "--literal-pathspecs",
        "ls-tree",
        "-r",
        "-z",
        "--full-tree",
        commit,
        *(["--", path] if path else []),
    ]
    listed = ask(words, root).stdout
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith("160000 "))
    return {name: fields.split(" ")[2] for fields, _, name in entries}


def is_incomplete(root: Path, commit: str) -> bool:
    """Tell whether a partial clone lacks files of a commit, which git would fetch when it checks it out."""
    asked = ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"]
    if not ask(asked, root, also=[1]).stdout:
        return False
    words = ["git", "-c", "protocol.allow=never", "rev-list", "--objects", "--missing=print", "--no-walk", commit]
    done = run(words, cwd=root, env=environment(), check=False)
    return done.returncode != 0 or any(line.startswith("?") for line in done.stdout.splitlines())


def files_of(directory: Path, commit: str) -> dict[str, str]:
    """Return the files of a commit: path → object."""
    listed = git(directory, "ls-tree", "-r", "-z", "--full-tree", commit).out.decode("utf-8", "surrogateescape")
    items = [item.partition("\t") for item in listed.split("\0") if item]
    return {path: description.split(" ")[2] for description, _, path in items}


def blobs(directory: Path, names: Sequence[str]) -> list[bytes]:
    if not names:
        return []
    out = git(directory, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode()).out
    found, position = [], 0
    for _ in names:
        end = out.index(b"\n", position)
        size = int(out[position:end].split()[-1])
        found.append(out[end + 1 : end + 1 + size])
        position = end + 1 + size + 1
    return found
