"""The types of the composed configuration. Hydra checks every file and override against them.

Plain dataclasses, so that what runs after composition needs neither Hydra nor OmegaConf.
``"???"`` is OmegaConf's mark for a value that must be given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Dict, List, Optional

MISSING: Any = "???"


class Unresolved(str):
    """A setting of a registration as it is written, because only a run can tell what it stands for."""


class CallStyle(Enum):
    """How a tool is told what to do: the dialect of the library that reads its command line (docs/tools.md)."""

    hydra = "hydra"  # experiment=NAME key=value …, or --config-dir/--config-path DIR --config-name NAME key=value …
    options = "options"  # --key value …, read by a parser of which nothing more is known
    argparse = "argparse"
    click = "click"
    typer = "typer"
    tyro = "tyro"
    absl = "absl"  # absl.flags: --key=value
    ml_collections = "ml_collections"  # config_flags: --config FILE --config.key=value
    gin = "gin"  # --gin_bindings='scope.key = value'
    fire = "fire"
    hf = "hf"  # transformers' HfArgumentParser, TRL's too
    jsonargparse = "jsonargparse"  # and LightningCLI
    simple_parsing = "simple_parsing"
    pyrallis = "pyrallis"  # and draccus
    sacred = "sacred"  # with key=value
    key_value = "key_value"  # key=value, as OmegaConf.from_cli reads it
    assignments = "assignments"  # key=value, each value as it is
    environment = "environment"  # variables of its environment
    file = "file"  # one file with all parameters: YAML, JSON, TOML or INI
    template = "template"  # its input file, rendered from a template
    notebook = "notebook"  # the tagged cell of a notebook, by papermill; what a notebook has that says nothing else
    arguments = "arguments"  # nothing but the organizer's `arguments`


# The styles that hand the experiment over without being told how.
TOLD_THE_EXPERIMENT = (CallStyle.hydra, CallStyle.gin, CallStyle.sacred, CallStyle.ml_collections)


class ListStyle(Enum):
    """How lists reach a command line."""

    spread = "spread"  # --key a b c       (argparse: nargs="*" or "+")
    repeat = "repeat"  # --key a --key b   (click: multiple=True; argparse: action="append")
    comma = "comma"  # --key a,b,c
    json = "json"  # --key '["a", "b"]'
    python = "python"  # --key "['a', 'b']"


class BooleanStyle(Enum):
    """How booleans reach a command line."""

    flag = "flag"  # true: --key; false: nothing
    negatable = "negatable"  # true: --key; false: --no-key
    value = "value"  # --key true, --key false
    python = "python"  # --key True, --key False


class MappingStyle(Enum):
    """How mappings reach a command line."""

    dotted = "dotted"  # an option for each value: --key.inner 1
    json = "json"  # --key '{"inner": 1}'
    python = "python"  # --key "{'inner': 1}"


class NullStyle(Enum):
    """How null reaches a command line."""

    omit = "omit"  # not at all
    json = "json"  # --key null
    python = "python"  # --key None


class FileFormat(Enum):
    """The format of the file that a tool of the style `file` reads."""

    yaml = "yaml"
    json = "json"
    toml = "toml"
    ini = "ini"


class EnvironmentKind(Enum):
    """What a tool's environment is made from."""

    # The first of: a PEP 723 block in the entrypoint; the project (pyproject.toml, setup.py, setup.cfg), with the
    # requirements files beside it or the entrypoint unless uv.lock pins all; those alone; `dependencies`; pixi.toml,
    # conda-lock.yml or environment.yml; nothing.
    auto = "auto"
    pyproject = "pyproject"  # pyproject.toml (setup.py counts), with or without uv.lock
    requirements = "requirements"  # a requirements file
    script = "script"  # the PEP 723 block of a script
    pixi = "pixi"  # pixi.toml, with or without pixi.lock, by pixi
    # environment.yml or conda-lock.yml, by whichever of micromamba, mamba, conda and pixi is here
    conda = "conda"
    dependencies = "dependencies"  # the registration's `dependencies` alone
    empty = "empty"  # a Python with nothing installed
    interpreter = "interpreter"  # an interpreter that exists already, used as it is
    none = "none"  # no Python: the entrypoint is an executable


