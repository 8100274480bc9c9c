"""run.json: the only truth about a run. Plain data, replaced atomically at each change of state.

What an older version has left out is filled with defaults; keys that only another version knows are kept as they are,
and a record of a newer format is read, and never written.
Times are ISO 8601 in UTC, with that offset; durations are seconds; memory is bytes.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import time
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from experimentstash import __version__
from experimentstash.base import typed
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass, field, replace
from experimentstash.base.errors import StashError
from experimentstash.base.files import make_directory, open_regular, read_regular, write_atomically
from experimentstash.base.output import say
from experimentstash.base.redaction import redact

if TYPE_CHECKING:
    from typing import Any

    Objective = Any
    WandbRuns = list[dict[str, Any]]

# What a text or a number of a record is besides: reading refuses what isn't (see `typed`).
PathText = str
FileName = str  # in the run's own directory
Argument = str
Time = str
Seconds = float
Pid = int
Id = str
JobId = str  # SLURM's
Name = str  # which as a path leads nowhere else

FORMAT = 2
FILE_NAME = "run.json"
# Beside the record of a run that isn't over: room for its last record, should the disk be full by then. It is the file
# of the first one, kept under this name and somewhat larger than it had to be.
_ROOM_NAME = f".{FILE_NAME}.room"
# Bytes that a record may grow by, and the size of the blocks in which room is taken.
_GROWTH = 4096
_BLOCK = 4096
# In a sweep's directory: where Hydra keeps what it was asked to do.
SWEEP_FILE = "multirun.yaml"
# Beside it: which jobs that came to.
JOBS_FILE = ".jobs.json"
# In a sweep's directory: earlier tries of runs that were begun anew.
ASIDE = ".superseded"


class State(str, Enum):
    """Where a run stands. All but the first three are final."""

    FROZEN = "frozen"  # everything is ready; nothing has started
    QUEUED = "queued"  # the same, and it is SLURM's to start it
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"  # the tool ended with an error of its own
    TIMED_OUT = "timed_out"  # our timeout, or the wall time of its SLURM job
    CANCELLED = "cancelled"  # somebody asked for it
    PREEMPTED = "preempted"  # SLURM took the node back
    KILLED = "killed"  # a signal from outside ended it
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"  # its supervisor vanished and left no word

    @property
    def is_final(self) -> bool:
        return self not in (State.FROZEN, State.QUEUED, State.RUNNING)

    @property
    def is_known(self) -> bool:
        return self.value in State._value2member_map_

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        """Take a state that only another version knows for what it says: it is shown, and left as it is."""
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 40:
            return None
        state = str.__new__(cls, value)
        state._name_, state._value_ = value.upper(), value
        return state


@dataclass(frozen=True)
class Command:
    """What is executed: never through a shell."""

    argv: list[Argument]
    cwd: PathText
    environment: dict[str, Argument] = field(default_factory=dict)  # set, on top of the inherited environment
    unset: list[str] = field(default_factory=list)
    path: PathText | None = None  # a directory put in front of PATH
    umask: str | None = None  # octal; None: that of who executes it
    secrets: list[str] = field(default_factory=list)  # names that must be in the environment; values are not kept


@dataclass(frozen=True)
class Code:
    """The identity of a checkout."""

    path: PathText
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None  # None: not a git checkout, or unknown
    patch: FileName | None = None  # a file in the run directory: what makes the checkout differ from the commit
    omitted: list[str] = field(default_factory=list)  # untracked files that the patch leaves out (large, or secrets)
    withheld: list[str] = field(default_factory=list)  # what it leaves out because it looks like a secret
    snapshot: str | None = None  # frozen code: the commit that was checked out, changes included; None: live code
    pin: str | None = None  # what `commit:` asked for, as it was written; frozen code has nothing but that commit then
    unknown: str | None = None  # why nothing is known of it, though it is one


@dataclass(frozen=True)
class Environment:
    """The Python that the tool runs in."""

    kind: str
    interpreter: PathText | None = None
    version: str | None = None
    lock: str | None = None  # "sha256:…" of the file that pins it, with the file's name in `lock_file`
    lock_file: str | None = None
    key: str | None = None
    package: str | None = None  # of a tool that is an installed package: which one, and where it comes from
    packages: str | None = None  # … and a file in the run directory: all that was installed beside it


@dataclass(frozen=True)
class Process:
    """A process, as long as the machine that it is on isn't restarted."""

    pid: Pid
    start_time: int


