"""Makes all checks of a set-up, and collects the problems."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from experimentstash.adapters.git.status import status_of
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.process import CommandError
from experimentstash.base.quoting import quoted
from experimentstash.base.text import counted, listed
from experimentstash.base.yaml_lines import line_of
from experimentstash.code import frozen_names
from experimentstash.freeze.plan import Plan, Request, ToolPlanCache, plan
from experimentstash.runs.past import Past
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizer, Organizers
from experimentstash.validate.composer import Composer
from experimentstash.validate.duplicates import check_duplicates, check_nesting, check_tool_names
from experimentstash.validate.environments import check_environment, check_hydra
from experimentstash.validate.experiments import (
    check_estimated_runtime,
    check_experiment_is_handed_over,
    check_inner_experiment,
    check_organizer,
    check_parameters,
)
from experimentstash.validate.frozen import check_frozen, frozen_commits_apart
from experimentstash.validate.problem import Problem, Severity, explained, found_by, organizer_file, registration_file
from experimentstash.validate.registrations import check_build, check_call, check_entrypoint, check_path
from experimentstash.validate.stash import check_layout, check_repository, check_unfinished
from experimentstash.validate.submodules import check_submodule, check_unregistered, known_submodules
from experimentstash.validate.tool_composition import PATIENCE, can_compose, check_deep

# So many experiments take long enough to compose that one wants to know what is going on.
_MANY = 200
_EVERYTHING = "stash"
_NAMED = 5
# Seconds for which it is read, at most, how long earlier runs took.
_LOOK_BACK = 2.0


@dataclass(frozen=True)
class Report:
    """What was checked, and what isn't in order."""

    problems: tuple[Problem, ...]
    checks: tuple[str, ...]
    tools: int
    experiments: int
    notes: tuple[str, ...] = ()  # what is good to know, and no problem

    @property
    def errors(self) -> int:
        return sum(problem.severity is Severity.error for problem in self.problems)


def validate(
    stash: Stash,
    *,
    tool: str | None = None,
    experiments: str | None = None,
    is_quick: bool = False,
    is_deep: bool = False,
    patience: float = PATIENCE,
    announce: Callable[[str], None] = lambda line: None,
    show_all: bool = False,
) -> Report:
    """Check the set-up, limited to a tool and to the experiments that match a glob; changes nothing.

    ``patience`` is the time in seconds that a tool gets to compose one of its experiments.
    Raises StashError for a tool or a glob that stands for nothing; whatever else is wrong is in the report.
    """
    found = _Findings(stash.root, announce if show_all else lambda line: None)
    tools, organizers = _chosen(stash, tool, experiments)
    found.look("layout", _EVERYTHING, ".", check_layout, stash)
    known = None
    notes: list[str] = []
    try:
        status = status_of(stash.root)
        known = known_submodules(status)
    except CommandError as error:
        found.add("git", _EVERYTHING, [explained("git", error, ".")])
    else:
        found.look("git", _EVERYTHING, ".", check_repository, stash, status)
        found.look("unfinished", _EVERYTHING, ".", check_unfinished, stash)
        if experiments is None and frozen_names.names(stash):
            found.look("frozen", _EVERYTHING, paths.FROZEN, check_frozen, stash, tool)
            with contextlib.suppress(StashError, CommandError, OSError):  # what is wrong there was found just now
                notes = _notes(stash, tool)
    registered = stash.known_tools()
    files = {
        each.name: found_by("organizer", organizer_file(stash, each.name), check_organizer, stash, each, registered)
        for each in organizers
    }
    every = tool is None and experiments is None
    duplicates = check_duplicates(stash, organizers) + check_tool_names(stash, tools)
    found.add("duplicates", _EVERYTHING, duplicates)
    with tempfile.TemporaryDirectory() as scratch:
        # A deep check starts tools: not even one that writes where it is told to may leave anything in the stash.
        directory = (Path(scratch) if is_deep else stash.run_roots[0]) / "validation"
        composer = _composer(stash, found)
        if composer is not None:
            requests = _check_tools(composer, tools, organizers, directory, found)
            registered_as = {request.tool: request.config.tool for request in requests}
            with ThreadPoolExecutor() as pool:
                jobs = {
                    name: pool.submit(
                        found_by, "submodule", registration_file(stash, name), check_submodule, stash, config, known
                    )
                    for name, config in registered_as.items()
                }
                for name, job in jobs.items():
                    found.add("submodule", name, job.result())
            if every:
                found.look("submodule", _EVERYTHING, ".", check_unregistered, stash, registered_as.values(), known)
                found.look("duplicates", paths.TOOLS, ".", check_nesting, stash, registered_as)
        if composer is None or is_quick:
            for name, problems in files.items():
                found.add("organizer", name, problems)
        else:
            if len(organizers) > _MANY:
                announce(f"composing {len(organizers)} experiments …")
            plans = _check_experiments(composer, organizers, files, directory, found)
            if is_deep:
                deep = [planned for planned in plans if can_compose(planned)]
                announce(f"{len(deep)} experiments of Hydra tools: each tool composes its own configuration …")
                check_deep(deep, lambda name, problems: found.add("deep", name, problems), patience)
    return Report(found.all(), tuple(found.checks), len(tools), len(organizers), tuple(notes))


