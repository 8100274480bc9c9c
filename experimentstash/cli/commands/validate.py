"""``experimentstash validate``: checks the set-up and says of each problem what, where, and what fixes it.

The exit code is 1 if there is an error: something that can't run, or wouldn't run what the stash says. Warnings (an
environment that isn't made yet, changes that aren't committed) are shown, and leave it at 0.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from typing import TYPE_CHECKING

from experimentstash.base.output import PLAIN, PROSE_WIDTH, Paper, Style, as_prose, paper_of, say
from experimentstash.base.text import counted, filled
from experimentstash.stash.layout import find_stash
from experimentstash.validate.problem import Problem, Severity

if TYPE_CHECKING:
    from experimentstash.validate.engine import Report

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
    from experimentstash.validate.engine import validate  # here: help needs no Hydra, which is slow

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
            if problem.hint:
                lines.append(f"{_MARGIN}→ {problem.hint}")
        lines.append("")
    warnings = len(report.problems) - report.errors
    counts = [counted(count, word) for count, word in ((report.errors, "error"), (warnings, "warning")) if count]
    looked_at = f"{counted(report.tools, 'tool')} and {counted(report.experiments, 'experiment')}"
    lines += [f"note: {each}" for each in report.notes]
    return "\n".join(
        [*lines, f"{counted(len(report.checks), 'check')} of {looked_at}: {', '.join(counts) or 'no problems'}"]
    )


def _as_data(problem: Problem) -> dict[str, object]:
    return {**dataclasses.asdict(problem), "severity": problem.severity.value}
