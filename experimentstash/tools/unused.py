"""What nothing needs any more: environments, builds, frozen code, a kept clone, and what removals of runs have left.

An environment, or what was built of a checkout, is needed by its tool as that is registered now, by the newest run of
each experiment that there is, and by each run that is at work, waits, or can be resumed; frozen code, with what was
built of it, by those runs, and by who submits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.code import worktree_users
from experimentstash.freeze.build import builds
from experimentstash.freeze.environment import store as environments
from experimentstash.record import attempts, run_places
from experimentstash.record.run import Run
from experimentstash.runs import archiving, listing, removing
from experimentstash.stash.layout import Stash
from experimentstash.tools import kept_clones
from experimentstash.tools.syncing import build_of, recipe_of

ENVIRONMENT, BUILD, CODE, CLONE = "environment", "build", "frozen code", "clone"
LEFTOVER, ARCHIVING = "left by rm", "left by archive"


@dataclass(frozen=True)
class Unused:
    """What can go."""

    kind: str
    tool: str  # empty: of no tool
    path: Path
    size: int  # bytes that it takes
    freed: int  # … and that are free once it has gone: uv shares files with its cache


@dataclass(frozen=True)
class Found:
    """What can go, and what is to be said of the rest."""

    unused: list[Unused]
    remarks: list[str]


def look(stash: Stash) -> Found:
    """Return what nothing needs; what may be needed stays."""
    unread: list[Path] = []
    runs = listing.all_runs(stash, unread)
    remarks = [
        f"the runs in {place} can't be seen now: what they may need stays (if they are gone for good: rm {note})"
        for place, note in run_places.away(stash).items()
    ]
    if unread:
        remarks.append(f"what {len(unread)} may need whose records can't be read stays")
    paths: list[tuple[str, str, Path]] = [(LEFTOVER, "", path) for path in removing.leftovers(stash)]
    paths += [(ARCHIVING, "", path) for path in archiving.leftovers(stash)]
    if files.kind_at(stash.clones) == "a directory":
        paths.append((CLONE, "", stash.clones))
    if not remarks:
        paths += [(ENVIRONMENT, name, path) for name, path in _environments(stash, runs, remarks)]
        paths += [(BUILD, name, path) for name, path in _builds(stash, runs, remarks)]
        paths += [(CODE, name, path) for name, path in _code(stash, runs, remarks)]
    return Found([Unused(kind, name, path, *files.measure(path)[:2]) for kind, name, path in paths], remarks)


def remove(stash: Stash, each: Unused) -> bool:
    """Remove it; False if it is needed by now."""
    if each.kind == LEFTOVER:
        removing.finish(stash, each.path)
    elif each.kind == ARCHIVING:
        return archiving.finish(stash, each.path)
    elif each.kind == CLONE:
        lock = files.lock_if_free(stash.lock("tools"))
        if lock is None:  # somebody adds a tool, maybe from it
            return False
        kept_clones.forget(stash)
        os.close(lock)
    elif each.kind == ENVIRONMENT:
        return environments.remove(each.path)
    elif each.kind == BUILD:
        return builds.remove(each.path)
    else:
        return worktree_users.remove_unneeded(stash, each.tool, each.path, say)
    return True


def _environments(stash: Stash, runs: list[Run], remarks: list[str]) -> Iterator[tuple[str, Path]]:
    made = environments.made(stash.environments)
    registered = set(stash.tools())
    needed = set(_keys_of_runs(stash, runs))
    for name in dict.fromkeys(name for name, _ in made):
        if name in registered:
            try:
                needed.add((name, recipe_of(stash, name).key))
            except StashError as error:
                remarks.append(f"the environments of {name} stay: {error.message}")
                registered.discard(name)
                made = [each for each in made if each[0] != name]
    yield from ((name, path) for name, path in made if (name, path.name) not in needed)


def _keys_of_runs(stash: Stash, runs: list[Run]) -> Iterator[tuple[str, str]]:
    for run in _needing(stash, runs):
        if run.spec.environment is not None and run.spec.environment.key:
            yield run.spec.tool, run.spec.environment.key


def _needing(stash: Stash, runs: list[Run]) -> Iterator[Run]:
    """Yield the newest run of each experiment that there is, and each that isn't over."""
    experiments = {*stash.experiments()}
    for run in runs:  # the newest first
        is_newest = run.spec.organizer in experiments
        experiments.discard(run.spec.organizer or "")
        if is_newest or not attempts.is_over(run):
            yield run


def _builds(stash: Stash, runs: list[Run], remarks: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield what was built of checkouts and is of no use to a registered tool, or to a run, any more."""
    made = builds.made(stash)
    registered = set(stash.tools())
    needed = {
        (run.spec.tool, Path(run.spec.build.log).parent.name)
        for run in _needing(stash, runs)
        if run.spec.build is not None and run.spec.build.log is not None
    }
    for name in dict.fromkeys(name for name, _ in made):
        if name in registered:
            try:
                build = build_of(stash, name, recipe_of(stash, name))
                needed |= set() if build is None else {(name, build.home.name)}
            except StashError as error:
                remarks.append(f"the builds of {name} stay: {error.message}")
                made = [each for each in made if each[0] != name]
    yield from ((name, path) for name, path in made if (name, path.name) not in needed)


def _code(stash: Stash, runs: list[Run], remarks: list[str]) -> Iterator[tuple[str, Path]]:
    for name, place in worktree_users.unneeded(stash):
        if any(worktree_users.will_use(run, place) for run in runs):
            continue
        stranded = [
            run.id
            for run in runs
            if run.apart is None and run.spec.apart and worktree_users.is_in(run.spec.apart.path, place)
        ]
        if stranded:
            remarks.append(f"{place} stays: it holds what {stranded[0]} has written and could not move")
            continue
        yield name, place
