"""From a composed configuration to what a run will execute: exact argv, environment, working directory, limits.

All is worked out and checked, and nothing is written. A frozen run is complete: executing it needs no Hydra, no conf/
and no network."""

from __future__ import annotations

import os
import shlex
import time
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.adapters import environment_modules
from experimentstash.adapters.numbers import declarations
from experimentstash.adapters.python import installed
from experimentstash.adapters.wandb import variables as wandb_variables
from experimentstash.base import limits, permissions
from experimentstash.base.dataclass_light import dataclass, field, replace
from experimentstash.base.errors import StashError
from experimentstash.base.process import LEAKS, which
from experimentstash.base.redaction import (
    Known,
    contains_secret,
    find_named_secret,
    find_secret,
    is_secret_variable,
    known,
)
from experimentstash.code import pins
from experimentstash.code.pins import Pin
from experimentstash.code.provenance import FRESH, Provenance
from experimentstash.freeze import calls
from experimentstash.freeze.calling import arguments
from experimentstash.freeze.calls import Calling
from experimentstash.freeze.environment import recipes
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.freeze.no_secrets import refuse_named_secrets, texts_in
from experimentstash.freeze.notebooks import source as sources
from experimentstash.freeze.notebooks import start as notebooks
from experimentstash.freeze.notebooks.source import Notebook
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.record.run import Apart, Command
from experimentstash.stash import entrypoints, parameters, paths
from experimentstash.stash.entrypoints import Entrypoint
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import BuildIn, CallStyle, EnvironmentKind, StashConfig, ToolConfig

if TYPE_CHECKING:
    from experimentstash.adapters.numbers import objective
    from experimentstash.code.apart import Plot
    from experimentstash.code.worktrees import Frozen
    from experimentstash.freeze.build.builds import Build


OF_LAUNCHER_VARIABLE = "EXPERIMENTSTASH_OF_LAUNCHER"  # what a launcher asks a scheduler for, told to its jobs
# What the application tells itself and its jobs is not for the tool.
_OUR_VARIABLES = ("EXPERIMENTSTASH_ROOT", "EXPERIMENTSTASH_TOKEN", OF_LAUNCHER_VARIABLE, permissions.VARIABLE)
UNHEARD = "experiment={}: a mere name; the tool isn't told of it"
TO_BE_HEARD = (
    "say in the tool's registration how it is told: `call: {experiment: --name}`, say, or ${experiment} in `arguments`,"
    " or leave it out"
)


@dataclass(frozen=True)
class Request:
    """What is to be frozen: a composed configuration, and where it comes from and goes to."""

    stash: Stash
    config: StashConfig
    tool: str
    organizer: str | None
    overrides: Sequence[str]
    directory: Path
    id: str
    sweep: Path | None = None
    number: int | None = None  # in the sweep
    for_job: bool = False  # it will be executed in a scheduler's job
    starts_later: bool = False  # it may wait in a queue until then
    env_set: Mapping[str, str] = field(default_factory=dict)  # what Hydra sets; the tool's own `env` outranks it
    unused: Sequence[str] = ()  # parameters that no interpolation hands to a tool which gets none by itself
    of_launcher: Mapping[str, Any] | None = None  # what its launcher asks a scheduler for, in place of its `resources`
    borrowed: Mapping[str, str] = field(default_factory=dict)  # variables that have filled gaps in that
    is_heard: bool = True  # the tool is told of its `experiment`, as far as that is known without a template
    frozen: Frozen | None = None  # the code to use; None: the tool's checkout itself
    plot: Plot | None = None  # it gets a copy of the tool's code for itself
    stash_then: Provenance | None = None  # the stash that it was composed from; None: as it is now
    to_be_frozen: bool = False  # it will use frozen code, also where none is made because nothing is run


