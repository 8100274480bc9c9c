"""``tool sync``: the environments of tools are made, and tools are built, now and not at their first run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.freeze.build import builds, make
from experimentstash.freeze.build.builds import Build
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.tools import registrations
from experimentstash.tools.transaction import Report, Transaction


@dataclass(frozen=True)
class Synced:
    """What `tool sync` has done for one tool."""

    name: str
    environment: Path | None
    was_ready: bool
    is_built: bool = False  # it has a `build:`
    problem: str | None = None


def sync(stash: Stash, names: Sequence[str], *, offline: bool = False, report: Report) -> list[Synced]:
    """Make the environments of these tools now, and build them; one that can't be made doesn't stop the others."""
    found = []
    for name in dict.fromkeys(names):
        try:
            recipe = recipe_of(stash, name)
            was_ready = environments.is_ready(recipe)
            environments.make(recipe, offline=offline, announce=report)
            build = build_of(stash, name, recipe)
            if build is not None:
                was_ready = was_ready and build.is_ready()
                make.make(stash, recipe.tool, build, report)
            found.append(Synced(name, recipe.directory, was_ready, build is not None))
        except StashError as error:
            found.append(Synced(name, None, False, problem=str(error)))
        except OSError as error:
            found.append(Synced(name, None, False, problem=f"{name}: {error.strerror}: {error.filename}"))
    return found


def is_ready(stash: Stash, name: str) -> bool:
    """Tell whether a tool has an environment of its own that is made."""
    try:
        recipe = recipe_of(stash, name)
        return recipe.directory is not None and environments.is_ready(recipe)
    except StashError:
        return False


def recipe_of(stash: Stash, name: str) -> Recipe:
    """Return the recipe of a tool's environment as its registration and its directory are now."""
    config = registrations.read(stash, name)
    return registrations.recipe(stash, name, config, tool_directory(stash, name, config))


def build_of(stash: Stash, name: str, recipe: Recipe) -> Build | None:
    """Return what makes a tool ready as its checkout is now; None if nothing does."""
    return builds.plan(stash, name, recipe.tool, recipe.base, recipe) if recipe.tool.build else None


def sync_in(transaction: Transaction, stash: Stash, name: str, report: Report) -> bool:
    """Make a tool's environment in a transaction; False if it has none, or has it already."""
    recipe = recipe_of(stash, name)
    if recipe.directory is None or environments.is_ready(recipe):
        return False
    transaction.create(recipe.directory)
    environments.make(recipe, announce=report)
    return True
