"""What a sweep's jobs go through before any is launched, with Hydra's basic sweeper and ours.

Their list is kept, so that the sweep can be resumed. Each is composed once, so that mistakes are seen at once: a job
that has one is refused alone; only where all jobs have the same one, or where what the command line says has no meaning
for some, there is no sweep. A launcher of another package, which would give up all jobs for one that it can't begin,
gets only those that it can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

from experimentstash.base.errors import CommandLineError, StashError
from experimentstash.base.output import Meter, complain, say
from experimentstash.compose.job_info import is_dry, sweep_directory
from experimentstash.launch import context as contexts
from experimentstash.launch import sweep_jobs
from experimentstash.launch.refuse import explained
from experimentstash.launch.unicode_elsewhere import in_unicode_elsewhere
from experimentstash.record import records, sweep_list
from experimentstash.runs import reconcile

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

# Launchers whose own jobs can't keep each other from being begun.
_OURS = "hydra_plugins.experimentstash_"
# Jobs with a mistake that are named before the others begin.
_SHOWN = 20


def listed(config: DictConfig, batches: sweep_list.Batches) -> sweep_list.Batches:
    """Keep the list of the sweep's jobs and return it: of a sweep that is continued, as it was when that began."""
    context = contexts.here()
    if context.sweep is None:
        return batches
    if context.continuation is not None:
        return context.continuation.batches()
    if not is_dry(config):
        sweep_list.keep(context.sweep, batches)
    return batches


def look_through(
    context: HydraContext, config: DictConfig, batch: Sequence[Sequence[str]], first_number: int, *, is_all: bool
) -> None:
    """Compose the jobs of a batch and say which ones can't be.

    Raises StashError if that are all of the sweep, and alike, and whatever is wrong with the command line.
    """
    continuation = contexts.here().continuation
    left = 0
    refused: dict[int, StashError] = {}
    meter = Meter("checked")
    for number, overrides in enumerate(batch, first_number):
        meter.step()
        if continuation is not None and continuation.is_settled(number):
            continue
        left += 1
        try:
            sweep_jobs.briefly(context, config, overrides)
        except Exception as error:
            mistake = explained(error, overrides, Path(str(number)))
            if mistake is None or isinstance(mistake, CommandLineError):
                raise  # what is said of the whole sweep is explained with all of its words
            refused[number] = mistake
    if is_all and len(refused) == left and len({_gist(each) for each in refused.values()}) == 1:
        raise next(iter(refused.values()))
    for number, mistake in list(refused.items())[:_SHOWN]:
        first_line = mistake.message.splitlines()[0]
        say(f"job {number} ({' '.join(batch[number - first_number])}) will not run, the others do: {first_line}")
    if len(refused) > _SHOWN:
        say(f"and {len(refused) - _SHOWN} more jobs will not run")


def _gist(mistake: StashError) -> str:
    """Return what is wrong, without the advice, which depends on what else a job has."""
    return re.sub(r" Did you mean .*", "", mistake.message.splitlines()[0])


class Careful(Launcher):
    """A launcher of another package, with only those jobs that it can begin, each with its own number."""

    def __init__(self, launcher: Launcher, context: HydraContext, config: DictConfig) -> None:
        self._launcher, self._context, self._config = launcher, context, config

    def setup(self, **given: Any) -> None:
        """Do nothing: the launcher is set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returned: list[JobReturn] = []
        together: dict[int, Sequence[str]] = {}
        taken: set[Path] = set()
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            can_begin = sweep_jobs.can_begin(self._context, self._config, number, overrides, taken)
            if can_begin is True:
                together[number] = overrides
                continue
            returned += self._launch(together, taken)
            together = {}
            returned.append(can_begin or sweep_jobs.not_begun(self._config, overrides))
        return [*returned, *self._launch(together, taken)]

    def _launch(self, together: Mapping[int, Sequence[str]], taken: set[Path]) -> Sequence[JobReturn]:
        if not together:
            return []
        name = type(self._launcher).__name__
        try:
            with in_unicode_elsewhere():
                returned = self._launcher.launch(list(together.values()), min(together))
        except Exception as error:
            left = sweep_jobs.missing(self._config, together, taken)
            if explained(error, [], sweep_directory(self._config.hydra)) is not None:
                raise  # a mistake of the user's, or a full disk
            if len(left) == len(together):
                gave_up = f"The launcher {name} gave up: {type(error).__name__}: {_first_line(error)}"
                raise StashError(gave_up, "look at its settings, hydra.launcher; or hydra/launcher=local") from error
            # One of them has torn down whatever executes them, and those that had not begun by then are begun anew.
            complain(f"the launcher {name} gave up: {type(error).__name__}: {_first_line(error)}")
            self._close_lost()
            for group in _in_a_row(left):
                self._launch(group, taken)
            returned = [sweep_jobs.not_begun(self._config, overrides) for overrides in together.values()]
        if not is_dry(self._config):
            sweep_jobs.note_missing(self._config, together, taken, f"the launcher {name} has left no sign of it")
        return returned

    def _close_lost(self) -> None:
        """Close the records of those runs whose supervisors have gone."""
        sweep = sweep_directory(self._config.hydra)
        stash = contexts.here().stash
        for directory in records.directories(sweep):
            reconcile.load_reconciled(stash, directory)


def _in_a_row(numbered: Mapping[int, Sequence[str]]) -> list[dict[int, Sequence[str]]]:
    """Return the jobs in groups whose numbers follow one another."""
    groups: list[dict[int, Sequence[str]]] = []
    for number in sorted(numbered):
        if not groups or number - 1 not in groups[-1]:
            groups.append({})
        groups[-1][number] = numbered[number]
    return groups


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def careful(launcher: Launcher, context: HydraContext, task_function: Any, config: DictConfig) -> Launcher:
    """Return the launcher, or what keeps it from giving up all jobs for one."""
    if not sweep_jobs.is_ours(task_function) or type(launcher).__module__.startswith(_OURS):
        return launcher
    return Careful(launcher, context, config)
