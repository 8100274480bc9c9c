"""Which code a run used: the commits of the stash and of the tool, and what differs from them."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experimentstash import git
from experimentstash.files import write_atomically
from experimentstash.records import Code
from experimentstash.redaction import is_secret_file, redact
from experimentstash.results import among, is_source
from experimentstash.written import is_within

# What the framework itself writes into a stash is no change of its code, ignored by git or not; in a tool's checkout
# it is what Hydra applications write by default.
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

    def identify(
        self,
        directory: Path,
        patch_name: str,
        *,
        is_stash: bool = False,
        code: Sequence[Path] = (),
        results: Sequence[Path] = (),
        outputs: Sequence[Path] = (),
    ) -> Provenance:
        """Return what the checkout with this directory is now; only changes below the directory count as its own.

        Results of runs are no changes: see ``results.among``, which gets ``code`` and the directories ``results``. Nor
        is what git doesn't track at ``outputs``, where a tool leaves its own, but for source files. Of a stash in a
        larger repository, what differs from the commit elsewhere counts as well, as far as git tracks it: a tool may
        use code from there.
        """
        moment, known = self._identified.get((directory, patch_name), (-FRESH, None))
        if known is None or time.monotonic() - moment >= FRESH:
            moment, status = self._status(directory)
            if status is None:
                known = Provenance(Code(path=str(directory)))
            else:
                cleaned = self._cleaned(directory, status, is_stash, code, results, outputs)
                known = _identity(directory, cleaned, patch_name, set(status.changed) - set(cleaned.changed), is_stash)
            self._identified[directory, patch_name] = moment, known
        return known

    def _cleaned(
        self,
        directory: Path,
        status: git.Status,
        is_stash: bool,
        code: Sequence[Path],
        results: Sequence[Path],
        outputs: Sequence[Path],
    ) -> git.Status:
        """Return a status without what isn't the directory's, and without results."""
        prefix = "" if directory == status.root else f"{os.path.relpath(directory, status.root)}/"
        own_output = tuple(f"{prefix}{name}" for name in OWN_OUTPUT)
        changed = {path for path in status.changed if is_stash or path.startswith(prefix)}
        untracked = {
            path
            for path in status.untracked
            if path.startswith(prefix) and not (path.startswith(own_output) and (is_stash or not is_source(path)))
        }
        left = [os.path.relpath(path, status.root) for path in outputs]
        untracked = {path for path in untracked if not is_within(path, left) or is_source(path)}
        left_by_runs = among(
            status.root,
            (*changed, *untracked),
            code=(directory, *code),
            known=results,
            tracked=lambda: git.tracked(status.root, ["."]),
        )
        # A submodule in which nothing but results lies about is as committed.
        clean = {
            path for path in status.littered if path in changed and not self._is_dirty(status.root / path, outputs)
        }
        return dataclasses.replace(
            status,
            changed=tuple(sorted(changed - left_by_runs - clean)),
            untracked=tuple(sorted(untracked - left_by_runs)),
        )

    def _is_dirty(self, submodule: Path, outputs: Sequence[Path]) -> bool:
        _, status = self._status(submodule)
        if status is None:
            return True
        cleaned = self._cleaned(submodule, status, False, (), (), outputs)
        return bool(cleaned.changed or cleaned.untracked)

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


def _identity(
    directory: Path, status: git.Status, patch_name: str, passed_over: set[str], is_stash: bool
) -> Provenance:
    is_dirty = bool(status.changed or status.untracked)
    code = Code(path=str(directory), commit=status.commit, branch=status.branch, dirty=is_dirty)
    if not code.dirty or status.commit is None:
        return Provenance(code)
    # Of others' projects in the same repository secrets are none of ours, even if git tracks them.
    secret = {
        path
        for path in status.changed
        if is_secret_file(Path(path).name) and not (status.root / path).is_relative_to(directory)
    }
    kept = tuple(path for path in status.untracked if belongs_in_patch(status.root / path))
    code.omitted = sorted({*status.untracked, *secret} - set(kept))
    patch = ""
    if set(status.changed) - secret or kept:
        is_whole = is_stash or directory == status.root
        limits = () if is_whole else (os.path.relpath(directory, status.root),)
        without = tuple(
            sorted(path for path in secret | passed_over if is_whole or (status.root / path).is_relative_to(directory))
        )
        patch = redact(git.difference(directory, status.commit, limits, kept, without), os.environ)
    if patch:  # of a submodule with nothing but untracked files there is nothing to say here
        code.patch = patch_name
    return Provenance(code, patch)


def belongs_in_patch(path: Path) -> bool:
    """Tell whether an untracked file is code, by its name and size."""
    if is_secret_file(path.name):
        return False
    try:
        return path.is_symlink() or (path.is_file() and path.stat().st_size <= LARGEST_UNTRACKED)
    except OSError:
        return False
