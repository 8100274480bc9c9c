"""``tool sync``: the environments of tools are made now, not at their first run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.freeze.environment import store as environments
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
    problem: str | None = None


def sync(stash: Stash, names: Sequence[str], *, offline: bool = False, report: Report) -> list[Synced]:
    """Make the environments of these tools now; one that can't be made doesn't stop the others."""
    found = []
    for name in dict.fromkeys(names):
        try:
            config = registrations.read(stash, name)
            recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
            was_ready = environments.is_ready(recipe)
            environments.make(recipe, offline=offline, announce=report)
            found.append(Synced(name, recipe.directory, was_ready))
        except StashError as error:
            found.append(Synced(name, None, False, str(error)))
        except OSError as error:
            found.append(Synced(name, None, False, f"{name}: {error.strerror}: {error.filename}"))
    return found


def is_ready(stash: Stash, name: str) -> bool:
    try:
        config = registrations.read(stash, name)
        recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
        return recipe.directory is not None and environments.is_ready(recipe)
    except StashError:
        return False


def sync_in(transaction: Transaction, stash: Stash, name: str, report: Report) -> bool:
    config = registrations.read(stash, name)
    recipe = registrations.recipe(stash, name, config, tool_directory(stash, name, config))
    if recipe.directory is None or environments.is_ready(recipe):
        return False
    transaction.create(recipe.directory)
    environments.make(recipe, announce=report)
    return True
