"""Which code a run used: the commits of the stash and of the tool, and what differs from them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.git import gitindex
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import Status, difference, status_of
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.files import write_atomically
from experimentstash.code.patches import parts, withhold
from experimentstash.code.results import among, is_source
from experimentstash.code.secret_files import holds_secret, is_secret_file
from experimentstash.code.written import is_within
from experimentstash.record.run import Code
from experimentstash.stash import paths

# What the framework itself writes into a stash is no change of its code, ignored by git or not; in a tool's checkout
# it is what Hydra applications write by default.
OWN_OUTPUT = tuple(f"{folder}/" for folder in paths.WRITTEN)
_KEPT = tuple(f"{folder}/" for folder in paths.KEPT)
# Bytes. A larger untracked file is data, not code: it is named in the record and left out of the patch.
LARGEST_UNTRACKED = 1024 * 1024
# Seconds for which a checkout counts as it was when it was looked at: a sweep's jobs are frozen in quick succession.
FRESH = 1.0


@dataclass(frozen=True)
class Provenance:
    """What a checkout is: for the record, and the patch that it names."""

    code: Code
    patch: str = ""
    untold: tuple[str, ...] = ()  # submodules with untracked files, of which the patch says nothing

    def write(self, run_directory: Path) -> None:
        """Write the patch into the run directory, if there is one."""
        if self.code.patch is not None:
            write_atomically(run_directory / self.code.patch, self.patch)


class Checkouts:
    """The identities of checkouts, each looked at once a second at most."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[float, Status | None]] = {}
        self._identified: dict[tuple[Path, str], tuple[float, Provenance]] = {}

    def identify(
        self,
        directory: Path,
        patch_name: str,
        *,
        is_stash: bool = False,
        code: Sequence[Path] = (),
        results: Sequence[Path] = (),
        outputs: Callable[[], Sequence[Path]] = tuple,
    ) -> Provenance:
        """Return what the checkout with this directory is now; only changes below the directory count as its own.

        Results of runs are no changes: see ``results.among``, which gets ``code`` and the directories ``results``. Nor
        is what git doesn't track at ``outputs``, where a tool leaves its own, but for source files. Of a stash in a
        larger repository, what differs from the commit elsewhere counts as well, as far as git tracks it: a tool may
        use code from there.
        """
        moment, known = self._identified.get((directory, patch_name), (-FRESH, None))
        if known is None or time.monotonic() - moment >= FRESH:
            try:
                moment, status = self._status(directory)
                if status is None:
                    known = Provenance(Code(path=str(directory)))
                else:
                    cleaned = self._cleaned(directory, status, is_stash, code, results, outputs())
                    passed_over = set(status.changed) - set(cleaned.changed)
                    known = _identity(directory, cleaned, patch_name, passed_over, is_stash)
            except GitError as error:
                moment, known = time.monotonic(), Provenance(Code(path=str(directory), unknown=str(error)))
            self._identified[directory, patch_name] = moment, known
        return known

    def _cleaned(
        self,
        directory: Path,
        status: Status,
        is_stash: bool,
        code: Sequence[Path],
        results: Sequence[Path],
        outputs: Sequence[Path],
    ) -> Status:
        """Return a status without what isn't the directory's, and without results."""
        prefix = "" if directory == status.root else f"{os.path.relpath(directory, status.root)}/"
        own_output = tuple(f"{prefix}{name}" for name in (*OWN_OUTPUT, *(_KEPT if is_stash else ())))
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
            tracked=lambda: gitindex.tracked(status.root, ["."]),
        )
        # A submodule in which nothing but results lies about is as committed.
        clean = {
            path for path in status.littered if path in changed and not self._is_dirty(status.root / path, outputs)
        }
        return replace(
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

    def _status(self, directory: Path) -> tuple[float, Status | None]:
        """Return the state of a checkout, and when it was looked at."""
        root = toplevel(directory)
        if root is None:
            return time.monotonic(), None
        moment, status = self._known.get(root, (-FRESH, None))
        if time.monotonic() - moment >= FRESH:
            moment, status = time.monotonic(), status_of(root)
            self._known[root] = moment, status
        return moment, status


def _identity(directory: Path, status: Status, patch_name: str, passed_over: set[str], is_stash: bool) -> Provenance:
    is_dirty = bool(status.changed or status.untracked)
    code = Code(path=str(directory), commit=status.commit, branch=status.branch, dirty=is_dirty)
    if not code.dirty or status.commit is None:
        return Provenance(code)
    kept = tuple(path for path in status.untracked if belongs_in_patch(status.root, path))
    omitted = sorted({*status.untracked} - {*kept})
    withheld = {path for path in omitted if holds_secret(status.root, path)}
    patch = ""
    if status.changed or kept:
        is_whole = is_stash or directory == status.root
        limits = () if is_whole else (os.path.relpath(directory, status.root),)
        without = tuple(
            sorted(path for path in passed_over if is_whole or (status.root / path).is_relative_to(directory))
        )
        patch, in_patch = withhold(difference(directory, status.commit, limits, kept, without), status.root)
        withheld.update(in_patch)
    # Of a submodule with nothing but untracked files there is nothing to say in a patch here.
    name = patch_name if patch else None
    untold = tuple(path for path in status.littered if path in status.changed)
    return Provenance(replace(code, omitted=omitted, withheld=sorted(withheld), patch=name), patch, untold)


def has_same_source(one: Provenance, other: Provenance) -> bool:
    """Tell whether two states of a checkout differ in nothing but files that are no source, as what tools write."""
    sources = [{path: part for path, part in parts(each.patch).items() if is_source(path)} for each in (one, other)]
    return one.code.commit == other.code.commit and sources[0] == sources[1]


def belongs_in_patch(root: Path, name: str) -> bool:
    """Tell whether an untracked file is code: not too large, and no secret by its name or content."""
    path = root / name
    try:
        if path.is_symlink():
            return not is_secret_file(name)
        return path.is_file() and path.stat().st_size <= LARGEST_UNTRACKED and not holds_secret(root, name)
    except OSError:
        return False


def withheld_notes(checkouts: Sequence[Code]) -> list[str]:
    """Return what is to be said of checkouts whose patches aren't all that makes them differ."""
    tracked = dict.fromkeys(path for code in checkouts for path in code.withheld if path not in code.omitted)
    if not tracked:
        return []
    return [
        f"{', '.join(tracked)}: left out of the patch, because what is changed there looks like a secret; this run"
        " can't be reproduced from its record alone"
    ]
