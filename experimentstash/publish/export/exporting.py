"""Makes one file of what is frozen under a name: unpacked it is a small stash, in which that can be had again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from experimentstash.adapters.git import objects, trees
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.interrupts import signals_as_exceptions
from experimentstash.base.once import Once
from experimentstash.base.patterns import regex
from experimentstash.code.frozen_names import BUNDLES
from experimentstash.publish import frozen, kept_inputs, outputs, placing
from experimentstash.publish.contents import content_of
from experimentstash.publish.export import archive, bundles, crate, gathering, wheel
from experimentstash.publish.export.archive import Archive
from experimentstash.publish.export.documents import software
from experimentstash.publish.export.documents.every import EVERY
from experimentstash.publish.export.facts import Facts, Missing
from experimentstash.publish.export.traces import Traces
from experimentstash.publish.frozen import Content, Frozen, FrozenRun, Input, Output
from experimentstash.publish.inputs import Inputs
from experimentstash.publish.keeper import refuse_secrets
from experimentstash.publish.places import unmarked
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

# Types of all settings, and no tools: those of then are in the commits.
_ROOT_CONFIG = "defaults:\n  - experimentstash\n  - tool: null\n  - _self_\n"
_ADDRESS = regex(r"[\w.+-]+@[\w.-]+")
# Bytes of a file that are looked through for secrets at a time, and how many of them once more with the next ones.
_AT_ONCE, _AGAIN = 16 << 20, 4096
# … and of one up to which it is looked, too, whether something only looks like a secret; that takes long.
_LARGEST_SEARCHED = 1 << 20


@dataclass(frozen=True)
class Wish:
    """What an archive is to hold."""

    results: str | None = None  # what the runs' numbers come to, as `compare` has it
    outputs: bool = True
    inputs: bool = False  # also those that the stash's commits don't hold
    names: bool = False  # also what names the machine and its user


@dataclass(frozen=True)
class Exported:
    """What is in an archive."""

    contents: dict[str, Content]
    facts: Facts


def export(
    stash: Stash, kept: Frozen, place: Path, target: Path, wish: Wish, announce: Callable[[str], None]
) -> Exported:
    """Write an archive of what is kept in ``place``; StashError if it isn't as it was frozen, and nothing is there."""
    if (why := frozen.why_changed(stash, kept, place)) is not None:
        raise StashError(f"{why}.", "bring it back, or freeze the runs anew")
    _refuse_inner(stash, kept)
    with signals_as_exceptions(), tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        announce("Packing all code, with its history …")
        code = bundles.make(stash, kept, place, Path(scratch))
        work = _Work(stash, kept, place, wish, Path(scratch))
        beside = {**dict(work.outputs()), **dict(work.inputs())}
        known = gathering.look(
            stash, kept, results=wish.results, missing=work.missing, has_outputs=wish.outputs, has_inputs=wish.inputs
        )
        traces = Traces(stash, _public(kept, known))
        with archive.writing(target) as packed:
            _add_frozen(packed, kept, place, code, beside, traces, with_outputs=wish.outputs)
            known = replace(known, naming=traces.told())

            def add(name: str, content: str) -> None:
                traces.look(name, content.encode("utf-8", "surrogateescape"))
                packed.text(name, content)

            add(paths.ROOT_CONFIG, _ROOT_CONFIG)
            for name, text in EVERY.items():
                add(name, text(kept, known))
            for each in known.licences:  # as their authors have written them
                packed.text(each.path, each.text)
            packed.binary(software.WHEEL, wheel.content())
            add(paths.CRATE, crate.text(kept, known, packed.contents, place))
            if traces.found and not wish.names:
                raise traces.error()
    return Exported(packed.contents, known)


def _refuse_inner(stash: Stash, kept: Frozen) -> None:
    """Raise StashError if commits have the stash further down than an archive would have it when it is unpacked."""
    top = toplevel(stash.root)
    own = [str(run.stash.commit) for run in kept.runs]
    is_of_here = top is not None and all(objects.object_at(top, f"{each}^{{commit}}") for each in own)
    if top is not None and top != stash.root and is_of_here:
        raise StashError(
            f"The stash is a directory of a larger repository, {top}: unpacked alone it can't be had again.",
            f"hand on the repository: its commits, {kept.name} as it is frozen (freeze --tag) and inputs",
        )


