"""The Hydra application: composes one experiment and hands it to freeze and execute."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import main as hydra_main
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from experimentstash import continuing, records, sweep_size, sweepers
from experimentstash.continuing import SWEEP_FILE, Continuation
from experimentstash.errors import SecretError, StashError
from experimentstash.execute import GRACE_IN_JOB, Executed, execute
from experimentstash.files import lock_if_free
from experimentstash.freeze import Request, draft, explain, freeze, plan, tool_directory
from experimentstash.job_config import Circumstances, HydraJob, Job, is_dry
from experimentstash.loader import CONFIG_NAME
from experimentstash.objective import Result
from experimentstash.output import USAGE, complain, say
from experimentstash.overrides import MULTIRUN, meant, refuse_secrets
from experimentstash.provenance import Checkouts
from experimentstash.records import Command, Run, State
from experimentstash.redaction import is_secret_name, literal_secret
from experimentstash.schema import CodeMode, LocalLauncherConfig, SlurmLauncherConfig, StashConfig
from experimentstash.summary import ending_line, resources_table, sweep_table
from experimentstash.variations import SweepLoader
from experimentstash.workspace import Stash, find_stash, new_token, run_id

if TYPE_CHECKING:
    from experimentstash.worktrees import Frozen

# They reach the jobs of every launcher by inheritance, so that all see the same stash and name one sweep alike.
ROOT_VARIABLE = "EXPERIMENTSTASH_ROOT"
TOKEN_VARIABLE = "EXPERIMENTSTASH_TOKEN"

# How Hydra is to behave, and what it is to call the application.
VERSION_BASE = "1.3"
JOB_NAME = "experimentstash"
_WHAT = "ExperimentStash runs experiments of foreign tools, composed by Hydra."
# The name of our callback.
_GUARD = "experimentstash"
# In a sweep's directory, held while a command is at work on it.
_LOCK = ".lock"
_OUR_LAUNCHERS = (LocalLauncherConfig._target_, SlurmLauncherConfig._target_)
# Runs that could not start and are told of one by one.
_MISTAKES_SHOWN = 20
# What file systems refuse, of which a run's directory is a likely reason, not a bug.
_NO_PLACE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
}
_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


@dataclass
class _Session:
    """What one call of the application leaves behind for its caller."""

    stash: Stash
    executed: Executed | None = None
    sweep: Path | None = None
    elsewhere: list[Path] = field(default_factory=list)  # runs of the sweep that aren't in its directory
    sweeper: str | None = None
    continuation: Continuation | None = None
    lock: int | None = None  # keeps others from going on with the sweep
    runs: Sequence[Run] = ()  # of the sweep, once it is over
    is_dry: bool = False
    drafts: list[Run] = field(default_factory=list)  # what would be run
    has_begun: bool = False  # a task has started
    failure: StashError | None = None
    loader: SweepLoader | None = None
    checkouts: Checkouts = field(default_factory=Checkouts)
    # The tools' code that has been secured: all runs of a sweep share one state of it. None: git doesn't know the tool.
    frozen: dict[tuple[object, ...], Frozen | None] = field(default_factory=dict)


_session: ContextVar[_Session | None] = ContextVar("session", default=None)


def register() -> None:
    """Tell Hydra the types and defaults on which a stash's root config builds (`defaults: [experimentstash]`)."""
    store = ConfigStore.instance()
    store.store(name="experimentstash_types", node=StashConfig, provider="experimentstash")
    stamp = f"${{now:%Y-%m-%d}}/${{now:%H-%M-%S}}-${{oc.env:{TOKEN_VARIABLE}}}"
    store.store(
        name="experimentstash",
        provider="experimentstash",
        node={
            "defaults": ["experimentstash_types", "_self_", {"override hydra/job_logging": "none"}],
            "hydra": {
                "run": {"dir": f"${{oc.env:{ROOT_VARIABLE}}}/outputs/{stamp}"},
                "sweep": {"dir": f"${{oc.env:{ROOT_VARIABLE}}}/multirun/{stamp}"},
                "job": {"name": "experimentstash", "chdir": False},
                "callbacks": {_GUARD: {"_target_": "experimentstash.app.Guard"}},
                "help": {
                    "app_name": "experimentstash",
                    "header": f"ExperimentStash runs experiments of foreign tools.\n\n{USAGE}\n",
                },
            },
        },
    )


