"""Keeps which code runs had, and what of it nobody could have from a remote: patches, and commits in bundles."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

from experimentstash.adapters.git import objects, trees
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import yaml_files
from experimentstash.base.errors import StashError
from experimentstash.base.once import Once
from experimentstash.base.text import listed
from experimentstash.code import frozen_names, origins
from experimentstash.publish.frozen import Code, Frozen
from experimentstash.publish.keeper import Keeper, text_of
from experimentstash.record import run as record
from experimentstash.record.run import Run
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash, as_kept

_NAMED = 3


class Codes:
    """The code of runs; each commit is looked for once."""

    def __init__(self, stash: Stash, keeper: Keeper) -> None:
        self._stash = stash
        self._keeper = keeper
        self._once = Once()

    def of(self, run: Run, folder: str) -> tuple[Code, Code]:
        """Return which code a run had, the tool's and the stash's, with their patches and bundles written."""
        tool, own = run.spec.code, run.spec.stash
        assert tool is not None and own is not None
        live = self.live(run)
        root, top = toplevel(live) or toplevel(Path(tool.path)), toplevel(self._stash.root)
        is_own = root is not None and root == top
        path = as_kept(self._stash.root, live)
        return (
            self._code(run, folder, tool, root, path=path, is_own=is_own),
            self._code(run, folder, own, top, path=None, is_own=True),
        )

    def submodules(self, run: Run, notes: list[str]) -> list[Code]:
        """Return the submodules that are checked out in a run's code, at the commits that it had."""
        tool = run.spec.code
        assert tool is not None
        live = self.live(run)
        root = toplevel(live) or toplevel(Path(tool.path))
        assert root is not None
        is_own = root == toplevel(self._stash.root)
        path = os.path.relpath(live.resolve(), root) if is_own else ""
        patch = text_of(run.path / tool.patch) if tool.patch is not None else ""
        commit = _with_patch(root, str(tool.commit), patch)
        where = live if not is_own and toplevel(live) is None else root
        found, lacking = self._once(("submodules", root, commit, path), lambda: _inside(root, commit, path))
        if lacking:
            notes.append(f"its code has submodules that aren't checked out, and aren't kept: {listed(lacking, _NAMED)}")
        return [self._submodule(where, name, inner, wanted) for name, inner, wanted in found]

    def _submodule(self, where: Path, name: str, inner: Path, commit: str) -> Code:
        path, bundle = as_kept(self._stash.root, where / name), self._bundle(inner, commit, is_own=False)
        return Code(path, False, self._url(inner), commit, None, False, None, bundle)

    def live(self, run: Run) -> Path:
        """Return where the tool's checkout is."""
        assert run.spec.code is not None
        path = Path(run.spec.code.path)
        if not path.is_relative_to(self._stash.code):
            return path
        tool = run.spec.tool
        given = yaml_files.mapping(self._stash.registration(tool)).get("path") or f"{paths.TOOLS}/{tool}"
        return Path(os.path.normpath(self._stash.root / str(given)))

    def _code(
        self, run: Run, folder: str, code: record.Code, root: Path | None, *, path: str | None, is_own: bool
    ) -> Code:
        if root is None or not self._once(("commit", root, code.commit), lambda: objects.has_commit(root, code.commit)):
            raise StashError(
                f"The commit {str(code.commit)[:12]} that {run.id} ran is no longer in {root or code.path}.",
                "experimentstash rerun does it with the code of now",
            )
        left_out = [*dict.fromkeys([*code.omitted, *code.withheld])]
        if code.dirty and left_out:
            raise StashError(
                f"What {run.id} used and wasn't committed isn't all kept: {listed(left_out, _NAMED)}.",
                f"commit it, or have git ignore it, and `experimentstash rerun {run.id}`",
            )
        patch = None
        if code.patch is not None:
            patch = code.patch
            self._keeper.text(f"{folder}/{patch}", text_of(run.path / patch))
        bundle = self._bundle(root, str(code.commit), is_own=is_own)
        return Code(path, is_own, self._url(root), code.commit, code.branch, bool(code.dirty), patch, bundle)

    def _url(self, root: Path) -> str | None:
        return self._once(("url", root), lambda: origins.url_of(root))

    def _bundle(self, root: Path, commit: str, *, is_own: bool) -> str | None:
        """Return the bundle that is written of a commit; None if it can be had without one."""
        if self._once(("reachable", root, commit), lambda: self._is_reachable(root, commit, is_own)):
            return None
        return self._once(("bundle", root, commit), lambda: self._written(root, commit))

    def _written(self, root: Path, commit: str) -> str:
        name = frozen_names.bundle_name(commit)
        frozen_names.make_bundle(root, commit, self._keeper.place(name))
        self._keeper.note(name)
        return name

    def _is_reachable(self, root: Path, commit: str, is_own: bool) -> bool:
        """Tell whether a commit can be had without a bundle: a remote has it, or the history that frozen/ is in."""
        is_before = is_own and origins.is_before(root, commit, "HEAD")
        return is_before or origins.is_on_remote(root, commit, self._once)


def _with_patch(root: Path, commit: str, patch: str) -> str:
    """Return a commit with its submodules where a patch has them; only git's objects are made for that."""
    if "Subproject commit" not in patch:
        return commit
    try:
        with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
            return trees.patched(root, Path(scratch, "index"), commit, patch)
    except GitError:  # nobody will have it again, and be told so
        return commit


def _inside(root: Path, commit: str, path: str = "") -> tuple[list[tuple[str, Path, str]], list[str]]:
    """Return path, repository and commit of the submodules of a commit that are checked out; and those that aren't."""
    found: list[tuple[str, Path, str]] = []
    lacking = []
    for name, wanted in objects.links_in(root, commit, "" if path == "." else path).items():
        inner = root / name
        if not (inner / ".git").exists():
            lacking.append(name)
            continue
        if not objects.has_commit(inner, wanted):
            raise StashError(
                f"Commit {commit[:12]} has its submodule {name} at {wanted[:12]}, which {inner} doesn't have.",
                f"git -C {shlex.quote(str(inner))} fetch origin {wanted}",
            )
        deeper, lacking_there = _inside(inner, wanted)
        found += [(name, inner, wanted), *((f"{name}/{each}", place, at) for each, place, at in deeper)]
        lacking += [f"{name}/{each}" for each in lacking_there]
    return found, lacking


def only_in_history(stash: Stash, kept: Frozen) -> list[str]:
    """Return which commits of the stash's repository no remote or bundle has: rewriting history loses them."""
    root = toplevel(stash.root)
    codes = [code for run in kept.runs for code in run.codes if code.is_own and code.bundle is None]
    commits = sorted({str(code.commit) for code in codes})
    once = Once()
    return [each[:12] for each in commits if root is not None and not origins.is_on_remote(root, each, once)]
