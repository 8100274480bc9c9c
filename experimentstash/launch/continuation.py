"""The earlier tries of a sweep that goes on: what is left as it is, what goes on where it was, what begins anew."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from experimentstash.adapters.schedulers import JobQueries
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import kind_at, remove
from experimentstash.base.output import say
from experimentstash.code import worktree_users
from experimentstash.freeze.freeze import draft
from experimentstash.freeze.plan import Plan
from experimentstash.launch.resume import reopen
from experimentstash.launch.sweep_asked import CIRCUMSTANCES, key_of
from experimentstash.record import records, sweep_list
from experimentstash.record.attempts import can_go_on
from experimentstash.record.run import Run, State
from experimentstash.runs import done_before, reconcile
from experimentstash.stash.layout import Stash


class Continuation:
    """The earlier tries of a sweep's runs, as they are when they are first asked for: then nobody else is at work."""

    def __init__(
        self, stash: Stash, sweep: Path, changes: Sequence[str] = (), only: Collection[int | None] | None = None
    ) -> None:
        """``changes`` are overrides of how its runs are done, not of what they do.

        ``only`` the jobs with these numbers are done, and all of them anew; None: all that have not completed.
        """
        self._stash = stash
        self._only = only
        self.sweep = sweep
        self._changes = [word for word in changes if word.startswith(CIRCUMSTANCES)]
        self._queries = JobQueries()
        self._unread: set[Path] = set()  # directories whose records say nothing that makes sense

    def batches(self) -> sweep_list.Batches:
        """Return the jobs of the sweep as they were when it began, but for what changes; StashError if unknown."""
        changed = {key_of(word) for word in self._changes}
        return [
            [[*(word for word in job if key_of(word) not in changed), *self._changes] for job in batch]
            for batch in sweep_list.read(self.sweep)
        ]

    @cached_property
    def _runs(self) -> list[Run]:
        found = []
        for directory in records.directories(self.sweep):
            try:
                found.append(reconcile.load_reconciled(self._stash, directory, self._queries))
            except StashError as error:
                self._unread.add(directory)
                say(f"{error.message}; it is left as it is")
        reconcile.tell(self._queries)
        return found

    @cached_property
    def _earlier(self) -> dict[int | None, Run]:
        return {run.spec.job: run for run in self._runs}

    @cached_property
    def at_large(self) -> list[Run]:
        """The runs that still go on or wait in the queue, or are just about to."""
        return [
            run for run in self._runs if not run.attempt.state.is_final or reconcile.may_go_back(run, self._queries)
        ]

    @cached_property
    def _settled(self) -> set[int | None]:
        completed = [run for run in self._runs if run.attempt.state is State.COMPLETED]
        spared = done_before.of_sweep(self._stash, self.sweep)
        unread = [int(path.name) for path in self._unread if path.parent == self.sweep and path.name.isdecimal()]
        return {*unread, *spared, *(run.spec.job for run in (*completed, *self.at_large))}

    def settled(self, numbers: range) -> int:
        """Return how many of the jobs with these numbers are left as they are."""
        return sum(map(self.is_settled, numbers))

    def is_settled(self, number: int) -> bool:
        """Tell whether the run of a job has completed, still goes on or waits in the queue, or may do so.

        Or isn't one of those that are to be done.
        """
        return number in self._settled or (self._only is not None and number not in self._only)

    def earlier(self, number: int | None) -> Run | None:
        """Return the run of a job; None if it has none yet."""
        return self._earlier.get(number)

    def place(self, number: int) -> Path | None:
        """Return where the run of a job was begun, and where it goes on, whatever its name would be now."""
        run = self._earlier.get(number)
        return run.path if run is not None and run.spec.command.argv else None

    def take_up(self, planned: Plan) -> Run | None:
        """Return the run of a job, ready for its next attempt; None if it is to be frozen and begun anew."""
        run = self._earlier.get(planned.request.number)
        if run is None or self._only is not None or not _goes_on(run):
            return None
        reopened = reopen(self._stash, run)
        reopened.attempt.terms = draft(planned).attempt.terms
        records.write(reopened)
        return reopened

    @contextlib.contextmanager
    def superseding(self, number: int | None, directory: Path) -> Iterator[bool]:
        """Move aside what an earlier try of a job has left, while its next one begins in ``directory``.

        Yields whether a record stands there, to be replaced: a job that has begun is never without one.
        """
        earlier = self._earlier.get(number)
        if earlier is None:
            yield False
        elif os.path.samefile(earlier.path, directory):
            _move_content(directory, self._aside(earlier))
            yield True
        else:
            yield False
            os.rename(earlier.path, self._aside(earlier))

    def set_aside(self, number: int) -> None:
        """Move aside what an earlier try of a job has left: another run counts as it."""
        if (earlier := self._earlier.get(number)) is not None:
            os.rename(earlier.path, self._aside(earlier))

    def _aside(self, run: Run) -> Path:
        """Return where an earlier try of a run goes."""
        aside = self.sweep / records.ASIDE
        if kind_at(aside) not in ("a directory", None):
            raise StashError(f"{aside} is {kind_at(aside)}, where a directory must be.", f"move it away: {aside}")
        aside.mkdir(exist_ok=True)
        number = 1
        while os.path.lexists(target := aside / f"{run.path.name}-{number}"):
            number += 1
        return target


def _move_content(directory: Path, target: Path) -> None:
    """Move all that is in a run's directory to a new one; its record is there and here then."""
    moved: list[str] = []
    target.mkdir(directory.stat().st_mode & 0o777)
    try:
        os.link(directory / records.FILE_NAME, target / records.FILE_NAME)
        for name in os.listdir(directory):
            if name != records.FILE_NAME:
                step(f"move {name} aside")
                os.rename(directory / name, target / name)
                moved.append(name)
        run = records.read(target)
        run.inode = target.stat().st_ino  # it has moved: it is no copy, of which nobody would know what became of it
        records.write(run)
        step("moved aside")
    except BaseException:
        for name in moved:
            os.rename(target / name, directory / name)
        remove(target)
        raise


def _goes_on(run: Run) -> bool:
    """Tell whether a run goes on where it was, with the code that it had.

    Not after an error of the tool's own: what fixes that may be in the code of now.
    """
    has_begun = run.attempt.started is not None or any(attempt.started for attempt in run.earlier)
    return has_begun and can_go_on(run) and not worktree_users.is_gone(run)
