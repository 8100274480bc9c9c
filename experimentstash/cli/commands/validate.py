"""``experimentstash validate``: checks the set-up and says of each problem what, where, and what mends it.

The exit code is 1 if there is an error: something that can't run, or wouldn't run what the stash says. Warnings (an
environment that isn't made yet, changes that aren't committed) are shown, and leave it at 0.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experimentstash.adapters.git.status import status_of
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.output import PLAIN, PROSE_WIDTH, Paper, Style, as_prose, paper_of, say
from experimentstash.base.process import CommandError
from experimentstash.base.quoting import quoted
from experimentstash.base.text import filled
from experimentstash.base.yaml_lines import line_of
from experimentstash.freeze.freeze import Plan, Request, ToolPlanCache, plan
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.stash.organizers import Organizer, Organizers
from experimentstash.validate import checks
from experimentstash.validate.checks import Problem, Severity, explained, organizer_file
from experimentstash.validate.composition import Composer
from experimentstash.validate.hydra_version import check_hydra
from experimentstash.validate.tool_composition import PATIENCE, can_compose, check_deep

# So many experiments take long enough to compose that one wants to know what is going on.
_MANY = 200
_EVERYTHING = "stash"
# Before the lines that a problem has besides its first.
_MARGIN = "    "
_STYLES = {Severity.error: Style.BAD, Severity.warning: Style.ODD}


EXAMPLES = (
    ("validate", "exits with 1 on an error"),
    ("validate --strict", "and on a warning, too"),
    ("validate --exp 'figure1/*' --deep", "with the tools' own configs"),
    ("validate --quick", "without composing anything"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tool", metavar="TOOL", help="only this tool and its experiments")
    parser.add_argument("--exp", metavar="GLOB", help="only these experiments and their tools: 'figure1/*'")
    parser.add_argument("--quick", action="store_true", help="don't compose the experiments, only look at their files")
    parser.add_argument("--deep", action="store_true", help="let each Hydra tool compose its own configuration, too")
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")
    parser.add_argument("--strict", action="store_true", help="let warnings be errors: the exit code is 1")
    parser.add_argument("--debug", action="store_true", help="show each check")


def main(given: argparse.Namespace) -> int:
    """Print the problems; 0 if there is no error and, with --strict, no warning."""
    report = validate(
        find_stash(),
        tool=given.tool,
        experiments=given.exp,
        is_quick=given.quick,
        is_deep=given.deep,
        announce=say,
        show_all=given.debug,
    )
    if given.json:
        print(json.dumps([_as_data(problem) for problem in report.problems], indent=2))
    else:
        print(as_prose(describe(report, paper_of(sys.stdout)), sys.stdout))
    return 1 if report.errors or (given.strict and report.problems) else 0


@dataclass(frozen=True)
class Report:
    """What was checked, and what isn't in order."""

    problems: tuple[Problem, ...]
    checks: tuple[str, ...]
    tools: int
    experiments: int

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
    found.add("layout", _EVERYTHING, checks.check_layout(stash))
    known = None
    try:
        status = status_of(stash.root)
        known = checks.submodules(status)
        found.add("git", _EVERYTHING, checks.check_repository(stash, status))
        found.add("unfinished", _EVERYTHING, checks.check_unfinished(stash))
    except CommandError as error:
        found.add("git", _EVERYTHING, [Problem("git", error.message, ".", error.mend)])
    registered = stash.known_tools()
    files = {each.name: checks.check_organizer(stash, each, registered) for each in organizers}
    every = tool is None and experiments is None
    duplicates = checks.check_duplicates(stash, organizers) + checks.check_tool_names(stash, tools)
    found.add("duplicates", _EVERYTHING, duplicates)
    with tempfile.TemporaryDirectory() as scratch:
        # A deep check starts tools: not even one that writes where it is told to may leave anything in the stash.
        directory = (Path(scratch) if is_deep else stash.run_roots[0]) / "validation"
        composer = _composer(stash, found)
        if composer is not None:
            requests = _check_tools(composer, tools, organizers, directory, found)
            with ThreadPoolExecutor() as pool:
                jobs = [
                    (request, pool.submit(checks.check_submodule, stash, request.tool, request.config.tool, known))
                    for request in requests
                ]
                for request, job in jobs:
                    found.add("submodule", request.tool, job.result())
            if every:
                configs = [request.config.tool for request in requests]
                found.add("submodule", _EVERYTHING, checks.check_unregistered(stash, configs, known))
                named = {request.tool: request.config.tool for request in requests}
                found.add("duplicates", "tools", checks.check_nesting(stash, named))
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
    return Report(found.all(), tuple(found.checks), len(tools), len(organizers))


