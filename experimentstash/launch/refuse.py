"""Jobs that can't be prepared: said, recorded as failed runs of their own, and nothing else of them left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from experimentstash import __version__
from experimentstash.base.errors import SecretError, StashError, explain_refusal, is_of_surroundings
from experimentstash.base.output import complain
from experimentstash.base.redaction import find_secret
from experimentstash.compose import hydra_files
from experimentstash.compose.job_info import HydraJobInfo, refused_name, uncomposed
from experimentstash.launch import context as contexts
from experimentstash.launch.context import LaunchContext
from experimentstash.record import records, run_places, times, transitions
from experimentstash.record.run import Attempt, Command, Run, Specification, State
from experimentstash.stash.layout import run_id

# Of a run that couldn't be composed.
UNKNOWN_TOOL = "?"
_NAME_OTHERWISE = "see what hydra.sweep.dir and hydra.sweep.subdir (hydra.run.dir) make of it, and what lies there"


def refuse(config: DictConfig, number: int, overrides: Sequence[str], error: Exception) -> StashError:
    """Note that a job of a sweep can't be composed, or its directory not be made; return what there is to be said.

    ``config`` is what all jobs of the sweep share.
    """
    contexts.here().account.begins()
    return reject(uncomposed(config, number, overrides), error)


def explained(error: Exception, overrides: Sequence[str], place: Path) -> StashError | None:
    """Return what there is to be said of an error in preparing a job; None: it is a bug."""
    if isinstance(error, StashError):
        return error
    from experimentstash.compose import explain_errors

    mistake = explain_errors.explain(error, contexts.here().stash, overrides)
    if mistake is None and isinstance(error, OSError):
        return explain_refusal(error, str(place))
    return mistake


@contextlib.contextmanager
def making(directory: Path) -> Iterator[None]:
    """Have whatever keeps a job's directory from being made be said as a mistake in its name."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL, or what no file system's encoding knows
        if isinstance(error, OSError) and is_of_surroundings(error):
            raise
        why = error.strerror if isinstance(error, OSError) else error
        shown = str(directory) if isinstance(error, OSError) else repr(str(directory))
        raise StashError(f"The run's directory {shown} can't be made: {why}.", _NAME_OTHERWISE) from error


def reject(seen: HydraJobInfo, error: Exception) -> StashError:
    """Note that a job can't be prepared: in a sweep as a failed run of its own, so that the others go on."""
    context = contexts.here()
    overrides, directory = list(seen.overrides), seen.directory
    explanation = explained(error, overrides, seen.directory)
    mistake = explanation or StashError(f"this is a bug ({type(error).__name__}: {error})")
    context.account.has_refused(mistake, bug=None if explanation is not None else error)
    if seen.sweep is None:
        if not (seen.directory / records.FILE_NAME).exists():  # another process may have been faster to claim it
            discard(context, seen)
        return mistake
    if seen.is_dry:
        complain(f"{' '.join(overrides)}: {mistake}")
        context.account.is_only_looked_at()
        discard(context, seen)
        return mistake
    number, continuation = seen.number, context.continuation
    if number is not None and continuation is not None and continuation.earlier(number) is not None:
        # What an earlier try came to stays as it is.
        context.account.refuses_again(number, mistake)
        return mistake
    if isinstance(mistake, SecretError):
        discard(context, seen, whatever_was_there=True)
        overrides = []
        if find_secret([str(directory)], os.environ) is not None:
            directory = seen.sweep / refused_name(seen.number)
    rejected = Run(
        id=run_id(directory),
        directory=str(directory),
        spec=Specification(
            tool=seen.tool or UNKNOWN_TOOL,
            command=Command(argv=[], cwd=str(context.stash.root)),
            organizer=seen.organizer,
            overrides=overrides,
            job=seen.number,
            version=__version__,
        ),
        attempt=Attempt(1, State.FROZEN),
        sweep=str(seen.sweep),
        created=times.now(),
    )
    transitions.end(rejected, State.FAILED, str(mistake), mistake.exit_code)
    if not _is_recorded(context, rejected, seen.sweep):
        context.account.cannot_record(rejected)
        discard(context, seen)
    return mistake


def _is_recorded(context: LaunchContext, rejected: Run, sweep: Path) -> bool:
    """Record a run in its directory, or in another one if that is taken, or can't be made."""
    for place in (rejected.directory, str(sweep / refused_name(rejected.spec.job))):
        rejected.directory, rejected.id = place, run_id(Path(place))
        with contextlib.suppress(OSError, ValueError, StashError):
            run_places.remember(context.stash, rejected.path, sweep)
            records.claim(rejected)
            context.account.has_placed(rejected, sweep)
            return True
    return False


def discard(context: LaunchContext, seen: HydraJobInfo, *, whatever_was_there: bool = False) -> None:
    """Undo what Hydra has written for a run that isn't made, and remove the directories that are empty then."""
    before = None if context.begun is None else context.begun.before
    if seen.sweep is None and before is not None:
        before.put_back()
        return
    if before is not None and seen.directory in before.entries and not whatever_was_there:
        return
    home = seen.directory.parent.parent if seen.sweep is None else seen.sweep
    above = (each for each in (seen.directory, *seen.directory.parents) if each.is_relative_to(home))
    folders = [each for each in above if each != home]
    if seen.output_subdir is not None:
        folders.insert(0, seen.directory / seen.output_subdir)
        for name in hydra_files.KEPT:
            (folders[0] / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):  # so far it has not come
                folder.rmdir()
