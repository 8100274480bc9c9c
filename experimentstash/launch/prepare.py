"""From a composed job to a frozen run: which code it uses, what is refused, and what is only shown."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experimentstash import __version__
from experimentstash.adapters import schedulers
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import SecretError, StashError, explain_refusal, is_of_surroundings
from experimentstash.base.output import complain, say
from experimentstash.base.redaction import find_secret, is_secret_variable, literal_secret
from experimentstash.compose import hydra_files, sweepers
from experimentstash.compose.job_config import Circumstances, Job, refused_name, uncomposed
from experimentstash.freeze import calls
from experimentstash.freeze.freeze import Plan, Request, draft, explain, freeze, lack_of_gpus, plan, written_at
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.launch import session as sessions
from experimentstash.launch.session import Session
from experimentstash.record import records, run_places, transitions
from experimentstash.record.records import Command, Run, State
from experimentstash.stash.layout import Stash, run_id
from experimentstash.stash.schema import SCHEDULER_LAUNCHERS, CodeMode

if TYPE_CHECKING:
    from experimentstash.code.apart import Plot
    from experimentstash.code.worktrees import Frozen


# Of a run that couldn't be composed.
UNKNOWN_TOOL = "?"
_NAME_OTHERWISE = "see what hydra.sweep.dir and hydra.sweep.subdir (hydra.run.dir) make of it, and what lies there"


class Shown(BaseException):
    """Ends a sweep of which only the first job can be shown: what comes after it depends on its result."""


@dataclass(frozen=True)
class Prepared:
    """A frozen run, ready to be executed here or elsewhere; ``secrets`` are what its record must not keep."""

    run: Run
    secrets: Mapping[str, str]


def prepare_job(job: Job) -> Prepared | None:
    """Freeze one job, with HydraConfig set as in it; None if nothing is to be executed (a mistake, or only validated).

    In a dry run it is not frozen, nothing of it is written, and it is not to be executed. A mistake of the user's in
    one job of a sweep doesn't stop the others: it is noted as a failed run, and raised only if the sweeper needs
    results.
    """
    session = sessions.anyway()
    stash = session.stash
    session.has_begun = True
    if session.loader is not None:
        session.loader.meter = None
    seen = job.circumstances()
    needs_result = seen.sweep is not None and sweepers.needs_results(seen.sweeper)
    try:
        request = as_request(stash, job, seen)
        settings = request.config
        if settings.objective is None and needs_result:
            raise sweepers.no_objective(request.organizer)
        if not seen.is_dry:
            request = replace(request, frozen=_frozen(session, request))
            request = replace(request, plot=_apart(session, request, seen))
        planned = plan(request, session.bases)
        if settings.debug:
            for line in explain(planned):
                say(line)
        if seen.is_dry:
            session.is_dry = True
            _discard(session, seen)
            _check_program(session, planned)
            if settings.validate_only:
                print(shlex.join(planned.command.argv), flush=True)
                for name, text in planned.files.items():
                    print(f"# {seen.directory / name} would hold:\n{text.rstrip()}", flush=True)
            else:
                session.drafts.append(draft(planned))
            if needs_result:
                raise Shown
            return None if settings.validate_only else Prepared(session.drafts[-1], planned.secrets)
        taken_up = session.continuation.take_up(planned) if session.continuation is not None else None
        if taken_up is not None:
            return Prepared(taken_up, planned.secrets)
        with making(seen.directory):
            seen.directory.mkdir(parents=True, exist_ok=True)
        for line in set(lack_of_gpus(request)) - session.said:
            say(line)
            session.said.add(line)
        run = freeze(
            planned, announce=say, checkouts=session.checkouts, claim=lambda run: _claim(session, job, seen, run)
        )
        if session.sweep is not None and not run.path.is_relative_to(session.sweep):
            session.elsewhere.append(run.path)
        return Prepared(run, planned.secrets)
    except (StashError, OmegaConfBaseException) as error:
        mistake = _reject(session, seen, error)
    except Exception as error:
        if seen.sweep is None and explained(error, seen.overrides, seen.directory) is None:
            raise
        mistake = _reject(session, seen, error)
    except KeyboardInterrupt:
        if not (seen.directory / records.FILE_NAME).exists():
            _discard(session, seen)
        raise
    if needs_result:
        raise mistake
    return None


def _claim(session: Session, job: Job, seen: Circumstances, run: Run) -> None:
    """Have a run's directory become its own, in place of an earlier try's."""
    continuation = session.continuation
    none = contextlib.nullcontext(False)
    with none if continuation is None else continuation.superseding(seen.number, seen.directory) as is_taken:
        job.keep(seen.directory)
        records.claim(run, replace=is_taken)


def _check_program(session: Session, planned: Plan) -> None:
    """Raise StashError if what is to be started doesn't exist; looked at once in this process."""
    from experimentstash.freeze.environment import store as environments
    from experimentstash.freeze.program import missing_program

    argv, recipe = planned.command.argv, planned.recipe
    key = (recipe.key, planned.command.cwd, *argv[: 3 if argv[1:2] == ["-m"] else 1])
    if key not in session.programs:
        mistake = missing_program(planned)
        if mistake is not None:
            where = os.path.relpath(session.stash.registration(planned.request.tool), session.stash.root)
            mistake = StashError(f"{where}: {mistake.message}.", mistake.mend)
        session.programs[key] = mistake
        is_elsewhere = "/" not in argv[0] or argv[1:2] == ["-m"]
        if is_elsewhere and not environments.is_ready(recipe):
            say(f"the environment of {recipe.name!r} is not made yet: whether it has what is started can't be told")
    if (mistake := session.programs[key]) is not None:
        raise mistake


