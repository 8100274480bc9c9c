"""Finds what goes into an archive and isn't in frozen/NAME: outputs of which only the hash is there, and inputs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git import objects, trees
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files
from experimentstash.base.errors import StashError
from experimentstash.base.once import Once
from experimentstash.publish import frozen, kept_inputs, outputs
from experimentstash.publish.contents import content_of
from experimentstash.publish.export.facts import Missing
from experimentstash.publish.frozen import Content, Frozen, FrozenRun, Input, Output
from experimentstash.publish.inputs import Inputs
from experimentstash.publish.keeper import LARGEST_SEARCHED, refuse_secrets
from experimentstash.publish.places import unmarked
from experimentstash.record import records
from experimentstash.runs import listing
from experimentstash.stash.layout import Stash, known_id


class Beside:
    """The files that go beside what is kept in a directory; ``scratch`` is for copies of those that only git has."""

    def __init__(self, stash: Stash, kept: Frozen, place: Path, scratch: Path) -> None:
        self._stash = stash
        self._kept = kept
        self._place = place
        self._scratch = scratch
        self._seen = Inputs(stash)
        self._once = Once()
        self.missing: list[Missing] = []

    def outputs(self) -> Iterator[tuple[str, tuple[Path, Content]]]:
        """Yield outputs that no copy was kept of: from an import, or from the run if they are still the same."""
        for kept in self._kept.runs:
            for each in (output for output in kept.outputs if output.kept is None):
                name = f"{kept.folder}/{frozen.OUTPUTS}/{each.path}"
                path = self._output(name, each, kept)
                if path is None:
                    self.missing.append(Missing(kept.id, each.path, "it isn't in its run's directory as it was"))
                else:
                    _refuse_secrets_in(path, f"{each.path}, which {kept.id} has written,")
                    yield name, (path, each.content)

    def _output(self, name: str, output: Output, kept: FrozenRun) -> Path | None:
        if _is(self._place, self._place / name, output.content):
            return self._place / name
        for directory in self._once("runs", lambda: _directories(self._stash))[kept.id]:
            run = records.read(directory)
            if _is(run.path, path := outputs.place(run, output.path), output.content):
                return path
        return None

    def inputs(self, *, must: bool) -> Iterator[tuple[str, tuple[Path, Content]]]:
        """Yield inputs that are committed, and if all ``must`` be there the others; StashError for one that is lost."""
        found: set[str] = set()
        for kept in self._kept.runs:
            for given in kept.inputs:
                name = kept_inputs.name_of(given)
                if name in found:
                    continue
                if (path := self._input(name, given, kept, must=must)) is not None:
                    found.add(name)
                    yield name, (path, given.content)
                else:
                    self.missing.append(Missing(kept.id, given.path, "inputs were not asked for"))

    def _input(self, name: str, given: Input, kept: FrozenRun, *, must: bool) -> Path | None:
        if _is(self._place, self._place / name, given.content):
            return self._place / name
        if (path := self._committed(given, kept)) is not None:
            return path
        if not must:
            return None
        if (why := self._seen.why_other(given)) is not None:
            raise StashError(f"{kept.id}: {why}.", "bring it back as it was, or leave out --inputs")
        path = self._stash.root / unmarked(given.path, self._stash, self._stash.root)
        _refuse_secrets_in(path.resolve(), f"The input {given.path}")
        return path.resolve()

    def _committed(self, given: Input, kept: FrozenRun) -> Path | None:
        """Return a copy of an input as the commit of the stash holds it; None: it doesn't."""
        root, place = toplevel(self._stash.root), self._stash.root.resolve() / given.path
        if root is None or not frozen.is_inside(given.path) or not place.is_relative_to(root.resolve()):
            return None
        path, commit = place.relative_to(root.resolve()).as_posix(), str(kept.stash.commit)
        if path not in self._once(("files", commit), lambda: _files_of(root, commit)):
            return None
        target = self._scratch / "committed" / commit
        if not os.path.lexists(target / path):
            trees.export(root, self._scratch / "index", commit, "", path, target)
        return target / path if _is(target, target / path, given.content) else None


def _directories(stash: Stash) -> dict[str, list[Path]]:
    """Return the directories of all runs by their ids; copies of a run have the same."""
    found: dict[str, list[Path]] = defaultdict(list)
    for directory in listing.directories(stash):
        try:
            found[known_id(directory) or records.read(directory).id].append(directory)
        except (StashError, OSError):  # it can't be taken from there
            continue
    return found


def _files_of(root: Path, commit: str) -> frozenset[str]:
    """Return which files a commit has; none if it isn't here."""
    is_here = objects.has_commit(root, commit)
    return frozenset(objects.files_of(root, commit) if is_here else ())


def _is(root: Path, path: Path, content: Content) -> bool:
    """Tell whether a file below a directory is there, and holds what it did."""
    try:
        return os.lstat(files.inside(root, path)).st_size == content.size and content_of(path) == content
    except OSError:
        return False


def _refuse_secrets_in(path: Path, what: str) -> None:
    """Raise StashError if something in a file looks like a secret; those of now are looked for in all files."""
    if os.stat(path).st_size <= LARGEST_SEARCHED:
        refuse_secrets(files.read_regular(path).decode("utf-8", "replace"), what, by_shape=True)
