"""The Hydra application: composes one experiment and hands it to freeze and execute."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig

from experimentstash.base.errors import StashError, explain_refusal
from experimentstash.base.output import complain, paper_of, say
from experimentstash.compose import command_line, sweepers
from experimentstash.compose.config_store import JOB_NAME, register
from experimentstash.compose.hydra_compat import behaving, hydra_main, is_fast, search_path, trusting
from experimentstash.compose.job_config import HydraJob
from experimentstash.compose.loader import CONFIG_NAME, Loader
from experimentstash.compose.overrides import meant, refuse_secrets
from experimentstash.compose.stash_loader import StashLoader
from experimentstash.compose.variations import SweepLoader
from experimentstash.execute.execute import execute
from experimentstash.launch import begin, resume
from experimentstash.launch import session as sessions
from experimentstash.launch.begin import Application, OtherMode
from experimentstash.launch.prepare import Prepared, Shown, prepare_job
from experimentstash.launch.session import Session
from experimentstash.record import records, sweep_list
from experimentstash.record.objective import Result
from experimentstash.record.records import Run, State
from experimentstash.runs import naming
from experimentstash.runs.summary import ending_line, resources_table, sweep_table, with_warnings
from experimentstash.stash.layout import find_stash

if TYPE_CHECKING:
    from experimentstash.launch.resume import Continuation

# Runs that could not start and are told of one by one.
_MISTAKES_SHOWN = 20


def import_plugins() -> None:
    """Import Hydra's plugins, which it would do a little later."""
    Plugins.instance()


def main(argv: Sequence[str], continuation: Continuation | None = None) -> int:
    """Run the Hydra application on its command-line arguments and return the exit code.

    A single run's is the tool's own; a sweep's is 0 if all its runs completed, else 1. Of a sweep that is
    continued (``continuation``) only the runs are done that haven't completed.
    """
    line = command_line.read(argv)
    stash = command_line.in_places(find_stash(), line)
    session = Session(stash, continuation=continuation)
    arguments = meant(stash, line).words
    refuse_secrets(arguments)
    register()
    saved_argv = sys.argv
    sys.argv = ["experimentstash", *arguments]
    try:
        with sessions.begun(session):
            if not _run(session, arguments):
                hydra_main(task, stash.conf, CONFIG_NAME, Application, StashLoader)
        if session.bug is not None:
            raise session.bug
    except Shown:
        pass
    except (KeyboardInterrupt, SystemExit):
        session.is_interrupted = True
        raise
    except Exception as error:
        told = _told(error, session, arguments)
        raise told from error.__cause__ if told is error else error
    finally:
        sys.argv = saved_argv
        if session.drafts:
            print(resources_table(session.drafts, paper_of(sys.stdout)), flush=True)
        if session.sweep is not None:
            _sum_up(session, session.sweep)
        if session.lock is not None:
            os.close(session.lock)
    return _exit_code(session)


def _told(error: BaseException, session: Session, arguments: Sequence[str]) -> BaseException:
    """Return what is to be told of an error: itself, if it says all or is a bug."""
    if isinstance(error, StashError):
        return error
    from experimentstash.compose import mistakes

    explained = mistakes.explain(error, session.stash, arguments) or sweepers.gave_up(error, session.sweeper)
    if explained is None and isinstance(error, OSError):
        explained = explain_refusal(error, str(session.stash.root))
    return explained or error


def _sum_up(session: Session, sweep: Path) -> None:
    """Print a sweep's table and the mistakes that kept runs from starting; remove its directory if nothing ran."""
    inside = records.read_all(sweep)
    if not inside:
        _discard_sweep(session, sweep)
    found = [*inside, *records.readable(session.elsewhere), *session.unrecorded]
    session.runs = runs = sorted(found, key=lambda run: -1 if run.job is None else run.job)
    known = len(session.unrecorded) + len([*records.directories(sweep), *session.elsewhere])
    session.has_unread = len(runs) < known
    if not runs:
        return
    unbegun = sweep_list.unbegun(sweep, known)
    print(sweep_table(session.stash, runs, paper_of(sys.stdout), unbegun=unbegun), flush=True)
    if (line := with_warnings(runs)) is not None:
        say(line)
    mistaken = [run for run in runs if run.state is State.FAILED and run.started is None]
    for run in mistaken[:_MISTAKES_SHOWN]:
        complain(f"{run.id}: {run.reason}")
    if len(mistaken) > _MISTAKES_SHOWN:
        complain(f"and {len(mistaken) - _MISTAKES_SHOWN} more runs did not start; experimentstash show RUN says why")
    if session.is_interrupted:
        with contextlib.suppress(StashError):  # its sweeper chose the runs as it went
            command = resume.way_on(sweep, naming.sweep_at(session.stash, sweep).name)
            say(f"the sweep was interrupted; what has not completed is done by\n  → {command}")