class BuildIn(Enum):
    """Where a tool is built for runs that are submitted to SLURM."""

    here = "here"  # before they are submitted
    job = "job"  # in a job of its own before theirs: for compilers that only nodes have


class CodeMode(Enum):
    """Which code of the tool a run uses."""

    auto = "auto"  # frozen with hydra/launcher=slurm, live elsewhere
    live = "live"  # the checkout, as it is when the run starts; if the tool's `commit` is another one, nothing runs
    # The checkout as it was when the run was submitted, changes that aren't committed included; if the tool names a
    # `commit`, exactly that.
    frozen = "frozen"


class WandbMode(Enum):
    """Where Weights & Biases runs go."""

    auto = "auto"  # offline inside a SLURM job, elsewhere whatever the tool and its user's settings say
    online = "online"
    offline = "offline"
    disabled = "disabled"


@dataclass
class CallConfig:
    """How a tool is called."""

    style: CallStyle = CallStyle.options
    # Words between the entrypoint and the parameters: `train` (argparse, click, typer, tyro, fire, LightningCLI …).
    subcommand: Optional[str] = None
    # How the experiment's name is handed over. hydra: the override's key (default: experiment); options of any dialect:
    # an option (--experiment) or `positional`; key_value, sacred (default: a named config) and file: a key;
    # ml_collections: the option of the config file (default: --config); gin: default --gin_file. Elsewhere null: not.
    experiment: Optional[str] = None
    # Where the tool is told to write, given the run directory. hydra: an override's key (default: hydra.run.dir);
    # options: an option (--output-dir); key_value and file: a key. Elsewhere use ${output_dir}.
    output: Optional[str] = None
    # hydra: the tool's own config directory, relative to its path; nested config groups are recognised by it.
    configs: Optional[str] = None
    # hydra: a directory of experiment configs in this stash, relative to its root, handed over with --config-dir …
    config_dir: Optional[str] = None
    # … or with --config-path. The experiment is then given with --config-name, unless `experiment` names a key.
    config_path: Optional[str] = None
    # How each parameter is written (docs/tools.md): {cuda: negatable, ids: repeat, name: [word, omit]}. `tool add`
    # reads it from what the tool declares.
    ways: Dict[str, Any] = field(default_factory=dict)
    # How lists are written where `ways` doesn't say it. null: in the dialect's one right way; if there is none, such a
    # value is refused. The same for booleans, mappings and null:
    lists: Optional[ListStyle] = None
    booleans: Optional[BooleanStyle] = None  # how booleans are written; as `lists`
    mappings: Optional[MappingStyle] = None  # how mappings are written; as `lists`
    nulls: Optional[NullStyle] = None  # how null is written; as `lists`
    # Whether options are one word with their value, --key=value (null: as the dialect has it).
    joined: Optional[bool] = None
    # file: the option before the file's path (null: the path alone). gin: the option of the bindings.
    option: Optional[str] = "--config"
    format: FileFormat = FileFormat.yaml  # file: its format
    # template: the template of the tool's input (Jinja's), relative to the tool's path or to the stash's root.
    template: Optional[str] = None
    # template: the name of what is rendered, in the run directory (null: the template's own, without .j2).
    file: Optional[str] = None
    # template: the words that tell the tool of it: ['-in', '{file}'] (null: its path alone; []: none).
    words: Optional[List[str]] = None
    # environment: what stands before the name of each variable.
    prefix: Optional[str] = None


@dataclass
class EnvironmentConfig:
    """What a tool's own Python environment is made from, with uv."""

    kind: EnvironmentKind = EnvironmentKind.auto
    # The file to make it from, relative to the tool's path (default: the kind's usual name; script: the entrypoint).
    file: Optional[str] = None
    # Requirements files to install with that, relative to the tool's path (null: as they are found, if `file` and
    # `kind` are; []: none).
    requirements: Optional[List[str]] = None
    # interpreter: the path of the Python to use (relative: to the tool's path).
    interpreter: Optional[str] = None
    extras: List[str] = field(default_factory=list)  # pyproject: optional extras to install
    groups: List[str] = field(default_factory=list)  # pyproject: dependency groups to install