@dataclass
class Supervisor:
    """Who watches over a run; enough to tell later whether it still does."""

    host: str
    pid: Pid
    start_time: int  # clock ticks after boot, from /proc/<pid>/stat: tells a reused pid apart
    boot_id: str
    slurm_job: JobId | None = None
    slurm_cluster: Name | None = None
    keeper: Process | None = None  # outlives it, only to end what it leaves
    slurm_step: bool = False  # started by srun: SLURM signals the tool as well as its supervisor


@dataclass(frozen=True)
class Queued:
    """Which task of which job array was to execute the run."""

    array: (
        PathText  # a file that says what the tasks of the array are; beside it, with the suffix .job, SLURM's id of it
    )
    task: int


@dataclass(frozen=True)
class JobEnd:
    """That SLURM has ended a run's job, or is about to: noted at once, in case that nobody can say more later."""

    state: State
    reason: str
    is_known: bool  # SLURM has said so; else it is supposed, and put right once SLURM answers


@dataclass(frozen=True)
class Apart:
    """A copy of the tool's code that a run has for itself while it is at work, because the tool writes into it."""

    source: PathText  # the frozen code that is copied
    path: PathText
    live: PathText  # the same directory in the checkout
    links: list[str] = field(default_factory=list)  # what the copy has links to, relative to the checkout
    brought: list[str] = field(default_factory=list)  # what besides the frozen code is copied from there
    folders: list[str] = field(default_factory=list)  # and what is made anew, empty


@dataclass(frozen=True)
class Specification:
    """What a run is, worked out when it is frozen: nothing of it changes, however often the run is tried."""

    tool: Name
    command: Command
    experiment: str | None = None  # the experiment inside the tool
    organizer: str | None = None  # the experiment organizer: figure1/pca_swissroll
    registration: PathText | None = None  # the file that describes the tool
    description: str = ""
    tags: list[str] = field(default_factory=list)
    # The parameters that it was handed, as docs/parameters.md has them.
    params: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    job: int | None = None  # its number in the sweep
    estimated_runtime: Seconds | None = None
    collect: list[PathText] = field(default_factory=list)  # absolute paths in the tool's checkout
    collect_lock: PathText | None = None  # held while the tool may write there
    apart: Apart | None = None
    shared: list[str] = field(default_factory=list)  # what stays in the checkout, relative to the tool's directory
    resume: list[Argument] | None = None  # extra arguments of further attempts; None: can't be resumed
    objective: Objective = None  # where the number, or a list of them, is found that a sweeper is to optimise
    stash: Code | None = None
    code: Code | None = None  # the tool's
    environment: Environment | None = None
    wandb_timeout: Seconds | None = None  # for which its W&B runs are waited for at its end
    debug: bool = False
    version: str | None = None  # the ExperimentStash that has made it
    others: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What an attempt may take, and what SLURM is asked for: a further attempt may have other terms."""

    timeout: Seconds | None = None
    grace: Seconds | None = None  # None: 90 s in a SLURM job, else 10 s
    grace_signal: str = "TERM"  # by which SLURM warns it, so long before its wall time
    resources: dict[str, Any] = field(default_factory=dict)  # what it asks SLURM for; once submitted, all of it
    borrowed: dict[str, str] = field(default_factory=dict)  # variables of sbatch's that filled gaps in `resources`
    hidden: list[str] = field(default_factory=list)  # variables of the job's that the tool doesn't get
    max_requeues: int = 0  # how often it may go back into SLURM's queue when it was cut short


@dataclass
class Attempt:
    """How an attempt at a run stands, or how it went."""

    number: int
    state: State
    terms: Terms = field(default_factory=Terms)
    queued: Queued | None = None
    supervisor: Supervisor | None = None
    process: Process | None = None  # the tool's main one
    host: str | None = None
    started: Time | None = None
    ended: Time | None = None
    duration: Seconds | None = None
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None
    advice: str | None = None  # what to change, and in which file
    job_end: JobEnd | None = None
    result: float | list[float] | None = None  # the objective's value
    peak_memory: int | None = None
    cpu_time: float | None = None
    log: FileName = "output.log"
    collected: list[str] = field(default_factory=list)
    is_stranded: bool = False  # what it wrote into its copy of the code could not all be moved away from there
    # What appeared or changed in the tool's checkout meanwhile and stayed there, relative to the tool's directory.
    wrote: list[str] | None = None  # None: it was not looked at
    deleted: list[str] = field(default_factory=list)  # of what git tracks there
    wandb: WandbRuns = field(default_factory=list)  # what became of its W&B runs
    wandb_elsewhere: list[PathText] = field(default_factory=list)  # where else than in its directory they were seen
    notes: list[str] = field(default_factory=list)  # what went wrong without changing the outcome
    warnings: list[str] = field(default_factory=list)  # what a person has to look at, though the run has completed
    others: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """A run: which one it is and where, what it is, how its present attempt stands, and how the earlier ones went.

    ``others``, here and in its parts, is what the record says besides, in words of another version.
    """

    id: Id
    directory: PathText
    spec: Specification
    attempt: Attempt
    earlier: list[Attempt] = field(default_factory=list)
    sweep: PathText | None = None  # the sweep's directory
    created: Time | None = None
    inode: int | None = None  # of its directory: tells a copy of it from itself
    format: int = FORMAT
    version: str | None = __version__  # the ExperimentStash that has written the record
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return _as_path(self.directory)

    @property
    def every_attempt(self) -> list[Attempt]:
        """All attempts, the present one last."""
        return [*self.earlier, self.attempt]

    @property
    def wandb_elsewhere(self) -> list[str]:
        """Where else than in its directory its W&B runs are."""
        return sorted({folder for each in self.every_attempt for folder in each.wandb_elsewhere})

    @property
    def apart(self) -> Apart | None:
        """The copy of the code that is the run's own to use and to remove: none that holds what it could not move."""
        return None if any(each.is_stranded for each in self.every_attempt) else self.spec.apart


