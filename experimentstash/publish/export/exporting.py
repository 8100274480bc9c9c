"""Makes one file of what is frozen under a name: unpacked it is a small stash, in which that can be had again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.interrupts import signals_as_exceptions
from experimentstash.base.patterns import regex
from experimentstash.code.frozen_names import BUNDLES
from experimentstash.freeze.inputs import named_in, words_of
from experimentstash.publish import frozen, placing
from experimentstash.publish.export import archive, bundles, crate, gathering, wheel
from experimentstash.publish.export.archive import Archive
from experimentstash.publish.export.beside import Beside
from experimentstash.publish.export.documents import software
from experimentstash.publish.export.documents.every import EVERY
from experimentstash.publish.export.facts import Facts, Tried
from experimentstash.publish.export.traces import Traces
from experimentstash.publish.frozen import Content, Frozen
from experimentstash.publish.places import marked, marks
from experimentstash.record.run import Run
from experimentstash.runs import told
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

# Types of all settings, and no tools: those of then are in the commits.
_ROOT_CONFIG = "defaults:\n  - experimentstash\n  - tool: null\n  - _self_\n"
_ADDRESS = regex(r"[\w.+-]+@[\w.-]+")


@dataclass(frozen=True)
class Wish:
    """What an archive is to hold."""

    results: str | None = None  # what the runs' numbers come to, as `compare` has it
    tried: Tried | None = None
    outputs: bool = True
    inputs: bool = False  # also those that the stash's commits don't hold
    names: bool = False  # also what names the machine and its user


@dataclass(frozen=True)
class Exported:
    """What is in an archive."""

    contents: dict[str, Content]
    facts: Facts


def export(
    stash: Stash,
    kept: Frozen,
    place: Path,
    runs: Sequence[Run],
    target: Path,
    wish: Wish,
    announce: Callable[[str], None],
) -> Exported:
    """Write an archive of what is kept in ``place``; StashError if it isn't as it was frozen, and nothing is there.

    ``runs`` are the kept ones, in their order, as their records have them.
    """
    if (why := frozen.why_changed(stash, kept, place)) is not None:
        raise StashError(f"{why}.", "bring it back, or freeze the runs anew")
    _refuse_inner(stash, kept)
    with signals_as_exceptions(), tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        announce("Packing all code, with its history …")
        code = bundles.make(stash, kept, place, Path(scratch))
        beside = Beside(stash, kept, place, Path(scratch))
        others = {**(dict(beside.outputs()) if wish.outputs else {}), **dict(beside.inputs(must=wish.inputs))}
        known = replace(
            gathering.look(stash, kept),
            results=wish.results,
            tried=wish.tried,
            builds=_builds(stash, runs),
            missing=beside.missing,
            has_outputs=wish.outputs,
        )
        traces = Traces(stash, _public(kept, known), _elsewhere(kept))
        with archive.writing(target) as packed:
            _add_frozen(packed, kept, place, code, others, traces, with_outputs=wish.outputs)
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
            add(paths.CRATE, crate.text(kept, known, packed.contents, runs))
            if traces.found and not wish.names:
                raise traces.error()
    return Exported(packed.contents, known)


def _refuse_inner(stash: Stash, kept: Frozen) -> None:
    """Raise StashError if commits have the stash further down than an archive would have it when it is unpacked."""
    top = toplevel(stash.root)
    own = [str(run.stash.commit) for run in kept.runs]
    is_of_here = top is not None and all(objects.has_commit(top, each) for each in own)
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
    others: dict[str, tuple[Path, Content]],
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
    for name, (path, content) in sorted(others.items()):
        add(name, path, content)


def _builds(stash: Stash, runs: Sequence[Run]) -> list[str]:
    """Return by what the tools of runs were built."""
    said = ((run.spec.tool, told.built(run.spec.build)) for run in runs)
    here = marks(stash, "/")
    return [*dict.fromkeys(marked(f"{tool}: {words}", here) for tool, words in said if words is not None)]


def _elsewhere(kept: Frozen) -> Iterator[str]:
    """Yield the places outside of the stash and of the home directory that runs were told of; not that of a Python."""
    for run in kept.runs:
        yield from (each.path for each in run.inputs)
        for text in (*run.argv[1:], *words_of(run.params)):
            yield from filter(os.path.exists, filter(os.path.isabs, named_in(text)))


def _public(kept: Frozen, known: Facts) -> Iterator[str]:
    """Yield what may be named: authors and their addresses, and where code is kept for everybody."""
    yield from (each.name for each in known.authors)
    yield from _ADDRESS.findall(known.citation or "")
    yield from (code.url for run in kept.runs for code in (run.code, run.stash) if code.url is not None)
