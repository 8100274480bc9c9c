"""What is said, and remembered, of what a run's tool wrote into its checkout."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from experimentstash.adapters.git import gitindex, objects
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.errors import StashError
from experimentstash.base.files import make_private
from experimentstash.code import written
from experimentstash.code.results import is_source
from experimentstash.code.written import Written
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash


def say(run: Run, names: Sequence[str], collected: Sequence[str], others: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the warnings and notes of what was written; of the tool it is remembered where it writes.

    ``collected`` has been copied into the run directory, and has changed in the checkout as well.
    """
    assert run.spec.code is not None
    tracked = _tracked(Path(run.spec.code.path), [*names, *collected])
    # While a run uses the checkout itself somebody may go on working there.
    edited = [name for name in names if run.spec.code.snapshot is None and name in tracked and is_source(name)]
    made = [name for name in names if name not in edited]
    warnings = [_warning(run, made, tracked, others)] if made else []
    changed = [name for name in collected if name in tracked]
    if changed:
        warnings.append(
            f"it has changed what git tracks in its tool's checkout, so that the code counts as changed from now on:"
            f" {written.in_words(changed)}; the run's own version is kept with it"
            f"\n  → git -C {shlex.quote(run.spec.code.path)} checkout -- {shlex.quote(changed[0])} puts it back"
        )
    return warnings, [_note(edited)] if edited else []


def _warning(run: Run, made: Sequence[str], tracked: set[str], others: Sequence[str]) -> str:
    heads = written.heads(made)
    _remember(run, [name for name in made if name not in tracked])
    if others:
        several = f"{len(others)} others" if len(others) > 1 else others[0]
        text = (
            f"while it and {several} were at work, {written.in_words(made)} appeared or changed in their tool's"
            " checkout: written by one of them, perhaps by several over one another"
        )
    else:
        text = f"it wrote into its tool's checkout, where other runs would write over it: {written.in_words(made)}"
    changed = sorted(tracked & set(made))
    if changed:
        text += f"; git tracks {changed[0]}{' and others' if len(changed) > 1 else ''}: from now on the code is changed"
    inside = [head for head in heads if not head.startswith("../") and not os.path.isabs(head)]
    registration = run.spec.registration or "the tool's registration"
    hints = [f"`collect: [{', '.join(inside)}]` keeps it with the run"] if inside else []
    if os.path.realpath(run.spec.command.cwd) != os.path.realpath(run.path):
        hints.append("`working_directory: run` starts the tool where its run is kept")
    hints += [f"`shared: [{', '.join(inside)}]` if it is to stay there"] if inside else []
    return f"{text}\n  → in {registration}: {'; '.join(hints)}" if hints else text


def say_gone(run: Run, seen: Written) -> tuple[list[str], list[str]]:
    """Return the warnings and notes of what was deleted from the checkout, and of another commit in it."""
    assert run.spec.code is not None
    warnings, notes = [], []
    directory = Path(run.spec.code.path)
    root = toplevel(directory)
    deleted = _deleted(run, root, seen.stirred) if root is not None and seen.stirred else []
    run.attempt.deleted = deleted[: written.MOST_NAMES]
    if deleted:
        warnings.append(
            f"while it was at work, what git tracks was deleted from its tool's checkout: {written.in_words(deleted)};"
            f" from now on the code is changed"
            f"\n  → git -C {shlex.quote(run.spec.code.path)} checkout -- {shlex.quote(deleted[0])} puts it back"
        )
    known = {os.path.dirname(name) or "." for name in deleted}
    thinned = [name for name in seen.thinned if name not in known and not run.spec.collect]
    if thinned:
        notes.append(
            f"while it was at work, something was deleted from its tool's checkout, in {', '.join(thinned[:5])}"
            f"{' …' if len(thinned) > 5 else ''}; what it was isn't known"
        )
    before = run.spec.code.snapshot or run.spec.code.commit
    now = objects.commit_named(root, "HEAD") if root is not None and seen.is_head_moved else None
    if now is not None and before is not None and now != before:
        notes.append(
            f"its tool's checkout was at commit {before[:12]} when it began and is at {now[:12]}: it, or somebody,"
            " has committed or checked out something; the next run uses that"
        )
    return warnings, notes


def _deleted(run: Run, root: Path, stirred: Sequence[str]) -> list[str]:
    """Return what git tracks and misses, in directories from which something has gone; relative to the tool's."""
    assert run.spec.code is not None
    before = ""
    if run.spec.code.patch is not None:
        with contextlib.suppress(OSError):
            before = (run.path / run.spec.code.patch).read_text(encoding="utf-8", errors="replace")
    gone = set(re.findall(r"(?m)^diff --git a/(.*) b/\1\ndeleted file mode", before))
    paths = [
        (path, os.path.relpath(root / path, run.spec.code.path)) for path in gitindex.deleted(root) if path not in gone
    ]
    inside = [os.path.normpath(name) for name in stirred]
    return sorted(name for _, name in paths if any(written.is_within(name, [each]) or each == "." for each in inside))


def _note(edited: Sequence[str]) -> str:
    shown = ", ".join(edited[:5]) + (" …" if len(edited) > 5 else "")
    return f"code was changed while it was at work, by the tool or by somebody else: {shown}"


def _tracked(directory: Path, names: Sequence[str]) -> set[str]:
    """Return which of these files git tracks."""
    root = toplevel(directory)
    if root is None:
        return set()
    paths = {os.path.relpath(os.path.join(directory, name), root): name for name in names[: written.MOST_NAMES]}
    try:
        known = set(gitindex.tracked(root, [path for path in paths if not path.startswith("../")]))
    except GitError:
        return set()
    return {name for path, name in paths.items() if path in known}


def _remember(run: Run, names: Sequence[str]) -> None:
    if run.spec.stash is not None and names:
        stash = Stash(Path(run.spec.stash.path))
        with contextlib.suppress(StashError, OSError):  # a hint is not worth more than the run
            if stash.conf.is_dir():
                make_private(stash.private)
                written.remember(stash.writes(run.spec.tool), names)