def _add_frozen(
    packed: Archive,
    kept: Frozen,
    place: Path,
    code: dict[str, Path],
    beside: dict[str, tuple[Path, Content]],
    traces: Traces,
    *,
    with_outputs: bool,
) -> None:
    """Add frozen/NAME as it is, and what it lacks."""
    front = f"{paths.FROZEN}/{kept.name}"

    def add(name: str, path: Path, content: Content | None = None) -> None:
        if not name.startswith(f"{BUNDLES}/"):
            traces.look_in(f"{front}/{name}", path)
        packed.file(f"{front}/{name}", path, content)

    copies = {f"{run.folder}/{each.kept}" for run in kept.runs for each in run.outputs if each.kept is not None}
    packed.text(f"{front}/{frozen.ATTRIBUTES}", placing.ATTRIBUTES.decode())
    add(frozen.FILE_NAME, place / frozen.FILE_NAME)
    for name, content in kept.files.items():
        if with_outputs or name not in copies:
            add(name, files.inside(place, place / name), content)
    for name, path in code.items():
        if name not in kept.files:
            add(name, path)
    for name, (path, content) in sorted(beside.items()):
        add(name, path, content)


def _public(kept: Frozen, known: Facts) -> Iterator[str]:
    """Yield what may be named: authors and their addresses, and where code is kept for everybody."""
    yield from (each.name for each in known.authors)
    yield from _ADDRESS.findall(known.citation or "")
    yield from (code.url for run in kept.runs for code in (run.code, run.stash) if code.url is not None)


class _Work:
    """Finds what isn't in frozen/NAME: outputs of which only the hash is, and inputs."""

    def __init__(self, stash: Stash, kept: Frozen, place: Path, wish: Wish, scratch: Path) -> None:
        self._stash = stash
        self._kept = kept
        self._place = place
        self._wish = wish
        self._scratch = scratch
        self._seen = Inputs(stash)
        self._once = Once()
        self.missing: list[Missing] = []

    def outputs(self) -> Iterator[tuple[str, tuple[Path, Content]]]:
        """Yield outputs that no copy was kept of: from an import, or from the run if they are still the same."""
        for kept in self._kept.runs if self._wish.outputs else ():
            lacking = [each for each in kept.outputs if each.kept is None]
            run = self._run(kept) if lacking else None
            for each in lacking:
                name = f"{kept.folder}/{frozen.OUTPUTS}/{each.path}"
                path = self._output(name, each, run)
                if path is None:
                    why = "its run isn't here" if run is None else "it isn't in its run's directory as it was"
                    self.missing.append(Missing(kept.id, each.path, why))
                else:
                    _refuse_secrets_in(path, f"{each.path}, which {kept.id} has written,")
                    yield name, (path, each.content)

    def _run(self, kept: FrozenRun) -> Run | None:
        try:
            found = naming.find(self._stash, kept.id, acts=True)
        except StashError:
            return None
        return found if isinstance(found, Run) and found.id == kept.id else None

    def _output(self, name: str, output: Output, run: Run | None) -> Path | None:
        if _is(self._place, self._place / name, output.content):
            return self._place / name
        if run is not None and _is(run.path, path := outputs.place(run, output.path), output.content):
            return path
        return None

    def inputs(self) -> Iterator[tuple[str, tuple[Path, Content]]]:
        """Yield inputs: those that are committed, and others if that is wished; StashError for one that is lost."""
        found: set[str] = set()
        for kept in self._kept.runs:
            for given in kept.inputs:
                name = kept_inputs.name_of(given)
                if name in found:
                    continue
                if (path := self._input(name, given, kept)) is not None:
                    found.add(name)
                    yield name, (path, given.content)
                else:
                    self.missing.append(Missing(kept.id, given.path, "inputs were not asked for"))

    def _input(self, name: str, given: Input, kept: FrozenRun) -> Path | None:
        if _is(self._place, self._place / name, given.content):
            return self._place / name
        if (path := self._committed(given, kept)) is not None:
            return path
        if not self._wish.inputs:
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


def _files_of(root: Path, commit: str) -> frozenset[str]:
    """Return which files a commit has; none if it isn't here."""
    is_here = objects.object_at(root, f"{commit}^{{commit}}") is not None
    return frozenset(objects.files_of(root, commit) if is_here else ())


def _is(root: Path, path: Path, content: Content) -> bool:
    """Tell whether a file below a directory is there, and holds what it did."""
    try:
        return os.lstat(files.inside(root, path)).st_size == content.size and content_of(path) == content
    except OSError:
        return False


def _refuse_secrets_in(path: Path, what: str) -> None:
    """Raise StashError if a secret of now is in a file."""
    with open(path, "rb", opener=files.open_regular) as stream:
        is_small = os.fstat(stream.fileno()).st_size <= _LARGEST_SEARCHED
        before = b""
        while part := stream.read(_AT_ONCE):
            refuse_secrets((before + part).decode("utf-8", "replace"), what, by_shape=is_small)
            before = part[-_AGAIN:]
