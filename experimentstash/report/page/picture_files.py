"""Which files of a run are pictures: of its directory and below it, and no others. No link is followed.

What is left out, because there are many, or where it isn't looked for, is told.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.text import counted, listed
from experimentstash.code import written
from experimentstash.record import archives
from experimentstash.report.page.grouping import natural
from experimentstash.runs.facts import Facts

# What a file may be, by the end of its name.
ENDINGS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".gif": "gif",
    ".svg": "svg",
    ".pdf": "pdf",
}
# Pictures of a run.
MOST_OF_RUN = 100
# Files and folders of a run that are looked at, and how deep they may lie.
_MOST_ENTRIES, _DEEPEST = 20_000, 8


class RunFile(NamedTuple):
    """A regular file of a run."""

    name: str
    size: int
    modified: float | None  # seconds since the epoch, by whatever says it was changed last; None in an archive


@dataclass
class Passed:
    """Where pictures of a run may be that aren't looked for there."""

    links: list[str] = field(default_factory=list)  # those to pictures and folders that lead out of the run
    deep: list[str] = field(default_factory=list)  # folders that lie too deep
    of_wandb: int = 0  # pictures


class Files(NamedTuple):
    """The pictures of a run."""

    files: list[RunFile]
    more: int  # pictures that were left out
    is_whole: bool  # all was looked at
    passed: Passed


def kind_of(name: str) -> str:
    """Return what kind of picture a file is by its name; "" if it is none."""
    return ENDINGS.get(os.path.splitext(name)[1].lower(), "")


def of_run(directory: str) -> Files:
    """Return the pictures of a run, those nearest to the top first, if there are too many."""
    found: list[RunFile] = []
    is_whole, passed = True, Passed()
    try:
        archive = archives.holding(Path(directory))
        entries = regular_files(directory, passed) if archive is None else _of_archive(archive, directory)
        for count, entry in enumerate(entries):
            if count >= _MOST_ENTRIES:
                is_whole = False
                break
            if entry is not None and kind_of(entry.name):
                found.append(entry)
    except OSError:  # the directory is gone or can't be read, or the archive is damaged: the run's state says more
        return Files([], 0, True, Passed())
    found.sort(key=lambda each: (each.name.count("/"), natural(each.name)))
    return Files(found[:MOST_OF_RUN], max(0, len(found) - MOST_OF_RUN), is_whole, passed)


def regular_files(directory: str, passed: Passed | None = None) -> Iterator[RunFile | None]:
    """Yield the regular files below a directory; None for what is something else. ``passed`` gets what is passed by."""
    passed = Passed() if passed is None else passed
    waiting = [("", 0)]
    while waiting:
        below, depth = waiting.pop(0)
        try:
            with os.scandir(os.path.join(directory, below)) as entries:
                several = sorted(entries, key=lambda entry: entry.name)
        except OSError:  # it may not be read, or has just gone
            continue
        inside = {entry.name for entry in several} if below else ()
        if below and not written.may_hold_results(os.path.join(directory, below), os.path.basename(below), inside):
            if os.path.basename(below) == "wandb":
                passed.of_wandb += _of_wandb(os.path.join(directory, below))
            continue
        for entry in several:
            name = os.path.join(below, entry.name)
            try:
                if entry.name.startswith("."):
                    pass
                elif entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST:
                        waiting.append((name, depth + 1))
                    else:
                        passed.deep.append(name)
                elif entry.is_symlink():
                    if _leads_out(directory, name) and (kind_of(name) or entry.is_dir()):
                        passed.links.append(name)
                elif entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    yield RunFile(name, found.st_size, max(found.st_mtime, found.st_ctime))
                    continue
            except OSError:
                pass
            yield None


def _leads_out(directory: str, name: str) -> bool:
    """Tell whether a link leads out of a run's directory: what it leads to inside is found there itself."""
    root = os.path.realpath(directory)
    return os.path.commonpath([root, os.path.realpath(os.path.join(directory, name))]) != root


def _of_wandb(folder: str) -> int:
    """Return how many pictures W&B keeps in its folder, as far as that is looked at."""
    kept = (name for place, _, names in os.walk(folder) if "media" in Path(place).parts for name in names)
    return sum(bool(kind_of(name)) for name in itertools.islice(kept, _MOST_ENTRIES))


def _of_archive(archive: Path, directory: str) -> Iterator[RunFile | None]:
    for name, info in archives.files_below(archive, directory):
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        yield None if is_hidden else RunFile(name, info.file_size, None)


def left_out(runs: Sequence[Facts], files_of: Mapping[int, Files], places: Sequence[int]) -> list[str]:
    """Return what there is to say of pictures of some of the runs that aren't in the page."""
    found = [(runs[place].id, files_of[place]) for place in places]
    remarks = []
    if more := [(name, each.more) for name, each in found if each.more]:
        remarks.append(f"{_count(more, 'picture')} left out, of runs that have more than {MOST_OF_RUN}: {_named(more)}")
    if large := [(name, 0) for name, each in found if not each.is_whole]:
        remarks.append(f"pictures were looked for among the first {_MOST_ENTRIES} files only, of: {_named(large)}")
    if links := [(name, len(each.passed.links)) for name, each in found if each.passed.links]:
        names = dict.fromkeys(link for _, each in found for link in each.passed.links)
        remarks.append(
            f"{_count(links, 'link')} to pictures or folders outside of a run not followed ({listed([*names], 3)}),"
            f" of: {_named(links)}"
        )
    if deep := [(name, len(each.passed.deep)) for name, each in found if each.passed.deep]:
        remarks.append(
            f"no pictures looked for in {_count(deep, 'folder')} more than {_DEEPEST} deep, of: {_named(deep)}"
        )
    if kept := [(name, each.passed.of_wandb) for name, each in found if each.passed.of_wandb]:
        remarks.append(f"{_count(kept, 'picture')} in W&B's own folders (wandb) not shown, of: {_named(kept)}")
    return remarks


def _count(of_runs: Sequence[tuple[str, int]], word: str) -> str:
    return counted(sum(count for _, count in of_runs), word)


def _named(of_runs: Sequence[tuple[str, int]]) -> str:
    return listed([name for name, _ in of_runs], 5)
