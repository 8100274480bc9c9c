"""What is said of an output that was to be reproduced. Nothing counts as the same unless it was seen to be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.files import Unfit
from experimentstash.base.text import size
from experimentstash.publish import outputs
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import Deviation, Found, NotComparable
from experimentstash.publish.contents import content_of
from experimentstash.publish.frozen import Content, FrozenRun, Output
from experimentstash.record import times
from experimentstash.record.run import Run

# Seconds by which the clocks of a machine and of its file server may differ, where there is nothing better to compare.
_SLACK = 60.0


class Verdict(Enum):
    """What an output is, next to the one that was frozen."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    MISSING = "missing"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"

    @property
    def is_same(self) -> bool:
        """Whether it counts as reproduced."""
        return self in (Verdict.IDENTICAL, Verdict.EQUIVALENT)

    @property
    def is_compared(self) -> bool:
        """Whether two outputs were looked at."""
        return self.is_same or self is Verdict.DIFFERENT


@dataclass(frozen=True)
class Judged:
    """What is said of an output, and why."""

    path: str
    verdict: Verdict
    why: str = ""
    deviation: Deviation | None = None

    @property
    def words(self) -> str:
        """What is said, in words."""
        within = " within " if self.verdict is Verdict.EQUIVALENT else ": " if self.why else ""
        return f"{self.verdict.value}{within}{self.why}"


@dataclass(frozen=True)
class JudgedRun:
    """What is said of the outputs of a run, and of the run that was to have them again."""

    kept: FrozenRun
    run: Run | None  # None: there is none
    outputs: list[Judged]
    notes: list[str] = field(default_factory=list)

    @property
    def is_reproduced(self) -> bool:
        """Whether there is something to be reproduced, and all of it was."""
        return bool(self.outputs) and all(each.verdict.is_same for each in self.outputs)


def are_reproduced(tries: Sequence[Sequence[JudgedRun]]) -> bool:
    """Tell whether there was something to be reproduced, and all of it was, each time."""
    runs = [judged for every in tries for judged in every]
    return bool(runs) and all(each.is_reproduced for each in runs)


def not_run(kept: FrozenRun, why: str, run: Run | None = None, notes: list[str] | None = None) -> JudgedRun:
    """Return what is said of outputs that nobody has made again."""
    return JudgedRun(kept, run, [Judged(each.path, Verdict.NOT_RUN, why) for each in kept.outputs], notes or [])


def judge(output: Output, folder: Path, run: Run) -> Judged:
    """Compare what a run that has completed has written with what was kept; ``folder`` is the kept run's."""
    later = outputs.place(run, output.path)
    try:
        files.inside(run.path, later)
        found = os.lstat(later)
        if files.kind_at(later) != "a file":
            return Judged(output.path, Verdict.NOT_COMPARABLE, f"it is {files.kind_at(later)}")
        if why := _why_stale(found, folder, output, run):
            return Judged(output.path, Verdict.NOT_COMPARABLE, why)
        content = content_of(later)
    except FileNotFoundError:
        return Judged(output.path, Verdict.MISSING, "the run has not written it")
    except (OSError, Unfit) as error:
        return Judged(output.path, Verdict.NOT_COMPARABLE, f"it can't be read: {error.strerror}")
    return compare(output, folder, later, content)


def compare(output: Output, folder: Path, later: Path, content: Content) -> Judged:
    """Compare a file, and what is in it, with what was kept."""
    path, kept = output.path, None if output.kept is None else folder / output.kept
    is_here = kept is not None and os.path.lexists(kept)  # it may have been exported without
    if kept is not None and is_here and not is_as_kept(kept, output.content):
        why = f"what was kept of it in {output.kept} isn't what was frozen"
        return Judged(path, Verdict.NOT_COMPARABLE, why)
    if content == output.content:
        return Judged(path, Verdict.IDENTICAL)
    try:
        comparator = choose.named(output.how.compare)
        if comparator is None:
            sizes = [size(each.size) for each in (content, output.content)]
            return Judged(path, Verdict.DIFFERENT, f"other bytes ({sizes[0]}, and {sizes[1]} before)")
        if kept is None or not is_here:
            why = "no copy was kept" if kept is None else "the copy that was kept isn't here"
            raise NotComparable(f"its bytes are others, and {why} to compare more")
        return _told(path, comparator.name, comparator.compare(kept, later, output.how))
    except NotComparable as error:
        return Judged(path, Verdict.NOT_COMPARABLE, str(error))
    except Exception as error:  # what others' libraries make of a strange file says nothing of the other outputs
        return Judged(path, Verdict.NOT_COMPARABLE, f"it can't be compared: {type(error).__name__}: {error}")


def _told(path: str, name: str, found: Found) -> Judged:
    if found.difference is not None:
        return Judged(path, Verdict.DIFFERENT, found.difference, found.deviation)
    if found.within is not None:
        largest = "" if found.deviation is None else f" (the largest deviation is {found.deviation})"
        return Judged(path, Verdict.EQUIVALENT, f"{found.within}{largest}", found.deviation)
    return Judged(path, Verdict.IDENTICAL, f"by {name}; its bytes are others")


def is_as_kept(path: Path, content: Content) -> bool:
    """Tell whether a file that was kept is what it was."""
    try:
        return content_of(path) == content
    except OSError:
        return False


def _why_stale(found: os.stat_result, folder: Path, output: Output, run: Run) -> str | None:
    """Return why a file in a run's directory isn't one that this run has written; None: it may be.

    By the clock of its file system, where that has a file which was written just before the run.
    """
    if output.kept is not None and os.path.exists(folder / output.kept):
        kept = os.stat(folder / output.kept)
        if (kept.st_dev, kept.st_ino) == (found.st_dev, found.st_ino):
            return "it is the very file that was kept"
    before = outputs.configured(run)
    if before is None:
        before = times.moment(run.attempt.started or run.created or "") - _SLACK
    return "it is older than the run, which has not written it" if found.st_mtime < before else None
