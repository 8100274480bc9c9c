"""Lets Hydra tools compose their own configuration, each in its own environment, with exactly what a run would pass.

Nothing runs: ``--cfg all`` makes a Hydra application print its configuration and end.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError, run
from experimentstash.execute import arrived
from experimentstash.execute.advice import diagnose
from experimentstash.execute.tool_environment import tool_environment
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.freeze import draft
from experimentstash.freeze.plan import Plan
from experimentstash.record.run import Code
from experimentstash.stash.schema import CallStyle
from experimentstash.validate.problem import Problem, Severity, explained, organizer_file

# Seconds that a tool may take to compose: what it imports can be large, and on a network file system.
PATIENCE = 300.0
_MOST_LINES = 8
# What Hydra prints begins with its own settings.
_BEGINNING = regex(r"^hydra:$", re.MULTILINE)
# With these a Hydra application does something else than to run a job.
_OTHER_MODES = {"-m", "--multirun", "-r", "--run", "-c", "--cfg", "-i", "--info", "-h", "--help", "--hydra-help"}
_NOISE = ("Set the environment variable HYDRA_FULL_ERROR", "See https://hydra.cc", "This behavior is deprecated")


def can_compose(planned: Plan) -> bool:
    """Tell whether a run is one that its tool can compose without running it."""
    config = planned.request.config
    return config.tool.call.style is CallStyle.hydra and not _OTHER_MODES & set(config.arguments)


def check_deep(
    plans: Sequence[Plan], report: Callable[[str, Sequence[Problem]], None], patience: float = PATIENCE
) -> None:
    """Let each tool compose its configuration, several at a time; ``report`` gets an organizer's name and problems."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for planned, found in zip(
            plans, pool.map(lambda each: _check(each, Path(scratch), patience), plans), strict=True
        ):
            report(planned.request.organizer or planned.request.tool, found)


def _check(planned: Plan, scratch: Path, patience: float) -> list[Problem]:
    request, command = planned.request, planned.command
    where = organizer_file(request.stash, request.organizer or "")
    if not environments.is_ready(planned.recipe):
        what = "its tool could not compose it, because the tool's environment is not made yet"
        return [Problem("deep", what, where, f"experimentstash tool sync {request.tool}", Severity.warning)]
    named = draft(planned)
    named.spec = replace(named.spec, code=Code(path=str(planned.directory)))
    try:
        environment = tool_environment(named, planned.secrets)
        environment.pop("HYDRA_FULL_ERROR", None)
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        cwd = scratch if request.config.tool.working_directory == "run" else Path(command.cwd)
        said = run([*command.argv, "--cfg", "all"], cwd=cwd, env=environment, timeout=patience).stdout
    except CommandError as error:
        said = error.stderr or error.stdout
        hint = diagnose(named, said) or "fix `params:` or `experiment:` there"  # as a run would be told
        return [Problem("deep", f"{request.tool} can't compose it:\n" + "\n".join(_meaningful(said)), where, hint)]
    except StashError as error:
        return [explained("deep", error, where)]
    composed = arrived.parse(said[found.start() :]) if (found := _BEGINNING.search(said)) else None
    if not isinstance(composed, dict):
        return []  # it prints something of its own in between
    return [
        Problem("deep", f"{request.tool} composes something else: {each}", where, "fix `params:` there")
        for each in arrived.differences(planned.params, composed, arrived.choices(composed))
    ]


def _meaningful(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith(_NOISE)]
    return lines[-_MOST_LINES:] or ["it said nothing"]
