"""Going on: with a run that was cut short, and with a sweep of which some runs haven't completed."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from experimentstash.adapters.schedulers import SCHEDULERS, JobQueries
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base import typed, yaml_files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import kind_at, locked, read_regular, remove
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import in_quotes
from experimentstash.code import worktrees
from experimentstash.compose.sweepers import needs_results
from experimentstash.freeze.freeze import Plan, draft
from experimentstash.record import records, sweep_list, transitions
from experimentstash.record.attempts import can_go_on, forget_cancelled
from experimentstash.record.records import Run, State
from experimentstash.runs import runs
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import SCHEDULER_LAUNCHERS, LocalLauncherConfig

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
# The launchers that leave out what is done (when a sweep goes on, ours does the basic one's work).
_SPARING = (LocalLauncherConfig._target_, *SCHEDULER_LAUNCHERS, BASIC_LAUNCHER)
# What a further try may do otherwise and still be the same run.
_CIRCUMSTANCES = ("resources.", "+resources.", "++resources.", "timeout=", "grace.")
_HOW = ("hydra/launcher=", "hydra.launcher.", "+hydra.launcher.", "++hydra.launcher.")
_WORDS = typed.checker("list[str]", typed.BASIC)
# An interpolation that may differ between the jobs of a sweep.
_OWN = regex(r"\$\{(?!oc\.env:|now:)")


def reopen(stash: Stash, earlier: Run) -> Run:
    """Return the run, frozen again for its next attempt; what the last one left stays in the record.

    Raises StashError if the run still goes on, has completed, or its tool doesn't say that it can resume.
    """
    with locked(stash.lock("resume")):
        run = records.read(earlier.path)
        if (why := runs.unknowable(run)) is not None:
            raise StashError(f"The run {run.id} can't be resumed: {why}.")
        if not run.state.is_final or runs.may_go_back(run, JobQueries()):
            raise StashError(f"The run {run.id} has not ended.", f"experimentstash cancel {run.id}")
        if run.state is State.COMPLETED:
            raise StashError(f"The run {run.id} has completed; there is nothing to resume.")
        if not run.command.argv:
            raise StashError(f"The run {run.id} never started: {run.reason}")
        if run.resume is None:
            raise StashError(
                f"The tool {run.tool!r} doesn't say how it resumes.",
                f"if it does, write `resume: [--its, --arguments]` (or `resume: []`) in {run.registration}; that holds"
                " for runs from then on",
            )
        worktrees.keep_for(stash, run)
        forget_cancelled(run)
        transitions.open_next_attempt(run, State.FROZEN)
        run.queued = None
        run.supervisor = supervisor_here()
        records.write(run)
        return run


@dataclass(frozen=True)
class _Asked:
    """What a sweep was asked to do."""

    overrides: list[str]
    options: list[str]
    sweeper: str
    has_storage: bool  # its sweeper keeps a storage of its own, from which it goes on
    launcher: str
    place: str

    @classmethod
    def read(cls, sweep: Path) -> _Asked:
        path = sweep / records.SWEEP_FILE
        try:
            asked = yaml_files.parse(read_regular(path).decode(), path)["hydra"]
            return cls(
                overrides=_WORDS([*asked["overrides"]["task"], *asked["overrides"]["hydra"]], "hydra.overrides"),
                options=_WORDS(_options(asked), "hydra.runtime"),
                sweeper=typed.text(asked["sweeper"]["_target_"], "hydra.sweeper._target_"),
                has_storage=asked["sweeper"].get("storage") is not None,
                launcher=typed.text(asked["launcher"]["_target_"], "hydra.launcher._target_"),
                place=str(asked["sweep"]["dir"]),
            )
        except (OSError, ValueError, StashError, KeyError, TypeError, AttributeError) as error:
            raise StashError(f"{path}, which says what the sweep was to do, can't be read: {error}") from error

    def again(self) -> str:
        """Return the command that does the same in a new directory."""
        kept = [word for word in self.overrides if _key(word) not in ("hydra.mode", "hydra.sweep.dir")]
        return shlex.join(["experimentstash", "--multirun", *self.options, *kept])

    def refuse(self, sweep: Path) -> None:
        """Raise StashError if those of its runs that have not completed can't be done, one by one, in its directory."""
        if needs_results(self.sweeper):
            raise StashError(
                f"The runs of this sweep were chosen by {self.sweeper} as it went: it can't be continued run by run.",
                f"it goes on from its storage: `{self.again()}`"
                if self.has_storage
                else f"begin it again, `{self.again()}`; many sweepers go on from a storage of their own (optuna:"
                " hydra.sweeper.storage)",
            )
        if _OWN.search(self.place):
            raise StashError(
                f"The runs of this sweep may be in several directories (hydra.sweep.dir={self.place}): it can't be"
                " continued.",
                "begin it again with the overrides of what is missing; hydra.sweep.subdir may differ between runs",
            )
        if "${" in str(sweep):
            raise StashError(f"Hydra takes the name of {sweep} for an interpolation.", "rename the directory")
        sweep_list.read(sweep)


def launcher_instead(launcher: str) -> str | None:
    """Return the hydra/launcher that goes on with a sweep begun by this one, named by its class; None: itself can."""
    if launcher in _SPARING:
        return None
    return next((each.name for each in SCHEDULERS if each.name in launcher.lower()), "local")


