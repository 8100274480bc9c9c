"""What names stand for, and what commits hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters.git.command import Done, GitError, ask, bare, git, senseless
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex

# What git says where a name stands for nothing; else it has an answer to nothing.
_NO_OBJECT = regex(
    r"Needed a single revision|unknown revision|bad (?:revision|object)|[Nn]ot a valid object name|expected commit type"
    r"|log for .* only has|does not exist in|exists on disk, but not in"
)


def object_at(root: Path, name: str) -> str | None:
    """Return the object that ``name`` stands for (HEAD^{tree}, TREE:path, …); None if there is none."""
    return _named(["rev-parse", "--verify", "--quiet", name], root)


def has_commit(root: Path, commit: str | None) -> bool:
    """Tell whether a repository has a commit."""
    return commit is not None and object_at(root, f"{commit}^{{commit}}") is not None


def object_type(root: Path, name: str) -> str | None:
    """Return what kind of object ``name`` stands for; None if there is none."""
    return _named(["cat-file", "-t", name], root)


def _named(words: Sequence[str], root: Path) -> str | None:
    """Return what git says of a name; None if it stands for nothing."""
    done = ask(words, root, also=[1, 128])
    if done.code == 128 and done.error.strip() and not _NO_OBJECT.search(done.error):
        raise GitError(["git", *words], done.code, done.out, done.error, root)
    return done.out.strip() if done.code == 0 else None


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
    others = "is ambiguous" in done.error
    if done.code == 128 and not _NO_OBJECT.search(done.error) and not others:
        raise GitError(["git", *words], done.code, done.out, done.error, root)
    commit = done.out.strip()
    if commit and re.fullmatch("[0-9a-f]{4,39}", name.lower()) and not commit.startswith(name.lower()):
        # A reference that is called like the beginning of a hash.
        listed = ask(["rev-parse", f"--disambiguate={name}"], root).out
        others = any(has_commit(root, each) for each in listed.split())
    if others:
        raise StashError(
            f"{name!r} stands for several commits in {root}.",
            f"write the whole hash (git -C {shlex.quote(str(root))} log --all), or refs/heads/… or refs/tags/…",
        )
    return commit if done.code == 0 and commit else None


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
    return {name: found for name, _, kind, found in tree_in(ask(words, root)) if kind == "commit"}


def beside(root: Path, commit: str, path: str) -> list[list[str]]:
    """Return all that a commit holds but ``path``: the largest pieces of it, path and object."""
    above = [path[: match.end()] for match in re.finditer("/", path)]
    words = ["--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit]
    listed = [*tree_in(ask(words, root))]
    if above:
        listed += tree_in(ask([*words, "--", *above], root))
    within = {each.rstrip("/") for each in (*above, path)}
    return sorted([name, found] for name, _, _, found in listed if name not in within)


def is_incomplete(root: Path, commit: str) -> bool:
    """Tell whether a partial clone lacks files of a commit, which git would fetch when it checks it out."""
    asked = ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"]
    if not ask(asked, root, also=[1]).out:
        return False
    words = ["-c", "protocol.allow=never", "rev-list", "--objects", "--missing=print", "--no-walk", commit]
    done = ask(words, root, check=False)
    return done.code != 0 or any(line.startswith("?") for line in done.out.splitlines())


def files_of(directory: Path, commit: str) -> dict[str, str]:
    """Return the files of a commit: path → object."""
    listed = git(directory, "ls-tree", "-r", "-z", "--full-tree", commit)
    return {path: found for path, _, _, found in tree_in(listed)}


def tree_in(listed: Done) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, mode, kind and object of what `ls-tree -z` lists."""
    for (mode, kind, name), path in listed.entries(3):
        yield path, mode, kind, name


def blobs(directory: Path, names: Sequence[str]) -> list[str]:
    """Return the contents of these objects."""
    if not names:
        return []
    said = git(directory, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names)).out
    out, found, position = said.encode("utf-8", "surrogateescape"), [], 0
    for _ in names:
        end = out.find(b"\n", position)
        told = out[position:end].split()
        if end < 0 or not told or not told[-1].isdigit():  # "missing", for one
            raise senseless(said[:80])
        size = int(told[-1])
        found.append(out[end + 1 : end + 1 + size].decode("utf-8", "surrogateescape"))
        position = end + 1 + size + 1
    return found


def kinds(directory: Path, names: Iterable[str], *, is_bare: bool = False) -> dict[str, str | None]:
    """Return what kind of object each of these is, by its name; None: there is none. ``is_bare``: a git directory."""
    asked = "".join(f"{name}\n" for name in names)
    done = (bare if is_bare else git)(directory, "cat-file", "--batch-check", stdin=asked)
    lines = [line.split(" ") for line in done.text.splitlines()]
    if odd := next((words for words in lines if len(words) < 2), None):
        raise senseless(" ".join(odd))
    return {words[0]: None if words[-1] == "missing" else words[1] for words in lines}
