"""Bundles of all code of frozen runs, so that an archive needs no remote and no repository of the author's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git.root import toplevel
from experimentstash.base.errors import StashError
from experimentstash.code import frozen_names, origins
from experimentstash.publish import providing
from experimentstash.publish.frozen import Code, Frozen, FrozenRun
from experimentstash.stash.layout import Stash

_STASH = "stash"


def make(stash: Stash, kept: Frozen, place: Path, scratch: Path) -> dict[str, Path]:
    """Return all bundles that frozen runs need, by their names in frozen/NAME: those that are there, and new ones.

    StashError if a commit isn't to be had here.
    """
    found: dict[str, Path] = {}
    lacking: dict[Path, list[tuple[str, str]]] = {}  # by repository: whose code it is, and the commit
    codes = {(code.path, code.is_own, code.commit): (what, code) for run in kept.runs for what, code in _codes(run)}
    for what, code in codes.values():  # thousands of runs have a few commits
        if (known := frozen_names.bundle_of(place, str(code.commit), code.bundle)) is not None:
            found[_name(known[0].stem)] = known[0]
        else:
            lacking.setdefault(_repository(stash, code, what, kept.name), []).append((what, str(code.commit)))
    for root, several in lacking.items():
        name = min(what.replace("/", "-") for what, _ in several) if root != toplevel(stash.root) else _STASH
        while _name(name) in found:
            name += "-2"
        commits = {f"{origins.REFERENCE}-{commit}": commit for _, commit in several}
        path = scratch / f"{name}.bundle"
        with tempfile.TemporaryDirectory(prefix="experimentstash-") as own:
            origins.bundle(root, commits, path, Path(own))
        found[_name(name)] = path
    return dict(sorted(found.items()))


def _codes(run: FrozenRun) -> Iterator[tuple[str, Code]]:
    """Yield all code of a run, with whose it is."""
    yield run.tool, run.code
    yield _STASH, run.stash
    yield from ((f"{run.tool}/{str(each.path).rpartition('/')[2]}", each) for each in run.submodules)


def _name(stem: str) -> str:
    return f"{frozen_names.BUNDLES}/{stem}.bundle"


def _repository(stash: Stash, code: Code, what: str, name: str) -> Path:
    where = stash.root if code.path is None else stash.root / code.path
    root = toplevel(stash.root if code.is_own else where)
    if root is None or not providing.is_here(stash, code, where):
        raise StashError(
            f"Commit {str(code.commit)[:12]} of {'the stash' if what == _STASH else f'the tool {what}'} isn't here.",
            f"experimentstash reproduce {name} fetches it, if it can be had",
        )
    return root
