"""The tools of a stash: what they are and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.work import work_in
from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError
from experimentstash.code import pins
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.tools import places, registrations


@dataclass(frozen=True)
class Tool:
    """A tool and how it stands."""

    name: str
    path: str
    entrypoint: str
    style: str
    description: str
    experiments: tuple[str, ...]
    pinned: str | None  # the commit that the registration says
    url: str | None = None
    branch: str | None = None  # None: detached, or no repository of its own
    commit: str | None = None  # what is checked out
    work: tuple[str, ...] = ()  # what exists only here
    environment: str | None = None  # its kind, and what it is made from
    is_ready: bool = False
    python: str | None = None  # the interpreter
    problem: str | None = None  # why it can't be used
    checkout: str | None = None  # the repository that its directory lies in, if that is another directory
    shares_with: tuple[str, ...] = ()  # tools that lie in the same repository of their own
    pin_problem: str | None = None  # why it runs only with frozen code, or not at all


def tools(stash: Stash) -> list[Tool]:
    """Return all tools, by name. A tool that can't be used says why."""
    directories = places.directories(stash)
    return [_show(stash, name, directories) for name in stash.tools()]


def show(stash: Stash, name: str) -> Tool:
    """Return a tool. StashError only if there is none of this name."""
    return _show(stash, name, places.directories(stash))


def _show(stash: Stash, name: str, directories: Mapping[str, Path]) -> Tool:
    experiments = tuple(registrations.dependents(stash, name))
    try:
        config = registrations.read(stash, name)
    except StashError as error:
        if name not in stash.tools():
            raise
        return Tool(name, "", "", "", "", experiments, None, problem=error.message)
    tool = Tool(
        name=name,
        path=config.path or "",
        entrypoint=config.entrypoint,
        style=getattr(config.call.style, "value", str(config.call.style)),  # text, if only a run can resolve it
        description=config.description,
        experiments=experiments,
        pinned=config.commit,
    )
    facts = dict(vars(tool))
    try:
        directory = tool_directory(stash, name, config)
    except StashError as error:
        return Tool(**{**facts, "problem": str(error)})
    root = toplevel(directory) if config.path else None
    if root is not None and root != toplevel(stash.root):
        others = tuple(each for each, place in directories.items() if each != name and places.lies_in(place, root))
        facts.update(checkout=None if root == directory else stash.relative(root), shares_with=others)
        try:
            commit, branch = checkouts.head(root)
            url = gitconfig.origin(root)
            facts.update(commit=commit, branch=branch, url=url, work=tuple(work_in(root).describe()))
        except CommandError as error:
            facts.update(problem=error.message)
    try:
        pin = pins.read(stash, name, config, directory)
        if pin is not None:
            pins.refuse_other(name, config, pin)
    except StashError as error:
        facts.update(pin_problem=str(error))
    try:
        recipe = registrations.recipe(stash, name, config, directory)
        python = environments.interpreter(recipe)
        facts.update(
            environment=recipe.shown,
            is_ready=environments.is_ready(recipe),
            python=str(python) if python else None,
        )
    except StashError as error:
        facts.update(problem=str(error))
    return Tool(**facts)
