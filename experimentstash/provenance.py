"""Which code a run used: the commits of the stash and of the tool, and what differs from them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from experimentstash import git
from experimentstash.files import write_atomically
from experimentstash.records import Code
from experimentstash.redaction import is_secret_file, redact

# What the framework itself writes into a stash is no change of its code, ignored by git or not.
OWN_OUTPUT = ("outputs/", "multirun/", ".experimentstash/")
# Bytes. A larger untracked file is data, not code: it is named in the record and left out of the patch.
LARGEST_UNTRACKED = 1024 * 1024
# Seconds for which a checkout counts as it was when it was looked at: a sweep's jobs are frozen in quick succession.
FRESH = 1.0


@dataclass(frozen=True)
class Provenance:
    """What a checkout is: for the record, and the patch that it names."""

    code: Code
    patch: str = ""

    def write(self, run_directory: Path) -> None:
        """Write the patch into the run directory, if there is one."""
        if self.code.patch is not None:
            write_atomically(run_directory / self.code.patch, self.patch)


class Checkouts:
    """The identities of checkouts, each looked at once a second at most."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[float, git.Status | None]] = {}
        self._identified: dict[tuple[Path, str], tuple[float, Provenance]] = {}

    def identify(self, directory: Path, patch_name: str) -> Provenance:
        """Return what the checkout with this directory is now; only changes below the directory count as its own."""
        moment, known = self._identified.get((directory, patch_name), (-FRESH, None))
        if known is None or time.monotonic() - moment >= FRESH:
            moment, status = self._status(directory)
            known = self._identity(directory, status, patch_name)
            self._identified[directory, patch_name] = moment, known
        return known

    def _identity(self, directory: Path, status: git.Status | None, patch_name: str) -> Provenance:
        if status is None:
            return Provenance(Code(path=str(directory)))
        prefix = "" if directory == status.root else f"{os.path.relpath(directory, status.root)}/"
        changed = tuple(path for path in status.changed if path.startswith(prefix))
        untracked = tuple(
            path for path in status.untracked if path.startswith(prefix) and not path.startswith(OWN_OUTPUT)
        )
        is_dirty = bool(changed or untracked)
        code = Code(path=str(directory), commit=status.commit, branch=status.branch, dirty=is_dirty)
        if not code.dirty or status.commit is None:
            return Provenance(code)
        kept = tuple(path for path in untracked if belongs_in_patch(status.root / path))
        code.omitted = sorted(set(untracked) - set(kept))
        patch = ""
        if changed or kept:
            limits = (prefix.rstrip("/"),) if prefix else ()
            patch = redact(git.difference(directory, status.commit, limits, kept), os.environ)
        if patch:  # of a submodule with nothing but untracked files there is nothing to say here
            code.patch = patch_name
        return Provenance(code, patch)

    def _status(self, directory: Path) -> tuple[float, git.Status | None]:
        """Return the state of a checkout, and when it was looked at."""
        root = git.toplevel(directory)
        if root is None:
            return time.monotonic(), None
        moment, status = self._known.get(root, (-FRESH, None))
        if time.monotonic() - moment >= FRESH:
            moment, status = time.monotonic(), git.status(root)
            self._known[root] = moment, status
        return moment, status


def belongs_in_patch(path: Path) -> bool:
    """Tell whether an untracked file is code, by its name and size."""
    if is_secret_file(path.name):
        return False
    try:
        return path.is_symlink() or (path.is_file() and path.stat().st_size <= LARGEST_UNTRACKED)
    except OSError:
        return False