@dataclass(frozen=True)
class Plan:
    """A run that is worked out and checked, but of which nothing is written yet."""

    request: Request
    directory: Path  # the tool's: its checkout, or its frozen code
    recipe: Recipe
    command: Command
    secrets: Mapping[str, str]
    calling: Calling
    params: Mapping[str, Any] = field(default_factory=dict)  # as the record has them
    files: Mapping[str, str] = field(default_factory=dict)  # what it is handed, by the names in the run directory
    variables: Mapping[str, str] = field(default_factory=dict)  # of its environment, that say its parameters
    unused: Sequence[str] = ()  # parameters that nothing hands to the tool
    is_heard: bool = True  # the tool is told of its `experiment`
    notebook: Notebook | None = None
    timeout: float | None = None
    estimated_runtime: float | None = None
    grace_signal: str = "TERM"
    objective: objective.Spec | None = None
    metrics: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # where they are read
    collected: Sequence[Path] = ()
    apart: Apart | None = None
    build: Build | None = None  # what makes the tool ready
    pin: Pin | None = None  # the commit that was asked for and is checked out; of frozen code its record tells

    @property
    def overwritten(self) -> list[str]:
        """What is to be said of parameters that a notebook's own cells assign anew."""
        if self.notebook is None or self.calling.call.style is not CallStyle.notebook:
            return []
        return self.notebook.overwritten(self.params)


@dataclass(frozen=True)
class ToolPlan:
    """What the runs of a tool have in common, as its files are now."""

    tool: ToolConfig  # as it is for the code that is used
    directory: Path
    entry: Entrypoint
    recipe: Recipe
    interpreter: Path | None
    program: Sequence[str]  # the start of the argv
    pin: Pin | None
    calling: Calling
    search_path: Sequence[Path]  # where Python is to look before it looks into its environment
    build: Build | None
    notebook: Notebook | None


class ToolPlanCache:
    """What the runs of each tool have in common, looked at once a second at most."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Request, ToolPlan]] = {}
        self._clean: dict[str, object] = {}  # settings without a secret, as far as ``_known_secrets`` tell
        self._known_secrets: Known | None = None

    def of(self, request: Request) -> ToolPlan:
        """Return what a run has in common with others of its tool; StashError for whatever can't work."""
        now = time.monotonic()
        moment, similar, tool_plan = self._known.get(request.tool, (-FRESH, None, None))
        is_same = similar and _what_counts(similar) == _what_counts(request)
        if tool_plan is None or not is_same or now - moment >= FRESH:
            tool_plan = _tool_plan(request)
            self._known[request.tool] = time.monotonic(), request, tool_plan
        return tool_plan

    def forget(self, tool: str) -> None:
        """Have the files of a tool be looked at once more."""
        self._known.pop(tool, None)

    def refuse_secrets(self, config: StashConfig, others: Sequence[str]) -> None:
        """Raise SecretError if there is one in settings or other texts; what jobs share is looked through once."""
        secrets = known(os.environ)
        if secrets is not self._known_secrets:
            self._clean, self._known_secrets = {}, secrets
        new = {name: value for name, value in vars(config).items() if self._clean.get(name, self) is not value}
        without = {**new, "tool": {**vars(config.tool), "env": None}} if "tool" in new else new
        found = find_secret([*others, *texts_in(without)], os.environ)
        if found is not None:
            raise contains_secret(found)
        self._clean.update(new)


def _what_counts(request: Request) -> tuple[object, ...]:
    return request.config.tool, request.frozen, request.to_be_frozen, request.plot


