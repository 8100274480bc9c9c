"""Going on: with a run that was cut short, and with a sweep of which some runs haven't completed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from experimentstash import records, runs, worktrees
from experimentstash.attempts import open_next
from experimentstash.errors import StashError
from experimentstash.files import locked
from experimentstash.freeze import Plan, draft
from experimentstash.records import Run, State
from experimentstash.schema import LocalLauncherConfig, SlurmLauncherConfig
from experimentstash.slurm import Enquiry
from experimentstash.supervision import supervisor_here
from experimentstash.sweepers import needs_results
from experimentstash.workspace import Stash

# Where Hydra keeps what a sweep was asked to do.
SWEEP_FILE = "multirun.yaml"
# In a sweep's directory: earlier tries of runs that were begun anew.
ASIDE = ".superseded"
# What a further try may do otherwise and still be the same run.
_CIRCUMSTANCES = ("resources.", "+resources.", "++resources.", "timeout=", "grace.")
_HOW = ("hydra/launcher=", "hydra.launcher.", "+hydra.launcher.", "++hydra.launcher.")


def reopen(stash: Stash, earlier: Run) -> Run:
    """Return the run, frozen again for its next attempt; what the last one left stays in the record.

    Raises StashError if the run still goes on, has completed, or its tool doesn't say that it can resume.
    """
    with locked(stash.private / "locks" / "resume.lock"):
        run = records.read(earlier.path)
        if not run.state.is_final:
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
        worktrees.refuse_if_gone(run)
        open_next(run, State.FROZEN)
        run.queued = None
        run.supervisor = supervisor_here()
        records.write(run)
        return run


def command_line(stash: Stash, sweep: Path, changes: Sequence[str]) -> list[str]:
    """Return the arguments that do a sweep again in its directory; ``changes`` are overrides of how, not of what.

    StashError if it can't be continued.
    """
    import yaml

    try:
        asked = yaml.safe_load((sweep / SWEEP_FILE).read_text(encoding="utf-8"))["hydra"]
        overrides = [*asked["overrides"]["task"], *asked["overrides"]["hydra"]]
        launcher, sweeper = asked["launcher"]["_target_"], asked["sweeper"]["_target_"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise StashError(
            f"{sweep / SWEEP_FILE}, which says what the sweep was to do, can't be read: {error}"
        ) from error
    if needs_results(sweeper):
        raise StashError(
            f"The runs of this sweep were chosen by {sweeper} as it went: it can't be continued run by run.",
            "begin it again; many sweepers go on from a storage of their own (optuna: hydra.sweeper.storage)",
        )
    for word in changes:
        if not word.startswith((*_HOW, *_CIRCUMSTANCES)):
            raise StashError(
                f"A sweep that is continued keeps its parameters: {word!r} would change them.",
                "what may be given: hydra/launcher=…, resources.…, timeout=…, grace.…",
            )
    if any(word.startswith("hydra/launcher=") for word in changes):
        overrides = [word for word in overrides if not word.startswith(_HOW)]
    elif launcher.endswith(".BasicLauncher"):  # one after the other, and able to leave out what is done
        changes = [*changes, "hydra/launcher=local", "hydra.launcher.n_jobs=1"]
    elif launcher not in (LocalLauncherConfig._target_, SlurmLauncherConfig._target_):
        shown = stash.relative(sweep)
        raise StashError(
            f"The sweep was launched by {launcher}, which can't leave out what is done.",
            f"experimentstash resume {shown} hydra/launcher=slurm (or local)",
        )
    kept = [word for word in overrides if not word.lstrip("+").startswith(("hydra.mode=", "hydra.sweep.dir="))]
    return ["--multirun", *kept, *changes, f"hydra.sweep.dir={_quoted(str(sweep))}"]


def _quoted(text: str) -> str:
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


class Continuation:
    """The earlier tries of a sweep's runs."""

    def __init__(self, stash: Stash, sweep: Path) -> None:
        self._stash = stash
        self.sweep = sweep
        enquiry = Enquiry()
        found = [runs.look(stash, directory, enquiry) for directory in records.directories(sweep)]
        self._earlier = {run.path: run for run in found}

    @property
    def settled(self) -> int:
        """How many runs are left as they are."""
        return sum(self.is_settled(directory) for directory in self._earlier)

    def is_settled(self, directory: Path) -> bool:
        """Tell whether the run of a directory has completed, or still goes on or waits in the queue."""
        run = self._earlier.get(directory)
        return run is not None and (run.state is State.COMPLETED or not run.state.is_final)

    def check(self, directory: Path, overrides: Sequence[str]) -> None:
        """Raise StashError if a directory holds a run of something else than these overrides."""
        run = self._earlier.get(directory)
        if run is not None and run.overrides and _substance(run.overrides) != _substance(overrides):
            raise StashError(
                f"{self._stash.relative(directory)} holds the run of {' '.join(run.overrides)}, which would now be that"
                f" of {' '.join(overrides)}: the sweep is no longer the same.",
                "begin a new one, or bring conf/ back to what it was (a glob may stand for other experiments now)",
            )

    def take_up(self, planned: Plan) -> Run | None:
        """Return the run of a directory, ready for its next attempt; None if it is to be frozen and begun anew.

        What an earlier try has left is then moved aside.
        """
        run = self._earlier.get(planned.request.directory)
        if run is None:
            return None
        if run.resume is not None and run.started is not None:
            reopened = reopen(self._stash, run)
            fresh = draft(planned)
            reopened.resources, reopened.timeout, reopened.grace = fresh.resources, fresh.timeout, fresh.grace
            records.write(reopened)
            return reopened
        aside = self.sweep / ASIDE
        aside.mkdir(exist_ok=True)
        number = 1
        while (target := aside / f"{run.path.name}-{number}").exists():
            number += 1
        os.rename(run.path, target)
        return None


def _substance(overrides: Sequence[str]) -> list[str]:
    return [word for word in overrides if not word.startswith(_CIRCUMSTANCES)]
