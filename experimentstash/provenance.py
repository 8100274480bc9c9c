"""Which code a run used: the commits of the stash and of the tool, and what differs from them."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash import git
from experimentstash.files import write_atomically
from experimentstash.records import Code
from experimentstash.redaction import is_secret_file, redact

# What the framework itself writes into a stash is no change of its code, ignored by git or not.
_OWN_OUTPUT = ("outputs/", "multirun/", ".experimentstash/")
# Bytes. A larger untracked file is data, not code: it is named in the record and left out of the patch.
LARGEST_UNTRACKED = 1024 * 1024


def identify(stash: Path, tool: Path, run_directory: Path) -> tuple[Code, Code]:
    """Return the identities of stash and tool, and write what is uncommitted as patches into the run directory.

    For a tool that lives in the stash's own repository, only changes below its path count as the tool's.
    """
    stash_status = git.status(stash)
    is_own_repository = git.toplevel(tool) != git.toplevel(stash)
    tool_status = git.status(tool) if is_own_repository else stash_status
    return (
        _identity(stash, stash_status, run_directory, "stash.patch"),
        _identity(tool, tool_status, run_directory, "tool.patch"),
    )


def _identity(directory: Path, status: git.Status | None, run_directory: Path, patch_name: str) -> Code:
    if status is None:
        return Code(path=str(directory))
    prefix = "" if directory == status.root else f"{os.path.relpath(directory, status.root)}/"
    changed = tuple(path for path in status.changed if path.startswith(prefix))
    untracked = tuple(path for path in status.untracked if path.startswith(prefix) and not path.startswith(_OWN_OUTPUT))
    code = Code(path=str(directory), commit=status.commit, branch=status.branch, dirty=bool(changed or untracked))
    if not code.dirty or status.commit is None:
        return code
    kept = tuple(path for path in untracked if _belongs_in_patch(status.root / path))
    code.omitted = sorted(set(untracked) - set(kept))
    if changed or kept:
        limits = (prefix.rstrip("/"),) if prefix else ()
        patch = git.difference(directory, status.commit, limits, kept)
        if patch:  # of a submodule with nothing but untracked files there is nothing to say here
            write_atomically(run_directory / patch_name, redact(patch, os.environ))
            code.patch = patch_name
    return code


def _belongs_in_patch(path: Path) -> bool:
    if is_secret_file(path.name):
        return False
    try:
        return path.is_symlink() or (path.is_file() and path.stat().st_size <= LARGEST_UNTRACKED)
    except OSError:
        return False