def plan(request: Request, tool_plans: ToolPlanCache | None = None) -> Plan:
    """Work out what a run will execute. Touches nothing; StashError for whatever can't work.

    Whoever plans many runs gives all of them the same ``tool_plans``.
    """
    config, stash, tool_plans = request.config, request.stash, tool_plans or ToolPlanCache()
    _refuse_secrets(request, tool_plans)
    grace_signal = _looked_at_limits(config)
    tool_plan = tool_plans.of(request)
    tool, directory, recipe = tool_plan.tool, tool_plan.directory, tool_plan.recipe
    calls.refuse_other_names(tool_plan.calling, config.params)
    calls.refuse_other_number(tool_plan.calling, config.params)
    calls.refuse_lack_of_subcommand(tool_plan.calling, config.arguments, _where(request))
    params = _parameters(config, request)
    calls.refuse_other_type(tool_plan.calling, params)
    built = arguments.build(
        tool_plan.calling.call,
        config.experiment,
        params,
        config.arguments,
        run_directory=request.directory,
        tool_directory=directory,
        stash_root=stash.root,
        notebook=tool_plan.notebook,
    )
    if tool_plan.notebook is not None:
        built = notebooks.started(built, tool_plan.notebook.path, request.directory, _where(request))
    argv = [*tool_plan.program, *built.argv]
    unused = [each for each in request.unused if built.read is None or each not in built.read]
    calls.refuse_unused(unused, request.overrides, tool_plan.calling.call.style)
    is_heard = request.is_heard or built.tells_experiment
    if request.sweep is not None and not is_heard and calls.is_asked_for(request.overrides):
        raise StashError(UNHEARD.format(config.experiment), TO_BE_HEARD)
    secrets, plain, unset = _split_environment({**request.env_set, **tool.env})
    wandb_set, wandb_unset = wandb_variables.variables(
        config.wandb,
        run_directory=request.directory,
        organizer=request.organizer,
        experiment=config.experiment,
        run_id=request.id,
        tags=config.tags,
        job_type=None,
        inherited=ChainMap(plain, os.environ),
        in_job=request.for_job,
    )
    environment = {**wandb_set, **_environment(request, tool_plan), **plain, **built.variables}
    if twice := sorted({*request.env_set, *tool.env} & {*built.variables}):
        raise StashError(
            f"{_where(request)}: {twice[0]} is a variable of `env`, and a parameter's.", "keep one of them"
        )
    if config.debug:
        environment["HYDRA_FULL_ERROR"] = "1"
    place = directory if tool_plan.notebook is None else tool_plan.notebook.path.parent  # where Jupyter runs it
    command = Command(
        argv=argv,
        cwd=str(request.directory if tool.working_directory == "run" or not tool.path else place),
        environment=environment,
        unset=sorted(
            {*LEAKS, "PYTHONSAFEPATH", "HYDRA_FULL_ERROR", *_OUR_VARIABLES, *unset, *wandb_unset, *built.unset}
            - set(environment)
        ),
        path=None if (own := environments.programs(recipe)) is None else str(own),
        umask=permissions.present(),
        secrets=sorted(secrets),
        modules=list(tool.modules),
    )
    kept = parameters.as_json(params)
    texts = [*command.argv, *command.environment.values(), *built.files.values(), *texts_in(kept)]
    found = find_secret(texts, {**os.environ, **secrets} if secrets else os.environ)
    if found is not None:
        raise contains_secret(found)
    refuse_named_secrets(kept, "params")
    refuse_named_secrets(config.vars, "vars")
    said = [shlex.join(command.argv), *texts_in([config.description, config.tags, config.resources])]
    if (name := find_named_secret(said)) is not None:
        raise contains_secret("a secret", name)
    collected = _collected(request, directory)
    if tool.working_directory not in ("tool", "run"):
        raise StashError(
            f"{_where(request)}: working_directory: {tool.working_directory!r} is neither `tool` nor `run`."
        )
    apart = None
    if request.plot is not None:
        apart = request.plot.copy(request.id)
        command = request.plot.moved(command, apart)
        collected = []  # all that it writes there is
    metrics, optimised = _numbers(config, request)
    return Plan(
        request=request,
        directory=directory,
        recipe=recipe,
        command=command,
        secrets=secrets,
        calling=tool_plan.calling,
        params=kept,
        files=built.files,
        variables=built.variables,
        unused=unused,
        is_heard=is_heard,
        notebook=tool_plan.notebook,
        timeout=None if config.timeout is None else limits.duration(config.timeout, "timeout"),
        estimated_runtime=(
            None if config.estimated_runtime is None else limits.duration(config.estimated_runtime, "estimated_runtime")
        ),
        grace_signal=grace_signal,
        objective=optimised,
        metrics=metrics,
        collected=collected,
        apart=apart,
        build=tool_plan.build,
        pin=tool_plan.pin,
    )


def _numbers(config: StashConfig, request: Request) -> tuple[Mapping[str, dict[str, Any]], objective.Spec | None]:
    """Return where a run's metrics are read, and what it is optimised for; StashError for what makes no sense."""
    metrics = declarations.frozen(config.tool.metrics, config.metrics, request.directory)
    if config.objective is None:
        return metrics, None
    from experimentstash.adapters.numbers import objective  # here, because it brings all that reads numbers

    return metrics, objective.check(config.objective, request.directory, metrics)


