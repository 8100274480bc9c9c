"""Checks of experiments: of their files, and of what they hand over to their tools."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base import durations
from experimentstash.base.errors import did_you_mean
from experimentstash.freeze import calls
from experimentstash.freeze.freeze import draft
from experimentstash.freeze.plan import Plan, Request
from experimentstash.runs.past import Past
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizer
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.problem import Problem, organizer_file, warning

# An estimate is off that differs by this factor, and so many seconds, from what so many runs took.
_FACTOR, _SMALL_DIFFERENCE, _FEWEST_RUNS = 2.0, 60.0, 3


def check_organizer(stash: Stash, organizer: Organizer, tools: Sequence[str]) -> list[Problem]:
    """Look at what an organizer's file alone tells: a tool that is registered, a runtime that is one."""
    where = organizer_file(stash, organizer.name)
    if organizer.problem is not None:
        return [Problem("organizer", organizer.problem, where)]
    if organizer.tool is None:
        hint = "write `- override /tool: NAME` in its `defaults:`"
        return [Problem("organizer", "it doesn't say which tool to run", where, hint)]
    if organizer.tool not in tools and "${" not in organizer.tool:
        what = f"there is no tool {organizer.tool!r}.{did_you_mean(organizer.tool, tools)}"
        return [Problem("organizer", what, where, f"experimentstash tool add {shlex.quote(organizer.tool)} URL")]
    if organizer.estimated_runtime is not None and "${" not in organizer.estimated_runtime:
        durations.parse(organizer.estimated_runtime, "estimated_runtime")
    return []


def check_inner_experiment(request: Request) -> list[Problem]:
    """Look whether the experiment that an organizer names exists inside its Hydra tool, by its files alone."""
    name, call, stash = request.config.experiment, request.config.tool.call, request.stash
    if name is None or call.style is not CallStyle.hydra or request.organizer is None:
        return []
    ours = [stash.root / given for given in (call.config_path, call.config_dir) if given]
    own = [Path(os.path.normpath(stash.root / (request.config.tool.path or ""))) / call.configs] if call.configs else []
    if ours and call.experiment is None:
        groups = [*ours, *own]
    else:
        group = (call.experiment or "experiment").lstrip("+~").partition("@")[0]
        groups = [directory / group for directory in (*own, *ours) if (directory / group).is_dir()]
    if not groups or any((directory / f"{name}.yaml").is_file() for directory in groups):
        return []
    valid = sorted(
        {path.relative_to(group).with_suffix("").as_posix() for group in groups for path in group.rglob("*.yaml")}
    )
    places = " or ".join(os.path.relpath(group, stash.root) for group in groups)
    listed = ", ".join(difflib.get_close_matches(name, valid, n=10, cutoff=0.0) if len(valid) > 10 else valid)
    what = f"experiment: {request.tool} has no {name!r} in {places}.{did_you_mean(name, valid)}"
    return [
        Problem("experiment", what, organizer_file(stash, request.organizer), f"valid: {listed}" if listed else None)
    ]


def check_experiment_is_handed_over(planned: Plan) -> list[Problem]:
    """Look whether the experiment that an organizer names, and its parameters, reach the tool at all."""
    request, config = planned.request, planned.request.config
    name, call, unused = config.experiment, config.tool.call, planned.unused
    if unused and request.organizer is not None:
        where, hint = (
            organizer_file(request.stash, request.organizer),
            f"use ${{{unused[0]}}} there, or leave it out",
        )
        return [warning("experiment", f"{', '.join(unused)}: {calls.not_handed_over(call.style)}", where, hint)]
    if planned.is_heard or request.organizer is None:
        return []
    hint = "use ${experiment} in `arguments`" if call.style is CallStyle.arguments else "set `call: {experiment: …}`"
    what = f"experiment: {name!r} doesn't reach {request.tool}: the style {call.style.value} hands none over"
    return [warning("experiment", what, organizer_file(request.stash, request.organizer), f"{hint}, or leave it out")]


def check_estimated_runtime(planned: Plan, past: Past) -> list[Problem]:
    """Compare the runtime that an experiment is said to have with what its runs took."""
    request, said = planned.request, planned.estimated_runtime
    estimate = None if said is None or request.organizer is None else past.of(draft(planned))
    if said is None or request.organizer is None or estimate is None or estimate.count < _FEWEST_RUNS:
        return []
    factor = max(estimate.seconds, said) / max(1.0, min(estimate.seconds, said))
    if factor < _FACTOR or abs(estimate.seconds - said) < _SMALL_DIFFERENCE:
        return []
    took = durations.describe(estimate.seconds)
    what = (
        f"estimated_runtime: {durations.describe(said)}, but its runs took {took}, {factor:.2g} times"
        f" {'as long' if estimate.seconds > said else 'less'}: the median of {estimate.basis}"
    )
    hint = f"write `estimated_runtime: {took}`"
    return [warning("runtime", what, organizer_file(request.stash, request.organizer), hint)]


def check_parameters(planned: Plan) -> list[Problem]:
    """Look for parameters that the tool's own source doesn't declare; it may declare more than can be read."""
    request = planned.request
    if request.organizer is None:
        return []
    names = calls.undeclared(planned.calling, request.config.params)
    declared = [option.name for option in planned.calling.program.declared.options if not option.is_positional]
    where = organizer_file(request.stash, request.organizer)
    return [
        warning(
            "parameters",
            f"params.{name}: {request.tool} doesn't seem to know it.{did_you_mean(name, declared)}",
            where,
            "fix its name, or assign it in the tagged cell"
            if planned.notebook is not None
            else f"fix its name, or if the tool takes it: `call: {{ways: {{{name}: word}}}}` in the registration",
        )
        for name in names
    ] + [warning("parameters", said, where, "assign it in the tagged cell alone") for said in planned.overwritten]