class Better(Enum):
    """Which values of a metric are the good ones."""

    higher = "higher"
    lower = "lower"


@dataclass
class MetricConfig:
    """Where a number that runs come to is read when they end, and how it is shown (docs/metrics.md)."""

    # One of these says where it stands. '*': all that there are.
    key: Optional[str] = None  # under a key of a JSON file, dotted if it is nested
    column: Optional[str] = None  # in a column of a CSV file
    pattern: Optional[str] = None  # in what matches a pattern in the output or a file
    wandb: Optional[str] = None  # in the summary of the W&B run
    tensorboard: Optional[str] = None  # under a tag of TensorBoard's
    # The file, relative to the run directory; `runs/*/metrics.json` is the one that matches.
    file: Optional[str] = None
    # Which of several numbers: last, min, max or mean.
    take: Optional[str] = None
    # Which values are the good ones. null: none is marked as the best.
    better: Optional[Better] = None
    # What its column is headed (null: its name).
    label: Optional[str] = None


class Compare(Enum):
    """By what an output is compared with an earlier one."""

    numbers = "numbers"  # tables (CSV, TSV, Parquet), JSON, NumPy's files
    embedding = "embedding"  # coordinates that are the same up to the signs of axes, or a rotation
    picture = "picture"  # what it shows, pixel by pixel; PDF too, and SVG as the drawing that it says
    text = "text"  # line by line
    hash = "hash"  # its bytes
    nothing = "nothing"  # it is no result


class UpTo(Enum):
    """What makes no difference to an embedding."""

    sign = "sign"  # the signs of its axes
    rotation = "rotation"  # rotations and reflections


@dataclass
class ToleranceConfig:
    """How far numbers may be from earlier ones: atol + rtol * abs(earlier)."""

    rtol: float = 0.0  # relative to the earlier number
    atol: float = 0.0  # absolute


@dataclass
class OutputConfig:
    """How a file that runs write is compared when they are reproduced (docs/reproduce.md)."""

    # null: by the ending of the file's name, with what is given here.
    compare: Optional[Compare] = None
    # How far numbers may be from the earlier ones: atol + rtol * abs(earlier).
    rtol: float = 0.0
    atol: float = 0.0  # as `rtol` has it; of a picture, how far a channel may be, of 255
    # The same for columns, keys or arrays: {loss: {rtol: 1e-6}, 'time*': {atol: 1}}.
    columns: Dict[str, ToleranceConfig] = field(default_factory=dict)
    # Columns by which rows find each other, whatever their order.
    key: List[str] = field(default_factory=list)
    # Columns, keys or arrays that don't count ('*_seconds'); of a text, patterns of what may differ in a line.
    ignore: List[str] = field(default_factory=list)
    up_to: Optional[UpTo] = None  # of an embedding: what makes no difference
    coordinates: List[str] = field(default_factory=list)  # of an embedding: its columns ([]: all axes of an array)
    # Which share of a picture's pixels may differ by more: 0.001.
    share: float = 0.0


