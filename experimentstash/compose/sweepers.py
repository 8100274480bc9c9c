"""What is to be known of Hydra's sweepers: whether one needs the runs' results, and what it gets of a run."""

from __future__ import annotations

from types import TracebackType

from experimentstash.base.errors import StashError
from experimentstash.record.run import Run, State
from experimentstash.stash import paths
from experimentstash.stash.schema import ZipSweeperConfig

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
# Ours that does its work.
INSTEAD_OF_BASIC = "hydra_plugins.experimentstash_sweeper.basic.BasicSweeper"
_NEED_NO_RESULTS = (BASIC, INSTEAD_OF_BASIC, ZipSweeperConfig._target_)


def needs_results(sweeper: str) -> bool:
    """Tell whether a sweeper, named by its class, needs the runs' results: it may choose further runs by them."""
    return sweeper not in _NEED_NO_RESULTS


class NoResultError(StashError):
    """A run has no result for the sweeper."""

    exit_code = 1


def no_objective(organizer: str | None) -> StashError:
    """Return the error for an experiment that doesn't say what a sweeper is to optimise."""
    return StashError(
        f"This sweeper needs an objective, and {organizer or 'the experiment'} names none.",
        f"in {paths.organizer(organizer or 'NAME')} write `objective: KEY` for a key of the tool's metrics.json"
        " (README: Sweeps)",
    )


def no_result(run: Run) -> NoResultError:
    """Return the error for a run that has no result, with the reason."""
    attempt = run.attempt
    missing = "; ".join(attempt.notes) if attempt.state is State.COMPLETED else attempt.reason
    return NoResultError(
        f"The run {run.id} ({attempt.state.value}) has no result for the sweeper{f': {missing}' if missing else '.'}",
        f"experimentstash show {run.id}",
    )


def gave_up(error: BaseException, sweeper: str | None) -> StashError | None:
    """Return what to tell of an error that a foreign sweeper has ended with; None if it is one of our own."""
    if sweeper is None or not needs_results(sweeper):
        return None
    package = ".".join(sweeper.split(".")[:2])
    for module in reversed(_modules(error.__traceback__)):
        if module.startswith(package):
            return NoResultError(f"The sweeper {sweeper} gave up: {type(error).__name__}: {error}")
        if module.startswith(("experimentstash.", "hydra_plugins.experimentstash_")):
            return None
    return None


def _modules(traceback: TracebackType | None) -> list[str]:
    found = []
    while traceback is not None:
        found.append(str(traceback.tb_frame.f_globals.get("__name__")))
        traceback = traceback.tb_next
    return found
