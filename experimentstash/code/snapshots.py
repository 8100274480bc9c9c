"""A checkout as one commit: what isn't committed and its nested submodules included, and nothing of the user's touched.

Only objects are made, which no reference knows; a worktree that has the commit checked out keeps them.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git import gitindex, objects, trees
from experimentstash.adapters.git.gitindex import gitlinks
from experimentstash.adapters.git.status import changes, status_of
from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.base.errors import StashError
from experimentstash.code import results, written
from experimentstash.code.patches import withhold
from experimentstash.code.provenance import OWN_OUTPUT, belongs_in_patch
from experimentstash.code.secret_files import holds_secret
from experimentstash.record.run import Code


@dataclass(frozen=True)
class Snapshot:
    """The commit of a checkout as it is, and how it differs from what the user has committed."""

    commit: str
    base: str  # what HEAD is
    branch: str | None  # None: detached
    is_dirty: bool
    patch: str  # from the base to the commit, nested submodules included
    omitted: tuple[str, ...]  # untracked files that the commit leaves out (large, or secrets)
    withheld: tuple[str, ...] = ()  # files that the patch leaves out as secrets; tracked ones are in the commit
    nested: Mapping[str, Snapshot] = field(default_factory=dict)  # the submodules that are checked out, by their paths


def take(
    root: Path, path: str = "", *, without: Sequence[str] = (), outputs: Sequence[str] = (), below: str = ""
) -> Snapshot | None:
    """Return the snapshot of the checkout at ``root``; None if there is nothing in it that git knows.

    With ``path`` the commit has no parent and nothing in it but that directory: it stays the same whatever changes
    elsewhere. ``without`` are untracked paths to leave out, and
    so are ``outputs``, but for source files there. ``below`` is where a submodule lies in its superproject.
    """
    status = status_of(root)
    if status is None or status.commit is None:
        return None
    prefix = f"{path}/" if path else ""
    left_out = tuple(f"{name}/" for name in without)
    changed = [name for name in status.changed if name.startswith(prefix)]
    untracked = [name for name in status.untracked if name.startswith(prefix) and not f"{name}/".startswith(left_out)]
    untracked = [name for name in untracked if not name.startswith(OWN_OUTPUT) or results.is_source(name)]
    untracked = [name for name in untracked if not written.is_within(name, outputs) or results.is_source(name)]
    left_by_runs = results.among(root, untracked, code=[root / path], tracked=lambda: gitindex.tracked(root, ["."]))
    untracked = [name for name in untracked if name not in left_by_runs]
    kept = [name for name in untracked if belongs_in_patch(root, name)]
    links = {name: commit for name, commit in gitlinks(root).items() if name.startswith(prefix)}
    nested = {
        name: taken
        for name in links
        if (root / name / ".git").exists() and (taken := take(root / name, below=f"{below}{name}/"))
    }
    committed = objects.object_at(root, "HEAD^{tree}")
    assert committed is not None
    tree = plain = committed
    if changed or kept or any(inner.commit != links[name] for name, inner in nested.items()):
        with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
            index = Path(scratch, "index")
            # First as the user would commit it: for a submodule that is another commit, but no changes inside.
            plain = trees.write_tree(root, index, path, kept, {name: inner.base for name, inner in nested.items()})
            tree = trees.write_tree(root, index, path, (), {name: inner.commit for name, inner in nested.items()})
    if path:
        own = objects.object_at(root, f"{tree}:{path}")
        if own is None:
            return None
        commit = trees.commit_tree(root, trees.put_below(root, own, path), None)
    else:
        commit = status.commit if tree == committed else trees.commit_tree(root, tree, status.commit)
    patch, withheld = withhold("" if plain == committed else changes(root, committed, plain, path, below), root, below)
    withheld += [f"{below}{name}" for name in untracked if name not in kept and holds_secret(root, name)]
    return Snapshot(
        commit=commit,
        base=status.commit,
        branch=status.branch,
        is_dirty=bool(changed or untracked) or any(inner.is_dirty for inner in nested.values()),
        patch=patch + "".join(inner.patch for inner in nested.values()),
        omitted=tuple(
            sorted({f"{below}{name}" for name in {*untracked} - {*kept}}.union(*(i.omitted for i in nested.values())))
        ),
        withheld=tuple(sorted({*withheld}.union(*(inner.withheld for inner in nested.values())))),
        nested=nested,
    )


def of_record(root: Path, code: Code, patch: str, path: str = "") -> Snapshot:
    """Return the code that a run's record tells of, ``patch`` included; ``path`` as in `take`.

    StashError if it can't be had again as it was.
    """
    base = str(code.commit)
    if not objects.has_commit(root, base):
        raise StashError(
            f"Commit {base[:12]} is no longer in the repository of {root}.",
            f"git -C {shlex.quote(str(root))} fetch origin {base}",
        )
    if not code.dirty:
        return of_commit(root, base, path)
    if code.snapshot is not None and objects.has_commit(root, code.snapshot):
        made = of_commit(root, code.snapshot, path)
    elif left_out := [*code.withheld, *(() if code.snapshot else code.omitted)]:
        raise StashError(f"What made its code differ from commit {base[:12]} isn't all kept: {', '.join(left_out)}.")
    elif not patch:
        raise StashError(f"What made its code differ from commit {base[:12]} is not kept.")
    else:
        with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
            made = of_commit(root, trees.patched(root, Path(scratch, "index"), base, patch), path)
    return replace(
        made,
        base=base,
        branch=code.branch,
        is_dirty=True,
        patch=patch,
        omitted=tuple(code.omitted),
        withheld=tuple(code.withheld),
    )


def of_commit(root: Path, commit: str, path: str = "") -> Snapshot:
    """Return a commit as it is, with its submodules, whatever is checked out; ``path`` as in `take`.

    StashError if something of it isn't in the repositories that are here: nothing is fetched.
    """
    if objects.is_incomplete(root, commit):
        raise StashError(
            f"Some files of commit {commit[:12]} are not in {root}, which is a partial clone.",
            f"git -C {shlex.quote(str(root))} fetch --refetch --no-filter origin",
        )
    nested = {}
    for name, wanted in objects.links_in(root, commit, path).items():
        inner = root / name
        if (inner / ".git").exists():
            if not objects.has_commit(inner, wanted):
                raise StashError(
                    f"Commit {commit[:12]} has its submodule {name} at {wanted[:12]}, which {inner} doesn't have.",
                    f"git -C {shlex.quote(str(inner))} fetch origin {wanted}",
                )
            nested[name] = of_commit(inner, wanted)
        elif name not in gitlinks(root):  # one that the checkout lacks as well, nobody has missed yet
            raise StashError(
                f"Commit {commit[:12]} has a submodule {name}, which is not checked out in {root}.",
                f"git -C {shlex.quote(str(root))} checkout {commit} && git -C {shlex.quote(str(root))} submodule update"
                f" --init --recursive {shlex.quote(name)}, then back to what was checked out",
            )
    snapshot = commit
    if path:
        own = objects.object_at(root, f"{commit}:{path}")
        assert own is not None
        snapshot = trees.commit_tree(root, trees.put_below(root, own, path), None)
    return Snapshot(snapshot, commit, None, False, "", (), (), nested)