def describe(report: Report, paper: Paper = PLAIN) -> str:
    """Return the problems by file, and a line that sums them up."""
    lines = []
    room = None if paper.width is None else min(paper.width, PROSE_WIDTH) - len(_MARGIN)
    for where in sorted({problem.where for problem in report.problems}):
        lines.append(paper.paint(where, Style.HEADING))
        here = [problem for problem in report.problems if problem.where == where]
        for problem in sorted(here, key=lambda problem: problem.line or 0):
            severity = paper.paint(f"{problem.severity.value}:", _STYLES[problem.severity])
            line = f"line {problem.line}: " if problem.line is not None else ""
            first, _, rest = problem.what.partition("\n")
            lines.append(f"  {severity} {line}{first}")
            if rest:
                lines.append(textwrap.indent(filled(rest, room), _MARGIN))
            if problem.mend:
                lines.append(f"{_MARGIN}→ {problem.mend}")
        lines.append("")
    warnings = len(report.problems) - report.errors
    counts = [_number(count, word) for count, word in ((report.errors, "error"), (warnings, "warning")) if count]
    looked_at = f"{_number(report.tools, 'tool')} and {_number(report.experiments, 'experiment')}"
    return "\n".join(
        [*lines, f"{_number(len(report.checks), 'check')} of {looked_at}: {', '.join(counts) or 'no problems'}"]
    )


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
        self._announce(f"{check:<12} {subject}: {_number(len(problems), 'problem') if problems else 'ok'}")

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
            [explained("composition", composer.explain(error, []), "conf/config.yaml")],
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
        registration = f"conf/tool/{name}.yaml"
        try:
            request = _with_tool(composer, name, organizers, directory)
        except Exception as error:
            found.add("registration", name, [explained("registration", error, registration)])
            continue
        requests.append(request)
        problems = checks.check_path(stash, name, request.config.tool)
        planned = None
        if not any(problem.severity is Severity.error for problem in problems):
            planned, more = _planned(request, "registration", registration)
            problems += more
        problems += checks.check_call(stash, name, request.config.tool.call)
        found.add("registration", name, problems)
        if planned is not None:
            environment = [*checks.check_environment(stash, planned.recipe), *check_hydra(planned.recipe)]
            found.add("environment", name, environment)
            found.add("entrypoint", name, checks.check_entrypoint(planned))
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
    plans, tool_plans = [], ToolPlanCache()
    for organizer in sorted(organizers, key=lambda each: each.tool or ""):  # what one tool's have in common is kept
        name, where = organizer.name, organizer_file(composer.stash, organizer.name)
        try:
            request = composer.compose([f"+exp={quoted(name)}"], directory)
        except Exception as error:
            found.add("composition", name, [explained("composition", error, where)])
            continue
        planned, problems = _planned(request, "composition", where, tool_plans)
        problems = [each for each in problems if not found.has(f"conf/tool/{request.tool}.yaml", each.what)]
        found.add("composition", name, problems)
        found.add("organizer", name, [] if problems else files[name])
        inner = checks.check_inner_experiment(request)
        found.add("experiment", name, inner)
        found.add("experiment", name, checks.check_experiment_is_handed_over(request))
        if planned is not None:
            found.add("parameters", name, checks.check_parameters(planned))
        if planned is not None and not inner:
            plans.append(planned)
    return plans


def _planned(
    request: Request, check: str, where: str, tool_plans: ToolPlanCache | None = None
) -> tuple[Plan | None, list[Problem]]:
    try:
        return plan(request, tool_plans), []
    except Exception as error:
        return None, [explained(check, error, where)]


def _as_data(problem: Problem) -> dict[str, object]:
    return {**dataclasses.asdict(problem), "severity": problem.severity.value}


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