def _notes(stash: Stash, tool: str | None) -> list[str]:
    others = frozen_commits_apart(stash, tool)
    return [f"frozen with other commits than the tools have now: {listed(others, _NAMED)}"] if others else []


class _Findings:
    """Collects problems. What many experiments share, a broken registration say, is there once."""

    def __init__(self, root: Path, announce: Callable[[str], None]) -> None:
        self._root = root
        self.checks: Counter[str] = Counter()
        self._problems: dict[tuple[str, str], Problem] = {}
        self._announce = announce

    def add(self, check: str, subject: str, problems: Iterable[Problem]) -> None:
        problems = list(problems)
        self.checks[check] += 1
        for problem in problems:
            self._problems.setdefault((problem.where, problem.what), problem)
        self._announce(f"{check:<12} {subject}: {counted(len(problems), 'problem') if problems else 'ok'}")

    def look(
        self, name: str, subject: str, where: str, check: Callable[..., list[Problem]], *given: Any
    ) -> list[Problem]:
        """Make a check, and return what it finds. ``where`` is the file at hand."""
        problems = found_by(name, where, check, *given)
        self.add(name, subject, problems)
        return problems

    def has(self, where: str, what: str) -> bool:
        return (where, what) in self._problems

    def all(self) -> tuple[Problem, ...]:
        return tuple(map(self._located, self._problems.values()))

    def _located(self, problem: Problem) -> Problem:
        """Return a problem with the line that it is about, if that can be told."""
        if problem.line is not None or not problem.where.endswith(".yaml"):
            return problem
        return replace(problem, line=line_of(self._root / problem.where, problem.what))


def _chosen(stash: Stash, tool: str | None, pattern: str | None) -> tuple[list[str], list[Organizer]]:
    tools = stash.tools()
    if tool is not None and tool not in tools:
        raise StashError(
            f"There is no tool {tool!r}.{did_you_mean(tool, tools)}\nTools: {', '.join(tools) or 'none yet'}"
        )
    names = stash.experiments() if pattern is None else stash.matching_experiments(pattern)
    organizers = Organizers(stash)
    chosen = [each for each in map(organizers.read, names) if each.belongs_to(tool)]
    if pattern is not None:
        used = {each.tool for each in chosen}
        tools = [name for name in tools if name in used]
    return ([tool] if tool is not None else tools), chosen