def _parameters(config: StashConfig, request: Request) -> Mapping[Any, Any]:
    """Return the parameters, interpolations resolved, as one tree; StashError for what has no one meaning."""
    where = f"{paths.organizer(request.organizer)}: " if request.organizer is not None else ""
    try:
        tree = parameters.canonical(config.params)
    except parameters.ClashError as clash:
        raise StashError(
            f"{where}{clash.first.label} is {clash.first.value!r} and {clash.second.label} is {clash.second.value!r}:"
            " the same parameter twice, or a value that can't have others inside.",
            "keep one of them",
        ) from clash
    style = config.tool.call.style
    if tree is config.params or arguments.style_of(style).has_marks:
        return tree
    marked = next((leaf for leaf in parameters.read(tree).values() if leaf.mark), None)
    if marked is not None:
        raise StashError(
            f"{where}{marked.label}: a {marked.mark} in front of a key is for Hydra tools, and {request.tool} is called"
            f" in the style {style.value}.",
            "leave it out",
        )
    return tree


def _refuse_secrets(request: Request, tool_plans: ToolPlanCache) -> None:
    """Refuse a secret in whatever a job asks for: its record keeps all of it, and a batch script some."""
    of_launcher = texts_in(dict(request.of_launcher or {}))
    tool_plans.refuse_secrets(request.config, [str(request.directory), *map(str, request.overrides), *of_launcher])


def _looked_at_limits(config: StashConfig) -> str:
    """Return the name of the signal that is to warn the run; StashError for it, or a limit, that makes no sense."""
    if config.grace.seconds is not None:
        limits.seconds(config.grace.seconds, "grace.seconds")
    limits.seconds(config.wandb.timeout, "wandb.timeout")
    if config.resources.time is not None:
        limits.duration(config.resources.time, "resources.time")
    return limits.warning_signal(config.grace.signal)


def explain(planned: Plan) -> list[str]:
    """Say, line by line, what would be executed and why."""
    request, command = planned.request, planned.command
    tool = request.config.tool
    python = planned.recipe.directory or environments.interpreter(planned.recipe) or "none"
    where = f"{tool.entrypoint} in {tool.path or planned.directory}"
    lines = [
        f"organizer    {request.organizer or '(none)'}",
        f"tool         {request.tool}: {where}, called in the style `{planned.calling.call.style.value}`",
        f"environment  {planned.recipe.shown}: {python}",
        *([f"code         {request.frozen.directory}"] if request.frozen is not None else []),
        *([f"built in     {planned.build.products}"] if planned.build is not None else []),
        f"directory    {request.directory}",
        f"cwd          {command.cwd}",
    ]
    lines += [f"set          {name}={value}" for name, value in sorted(command.environment.items())]
    lines += [f"set          {name} (a secret)" for name in command.secrets]
    return [*lines, f"command      {shlex.join(command.argv)}"]


def _tool_plan(request: Request) -> ToolPlan:
    config = request.config.tool
    environment_modules.refuse_other_names(config.modules, _where(request))
    tool = config if request.frozen is None else request.frozen.adapted(config)
    directory = _code_directory(request)
    pin = None if request.frozen is not None else pins.read(request.stash, request.tool, tool, directory)
    if pin is not None and not request.to_be_frozen:
        pins.refuse_other(request.tool, tool, pin)
    is_notebook = tool.call.style is CallStyle.notebook
    entry = entrypoints.read(tool.entrypoint, directory, is_notebook=is_notebook)
    notebook = None if entry.notebook is None else sources.read(entry.notebook)
    if notebook is not None and tool.resume:
        raise StashError(
            f"{_where(request)}: resume: a notebook gets no words, and would get {tool.resume[0]!r}.",
            "write `resume: []`",
        )
    if notebook is not None and tool.call.style is CallStyle.options:  # what is said where nothing is said
        tool = replace(tool, call=replace(tool.call, style=CallStyle.notebook))
    recipe = recipes.plan(
        request.tool,
        tool,
        directory,
        entry.script,
        request.stash.environments,
        own_home=None if request.frozen is None else request.frozen.environments,
        runs_python=entry.runs_python,
        program=entry.program,
        brought=() if notebook is None else notebook.needs,
    )
    environments.refuse_other_python(recipe)
    interpreter = environments.interpreter(recipe)
    build = _build(request, tool, directory, recipe)
    if build is not None:
        tool = build.adapted(tool)
        entry = entrypoints.read(tool.entrypoint, directory, is_notebook=is_notebook)
    is_whole = build is None or build.is_ready()
    program = _program(entry, directory, interpreter, request, kind=recipe.kind.value, is_whole=is_whole)
    where = directory if tool.path else installed.modules_of(directory)
    if notebook is None:
        calling = calls.complete(tool.call, where, entry.words)
    else:
        calling = Calling(tool.call, notebook.program, has_words=False)
    search_path = (
        [] if request.frozen is None else request.frozen.search_path(interpreter, is_foreign=recipe.is_foreign)
    )
    return ToolPlan(tool, directory, entry, recipe, interpreter, program, pin, calling, search_path, build, notebook)