def _frozen(session: Session, request: Request) -> Frozen | None:
    """Return the code that a run uses instead of its tool's checkout, secured once in this process; None: it doesn't.

    StashError if frozen code was asked for and git doesn't know the tool; where it is only the default, that is said.
    """
    config, tool = request.config, request.config.tool
    if not request.to_be_frozen:
        return None
    if not tool.path:
        if config.code is CodeMode.frozen:
            raise StashError(
                f"code=frozen: {request.tool} is a package of {tool.environment.interpreter}, and no repository:"
                " its code can't be frozen.",
                "use it as it is: code=live",
            )
        if _code_key(request) not in session.frozen:
            session.frozen[_code_key(request)] = None
            say(f"{request.tool} is a package of {tool.environment.interpreter}: don't change that while runs wait")
        return None
    found, is_first = _secured(session, request)
    if found is None and config.code is CodeMode.frozen:
        raise StashError(
            f"code=frozen: git knows nothing of {tool.path}, so its code can't be frozen.",
            f"commit it (git add {shlex.quote(tool.path or '')}), or use it as it is: code=live",
        )
    if found is None and is_first:
        say(f"{tool.path} is no git checkout: its code is used live, so don't edit it while runs are queued")
    return found


def _secured(session: Session, request: Request) -> tuple[Frozen | None, bool]:
    """Return the code of a run's tool, secured once in this process, and whether this was the first time."""
    from experimentstash.code import pins, worktrees

    key = _code_key(request)
    is_first = key not in session.frozen
    if is_first:
        stash, name, tool = request.stash, request.tool, request.config.tool
        directory = tool_directory(stash, name, tool, is_needed=tool.commit is None)
        # Copies of a checkout have what is changed and not committed, as the checkout itself.
        pin = pins.read(stash, name, tool, directory) if request.to_be_frozen else None
        user, outputs = request.sweep or request.directory, written_at(request)
        session.frozen[key] = worktrees.secure(stash, name, directory, tool, user, say, pin, outputs)
    return session.frozen[key], is_first


def _code_key(request: Request) -> tuple[object, ...]:
    """Return what decides which code a run gets, of all that is secured in a session."""
    tool = request.config.tool
    paths = (tool.path, *tool.shared, tool.call.config_dir, tool.call.config_path)
    return request.tool, tool.commit, request.to_be_frozen, *paths


def _apart(session: Session, request: Request, seen: Circumstances) -> Plot | None:
    """Return how a run is kept apart from those at work at the same time; None if it need not be, or can't be."""
    config, stash, name = request.config, request.stash, request.tool
    if not seen.is_parallel or config.code is CodeMode.live or not config.tool.path:
        return None
    outputs = written_at(request)
    if not outputs:
        return None
    from experimentstash.code import apart

    key = (*_code_key(request), *outputs)
    if key not in session.plots:
        frozen, _ = _secured(session, request)
        live = tool_directory(stash, name, config.tool, is_needed=config.tool.commit is None)
        session.plots[key] = (
            None
            if frozen is None
            else apart.plot(stash, config.tool, live, frozen, outputs, is_frozen=request.to_be_frozen)
        )
        if session.plots[key] is not None:
            say(f"{name} writes into its checkout ({', '.join(outputs[:3])}): each run gets a copy of its code")
    return session.plots[key]


def refuse(config: DictConfig, number: int, overrides: Sequence[str], error: Exception) -> StashError:
    """Note that a job of a sweep can't be composed, or its directory not be made; return what there is to be said.

    ``config`` is what all jobs of the sweep share.
    """
    session = sessions.anyway()
    session.has_begun = True
    return _reject(session, uncomposed(config, number, overrides), error)


def explained(error: Exception, overrides: Sequence[str], place: Path) -> StashError | None:
    """Return what there is to be said of an error in preparing a job; None: it is a bug."""
    if isinstance(error, StashError):
        return error
    from experimentstash.compose import mistakes

    mistake = mistakes.explain(error, sessions.anyway().stash, overrides)
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