@dataclass
class ToolConfig:
    """A tool's registration: conf/tool/<name>.yaml."""

    # The tool's directory, relative to the stash's root (null: it has none: it is a package of
    # environment.interpreter, started in the run directory).
    path: Optional[str] = None
    # `-m package.module`, `file.py`, or an executable of the tool's environment or directory; words after it are kept.
    entrypoint: str = MISSING
    # The commit that runs: a hash, a tag, a branch (origin/main: the remote's), HEAD, as git reads it in the tool's
    # repository. If something else is checked out, nothing runs, or with frozen code that commit alone (null: whatever
    # is checked out, what isn't committed included).
    commit: Optional[str] = None
    # The Python of its environment, as uv understands it: "3.11", ">=3.10", a path (null: what the tool asks for).
    python_version: Optional[str] = None
    # Packages to install besides what the tool itself declares.
    dependencies: List[str] = field(default_factory=list)
    # Commands that make the tool ready before its first run, in its directory and with its environment (docs/build.md):
    # [[make, -j4]], each a list of words, or {shell: 'a && b'}. `{build}` in them, in `entrypoint` and in `env` stands
    # for a directory of the build's own: [[cmake, -S, ., -B, '{build}'], [cmake, --build, '{build}']].
    build: List[Any] = field(default_factory=list)
    # Where it is built: here, by whoever needs it first, or in a SLURM job that the runs wait for (with frozen code).
    build_in: BuildIn = BuildIn.here
    # Modules of a cluster that are loaded before it is built and before it is started: [gcc/12.2, cuda].
    modules: List[str] = field(default_factory=list)
    # The time after which the build is given up, written like estimated_runtime (null: none).
    build_timeout: Optional[str] = None
    description: str = ""  # what it is, in lists
    call: CallConfig = field(default_factory=CallConfig)
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    # Environment variables for the tool. A name that looks like a secret's is recorded without its value.
    env: Dict[str, Optional[str]] = field(default_factory=dict)
    # Directories and files inside the tool's path to which it insists on writing; what appears or changes there during
    # a run goes into the run directory, with its folders. Parallel runs are kept apart: each gets a copy of the code.
    collect: List[str] = field(default_factory=list)
    # Files and directories inside the tool's path that are no code (data, caches, checkpoints) and that git doesn't
    # track: frozen code has a symbolic link to the checkout's own.
    shared: List[str] = field(default_factory=list)
    # Where the tool is started: `tool` (its own directory) or `run` (the run directory).
    working_directory: str = "tool"
    # How a run that was cut short is continued in the same run directory: extra arguments for the further attempts
    # ([] if the same command simply goes on); null: the tool can't.
    resume: Optional[List[str]] = None
    # Where the numbers are that its runs come to (docs/metrics.md): {loss: {column: val_loss, file: history.csv, take:
    # min}}. What isn't said is looked for in metrics.json, or if there is none in the summary of the W&B run.
    metrics: Dict[str, MetricConfig] = field(default_factory=dict)
    # How what its runs write is compared when they are reproduced, by names or patterns: {'*.csv': {rtol: 1e-6}}. What
    # an experiment says of a name counts before this, and that before conf/config.yaml (docs/reproduce.md).
    outputs: Dict[str, OutputConfig] = field(default_factory=dict)


@dataclass
class GraceConfig:
    """The time a tool gets to save its work once it has been told to stop."""

    # Seconds between the signal and SIGKILL (null: 90 in a SLURM job, else 10).
    seconds: Optional[float] = None
    # The signal that SLURM sends as a warning, the same number of seconds before the wall time: TERM, USR1, USR2, INT,
    # HUP, QUIT or ALRM. A supervisor takes each of them as a request to stop, wherever it comes from.
    signal: str = "TERM"


@dataclass
class WandbConfig:
    """Weights & Biases, for tools that use it. Only what the user's environment hasn't set is handed to the tool."""

    mode: WandbMode = WandbMode.auto  # where its runs go
    entity: Optional[str] = None  # the user or the team (null: as W&B's own settings have it)
    project: Optional[str] = None  # the project (null: as the tool or W&B's own settings have it)
    # The run's group (default: the experiment organizer's name).
    group: Optional[str] = None
    # Seconds that bringing a W&B run to its final state may take after the tool has ended.
    timeout: float = 30.0


@dataclass
class LocalLauncherConfig:
    """The settings of hydra/launcher=local."""

    _target_: str = "hydra_plugins.experimentstash_launcher.local.LocalLauncher"
    # How many runs are at work at the same time (null: one per core that we may use; with `gpus`: as they allow).
    n_jobs: Optional[int] = None
    # GPUs to share out through CUDA_VISIBLE_DEVICES: how many of ours, or their ids: [0, 2]. An id that is named twice
    # serves two runs at the same time (null: left to the tools).
    gpus: Any = None
    # How many GPUs each run gets.
    gpus_per_run: int = 1
    # Stop everything, gently, at the first run that doesn't complete.
    fail_fast: bool = False


