"""What comes of the jobs of one launch, as those tell it who see it."""

from __future__ import annotations

from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.execute.execute import Executed
from experimentstash.record.records import Written
from experimentstash.record.run import Run


class Account:
    """Only its own methods change it; it is read when the launch is over."""

    def __init__(self) -> None:
        self.has_begun = False  # a task has begun
        self.is_dry = False
        self.shown: list[str] = []  # of what isn't to be executed
        self.planned: list[Run] = []  # what would be run
        self.executed: Executed | None = None  # the last one in this process
        self.failure: StashError | None = None  # the last mistake in a job
        self.bug: Exception | None = None  # the first one in a job
        self.done_before: dict[int, Run] = {}  # what counts as jobs that aren't run again, by their numbers
        self.twins: dict[str, str] = {}  # runs that are the same as others of this launch, and these, by their ids
        self.elsewhere: list[Path] = []  # runs of the sweep that aren't in its directory
        self.unrecorded: list[Run] = []  # of the sweep, refused, where that can't be written down
        self.submitted = Written()  # runs of the sweep, as they were handed over
        self.refused_again: dict[int, str] = {}  # why jobs can't be done once more, by their numbers

    def begins(self) -> None:
        """Take note that a task has begun, or would have."""
        self.has_begun = True

    def is_only_looked_at(self) -> None:
        """Take note that a job isn't to be executed."""
        self.is_dry = True

    def shows(self, *lines: str) -> None:
        """Take note of what is to be shown of a job that isn't to be executed."""
        self.shown += lines

    def plans(self, run: Run) -> None:
        """Take note of what would be run."""
        self.planned.append(run)

    def spares(self, number: int, earlier: Run) -> None:
        """Take note of a job that isn't run again, because the same has completed before."""
        self.done_before[number] = earlier

    def has_twin(self, run: str, other: str) -> None:
        """Take note of a run that is the same as another one of this launch, by their ids."""
        self.twins[run] = other

    def has_refused(self, mistake: StashError, bug: Exception | None) -> None:
        """Take note of a job that can't be prepared; ``bug`` is what that comes from if it is no mistake."""
        self.failure = mistake
        self.bug = self.bug or bug

    def refuses_again(self, number: int, mistake: StashError) -> None:
        """Take note of why a job can't be done once more, whose record stays as it is."""
        self.refused_again[number] = str(mistake)

    def has_placed(self, run: Run, sweep: Path | None) -> None:
        """Take note of where a run of a sweep is."""
        if sweep is not None and not run.path.is_relative_to(sweep):
            self.elsewhere.append(run.path)

    def cannot_record(self, run: Run) -> None:
        """Take note of a refused run of which no record can be made."""
        self.unrecorded.append(run)

    def has_executed(self, executed: Executed) -> None:
        """Take note of a run that has ended."""
        self.executed = executed