def _run(session: Session, arguments: Sequence[str]) -> bool:
    """Do what hydra.main does for a single run or a sweep; False where something else is asked of it.

    hydra.main composes once more than it runs, only to read hydra.mode, and reads every file anew for every job.
    """
    overrides = [word for word in arguments if word not in command_line.MULTIRUN]
    is_sweep = len(overrides) < len(arguments)
    is_more = any(word.startswith(("-", "hydra.mode=") if is_sweep else "-") for word in overrides)
    if is_more or not is_fast():
        return False
    behaving()
    places = search_path(session.stash.conf)
    loader: Loader
    if is_sweep:
        loader = session.loader = SweepLoader(places)
    else:
        loader = Loader(places)
    hydra = Application(task_name=JOB_NAME, config_loader=loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        with trusting():
            if is_sweep:
                hydra.multirun(CONFIG_NAME, task_function=task, overrides=[*overrides, "hydra.mode=MULTIRUN"])
            else:
                hydra.run(CONFIG_NAME, task_function=task, overrides=overrides)
    except OtherMode:
        return False
    except HydraException:
        # It may be a sweep by what the configuration says, and what is wrong with a run right for that.
        if session.has_begun or is_sweep or not any(map(_sweeps, overrides)):
            raise
        return False
    finally:
        GlobalHydra.instance().clear()
    return True


def _sweeps(word: str) -> bool:
    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except (HydraException, ValueError, RecursionError):
        return False


def _exit_code(session: Session) -> int:
    if session.failure is not None and session.sweep is None:
        raise session.failure
    if session.sweep is not None:
        runs = session.runs
        if not runs and not session.is_dry and not session.has_unread:
            raise StashError("The sweep has no runs.", "look at what is swept over: an empty list or glob?")
        is_well = all(_is_well(run) for run in runs) and not session.has_unread
        return 0 if is_well and session.failure is None else 1
    if session.executed is not None:
        return session.executed.run.exit_code or 0
    return 0


def _is_well(run: Run) -> bool:
    # What a scheduler has yet to start, or is at, is not for this command to wait for.
    return run.state is State.COMPLETED or (run.queued is not None and not run.state.is_final)


def prepare(config: DictConfig) -> Prepared | None:
    """Freeze one composed experiment: a task function for Hydra's launchers that leaves executing to others."""
    sessions.as_usual()
    return prepare_job(HydraJob(config))


def task(config: DictConfig) -> Result | None:
    """Freeze and execute one composed experiment: the task function of Hydra's launchers.

    Returns the objective's value. A tool that fails is an error here only if the sweeper needs that: its run's record
    tells.
    """
    prepared = prepare(config)
    if prepared is None or config.dry_run:
        return None
    session = sessions.anyway()
    stash, run = session.stash, prepared.run
    say(f"{run.organizer or run.experiment or run.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=_shows_output(), secrets=prepared.secrets)
    say(ending_line(stash, run, paper_of(sys.stderr)))
    session.executed = executed
    # Where a launcher runs all jobs in this process, asking one of them to stop means the whole sweep.
    launcher = HydraConfig.get().launcher._target_
    if executed.interrupted_by is not None and run.sweep is not None and launcher == resume.BASIC_LAUNCHER:
        raise (
            KeyboardInterrupt if executed.interrupted_by is signal.SIGINT else SystemExit(128 + executed.interrupted_by)
        )
    if run.result is None and run.sweep is not None and sweepers.needs_results(str(HydraConfig.get().sweeper._target_)):
        raise sweepers.no_result(run)
    return run.result


def _discard_sweep(session: Session, directory: Path) -> None:
    """Undo what Hydra and we have made of a sweep in which nothing ran, if nothing else has come into its directory."""
    before = session.before
    with contextlib.suppress(OSError):
        added = {path.name for path in directory.iterdir() if before is None or path not in before.entries}
        if before is not None and added <= {records.SWEEP_FILE, records.JOBS_FILE, begin.LOCK}:
            before.put_back()


def _shows_output() -> bool:
    # A submitit job's stdout is a log file beside the run's own.
    return "SUBMITIT_EXECUTOR" not in os.environ