@dataclass
class ResourcesConfig:
    """What a run asks SLURM for. null: what the launcher's own `resources` say, else the cluster's defaults."""

    # The wall time, written like estimated_runtime (a bare number is seconds). Default: estimated_runtime times the
    # launcher's time_factor, plus the grace.
    time: Optional[str] = None
    # CPUs of the run (--cpus-per-task).
    cpus: Optional[int] = None
    # GPUs on each node (--gpus-per-node): 1, or a type too: a100:2.
    gpus: Optional[str] = None
    # Memory on each node (--mem), as SLURM writes it: 16G; a bare number is megabytes.
    mem: Optional[str] = None
    nodes: Optional[int] = None  # as for sbatch: --nodes
    partition: Optional[str] = None  # as for sbatch: --partition
    account: Optional[str] = None  # as for sbatch: --account
    qos: Optional[str] = None  # as for sbatch: --qos
    constraint: Optional[str] = None  # as for sbatch: --constraint
    gres: Optional[str] = None  # as for sbatch: --gres
    # Lines of bash before the run starts (`module load cuda`); the launcher's own come first.
    setup: List[str] = field(default_factory=list)
    # Any other option of sbatch by its long name: {exclusive: true, mail-type: END}.
    extra: Dict[str, Any] = field(default_factory=dict)


@dataclass
class SlurmLauncherConfig:
    """The settings of hydra/launcher=slurm."""

    _target_: str = "hydra_plugins.experimentstash_launcher.slurm.SlurmLauncher"
    # Stay until all runs have ended. null: only if the sweeper needs their results (any but `basic` and `zip`).
    wait: Optional[bool] = None
    # What every run gets that doesn't ask for something else.
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    # A run without a time of its own gets its estimated_runtime times this, plus the grace.
    time_factor: float = 1.5
    # How many runs share a job: short ones cost less than jobs of their own. Each keeps the resources that it asks for;
    # the job gets the time of all that come after one another.
    runs_per_job: int = 1
    # How many of a job's runs are at work at the same time. The job gets the CPUs and the memory of so many; GPUs they
    # share.
    runs_at_once: int = 1
    # How many runs may be at work at the same time, of the whole sweep (null: as many as SLURM allows).
    array_parallelism: Optional[int] = None
    # How many jobs of yours the cluster lets be queued and running (however many runs share each). A larger sweep is
    # submitted in parts, and the command stays until the last of them is in the queue.
    submit_limit: Optional[int] = None
    # How often a job whose tools can resume goes back into the queue after a time-out or a preemption.
    max_requeues: int = 3
    # Whether a run begins though a line of its `setup` has failed (`module load nosuch`). For one line: `… || true`.
    setup_may_fail: bool = False
    # Variables of SLURM's that tools don't get: with them Lightning and MPI programs take a batch job for a task that
    # srun started, and wait for others.
    hidden: List[str] = field(
        default_factory=lambda: [
            "SLURM_NTASKS",
            "SLURM_NPROCS",
            "SLURM_PROCID",
            "SLURM_LOCALID",
            "SLURM_NODEID",
            "SLURM_GTIDS",
            "SLURM_TASK_PID",
        ]
    )


# Those of our launchers that give runs to a scheduler.
SCHEDULER_LAUNCHERS = (SlurmLauncherConfig._target_,)


@dataclass
class ZipSweeperConfig:
    """The settings of hydra/sweeper=zip."""

    _target_: str = "hydra_plugins.experimentstash_sweeper.zip.ZipSweeper"
    # As in hydra/sweeper=basic: how many jobs to launch at once (null: all).
    max_batch_size: Optional[int] = None
    # As in hydra/sweeper=basic: further sweeps: {params.seed: 1,2}.
    params: Optional[Dict[str, str]] = None
    # Which keys vary in step, in groups: [[params.seed, params.name], …]. All else is a product. null: all swept ones.
    together: Optional[List[List[str]]] = None


