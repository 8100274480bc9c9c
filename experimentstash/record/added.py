"""What was added to a run later, tags and notes: in a file beside its record, which is its supervisor's to write.

Nobody but whoever adds something writes it, one at a time. The record's time is renewed then, so that whoever keeps
what a record has said looks again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.base.files import locked, write_atomically
from experimentstash.base.output import say
from experimentstash.record import archives, records, times
from experimentstash.record.run import Run, Time

FILE_NAME = ".added.json"
LOCK = "runs.added"  # as no tool is called
# Bytes of the file, and of a tag or a note.
_LARGEST, _LONGEST_TAG, LONGEST_NOTE = 1 << 20, 64, 10_000


@dataclass(frozen=True)
class Note:
    """What somebody has noted of a run."""

    time: Time
    text: str


@dataclass(frozen=True)
class Added:
    """What was added to a run; tags that it was made with can be taken from it, too."""

    tags: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


_KNOWN = {**typed.BASIC, "Time": typed.time}
_KNOWN["Note"] = typed.builder(Note, _KNOWN)
_BUILD = typed.builder(Added, _KNOWN)


def read(run: Run) -> Added:
    """Return what was added to a run; of a file that can't be read one line is said, and it counts as nothing."""
    try:
        return _read(run)
    except StashError as error:
        say(error.message)
        return Added()


def tags_of(run: Run) -> list[str]:
    """Return the tags of a run: those that it was made with, but for what was taken away, and those added since."""
    added = read(run)
    kept = [tag for tag in run.spec.tags if tag not in added.without]
    return [*kept, *(tag for tag in added.tags if tag not in kept)]


def change_tags(run: Run, lock: Path, more: Sequence[str] = (), fewer: Sequence[str] = ()) -> None:
    """Add tags to a run, and take others away; StashError if that can't be kept."""
    with locked(lock):
        before = _read(run)
        tags = [tag for tag in before.tags if tag not in fewer]
        tags += [tag for tag in dict.fromkeys(more) if tag not in tags and tag not in run.spec.tags]
        without = [tag for tag in before.without if tag not in more]
        without += [tag for tag in dict.fromkeys(fewer) if tag in run.spec.tags and tag not in without]
        _write(run, Added(tags, without, before.notes))


def add_note(run: Run, lock: Path, text: str) -> None:
    """Add a note to a run; StashError if that can't be kept."""
    with locked(lock):
        before = _read(run)
        _write(run, Added(before.tags, before.without, [*before.notes, Note(times.now(), text)]))


def why_no_tag(name: str) -> str | None:
    """Return why a word can't be a tag; None if it can."""
    if not name or name != name.strip() or not name.isprintable() or "," in name:
        return "a tag is a word without commas"
    return f"it has more than {_LONGEST_TAG} characters" if len(name) > _LONGEST_TAG else None


def _read(run: Run) -> Added:
    path = Path(os.path.join(run.directory, FILE_NAME))
    if not archives.exists(path):  # as of most runs: to ask is quicker than to try
        return Added()
    try:
        found: Added = _BUILD(typed.loads(archives.read(path, _LARGEST)), "")
    except FileNotFoundError:
        return Added()
    except (OSError, ValueError) as error:
        raise StashError(f"{path}, which has what was added to {run.id}, can't be read: {error}") from error
    return found


def _write(run: Run, added: Added) -> None:
    archives.refuse(run.path, run.id)
    content = {**vars(added), "notes": [vars(note) for note in added.notes]}
    text = json.dumps(content, indent=2) + "\n"
    if len(text) > _LARGEST:
        raise StashError(f"{run.id} has too many notes: they would take more than {_LARGEST >> 20} MB.")
    record = run.path / records.FILE_NAME
    try:
        os.utime(record, follow_symlinks=False)  # where that is refused, nothing is added that nobody would look for
        write_atomically(run.path / FILE_NAME, text)
        os.utime(record, follow_symlinks=False)
    except OSError as error:
        raise StashError(f"What is added to {run.id} can't be kept: {error.strerror}.") from error
