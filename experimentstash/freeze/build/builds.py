"""What a tool's `build:` comes to for one state of its code: where it is made, and by what it is known.

With `{build}` in its commands it is made in a directory of its own, of frozen code as of a checkout. Without, it is
made in the code itself: in the frozen code of this build alone, or in the checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.adapters import environment_modules
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files, limits
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError, clean_environment, which
from experimentstash.code import built, snapshots, worktree_place
from experimentstash.freeze.build import commands as build_commands
from experimentstash.freeze.build import compilers, named, variables
from experimentstash.freeze.build.commands import PLACEHOLDER, Command
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.record import run as record_of
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig

if TYPE_CHECKING:
    from experimentstash.code.worktrees import Frozen

_FORMAT = 2  # part of every key: raise it when the way of building changes
_IN_FROZEN_CODE = "builds"  # the directory of builds that have one of their own, beside the worktree
_IN_CHECKOUT = "in-checkout"


@dataclass(frozen=True)
class Build:
    """What makes a tool ready, for one state of its code, and where."""

    name: str  # the tool's
    commands: tuple[Command, ...]  # as they are executed
    written: tuple[Command, ...]  # as they are in the registration
    directory: Path  # the tool's, in which they are executed
    home: Path  # for the mark, the log and what `{build}` stands for
    key: str
    code: str  # the commit, changes included
    compilers: Mapping[str, str]
    platform: str
    variables: Mapping[str, str]  # that choose compilers and their options, or that the build's files name
    path: str | None  # of the programs of the tool's environment
    own: Mapping[str, str]  # what tells them, besides, that they are in it
    place: Path | None  # of the frozen code; None: it is the checkout
    is_apart: bool  # it has a directory of its own
    shared: tuple[str, ...]  # what of the tool's directory is no code
    timeout: float | None
    modules: tuple[str, ...] = ()  # that are loaded before
    in_job: bool = False  # in one of its own, before those of the runs: by which compilers, that tells

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: ours, with the programs of the tool's own first."""
        own = {build_commands.VARIABLE: str(self.products)} if self.is_apart else {}
        return {**_environment(self.path, self.own, self.modules), **own}

    @property
    def products(self) -> Path:
        """Below which it makes what it makes."""
        return self.home / built.PRODUCTS if self.is_apart else self.directory

    @property
    def log(self) -> Path:
        return self.home / built.LOG

    @property
    def is_in_checkout(self) -> bool:
        return self.place is None and not self.is_apart

    @property
    def lock(self) -> Path:
        if self.place is not None and not self.is_apart:
            return self.home / "build.lock"  # it goes with the frozen code
        return files.lock_beside(self.home)

    def is_ready(self) -> bool:
        """Tell whether it has been made, and what it has made is as it was then."""
        found = built.read_with(self.home, self.key)
        return found is not None and not found.changed()

    def as_recorded(self) -> record_of.Build:
        """Return what a run's record says of it."""
        return record_of.Build(
            key=self.key,
            commands=[[*each] for each in self.written],
            compilers=dict(self.compilers),
            platform=self.platform or None,
            variables=dict(self.variables),
            directory=str(self.products),
            log=str(self.log),
            is_in_checkout=self.is_in_checkout,
        )

    def has(self, program: str) -> bool:
        """Tell whether a program of its commands is here."""
        if "/" in program:
            return which(os.path.join(self.directory, program)) is not None
        return which(program, self.environment.get("PATH")) is not None

    def adapted(self, tool: ToolConfig) -> ToolConfig:
        """Return the tool's registration with the place of the build in it."""
        if not self.is_apart:
            return tool
        env = {name: value and value.replace(PLACEHOLDER, str(self.products)) for name, value in tool.env.items()}
        place = shlex.quote(str(self.products))  # an entrypoint is read as a shell reads words
        return replace(tool, entrypoint=tool.entrypoint.replace(PLACEHOLDER, place), env=env)


def plan(
    stash: Stash,
    name: str,
    tool: ToolConfig,
    directory: Path,
    recipe: Recipe,
    frozen: Frozen | None = None,
    *,
    in_job: bool = False,
) -> Build | None:
    """Return what makes a tool ready whose code is ``frozen``, or the checkout in ``directory``; None if nothing does.

    Reads files and asks compilers for their versions; makes nothing. StashError if it can't be told what it comes to.
    """
    where = paths.registration(name)
    written = build_commands.read(tool, where)
    if not written:
        return None
    is_apart = build_commands.names_place(written)
    if not is_apart:
        _refuse_place_of_nothing(tool, where)
    in_checkout = stash.builds / name / _IN_CHECKOUT
    if frozen is not None:
        directory, code = frozen.directory, str(frozen.provenance.code.snapshot)
    else:
        known = None if is_apart else built.read(in_checkout)
        code = code_of_checkout(stash, name, tool, directory, () if known is None else known.products)
    path = environments.programs(recipe)
    own = environments.variables(recipe)
    made_by = None if in_job else by_whom(written, directory, _environment(path, own, tool.modules))
    facts = [_FORMAT, written, str(directory), code, made_by, recipe.key, *([tool.modules] if tool.modules else [])]
    key = hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if is_apart:
        home = (stash.builds / name if frozen is None else frozen.place / _IN_FROZEN_CODE) / key
    else:
        home = in_checkout if frozen is None else frozen.place
    place = str(home / built.PRODUCTS)
    compilers_used, platform, counting = made_by or told_by_mark(home, key)
    return Build(
        name=name,
        commands=tuple(build_commands.at(each, place) for each in written),
        written=written,
        directory=directory,
        home=home,
        key=key,
        code=code,
        compilers=compilers_used,
        platform=platform,
        variables=counting,
        path=None if path is None else str(path),
        own=own,
        modules=tuple(tool.modules),
        place=None if frozen is None else frozen.place,
        is_apart=is_apart,
        shared=tuple(tool.shared),
        timeout=None if tool.build_timeout is None else limits.duration(tool.build_timeout, "build_timeout"),
        in_job=in_job,
    )


