"""Which commits frozen names need, and where these can be had: of frozen.json no more is read here than that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.files import read_regular
from experimentstash.base.names import inner_path_problem
from experimentstash.base.once import Once
from experimentstash.base.patterns import regex
from experimentstash.code import origins
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

FILE_NAME, BUNDLES, RUNS = "frozen.json", "bundles", "runs"
# Commits that frozen names need, by their hashes: no tidying-up of git's takes them away then.
PINS = "refs/experimentstash-frozen"
# Bytes that frozen.json may have: that of a thousand runs has some megabytes.
LARGEST = 256 << 20
NAME = regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_COMMIT = regex(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Where(Enum):
    """Where a commit is that a frozen name needs, as far as that is known without asking anybody elsewhere."""

    BUNDLED = "in a bundle"
    SHARED = "on the remote, when it was last asked, or in the stash's own history"
    ONLY_HERE = "nowhere but here"
    LOOSE = "here, and git may take it away, because nothing refers to it"
    NOT_HERE = "not here"
    UNKNOWN = "its repository isn't here"


@dataclass(frozen=True)
class Need:
    """A commit that something frozen needs."""

    name: str
    tool: str | None  # None: it is the stash's own commit
    path: str | None  # of the tool's directory, relative to the stash's root
    is_own: bool  # it is in the stash's own repository
    url: str | None
    commit: str
    is_bundled: bool
    is_inner: bool = False  # it is of a submodule of the tool

    @property
    def what(self) -> str:
        """Whose commit it is, in words."""
        if self.is_inner:
            return str(self.path)
        return "the stash" if self.tool is None else f"the tool {self.tool}"

    def directory(self, stash: Stash) -> Path:
        """Return where the checkout that it belongs to is, or would be."""
        return stash.root if self.is_own or self.path is None else Path(os.path.normpath(stash.root / self.path))

    def repository(self, stash: Stash) -> Path | None:
        """Return the repository that it belongs to; None: that isn't here."""
        own, where = toplevel(stash.root), self.directory(stash)
        if self.is_own:
            return own
        root = toplevel(where) if where.is_dir() else None
        return None if root == own or (self.is_inner and root != where) else root


@dataclass(frozen=True)
class Frozen:
    """A frozen name, as far as it needs something that others may take away; ``inputs`` are below the stash's root."""

    name: str
    needs: list[Need]
    inputs: list[str]


def names(stash: Stash) -> list[str]:
    """Return the names under which runs are frozen, sorted."""
    place = stash.root / paths.FROZEN
    try:
        found = filter(NAME.fullmatch, os.listdir(place))  # one that was killed has left something else
        return sorted(each for each in found if (place / each / FILE_NAME).is_file())
    except OSError:
        return []


def with_runs(stash: Stash) -> dict[str, list[str]]:
    """Return the ids of the runs that are frozen under each name, as far as its directories tell."""
    return {name: sorted(each.name for each in (stash.frozen(name) / RUNS).glob("*")) for name in names(stash)}


def look(stash: Stash, unread: list[str]) -> list[Frozen]:
    """Return what all frozen names need, each commit once; those that can't be read go into ``unread``."""
    found = []
    for name in names(stash):
        try:
            found.append(read(stash, name))
        except (OSError, ValueError, KeyError, TypeError):
            unread.append(name)
    return found


def read(stash: Stash, name: str) -> Frozen:
    """Return what a frozen name needs."""
    data = typed.loads(read_regular(stash.frozen(name) / FILE_NAME, LARGEST))
    needs: dict[tuple[Any, ...], Need] = {}
    inputs: dict[str, None] = {}
    for run in data["runs"]:
        tool = str(run["tool"])
        found = [_need(stash, name, None, run["stash"]), _need(stash, name, tool, run["code"])]
        found += [replace(_need(stash, name, tool, each), is_inner=True) for each in run.get("submodules", [])]
        for need in found:
            needs.setdefault((need.tool, need.path, need.commit), need)
        inputs |= dict.fromkeys(str(each["path"]) for each in run["inputs"])
    return Frozen(name, list(needs.values()), list(inputs))