def main(argv: Sequence[str], continues: Path | None = None) -> int:
    """Run the Hydra application on its command-line arguments and return the exit code.

    A single run's is the tool's own; a sweep's is 0 if all its runs completed, else 1. ``continues`` is the directory
    of a sweep in which only those of its runs are done that haven't completed.
    """
    stash = find_stash()
    session = _Session(stash)
    if continues is not None:
        session.continuation = Continuation(stash, continues)
    arguments = meant(stash, argv)
    refuse_secrets(arguments)
    token = _session.set(session)
    register()
    saved_argv = sys.argv
    sys.argv = ["experimentstash", *arguments]
    try:
        with variables(stash):
            if not _run(session, arguments):
                hydra_main(config_path=str(stash.conf), config_name=CONFIG_NAME, version_base=VERSION_BASE)(task)()
    except _Shown:
        pass
    except (Exception, _Refusal) as raised:
        error = raised.__cause__ if isinstance(raised, _Refusal) else raised
        assert error is not None
        told = _told(error, session, arguments)
        raise told from error.__cause__ if told is error else error
    finally:
        sys.argv = saved_argv
        _session.reset(token)
        if session.drafts:
            print(resources_table(session.drafts), flush=True)
        if session.sweep is not None:
            _sum_up(session, session.sweep)
        if session.lock is not None:
            os.close(session.lock)
    return _exit_code(session)


def _told(error: BaseException, session: _Session, arguments: Sequence[str]) -> BaseException:
    """Return what is to be told of an error: itself, if it says all or is a bug."""
    if isinstance(error, StashError):
        return error
    from experimentstash import mistakes

    explained = mistakes.explain(error, session.stash, arguments) or sweepers.gave_up(error, session.sweeper)
    if explained is None and isinstance(error, OSError) and error.errno in _NO_PLACE:
        return StashError(f"{error.filename or session.stash.root} can't be written: {error.strerror}.")
    return explained or error


def _sum_up(session: _Session, sweep: Path) -> None:
    """Print a sweep's table and the mistakes that kept runs from starting; remove its directory if nothing ran."""
    inside = records.read_all(sweep)
    if not inside:
        _discard_sweep(sweep)
    session.runs = runs = [*inside, *map(records.read, session.elsewhere)]
    if not runs:
        return
    print(sweep_table(session.stash, runs), flush=True)
    mistaken = [run for run in runs if run.state is State.FAILED and run.started is None]
    for run in mistaken[:_MISTAKES_SHOWN]:
        complain(f"{run.id}: {run.reason}")
    if len(mistaken) > _MISTAKES_SHOWN:
        complain(f"and {len(mistaken) - _MISTAKES_SHOWN} more runs did not start; experimentstash show RUN says why")