def _reject(session: Session, seen: Circumstances, error: Exception) -> StashError:
    """Note that a job can't be prepared: in a sweep as a failed run of its own, so that the others go on."""
    overrides, directory = list(seen.overrides), seen.directory
    mistake = explained(error, overrides, seen.directory)
    if mistake is None:
        session.bug = session.bug or error
        mistake = StashError(f"this is a bug ({type(error).__name__}: {error})")
    session.failure = mistake
    if seen.sweep is None:
        if not (seen.directory / records.FILE_NAME).exists():  # another process may have been faster to claim it
            _discard(session, seen)
        return mistake
    is_on_record = session.continuation is not None and session.continuation.earlier(seen.number) is not None
    if seen.is_dry or is_on_record:  # what an earlier try came to stays as it is
        complain(f"{' '.join(overrides)}: {mistake}")
        if seen.is_dry:
            session.is_dry = True
            _discard(session, seen)
        return mistake
    if isinstance(mistake, SecretError):
        _discard(session, seen, whatever_was_there=True)
        overrides = []
        if find_secret([str(directory)], os.environ) is not None:
            directory = seen.sweep / refused_name(seen.number)
    rejected = Run(
        id=run_id(directory),
        directory=str(directory),
        experiment=None,
        organizer=seen.organizer,
        tool=seen.tool or UNKNOWN_TOOL,
        command=Command(argv=[], cwd=str(session.stash.root)),
        overrides=overrides,
        sweep=str(seen.sweep),
        job=seen.number,
        created=records.now(),
        version=__version__,
    )
    transitions.end(rejected, State.FAILED, str(mistake), mistake.exit_code)
    if not _is_recorded(session, rejected, seen.sweep):
        session.unrecorded.append(rejected)
        _discard(session, seen)
    return mistake


def _is_recorded(session: Session, rejected: Run, sweep: Path) -> bool:
    """Record a run in its directory, or in another one if that is taken, or can't be made."""
    for place in (rejected.directory, str(sweep / refused_name(rejected.job))):
        rejected.directory, rejected.id = place, run_id(Path(place))
        with contextlib.suppress(OSError, ValueError, StashError):
            run_places.remember(session.stash, rejected.path, sweep)
            records.claim(rejected)
            if not rejected.path.is_relative_to(sweep):
                session.elsewhere.append(rejected.path)
            return True
    return False


def _discard(session: Session, seen: Circumstances, *, whatever_was_there: bool = False) -> None:
    """Undo what Hydra has written for a run that isn't made, and remove the directories that are empty then."""
    before = session.before
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


def as_request(stash: Stash, job: Job, seen: Circumstances) -> Request:
    """Return what a job asks for in its circumstances, with HydraConfig set as in it; StashError for a mistake."""
    if seen.tool is None:
        raise StashError(
            "Nothing says which tool to run; an experiment organizer does, by `override /tool: NAME` in its defaults."
            f"\n{stash.inventory()}",
            "python -m experimentstash +exp=NAME",
        )
    for name, value in seen.tool_env.items():
        if value is not None and "${" not in str(value) and is_secret_variable(name, str(value)):
            raise literal_secret(name, f"conf/tool/{seen.tool}.yaml, or what overrides it,")
    refuse_secret_variables(seen.env_set)
    calls.refuse_no_texts(seen.no_texts)
    config = job.typed()
    return Request(
        stash=stash,
        config=config,
        tool=seen.tool,
        organizer=seen.organizer,
        overrides=seen.overrides,
        directory=seen.directory,
        id=run_id(seen.directory),
        sweep=seen.sweep,
        number=seen.number,
        env_set=seen.env_set,
        unused=seen.unused,
        of_launcher=seen.of_launcher if sessions.anyway().of_launcher is None else sessions.anyway().of_launcher,
        borrowed=sessions.anyway().borrowed,
        is_heard=seen.is_heard,
        for_job=schedulers.here() is not None or seen.launcher in SCHEDULER_LAUNCHERS,
        to_be_frozen=config.code is CodeMode.frozen
        or (config.code is CodeMode.auto and seen.launcher in SCHEDULER_LAUNCHERS),
    )


def refuse_secret_variables(env_set: Mapping[str, str]) -> None:
    """Refuse to have Hydra set a secret: it keeps the values of `hydra.job.env_set` and `env_copy` in its files."""
    for name, value in env_set.items():
        if is_secret_variable(name, value) or find_secret([value], os.environ):
            raise SecretError(
                f"hydra.job.env_set or env_copy names {name}, whose value Hydra would write to disk.",
                f"leave it out: the tool inherits ${name} from your shell; another name for it belongs into the tool's"
                f" registration, as env: {{{name}: ${{oc.env:OTHER}}}}",
            )
