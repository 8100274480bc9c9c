"""What `tool remove` keeps: everything of a tool that can't be had again from its remote, and how it was set up.

backups/<tool>-<time>/
  backup.json          what is here, and the pin
  stash/               registration and organizers, at their paths
  changes/             staged.patch and unstaged.patch of each repository, for people
  repositories/<n>/    0 the tool itself, then its submodules: `state` is the git directory without objects,
                       `objects.bundle` holds the commits and staged files that exist nowhere else
  files/               what lies in the checkout and differs from the commit, ignored files included
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from experimentstash.stash.layout import new_token

MANIFEST = "backup.json"
FORMAT = 1


@dataclass(frozen=True)
class Repository:
    """One of the repositories of a tool."""

    path: str  # of its checkout below the tool's; "" for the tool itself
    module: str  # of its git directory below the tool's; "" likewise
    url: str | None
    commit: str | None
    has_bundle: bool
    is_complete: bool  # the bundle holds everything: the remote could not be asked


@dataclass(frozen=True)
class Backup:
    """What the manifest of a backup says."""

    tool: str
    created: str
    path: str  # the submodule's, in the stash's repository; the tool may be a directory in it
    module: str  # the submodule's name
    url: str | None
    commit: str | None
    branch: str | None
    registered: bool  # as a submodule; a leftover may not be
    section: list[list[str]]  # its settings in the repository's configuration
    index: list[list[str | None]]  # its entries of the index: path, mode, object
    gitmodules_before: str | None
    gitmodules_after: str | None
    stash_files: list[str]
    absent: list[str]  # tracked files that were deleted in the checkout
    directories: list[str]  # empty ones
    skipped: list[str]  # what can be made anew and was left out
    repositories: list[Repository]
    has_checkout: bool
    format: int = FORMAT
    is_installed: bool = False  # it lies nowhere here
    is_registration_alone: bool = False  # the checkout has stayed, because other tools lie in it


def folder_name(tool: str, what: str = "") -> str:
    """Return a new name for a backup."""
    return f"{tool}{what}-{time.strftime('%Y%m%d-%H%M%S')}-{new_token()}"
