"""What a change of a tool means for what is frozen, in words; and what of it is kept, so that it can be had later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.once import Once
from experimentstash.base.text import listed
from experimentstash.code import frozen_names
from experimentstash.code.frozen_names import Need, Where
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

_NAMED = 5


@dataclass(frozen=True)
class Needs:
    """What frozen names need of a tool that is to be removed."""

    lines: tuple[str, ...]  # what becomes of each
    to_bundle: tuple[tuple[Path, str, Path], ...]  # commits that nobody else has, and where a bundle of each belongs


@dataclass(frozen=True)
class Kept:
    """What frozen names need of a checkout that is to go to another commit."""

    needs: list[Need]
    inputs: list[tuple[str, str]]  # by the names, what their runs have read there
    unread: list[str]  # names of which it isn't known


def of_removed(stash: Stash, checkout: Path) -> Needs:
    """Return what frozen names need of a checkout that is to go; its remote is asked what it has."""
    lines, to_bundle = [], []
    once, unread = Once(), list[str]()
    found = frozen_names.look(stash, unread)
    for need in frozen_names.lying_in(stash, found, checkout):
        what = _frozen_with(need)
        root, state = need.repository(stash), frozen_names.where(stash, need)
        if state is Where.BUNDLED:
            continue
        if root is None or state is Where.NOT_HERE:
            lines.append(f"{what}, which isn't here{f'; {need.url} may have it' if need.url else ' any more'}")
        elif frozen_names.is_given_by_remote(root, need, once):
            lines.append(f"{what}: reproduce gets that from {need.url}")
        else:
            target = stash.frozen(need.name) / frozen_names.bundle_name(need.commit)
            to_bundle.append((root, need.commit, target))
            lines.append(f"{what}, which no remote has: {stash.relative(target)} keeps it")
    lines += [
        f"{name} reads {path}: only the backup has that then"
        for name, path in frozen_names.read_in(stash, found, checkout)
    ]
    lines += [_unread(name) for name in unread]
    return Needs(tuple(lines), tuple(to_bundle))


def kept_of_updated(stash: Stash, checkout: Path) -> Kept:
    """Return what frozen names need of a checkout; each commit that no bundle has gets a reference."""
    unread: list[str] = []
    found = frozen_names.look(stash, unread)
    needs = list(frozen_names.lying_in(stash, found, checkout))
    frozen_names.pin(stash, needs)
    return Kept(needs, list(frozen_names.read_in(stash, found, checkout)), unread)


def of_updated(stash: Stash, checkout: Path, kept: Kept, after: str) -> Iterator[str]:
    """Yield what is to be said of frozen names before a checkout goes to a commit; its remote was asked just now."""
    for need in kept.needs:
        state = frozen_names.where(stash, need)
        what = _frozen_with(need)
        if state is Where.NOT_HERE:
            yield f"{what}, which isn't here{f'; {need.url} may have it' if need.url else ' any more'}"
        elif state is not Where.BUNDLED and state is not Where.SHARED:
            reference = f"{frozen_names.PINS}/{need.commit[:12]}…"
            yield f"{what}, which the remote doesn't have: it stays, but only on this machine ({reference})"
    for name, path in kept.inputs:
        inside = (stash.root / path).relative_to(checkout).as_posix()
        if objects.object_at(checkout, f"{after}:{inside}") is not None:
            yield f"{name} reads {path}, and the commit {after[:12]} has something else there"
    others = dict.fromkeys(
        f"{need.name} ({need.commit[:12]})" for need in kept.needs if need.commit != after and not need.is_inner
    )
    if others:
        yield f"frozen with other commits than {after[:12]}, and they stay so: {listed([*others], _NAMED)}"
    yield from map(_unread, kept.unread)


def _frozen_with(need: Need) -> str:
    commit = f"commit {need.commit[:12]}"
    return f"{need.name} is frozen with {f'{commit} of {need.path}' if need.is_inner else f'its {commit}'}"


def _unread(name: str) -> str:
    return f"what {name} needs isn't known: {paths.FROZEN}/{name}/{frozen_names.FILE_NAME} can't be read"