def way_on(sweep: Path, name: str) -> str:
    """Return the command that goes on with a sweep of that name; StashError, which says why, if there is none."""
    asked = _Asked.read(sweep)
    if needs_results(asked.sweeper) and asked.has_storage:
        return asked.again()
    asked.refuse(sweep)
    instead = launcher_instead(asked.launcher)
    return shlex.join(["experimentstash", "resume", name, *([] if instead is None else [f"hydra/launcher={instead}"])])


def command_line(sweep: Path, changes: Sequence[str]) -> list[str]:
    """Return the arguments that do a sweep again in its directory; ``changes`` are overrides of how, not of what.

    StashError if it can't be continued.
    """
    asked = _Asked.read(sweep)
    asked.refuse(sweep)
    for word in changes:
        if not word.startswith((*_HOW, *_CIRCUMSTANCES)):
            raise StashError(
                f"A sweep that is continued keeps its parameters: {word!r} would change them.",
                "what may be given: hydra/launcher=…, resources.…, timeout=…, grace.…",
            )
    overrides = asked.overrides
    if any(word.startswith("hydra/launcher=") for word in changes):
        overrides = [word for word in overrides if not word.startswith(_HOW)]
    replaced = {"hydra.mode", "hydra.sweep.dir", *map(_key, changes)}
    kept = [word for word in overrides if _key(word) not in replaced]
    return ["--multirun", *asked.options, *kept, *changes, f"hydra.sweep.dir={in_quotes(str(sweep))}"]


def _options(asked: Mapping[str, Any]) -> list[str]:
    """Return the options with which a sweep was begun and that aren't overrides."""
    from experimentstash.compose.loader import CONFIG_NAME

    name = asked["job"]["config_name"]
    options = [] if name == CONFIG_NAME else ["--config-name", name]
    for source in asked["runtime"]["config_sources"]:
        if source["provider"] == "command-line":
            options += ["--config-dir", source["path"]]
    return options


class Continuation:
    """The earlier tries of a sweep's runs, as they are when they are first asked for: then nobody else is at work."""

    def __init__(self, stash: Stash, sweep: Path, changes: Sequence[str] = ()) -> None:
        """``changes`` are overrides of how its runs are done, not of what they do."""
        self._stash = stash
        self.sweep = sweep
        self._changes = [word for word in changes if word.startswith(_CIRCUMSTANCES)]
        self._queries = JobQueries()
        self._unread: set[Path] = set()  # directories whose records say nothing that makes sense

    def batches(self) -> sweep_list.Batches:
        """Return the jobs of the sweep as they were when it began, but for what changes; StashError if unknown."""
        changed = {_key(word) for word in self._changes}
        return [
            [[*(word for word in job if _key(word) not in changed), *self._changes] for job in batch]
            for batch in sweep_list.read(self.sweep)
        ]

    @cached_property
    def _runs(self) -> list[Run]:
        found = []
        for directory in records.directories(self.sweep):
            try:
                found.append(runs.look(self._stash, directory, self._queries))
            except StashError as error:
                self._unread.add(directory)
                say(f"{error.message}; it is left as it is")
        runs.tell(self._queries)
        return found

    @cached_property
    def _earlier(self) -> dict[int | None, Run]:
        return {run.job: run for run in self._runs}

    @cached_property
    def at_large(self) -> list[Run]:
        """The runs that still go on or wait in the queue, or are just about to."""
        return [run for run in self._runs if not run.state.is_final or runs.may_go_back(run, self._queries)]

    @cached_property
    def _settled(self) -> set[int | None]:
        completed = [run for run in self._runs if run.state is State.COMPLETED]
        unread = [int(path.name) for path in self._unread if path.parent == self.sweep and path.name.isdecimal()]
        return {*unread, *(run.job for run in (*completed, *self.at_large))}

    def settled(self, numbers: range) -> int:
        """Return how many of the jobs with these numbers are left as they are."""
        return sum(number in self._settled for number in numbers)

    def is_settled(self, number: int) -> bool:
        """Tell whether the run of a job has completed, still goes on or waits in the queue, or may do so."""
        return number in self._settled

    def earlier(self, number: int | None) -> Run | None:
        """Return the run of a job; None if it has none yet."""
        return self._earlier.get(number)

    def place(self, number: int) -> Path | None:
        """Return where the run of a job was begun, and where it goes on, whatever its name would be now."""
        run = self._earlier.get(number)
        return run.path if run is not None and run.command.argv else None

    def take_up(self, planned: Plan) -> Run | None:
        """Return the run of a job, ready for its next attempt; None if it is to be frozen and begun anew."""
        run = self._earlier.get(planned.request.number)
        if run is None or not _goes_on(run):
            return None
        reopened = reopen(self._stash, run)
        fresh = draft(planned)
        reopened.resources, reopened.timeout, reopened.grace = fresh.resources, fresh.timeout, fresh.grace
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
        step("moved aside")
    except BaseException:
        for name in moved:
            os.rename(target / name, directory / name)
        remove(target)
        raise


def _goes_on(run: Run) -> bool:
    """Tell whether a run goes on where it was, with the code that it had.

    Not after an error of the tool's own: what mends that may be in the code of now.
    """
    has_begun = run.started is not None or any(attempt.started for attempt in run.attempts)
    return has_begun and can_go_on(run) and not worktrees.is_gone(run)


def _key(override: str) -> str:
    """Return what an override gives a value to."""
    return override.partition("=")[0].lstrip("+")