# A run's directory is asked for dozens of times: pathlib takes most of the time that this takes.
_as_path = functools.lru_cache(maxsize=256)(Path)


def now() -> str:
    """Return the present time as records keep it, to the millisecond."""
    return as_text(time.time())


def as_text(moment: float) -> str:
    """Return a time, given as seconds since the epoch, as records keep it."""
    seconds, thousandths = divmod(round(moment * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{thousandths:03}+00:00"


def moment(text: str) -> float:
    """Return a time, given as records keep it, as seconds since the epoch."""
    import datetime  # here, because what only writes records needs nothing of it

    return datetime.datetime.fromisoformat(text).timestamp()


def claim(run: Run, *, replace: bool = False) -> None:
    """Write the first record of a run; StashError if its directory already holds one, unless that is to be replaced."""
    make_directory(run.path)
    run.inode = os.stat(run.directory).st_ino
    path = os.path.join(run.directory, FILE_NAME)
    try:
        if run.attempt.state.is_final:
            write_atomically(path, _text(run), replace=replace)
        elif replace:
            write_atomically(_room(run), _roomy(_text(run)))
            write_atomically(path, _text(run))
        else:
            write_atomically(path, _roomy(_text(run)), replace=False, spare=_room(run))
    except FileExistsError as error:
        raise already_taken(run.path) from error


def already_taken(directory: Path, go_on: str | None = None) -> StashError:
    """Return the error for a directory that holds another run; ``go_on`` is the command that goes on with it."""
    return StashError(
        f"{directory} already holds a run, which would be overwritten.",
        "leave out hydra.run.dir or hydra.sweep.dir, or name another directory"
        + (f"; to go on with what is there: {go_on}" if go_on else ""),
    )


def of_another_version(run: Run) -> str:
    """Say, to go on after "it" or a file's name, who has written a record that we can only read."""
    who = f"version {run.version}" if run.version not in (None, __version__) else "another version"
    return (
        f"was written by {who} of ExperimentStash, and is left as it is: act on it with that one (here: {__version__})"
    )


class UnrecordedError(OSError):
    """The end of a run could not be recorded where it belongs; ``kept`` is the file that keeps it, if any does."""

    kept: str | None = None


def write(run: Run, *, reserve: bool = False) -> None:
    """Replace the run's record in its directory; ``reserve``: and make sure that there is room for the last one.

    The last one finds room on a full disk too, or another place. UnrecordedError if that place isn't the run's own,
    OSError if an earlier record can't be written.
    """
    if run.format > FORMAT:
        raise StashError(f"{run.path / FILE_NAME} {of_another_version(run)}.")
    path = os.path.join(run.directory, FILE_NAME)
    if not run.attempt.state.is_final:
        text = _text(run)
        _refuse_anothers(run, path)
        write_atomically(path, text)
        if reserve and _room_size(run) < len(text) + _GROWTH // 2:
            write_atomically(_room(run), _roomy(text))
        return
    try:
        _refuse_anothers(run, path)
        write_atomically(path, _text(run))
    except OSError as error:
        _write_last(run, path, error)
    with contextlib.suppress(OSError):
        os.unlink(_room(run))


class _TakenError(OSError):
    """Another run's record stands where a run's own belongs."""


def _refuse_anothers(run: Run, path: str) -> None:
    """Raise OSError if a run's directory has become another run's: the one that it had was removed or moved away."""
    try:
        found = read_regular(path)
    except OSError:  # what is wrong with it will be seen
        return
    if found.startswith(f'{{\n  "id": {json.dumps(run.id)},'.encode()):  # as we write it
        return
    with contextlib.suppress(ValueError, TypeError, KeyError):
        if typed.loads(found)["id"] != run.id:
            raise _TakenError(errno.ESTALE, "its directory has become another run's", path)


def _room(run: Run) -> str:
    return os.path.join(run.directory, _ROOM_NAME)


def _room_size(run: Run) -> int:
    try:
        return os.lstat(_room(run)).st_size
    except FileNotFoundError:
        return 0


def _roomy(text: str) -> str:
    """Return the text of a record with blanks behind it, for what is still to come."""
    size = -(-(len(text) + _GROWTH) // _BLOCK) * _BLOCK
    return f"{text[:-1].ljust(size - 1)}\n"


def _write_last(run: Run, path: str, why: OSError) -> None:
    """Write the last record of a run where nothing can be written any more."""
    said = f"{why.strerror} when its end was recorded: what it wrote last may be incomplete"
    (run.attempt.warnings if run.attempt.state is State.COMPLETED else run.attempt.notes).append(said)
    room = _room(run)
    try:
        if isinstance(why, _TakenError):  # and so has the room
            raise why
        _overwrite(room, run)
        os.replace(room, path)
    except OSError:
        from experimentstash.record import kept_ends  # here, because it is hardly ever needed

        error = UnrecordedError(why.errno, why.strerror, path)
        error.kept = kept_ends.keep(_kept_name(run), _text(run))
        raise error from why


def _overwrite(room: str, run: Run) -> None:
    """Write a record into a file without asking the file system for more than the file has."""
    descriptor = open_regular(room, os.O_WRONLY)
    try:
        content = _text(run).encode()
        if len(content) > os.fstat(descriptor).st_size:
            run.attempt.notes = [note[: _BLOCK // 8] for note in run.attempt.notes[-2:]]
            run.attempt.notes.append("other notes, and what was collected, are left out: the disk was full")
            run.attempt.collected = []
            content = _text(run).encode()
        if len(content) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), room)
        os.write(descriptor, content)  # of a few blocks, never a part
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def _kept_name(run: Run) -> str:
    return f"{os.path.basename(run.id)}-{run.attempt.number}.json"


def read_ended(directory: Path) -> Run:
    """Return the run recorded in ``directory`` as ``read`` does, with its end if only another place knows of that."""
    run = read(directory)
    return run if run.attempt.state.is_final else _kept_end(run) or run


def _kept_end(run: Run) -> Run | None:
    from experimentstash.record import kept_ends

    found = kept_ends.find(_kept_name(run))
    if found is None:
        return None
    try:
        kept = _build(typed.loads(found))
    except ValueError:
        return None
    kept.directory, kept.inode = run.directory, run.inode
    return kept if (kept.id, kept.created, kept.attempt.number) == (run.id, run.created, run.attempt.number) else None


def record_kept_end(run: Run) -> None:
    """Record here the end of a run that another place has kept; OSError if that is still impossible."""
    from experimentstash.record import kept_ends

    write_atomically(os.path.join(run.directory, FILE_NAME), _text(run))
    kept_ends.forget(_kept_name(run))


def _plain(value: Any) -> dict[str, Any]:
    """Return a record, or a part of one, for JSON; names in a checkout, which may be given after a secret, redacted."""
    if isinstance(value, Code):
        return {name: _redacted(each) if name in _NAMES else each for name, each in vars(value).items()}
    return dict(_fields(value))


_NAMES = ("branch", "omitted", "withheld", "unknown")
_ENCODER = json.JSONEncoder(default=_plain)


def as_json(found: Run | list[Run]) -> str:
    """Return records as they are printed."""
    return json.dumps(found, indent=2, default=_plain)


def _text(run: Run) -> str:
    """Return the record of a run as we write it."""
    run.format, run.version = FORMAT, __version__
    return f"{_block(run)}\n"


def _block(part: Run | Specification | Attempt, indent: str = "") -> str:
    """Return a part of a record as JSON, a line for each key: json's own indentation takes several times as long."""
    inner = f"{indent}  "
    said = _SAID if isinstance(part, Attempt) else ()
    lines = [f"{inner}{_quoted(name)}: {_encoded(value, inner, is_said=name in said)}" for name, value in _fields(part)]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


_quoted = functools.lru_cache(maxsize=1024)(json.dumps)  # the names are the same in each record


def _encoded(value: Any, indent: str, *, is_said: bool) -> str:
    kind = type(value)
    if not value and kind in _NOTHING:  # as most keys have
        return _NOTHING[kind]
    if kind is int:
        return str(value)
    if kind is Specification or kind is Attempt:
        return _block(value, indent)
    if kind is list and type(value[0]) is Attempt:
        return f"[{', '.join(_block(each, indent) for each in value)}]"
    return _ENCODER.encode(_redacted(value) if is_said else value)


_NOTHING = {type(None): "null", list: "[]", dict: "{}"}


def _fields(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a part of a record says, that in words of another version last."""
    for name, value in vars(part).items():
        if name != typed.OTHERS:
            yield name, value
    yield from vars(part).get(typed.OTHERS, {}).items()


# What an attempt says in words that may be those of a tool, or of another program. The rest is checked when it is
# frozen: it must stay as it is, because it is what is executed.
_SAID = ("reason", "advice", "notes", "warnings", "job_end", "wandb", "wandb_elsewhere", "collected", "wrote")


def _redacted(value: Any) -> Any:
    """Return what is said without the secrets in it."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return redact(value, os.environ)
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    if isinstance(value, dict):
        return {name: _redacted(each) for name, each in value.items()}
    return _redacted(vars(value)) if hasattr(value, "__dict__") else value


def read(directory: Path) -> Run:
    """Return the run recorded in ``directory``, which may have been moved since.

    Raises StashError if there is no record or it can't be understood.
    """
    path = directory / FILE_NAME
    try:
        run = _build(typed.loads(read_regular(path)))
        earlier, run.directory = run.directory, str(directory.absolute())
        if earlier != run.directory:
            _follow(run, earlier)
    except FileNotFoundError as error:
        raise StashError(f"{directory} holds no run (no {FILE_NAME}).", "experimentstash runs") from error
    except ValueError as error:
        raise StashError(f"{path} is not a run's record: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise StashError(f"{path} can't be read: {error.strerror}") from error
    return run


def _follow(run: Run, earlier: str) -> None:
    """Have a run that was moved, from the directory ``earlier``, name its sweep where that is now, if it went along."""
    if run.sweep is None:
        return
    inside = os.path.relpath(earlier, run.sweep)
    if inside.startswith("..") or not f"{run.directory}/".endswith(f"/{inside}/"):
        return
    before, run.sweep = run.sweep, run.directory[: -len(inside) - 1]
    if run.attempt.queued is not None and run.attempt.queued.array.startswith(f"{before}/"):
        array = run.sweep + run.attempt.queued.array[len(before) :]
        run.attempt.queued = replace(run.attempt.queued, array=array)


def readable(paths: Iterable[Path]) -> Iterator[Run]:
    """Yield the runs recorded in directories, with their ends; of a record that can't be read one line is said."""
    for path in paths:
        try:
            yield read_ended(path)
        except StashError as error:
            say(error.message)


def read_all(sweep: Path) -> list[Run]:
    """Return the runs of a sweep in the order of their numbers; of those that can't be read one line is said."""
    return list(readable(sorted(directories(sweep), key=lambda path: (len(path.name), path.name))))


def directories(root: Path, *, superseded: bool = False, within: bool = False) -> Iterator[Path]:
    """Yield the directories of the runs below ``root``, however deep they lie, in no order.

    Those that were begun anew when their sweep was continued count only if ``superseded``. ``within`` a root that is a
    run's directory itself there may be others.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError:
            continue
        record = next((entry for entry in listed if entry.name == FILE_NAME), None)
        if record is not None:
            yield folder
            # What isn't a record, though it is called so, hides no runs.
            if record.is_file(follow_symlinks=False) and not (within and folder == root):
                continue
        for entry in listed:
            is_hidden = entry.name.startswith(".") and not (superseded and entry.name == ASIDE)
            if not is_hidden and entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


def _state(value: Any, where: str) -> State:
    try:
        return State(typed.text(value, where))
    except ValueError:
        raise typed.wrong(value, where, "a state") from None


def _run_id(value: Any, where: str) -> str:
    if "/" in typed.name(value, where):
        raise typed.wrong(value, where, "a run's id")
    return str(value)


def _job_id(value: Any, where: str) -> str:
    job, _, task = typed.text(value, where).partition("_")
    if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in (job, task or "0")):
        raise typed.wrong(value, where, "a job of SLURM's")
    return str(value)


def _objective(value: Any, where: str) -> Any:
    """Take where a number is found: in a file of the run's own directory."""
    for each in value if isinstance(value, list) else [value]:
        given = _MAPPING(each, where)
        file = given.get("file")
        if file is not None and (os.path.isabs(typed.path(file, where)) or ".." in file.split("/")):
            raise typed.wrong(file, f"{where}.file", "a file of the run's")
        kind = next((kind for kind in _OBJECTIVES if kind in given), None)
        if kind is None or not set(given) <= {kind, "file", *_OBJECTIVES[kind]}:
            raise typed.wrong(each, where, "the place of a number")
        for key, word in given.items():
            if not isinstance(word, str) and not (key == "file" and word is None):
                raise typed.wrong(word, f"{where}.{key}", "a text")
        if given.get("take", "last") not in ("last", "min", "max"):
            raise typed.wrong(given["take"], f"{where}.take", "one of last, min and max")
    return value


def _wandb_runs(value: Any, where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _MAPPINGS(value, where)
    for number, each in enumerate(found):
        typed.text(each.get("id"), f"{where}[{number}].id")
    return found


# The keys of each way to say where a number is, besides the file: see `objective`.
_OBJECTIVES = {"key": (), "column": ("take",), "pattern": ("take",)}
_MAPPING = typed.checker("dict[str, Any]", typed.BASIC)
_MAPPINGS = typed.checker("list[dict[str, Any]]", typed.BASIC)
_KNOWN = {
    **typed.BASIC,
    "PathText": typed.path,
    "FileName": typed.file_name,
    "Argument": typed.argument,
    "Time": typed.time,
    "Seconds": typed.duration,
    "Pid": typed.pid,
    "Id": _run_id,
    "JobId": _job_id,
    "Name": typed.name,
    "State": _state,
    "Objective": lambda value, where: None if value is None else _objective(value, where),
    "WandbRuns": _wandb_runs,
}
for _kind in (
    Command,
    Code,
    Environment,
    Process,
    Supervisor,
    Queued,
    JobEnd,
    Apart,
    Specification,
    Terms,
    Attempt,
    Run,
):
    _KNOWN[_kind.__name__] = typed.builder(_kind, _KNOWN)


def supervisor(data: Any) -> Supervisor:
    """Return the supervisor that plain data tells of; ValueError where it says what makes no sense."""
    found: Supervisor = _KNOWN["Supervisor"](data, "")
    return found


def _build(data: Any) -> Run:
    """Return the run that a record tells of; ValueError where it says what makes no sense."""
    if isinstance(data, dict) and data.get("format", 1) == 1:
        from experimentstash.record import format_1  # here, because hardly any record is so old

        data = format_1.as_format_2(data)
    run: Run = _KNOWN["Run"](data, "")
    return run