class Permissions(Enum):
    """Who may read what runs leave."""

    private = "private"  # their owner
    group = "group"
    umask = "umask"  # whoever the umask lets


@dataclass
class StashConfig:
    """The root configuration: one experiment of one tool, ready to run."""

    tool: ToolConfig = field(default_factory=ToolConfig)
    # The experiment inside the tool.
    experiment: Optional[str] = None
    description: str = ""  # what it is, in lists
    tags: List[str] = field(default_factory=list)  # by which it is listed, and its runs are found
    # How long a run takes, roughly: "45" (seconds), "30m", "2h", "1h30m", "2:00:00", "1-12:00:00".
    estimated_runtime: Optional[str] = None
    # The tool's parameters, sweepable from the command line (params.seed=1,2,3). A dot in a key is a step down, and the
    # choice of a config group can have values inside: {model: rf, model.n: 2}. See docs/parameters.md.
    params: Dict[str, Any] = field(default_factory=dict)
    # Values of your own, for interpolations: ${vars.data_root}. Nothing else reads them.
    vars: Dict[str, Any] = field(default_factory=dict)
    # The same for directories, as many Hydra projects have it: ${paths.data}.
    paths: Dict[str, Any] = field(default_factory=dict)
    # Arguments appended as they are; interpolations such as ${params.seed} and ${output_dir} work.
    arguments: List[str] = field(default_factory=list)
    # The number that a sweeper such as Optuna's is to optimise. accuracy: a key of its metrics.json (dotted if it
    # is nested), or the name of a metric below; {key: accuracy, file: results/all.json}; {column: loss, file:
    # history.csv, take: last, min, max or mean}; {pattern: 'loss=(\S+)', take: …}, in the tool's output, or in a file:.
    # Files are relative to the run directory.
    # A list of these for sweepers with several objectives.
    objective: Any = None
    # Where numbers are read when a run ends, and how `experimentstash compare` shows them, in this order: {accuracy:
    # {better: higher, label: Acc., column: acc, file: results.csv}}. How they are shown is read from conf/config.yaml
    # itself, experiment organizers and registrations, and not from files that they build on.
    metrics: Dict[str, MetricConfig] = field(default_factory=dict)
    # How what the runs write is compared when they are reproduced (docs/reproduce.md): {figure.png: {atol: 2}}.
    outputs: Dict[str, OutputConfig] = field(default_factory=dict)
    # Files and directories that the runs read besides their code, relative to the stash's root: when runs are frozen,
    # what is in them is noted. Those that parameters and arguments name are, too.
    inputs: List[str] = field(default_factory=list)
    # The time after which the run is stopped, written like estimated_runtime (null: none).
    timeout: Optional[str] = None
    # Whether the run uses the tool's checkout, or a copy of it that nobody edits any more.
    code: CodeMode = CodeMode.auto
    # Who may read the runs: private (their owner), group, or umask (whoever the umask lets). Never more than the umask
    # lets. In conf/config.yaml it counts for environments and backups too.
    permissions: Permissions = Permissions.private
    # Show what is executed and why; the tool gets HYDRA_FULL_ERROR=1.
    debug: bool = False
    # Compose, check and print the exact command, and run nothing.
    validate_only: bool = False
    # Compose, and print what the runs would ask for (on SLURM: what sbatch would get); run and submit nothing.
    dry_run: bool = False
    # Don't run again what has completed before: the same code, environment, arguments, parameters and inputs. That run
    # counts as this one (docs/sweeps.md). What can't be known to be the same is run.
    skip_completed: bool = False
    # Run it all the same.
    force: bool = False
    grace: GraceConfig = field(default_factory=GraceConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    # The run directory; for interpolations.
    output_dir: str = "${hydra:runtime.output_dir}"