def _build(request: Request, tool: ToolConfig, directory: Path, recipe: Recipe) -> Build | None:
    """Return what makes the tool ready; runs that are kept apart have copies of frozen code, and of what is in it."""
    if not tool.build:
        return None
    from experimentstash.freeze.build import builds  # here, because most tools need none

    frozen = request.frozen or (None if request.plot is None else request.plot.frozen)
    in_job = is_built_in_job(request)
    return builds.plan(request.stash, request.tool, tool, directory, recipe, frozen, in_job=in_job)


def is_built_in_job(request: Request) -> bool:
    """Tell whether a run's tool is built in a job of its own, before that of the run."""
    return request.starts_later and request.config.tool.build_in is BuildIn.job


def _code_directory(request: Request) -> Path:
    if request.frozen is not None:
        return request.frozen.directory
    return tool_directory(request.stash, request.tool, request.config.tool)


def _program(
    entry: Entrypoint, directory: Path, interpreter: Path | None, request: Request, *, kind: str, is_whole: bool
) -> list[str]:
    """Return the start of the argv: the interpreter with a module or file, or an executable.

    Unless it ``is_whole``, what is missing may be what is built yet.
    """
    first, *others = entry.words
    if entry.runs_python and interpreter is None:
        there = "" if kind == EnvironmentKind.none.value else ", and there is none in it"
        raise StashError(
            f"{_where(request)}: the entrypoint {first!r} needs a Python, but environment.kind is `{kind}`{there}."
        )
    if entry.notebook is not None:
        return [str(interpreter)]
    if entry.is_module:
        return [str(interpreter), *entry.words]
    own = directory / first
    if not own.is_file() and not is_whole:
        if entry.runs_python:
            return [str(interpreter), str(own), *others]
        return [str(own), *others] if "/" in first or which(first) is None else list(entry.words)
    if not own.is_file():
        if entry.runs_python or "/" in first:
            raise StashError(f"{_where(request)}: the entrypoint {first} does not exist in {directory}.")
        return list(entry.words)  # found on PATH, where the tool's environment comes first
    if entry.runs_python:
        return [str(interpreter), str(own), *others]
    if is_whole:  # else it may be half of what is built yet
        entrypoints.refuse_unstartable(directory, first, _where(request))
    return [str(own), *others]


def _split_environment(declared: Mapping[str, str | None]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Sort a tool's `env` into secrets, plain variables, and names to unset."""
    given = {name: value for name, value in declared.items() if value is not None}
    secrets = {name: value for name, value in given.items() if is_secret_variable(name, value)}
    plain = {name: value for name, value in given.items() if name not in secrets}
    return secrets, plain, [name for name, value in declared.items() if value is None]


def _environment(request: Request, tool_plan: ToolPlan) -> dict[str, str]:
    changes = {
        "EXPERIMENTSTASH_RUN_DIR": str(request.directory),
        "EXPERIMENTSTASH_RUN_ID": request.id,
        "PYTHONUNBUFFERED": "1",  # the log is written as the tool prints
    }
    # The tool's checkout stays clean. In an environment of ours the compiled files are kept, beside it.
    if tool_plan.recipe.directory is not None:
        changes["PYTHONPYCACHEPREFIX"] = str(tool_plan.recipe.directory / "pycache")
    else:
        changes["PYTHONDONTWRITEBYTECODE"] = "1"
    changes |= environments.variables(tool_plan.recipe)
    search_path = [*tool_plan.search_path]
    tool = request.config.tool
    is_away = tool.path and tool.working_directory == "run"
    if tool_plan.entry.is_module and is_away and tool_plan.directory not in search_path:
        search_path.append(tool_plan.directory)
    if search_path:
        changes["PYTHONPATH"] = os.pathsep.join(map(str, search_path))
    return changes


def _collected(request: Request, directory: Path) -> list[Path]:
    paths = [Path(os.path.normpath(directory / name)) for name in request.config.tool.collect]
    for path in paths:
        if not path.is_relative_to(directory) or path == directory:
            raise StashError(f"{_where(request)}: collect: {path} is not below the tool's directory.")
    return paths


def _where(request: Request) -> str:
    return paths.registration(request.tool)