def _composer(stash: Stash, found: _Findings) -> Composer | None:
    """Return what composes, if the root config alone does."""
    composer = Composer(stash)
    try:
        composer.load([])
    except Exception as error:
        found.add(
            "composition",
            "the root config",
            [explained("composition", composer.explain(error, []), paths.ROOT_CONFIG)],
        )
        return None
    found.add("composition", "the root config", [])
    return composer


def _check_tools(
    composer: Composer, tools: Sequence[str], organizers: Sequence[Organizer], directory: Path, found: _Findings
) -> list[Request]:
    """Check each registration by itself, and return those that compose."""
    stash, requests = composer.stash, []
    for name in tools:
        registration = registration_file(stash, name)
        try:
            request = _with_tool(composer, name, organizers, directory)
        except Exception as error:
            found.add("registration", name, [explained("registration", error, registration)])
            continue
        requests.append(request)
        problems = found_by("registration", registration, check_path, stash, name, request.config.tool)
        planned = None
        if not any(problem.severity is Severity.error for problem in problems):
            planned, more = _planned(request, "registration", registration)
            problems += more
        problems += check_call(stash, name, request.config.tool.call)
        found.add("registration", name, problems)
        if planned is not None:
            found.look("environment", name, registration, check_environment, stash, planned.recipe)
            found.look("environment", name, registration, check_hydra, stash, planned.recipe)
            if planned.build is not None:
                found.look("build", name, registration, check_build, planned.build, registration)
            found.look("entrypoint", name, registration, check_entrypoint, planned)
    return requests


def _with_tool(composer: Composer, name: str, organizers: Sequence[Organizer], directory: Path) -> Request:
    """Compose a tool by itself, or where its registration needs an experiment (`${params.seed}`) with its first."""
    try:
        return composer.compose([f"tool={quoted(name)}"], directory)
    except Exception:
        for each in organizers:
            if each.tool == name:
                with contextlib.suppress(Exception):
                    return composer.compose([f"+exp={quoted(each.name)}"], directory)
        raise


def _check_experiments(
    composer: Composer,
    organizers: Sequence[Organizer],
    files: Mapping[str, Sequence[Problem]],
    directory: Path,
    found: _Findings,
) -> list[Plan]:
    """Compose each experiment and work out its run; return those for which that works.

    What is wrong is said as a run would say it; ``files``, what the file alone tells, comes in where a run would go.
    """
    plans: list[Plan] = []
    estimated: list[Plan] = []
    tool_plans = ToolPlanCache()
    for organizer in sorted(organizers, key=lambda each: each.tool or ""):  # what one tool's have in common is kept
        name, where = organizer.name, organizer_file(composer.stash, organizer.name)
        try:
            request = composer.compose([f"+exp={quoted(name)}"], directory)
        except Exception as error:
            found.add("composition", name, [explained("composition", error, where)])
            continue
        planned, problems = _planned(request, "composition", where, tool_plans)
        registration = registration_file(request.stash, request.tool)
        problems = [each for each in problems if not found.has(registration, each.what)]
        found.add("composition", name, problems)
        found.add("organizer", name, [] if problems else files[name])
        inner = found.look("experiment", name, where, check_inner_experiment, request)
        if planned is not None:
            found.look("experiment", name, where, check_experiment_is_handed_over, planned)
            found.look("parameters", name, where, check_parameters, planned)
        if planned is not None:
            estimated += [planned] if planned.estimated_runtime is not None else []
            plans += [] if inner else [planned]
    if estimated:
        past = Past(composer.stash)
        past.read(_LOOK_BACK)
        for planned in estimated:
            name = planned.request.organizer or ""
            where = organizer_file(composer.stash, name)
            found.look("runtime", name, where, check_estimated_runtime, planned, past)
    return plans


def _planned(
    request: Request, check: str, where: str, tool_plans: ToolPlanCache | None = None
) -> tuple[Plan | None, list[Problem]]:
    try:
        return plan(request, tool_plans), []
    except Exception as error:
        return None, [explained(check, error, where)]