def _need(stash: Stash, name: str, tool: str | None, code: Any) -> Need:
    path, url, commit, said = code["path"], code["url"], code["commit"], code["bundle"]
    if not _COMMIT.fullmatch(commit) or not all(isinstance(each, (str, type(None))) for each in (path, url, said)):
        raise ValueError("code that makes no sense")
    if said is not None and inner_path_problem(said) is not None:
        raise ValueError("a bundle that is elsewhere")
    is_bundled = bundle_of(stash.frozen(name), commit, said) is not None
    return Need(name, tool, path, bool(code["is_own"]), url, commit, is_bundled)


def bundle_of(place: Path, commit: str, said: str | None) -> tuple[Path, str] | None:
    """Return the bundle that holds a commit, and what the commit is called in there; None if there is none.

    One that came later, with an import or when its tool was removed, is there without being named.
    """
    found = sorted((place / BUNDLES).glob("*.bundle"))
    for each in [place / said, *found] if said is not None else found:
        if each.is_file() and (name := origins.heads_of(each).get(commit)) is not None:
            return each, name
    return None


def bundle_name(commit: str) -> str:
    """Return what the bundle of a commit is called in the directory of a frozen name."""
    return f"{BUNDLES}/{commit[:16]}.bundle"


def make_bundle(root: Path, commit: str, target: Path) -> None:
    """Write the bundle of a commit that is in a repository."""
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        origins.bundle(root, {origins.REFERENCE: commit}, target, Path(scratch))


def lying_in(stash: Stash, found: Iterable[Frozen], checkout: Path) -> Iterator[Need]:
    """Yield the commits that belong to a checkout other than the stash's own."""
    for frozen in found:
        yield from (each for each in frozen.needs if not each.is_own and _is_in(each.directory(stash), checkout))


def read_in(stash: Stash, found: Iterable[Frozen], checkout: Path) -> Iterator[tuple[str, str]]:
    """Yield each frozen name with what its runs have read in a checkout, besides its code."""
    for frozen in found:
        yield from ((frozen.name, each) for each in frozen.inputs if _is_in(stash.root / each, checkout))


def _is_in(path: Path, folder: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(folder)


def where(stash: Stash, need: Need) -> Where:
    """Return where a commit is; nobody is asked over a network."""
    if need.is_bundled:
        return Where.BUNDLED
    root = need.repository(stash)
    if root is None:
        return Where.UNKNOWN
    if not objects.has_commit(root, need.commit):
        return Where.NOT_HERE
    is_checked_out = origins.is_before(root, need.commit, "HEAD")
    # Tags of a tool are the remote's; the stash's own are made here.
    shared = ["refs/remotes"] if need.is_own else ["refs/remotes", "refs/tags"]
    if (need.is_own and is_checked_out) or _is_below(root, need.commit, shared):
        return Where.SHARED
    return Where.ONLY_HERE if is_checked_out or _is_below(root, need.commit, ["refs"]) else Where.LOOSE


def _is_below(root: Path, commit: str, references: list[str]) -> bool:
    """Tell whether a commit is one of these references, or comes before it."""
    return bool(git(root, "for-each-ref", "--count=1", f"--contains={commit}", *references).out)


def is_given_by_remote(root: Path, need: Need, once: Once) -> bool:
    """Tell whether the remote that a frozen name has for a commit has it right now; each is asked ``once``."""
    return need.url is not None and need.url == origins.url_of(root) and origins.is_on_remote(root, need.commit, once)


def pin(stash: Stash, needs: Iterable[Need]) -> None:
    """Have the repositories that are here keep commits that no bundle has, whatever branches and remotes do."""
    by_root: dict[Path, dict[str, None]] = {}
    for need in needs:
        root = None if need.is_bundled else need.repository(stash)
        if root is not None and objects.has_commit(root, need.commit):
            by_root.setdefault(root, {})[need.commit] = None
    for root, commits in by_root.items():
        lines = "".join(f"update {PINS}/{each} {each}\n" for each in commits)
        git(root, "update-ref", "--stdin", stdin=lines, check=False)  # a repository may be for reading only