def by_whom(
    written: Iterable[Command], directory: Path, environment: Mapping[str, str]
) -> tuple[dict[str, str], str, dict[str, str]]:
    """Return what here makes a build what it is: the compilers, the platform, and the variables that count."""
    written = [*written]
    found = named.named(directory, written)
    used = compilers.versions(written, directory, environment, sorted(found.compilers))
    return used, _platform(), variables.counting(environment, found.words)


def told_by_mark(home: Path, key: str) -> tuple[dict[str, str], str, dict[str, str]]:
    """Return the same of a build that a job has made; nothing as long as that isn't done."""
    found = built.read_with(home, key)
    return ({}, "", {}) if found is None else (dict(found.compilers), found.platform, dict(found.variables))


def mark(name: str, tool: ToolConfig, directory: Path, *, in_job: bool = False) -> str:
    """Return what a build in frozen code itself is known by before there is that code; empty if there is none.

    Frozen code is of one such build alone.
    """
    written = build_commands.read(tool, paths.registration(name))
    if not written or build_commands.names_place(written):
        return ""
    made_by = None if in_job else by_whom(written, directory, _environment(None, {}, tool.modules))
    wanted = [tool.python_version, tool.dependencies, *map(str, vars(tool.environment).values()), *tool.modules]
    return json.dumps([_FORMAT, written, made_by, wanted])


def left_in_checkout(stash: Stash, name: str) -> list[str]:
    """Return what a build in a tool's checkout has made there, relative to its directory."""
    found = built.read(stash.builds / name / _IN_CHECKOUT)
    return [] if found is None else [*found.products]


def made(stash: Stash) -> list[tuple[str, Path]]:
    """Return what was built of checkouts, each with its tool's name; half-made ones too."""
    return [
        (tool.name, place)
        for tool in worktree_place.listed(stash.builds)
        if files.kind_at(tool) == "a directory"
        for place in worktree_place.listed(tool)
        if files.kind_at(place) == "a directory"
    ]


def remove(home: Path) -> bool:
    """Remove what was built; False if it is built just now."""
    return files.remove_if_free(home, built.MARK)


def code_of_checkout(stash: Stash, name: str, tool: ToolConfig, directory: Path, products: Iterable[str]) -> str:
    """Return the commit of a tool's checkout as it is, changes included, without what was built there.

    StashError if git doesn't know it: then nobody could tell when it must be built again.
    """
    real = directory.resolve()
    root = toplevel(real)
    try:
        taken = None
        if root is not None:
            is_own = root == toplevel(stash.root.resolve())
            path = real.relative_to(root).as_posix() if is_own else ""
            without = [os.path.relpath(os.path.normpath(real / each), root) for each in (*tool.shared, *products)]
            taken = snapshots.take(root, path, without=without)
    except (GitError, CommandError, OSError) as error:
        raise StashError(
            f"{paths.registration(name)}: build: which code it is to be made of can't be told: {error}"
        ) from error
    if root is None or taken is None:
        raise StashError(
            f"{paths.registration(name)}: build: git knows nothing of {tool.path}, so whether what was built is still"
            " that of its code can't be told.",
            "commit it (git add …), or build it yourself and leave `build:` out",
        )
    large = [(each, _stamp(root / each)) for each in taken.omitted]
    return taken.commit if not large else f"{taken.commit} with {large}"


def _stamp(path: Path) -> Any:
    try:
        found = path.lstat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _environment(path: Path | str | None, own: Mapping[str, str], wanted: Sequence[str]) -> dict[str, str]:
    environment = clean_environment()
    if wanted:
        environment = environment_modules.load(wanted, environment)
    if path is not None:
        environment["PATH"] = os.pathsep.join([str(path), environment.get("PATH", os.defpath)])
        environment |= own or {"VIRTUAL_ENV": os.path.dirname(path)}
    return environment


def _platform() -> str:
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, AttributeError, OSError):
        library = ""
    return " ".join(filter(None, [sys.platform, os.uname().machine, library]))


def _refuse_place_of_nothing(tool: ToolConfig, where: str) -> None:
    """Raise StashError if something is to be in `{build}`, where nothing is built."""
    texts = [("entrypoint", tool.entrypoint), *((f"env.{name}", value or "") for name, value in tool.env.items())]
    named = next((field for field, text in texts if PLACEHOLDER in text), None)
    if named is not None:
        raise StashError(
            f"{where}: {named} names {PLACEHOLDER}, but no command of `build:` does: nothing is made there.",
            f"write where the commands are to put it, for example [cmake, -S, ., -B, '{PLACEHOLDER}']",
        )
