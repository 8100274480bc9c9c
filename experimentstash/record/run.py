"""What a record says: a run, what it is, how its present attempt stands, and how the earlier ones went. Plain data.

What an older version has left out is filled with defaults, and keys that only another version knows are kept as they
are. Times are ISO 8601 in UTC, with that offset; durations are seconds; memory is bytes.
"""

from __future__ import annotations

import functools
from enum import Enum
from pathlib import Path

from experimentstash import __version__
from experimentstash.base.dataclass_light import TYPE_CHECKING, dataclass, field

if TYPE_CHECKING:
    from typing import Any

    Objective = Any
    Sources = dict[str, dict[str, Any]]
    WandbRuns = list[dict[str, Any]]
    Number = float  # which may be infinite
    Metrics = dict[str, float]  # by dotted names; they may be NaN

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
SLURM = "slurm"  # a scheduler's name, and that of all records which don't name theirs


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
    modules: list[str] = field(default_factory=list)  # what `module load` gets before it; which these were, a note says


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
    """What the tool runs in: a Python as a rule."""

    kind: str
    interpreter: PathText | None = None
    version: str | None = None
    lock: str | None = None  # "sha256:…" of the file that pins it, with the file's name in `lock_file`
    lock_file: str | None = None
    key: str | None = None
    package: str | None = None  # of a tool that is an installed package: which one, and where it comes from
    packages: str | None = None  # a file in the run directory: all that is installed there, for that and for conda's
    installed: str | None = None  # where others keep it, of a run that waits: a digest, for when it begins


@dataclass(frozen=True)
class Build:
    """What has made the tool ready, before its first run with this code."""

    key: str  # the same for the same code, commands, compilers, platform and environment
    commands: list[list[Argument]]  # as they are registered, where `{build}` is the directory of what they make
    compilers: dict[str, str] = field(default_factory=dict)  # and other programs that they use, with their versions
    platform: str | None = None
    variables: dict[str, str] = field(default_factory=dict)  # that choose compilers, and their options
    directory: PathText | None = None  # what was made is below
    log: PathText | None = None
    is_in_checkout: bool = False  # it was made in the checkout itself, beside what lay there


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
    job: JobId | None = None  # of the scheduler, if it is in one
    cluster: Name | None = None  # that has the job
    keeper: Process | None = None  # outlives it, only to end what it leaves
    in_step: bool = False  # of the job: the scheduler signals the tool as well as its supervisor
    scheduler: Name = SLURM


@dataclass(frozen=True)
class Queued:
    """Which task of which job array was to execute the run."""

    array: (
        PathText  # a file that says what the tasks of the array are; beside it, with the suffix .job, SLURM's id of it
    )
    task: int
    scheduler: Name = SLURM


@dataclass(frozen=True)
class JobEnd:
    """That a scheduler has ended a run's job, or is about to: noted at once, in case that nobody can say more later."""

    state: State
    reason: str
    is_known: bool  # it has said so; else it is supposed, and put right once it answers


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
    metric_sources: Sources = field(default_factory=dict)  # where its numbers are read, by their names
    stash: Code | None = None
    code: Code | None = None  # the tool's
    environment: Environment | None = None
    build: Build | None = None
    signature: str | None = None  # a digest of all that its results come from: the same in runs that are the same
    unsigned: str | None = None  # why it has none: what matters, and can't be known
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
    result: Number | list[Number] | None = None  # the objective's value, which is among its metrics, too
    metrics: Metrics | None = None  # the numbers that it has come to; None: nobody has looked for them
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
    removed: Time | None = None  # since when only the record is left, and the patches that it names
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