def _run(session: _Session, arguments: Sequence[str]) -> bool:
    """Do what hydra.main does for a single run or a sweep; False where something else is asked of it.

    hydra.main composes once more than it runs, only to read hydra.mode, and reads every file anew for every job.
    """
    overrides = [word for word in arguments if word not in MULTIRUN]
    is_sweep = len(overrides) < len(arguments)
    if any(word.startswith(("-", "hydra.mode=") if is_sweep else "-") for word in overrides):
        return False
    version.setbase(VERSION_BASE)
    search_path = create_config_search_path(str(session.stash.conf))
    session.loader = SweepLoader(search_path)
    hydra = Hydra(task_name=JOB_NAME, config_loader=session.loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        if is_sweep:
            hydra.multirun(CONFIG_NAME, task_function=task, overrides=[*overrides, "hydra.mode=MULTIRUN"])
        else:
            hydra.run(CONFIG_NAME, task_function=task, overrides=overrides)
    except (AssertionError, HydraException) as error:
        # How Hydra.run says, before it does anything, that hydra.mode isn't RUN, or that this would have to be so.
        is_for_mode = isinstance(error, AssertionError) or str(error).startswith("Ambiguous value")
        if session.has_begun or is_sweep or not is_for_mode:
            raise
        return False
    finally:
        GlobalHydra.instance().clear()
    return True


@contextlib.contextmanager
def variables(stash: Stash) -> Iterator[None]:
    """Set what the root config's interpolations read, and have Hydra raise its errors to us, not print them."""
    ours = {ROOT_VARIABLE: str(stash.root), TOKEN_VARIABLE: new_token(), "HYDRA_FULL_ERROR": "1"}
    saved = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _exit_code(session: _Session) -> int:
    if session.failure is not None and session.sweep is None:
        raise session.failure
    if session.sweep is not None:
        runs = session.runs
        if not runs and not session.is_dry:
            raise StashError("The sweep has no runs.", "look at what is swept over: an empty list or glob?")
        return 0 if all(_is_well(run) for run in runs) and session.failure is None else 1
    if session.executed is not None:
        return session.executed.run.exit_code or 0
    return 0


def _is_well(run: Run) -> bool:
    # What SLURM has yet to start, or is at, is not for this command to wait for.
    return run.state is State.COMPLETED or (run.queued is not None and not run.state.is_final)


@dataclass(frozen=True)
class Prepared:
    """A frozen run, ready to be executed here or elsewhere; ``secrets`` are what its record must not keep."""

    run: Run
    secrets: Mapping[str, str]


def _this_session() -> _Session:
    """Return the session of this process; one that nobody looks at, where a launcher has started another process."""
    return _session.get() or _Session(find_stash(Path(os.environ[ROOT_VARIABLE])))


def prepare(config: DictConfig) -> Prepared | None:
    """Freeze one composed experiment: a task function for Hydra's launchers that leaves executing to others."""
    return prepare_job(HydraJob(config))


def prepare_job(job: Job) -> Prepared | None:
    """Freeze one job, with HydraConfig set as in it; None if nothing is to be executed (a mistake, or only validated).

    In a dry run it is not frozen, nothing of it is written, and it is not to be executed. A mistake of the user's in
    one job of a sweep doesn't stop the others: it is noted as a failed run, and raised only if the sweeper needs
    results.
    """
    session = _this_session()
    stash = session.stash
    session.has_begun = True
    seen = job.circumstances()
    needs_result = seen.sweep is not None and sweepers.needs_results(seen.sweeper)
    try:
        request = as_request(stash, job, seen)
        settings = request.config
        if settings.objective is None and needs_result:
            raise sweepers.no_objective(request.organizer)
        if not seen.is_dry:
            request = replace(request, frozen=_frozen(session, request, seen.launcher))
        planned = plan(request)
        if settings.debug:
            for line in explain(planned):
                say(line)
        if seen.is_dry:
            session.is_dry = True
            _discard(seen)
            if settings.validate_only:
                print(shlex.join(planned.command.argv), flush=True)
            else:
                session.drafts.append(draft(planned))
            if needs_result:
                raise _Shown
            return None if settings.validate_only else Prepared(session.drafts[-1], planned.secrets)
        taken_up = session.continuation.take_up(planned) if session.continuation is not None else None
        if taken_up is not None:
            return Prepared(taken_up, planned.secrets)
        job.keep(seen.directory)
        run = freeze(planned, announce=say, checkouts=session.checkouts)
        if session.sweep is not None and not run.path.is_relative_to(session.sweep):
            session.elsewhere.append(run.path)
        return Prepared(run, planned.secrets)
    except (StashError, OmegaConfBaseException) as error:
        mistake = _reject(session, seen, error)
    if needs_result:
        raise mistake
    return None


def _frozen(session: _Session, request: Request, launcher: str) -> Frozen | None:
    """Return the code that a run uses instead of its tool's checkout, secured once in this process; None: it doesn't.

    StashError if frozen code was asked for and git doesn't know the tool; where it is only the default, that is said.
    """
    config, name = request.config, request.tool
    for_slurm = launcher == SlurmLauncherConfig._target_
    if config.code is not CodeMode.frozen and not (config.code is CodeMode.auto and for_slurm):
        return None
    from experimentstash import worktrees

    tool = config.tool
    directory = tool_directory(request.stash, name, tool)
    key = (name, directory, *tool.shared, tool.call.config_dir, tool.call.config_path)
    is_first = key not in session.frozen
    if is_first:
        user = request.sweep or request.directory
        session.frozen[key] = worktrees.secure(request.stash, name, directory, tool, user, say)
    found = session.frozen[key]
    if found is None and config.code is CodeMode.frozen:
        raise StashError(
            f"code=frozen: git knows nothing of {tool.path}, so its code can't be frozen.",
            f"commit it (git add {shlex.quote(tool.path)}), or use it as it is: code=live",
        )
    if found is None and is_first:
        say(f"{tool.path} is no git checkout: its code is used live, so don't edit it while runs are queued")
    return found


def continuation() -> Continuation | None:
    """Return the earlier tries of the sweep that is being continued; None: it is a new one."""
    session = _session.get()
    return None if session is None else session.continuation


def task(config: DictConfig) -> Result | None:
    """Freeze and execute one composed experiment: the task function of Hydra's launchers.

    Returns the objective's value. A tool that fails is an error here only if the sweeper needs that: its run's record
    tells.
    """
    prepared = prepare(config)
    if prepared is None or config.dry_run:
        return None
    session = _this_session()
    stash, run = session.stash, prepared.run
    say(f"{run.organizer or run.experiment or run.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=_shows_output(), secrets=prepared.secrets)
    say(ending_line(stash, run))
    session.executed = executed
    # Where a launcher runs all jobs in this process, asking one of them to stop means the whole sweep.
    launcher = HydraConfig.get().launcher._target_
    if executed.interrupted_by is not None and run.sweep is not None and launcher == _BASIC_LAUNCHER:
        raise (
            KeyboardInterrupt if executed.interrupted_by is signal.SIGINT else SystemExit(128 + executed.interrupted_by)
        )
    if run.result is None and run.sweep is not None and sweepers.needs_results(str(HydraConfig.get().sweeper._target_)):
        raise sweepers.no_result(run)
    return run.result


def _reject(session: _Session, seen: Circumstances, error: Exception) -> StashError:
    """Note that a job's configuration is wrong: in a sweep as a failed run of its own, so that the others go on."""
    directory, overrides = seen.directory, list(seen.overrides)
    if isinstance(error, StashError):
        mistake: StashError | None = error
    else:
        from experimentstash import mistakes

        mistake = mistakes.explain(error, session.stash, overrides)
    assert mistake is not None
    session.failure = mistake
    if seen.sweep is None:
        if not (directory / records.FILE_NAME).exists():  # another process may have been faster to claim it
            _discard(seen)
        return mistake
    if seen.is_dry or (directory / records.FILE_NAME).exists():
        complain(f"{' '.join(overrides)}: {mistake}")
        if seen.is_dry:
            session.is_dry = True
            _discard(seen)
        return mistake
    if isinstance(mistake, SecretError):
        _discard(seen)
        overrides = []
    records.claim(
        Run(
            id=run_id(directory),
            directory=str(directory),
            experiment=None,
            organizer=seen.organizer,
            tool=str(seen.tool),
            command=Command(argv=[], cwd=str(session.stash.root)),
            overrides=overrides,
            sweep=str(seen.sweep),
            state=State.FAILED,
            created=records.now(),
            exit_code=mistake.exit_code,
            reason=str(mistake),
        )
    )
    return mistake


def _discard(seen: Circumstances) -> None:
    """Remove a run directory in which there is nothing but what Hydra wrote, and the empty directories above it."""
    folders = [seen.directory, seen.directory.parent]
    if seen.output_subdir is not None:
        folders.insert(0, seen.directory / seen.output_subdir)
        for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
            (folders[0] / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _discard_sweep(directory: Path) -> None:
    """Remove a sweep's directory in which there is nothing but what Hydra wrote, and an empty directory above it."""
    with contextlib.suppress(OSError):
        if {path.name for path in directory.iterdir()} <= {SWEEP_FILE, _LOCK}:
            for name in (SWEEP_FILE, _LOCK):
                (directory / name).unlink(missing_ok=True)
            for folder in (directory, directory.parent):
                folder.rmdir()


def as_request(stash: Stash, job: Job, seen: Circumstances) -> Request:
    """Return what a job asks for in its circumstances, with HydraConfig set as in it; StashError for a mistake."""
    if seen.tool is None:
        raise StashError(
            "Nothing says which tool to run; an experiment organizer does, by `override /tool: NAME` in its defaults."
            f"\n{stash.inventory()}",
            "python -m experimentstash +exp=NAME",
        )
    for name, value in seen.tool_env.items():
        if is_secret_name(name) and value is not None and "${" not in str(value):
            raise literal_secret(name, f"conf/tool/{seen.tool}.yaml, or what overrides it,")
    _refuse_secret_variables(seen.env_set)
    return Request(
        stash=stash,
        config=job.typed(),
        tool=seen.tool,
        organizer=seen.organizer,
        overrides=seen.overrides,
        directory=seen.directory,
        id=run_id(seen.directory),
        sweep=seen.sweep,
        env_set=seen.env_set,
        for_slurm="SLURM_JOB_ID" in os.environ or seen.launcher == SlurmLauncherConfig._target_,
    )


def _refuse_secret_variables(env_set: Mapping[str, str]) -> None:
    """Refuse to have Hydra set a secret: it keeps the values of `hydra.job.env_set` and `env_copy` in its files."""
    for name in env_set:
        if is_secret_name(name):
            raise SecretError(
                f"hydra.job.env_set or env_copy names {name}, whose value Hydra would write to disk.",
                f"leave it out: the tool inherits ${name} from your shell; another name for it belongs into the tool's"
                f" registration, as env: {{{name}: ${{oc.env:OTHER}}}}",
            )


def _shows_output() -> bool:
    # A submitit job's stdout is a log file beside the run's own.
    return "SUBMITIT_EXECUTOR" not in os.environ


class _Refusal(BaseException):
    """Ends Hydra's work from a callback, where Hydra would turn any Exception into a warning."""


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _Refusal from error


class _Shown(BaseException):
    """Ends a sweep of which only the first job can be shown: what comes after it depends on its result."""


def _launch_with(config: DictConfig, launcher: LocalLauncherConfig) -> None:
    with read_write(config), open_dict(config):
        config.hydra.launcher = asdict(launcher)


class Guard(Callback):
    """Refuses what can't work before it begins, and hands the grace signal to submitit's SLURM launcher."""

    @_refusing()
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.run.dir)
        _refuse_secret_variables(config.hydra.job.env_set)
        if (directory / records.FILE_NAME).exists():
            raise records.already_taken(directory)

    @_refusing()
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir).absolute()
        _refuse_secret_variables(config.hydra.job.env_set)
        session = _session.get()
        is_new = session is None or session.continuation is None
        if is_new and next(records.directories(directory), None) is not None:
            raise records.already_taken(directory, f"experimentstash resume {shlex.quote(str(directory))}")
        sweeper = str(config.hydra.sweeper._target_)
        organizer = config.hydra.runtime.choices.get("exp")
        if organizer is not None and config.objective is None and sweepers.needs_results(sweeper):
            raise sweepers.no_objective(organizer)  # one that is swept over is looked at when it is frozen
        launcher = str(config.hydra.launcher._target_)
        if not is_new and launcher not in (*_OUR_LAUNCHERS, _BASIC_LAUNCHER):
            raise continuing.refuse(str(directory), launcher)
        if session is not None:
            session.lock = lock_if_free(directory / _LOCK)
            if session.lock is None:
                raise StashError(f"Another command is at work on {directory}.", "wait until it has ended")
            session.sweep, session.sweeper = directory, sweeper
        remark = sweep_size.remark(config)
        if remark is not None:
            say(remark if is_dry(config) else f"{remark}; dry_run=true shows what they would ask for")
        is_shown_here = config.dry_run and launcher != SlurmLauncherConfig._target_
        if config.validate_only or is_shown_here:  # nothing runs, so nothing needs to be launched elsewhere
            _launch_with(config, LocalLauncherConfig())
        elif not is_new and launcher == _BASIC_LAUNCHER:  # as it does it, and able to leave out what is done
            _launch_with(config, LocalLauncherConfig(n_jobs=1))
        elif launcher.endswith(".submitit_launcher.SlurmLauncher"):
            seconds = int(config.grace.seconds or GRACE_IN_JOB)
            with read_write(config), open_dict(config):
                config.hydra.launcher.signal_delay_s = seconds
                parameters = dict(config.hydra.launcher.get("additional_parameters") or {})
                parameters.setdefault("signal", f"{config.grace.signal}@{seconds}")
                config.hydra.launcher.additional_parameters = parameters
        if session is not None and session.loader is not None:
            one_by_one = config.hydra.launcher._target_ in (*_OUR_LAUNCHERS, _BASIC_LAUNCHER)
            session.loader.is_shared = one_by_one and list(config.hydra.callbacks) == [_GUARD]
