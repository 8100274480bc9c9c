"""What the runs of one launch share: their tools' code, secured once, and what is looked at, or said, only once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.code.provenance import Checkouts
from experimentstash.freeze.freeze import left_at, written_at
from experimentstash.freeze.plan import Plan, Request, ToolPlanCache, is_built_in_job, plan
from experimentstash.freeze.signature import Signer
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.launch.done_before import DoneBefore
from experimentstash.stash import paths
from experimentstash.stash.schema import CodeMode

if TYPE_CHECKING:
    from experimentstash.code.apart import Plot
    from experimentstash.code.worktrees import Frozen


class SharedByRuns:
    """All runs of a sweep see one state of their tools' code."""

    def __init__(self) -> None:
        self.checkouts = Checkouts()
        self.tool_plans = ToolPlanCache()
        self.signer = Signer()
        self.done_before = DoneBefore()
        self._frozen: dict[tuple[object, ...], Frozen | None] = {}  # None: git doesn't know the tool
        self._plots: dict[tuple[object, ...], Plot | None] = {}
        self._programs: dict[tuple[str, ...], StashError | None] = {}  # those that were looked for
        self._unbuilt: dict[str, StashError] = {}  # builds that have failed, with what they said
        self._said: set[str] = set()

    def say_once(self, line: str) -> None:
        """Say what need not be said of each run."""
        if line not in self._said:
            self._said.add(line)
            say(line)

    def frozen_code(self, request: Request) -> Frozen | None:
        """Return the code that a run uses instead of its tool's checkout; None: it doesn't.

        StashError if frozen code was asked for and git doesn't know the tool; where it is only the default, that is
        said.
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
            self.say_once(
                f"{request.tool} is a package of {tool.environment.interpreter}: don't change that while runs wait"
            )
            return None
        found = self._secured(request)
        if found is None and config.code is CodeMode.frozen:
            raise StashError(
                f"code=frozen: git knows nothing of {tool.path}, so its code can't be frozen.",
                f"commit it (git add {shlex.quote(tool.path or '')}), or use it as it is: code=live",
            )
        if found is None:
            self.say_once(
                f"{tool.path} is no git checkout: its code is used live, so don't edit it while runs are queued"
            )
        return found

    def plot(self, request: Request, *, is_parallel: bool) -> Plot | None:
        """Return how a run is kept apart from those at work at the same time; None if it need not be, or can't be."""
        config, stash, name = request.config, request.stash, request.tool
        if not is_parallel or config.code is CodeMode.live or not config.tool.path:
            return None
        outputs = written_at(request)
        if not outputs:
            return None
        from experimentstash.code import apart

        key = (*_code_key(request), *outputs)
        if key not in self._plots:
            frozen = self._secured(request)
            live = tool_directory(stash, name, config.tool, is_needed=config.tool.commit is None)
            self._plots[key] = (
                None
                if frozen is None
                else apart.plot(stash, config.tool, live, frozen, outputs, is_frozen=request.to_be_frozen)
            )
            if self._plots[key] is not None:
                say(f"{name} writes into its checkout ({', '.join(outputs[:3])}): each run gets a copy of its code")
        return self._plots[key]

    def built(self, planned: Plan) -> Plan:
        """Build a run's tool if that is to be done; return its plan, in which there is what was built by then."""
        build = planned.build
        if build is None or build.is_ready():
            return planned
        if build.in_job and build.place is None:
            raise StashError(
                f"{paths.registration(build.name)}: build_in: job: the code is used live, and may be changed until the"
                " job begins.",
                "code=frozen, or build_in: here",
            )
        from experimentstash.freeze.build import make
        from experimentstash.freeze.environment import store as environments

        request = planned.request
        if (failed := self._unbuilt.get(build.key)) is not None:  # for all runs of a sweep once
            raise failed
        was_ready = environments.is_ready(planned.recipe)
        environments.make(planned.recipe, announce=say)
        if not (was_ready and build.in_job):  # it may have been planned without the programs of its environment
            self.tool_plans.forget(request.tool)
            planned = plan(request, self.tool_plans)
            build = planned.build
        if build is None or build.in_job or build.is_ready():
            return planned
        try:
            make.make(request.stash, request.config.tool, build, say)
        except make.NotBuilt as error:
            self._unbuilt[build.key] = error
            raise
        self.tool_plans.forget(request.tool)
        return plan(request, self.tool_plans)

    def refuse_missing_program(self, planned: Plan) -> None:
        """Raise StashError if what is to be started doesn't exist."""
        from experimentstash.freeze.environment import store as environments
        from experimentstash.freeze.program import here, missing_program

        argv, recipe = planned.command.argv, planned.recipe
        started = [str(here(planned, "")), str(here(planned, argv[0])) if "/" in argv[0] else argv[0]]
        what = argv[1 : 3 if argv[1:2] == ["-m"] else 2]
        if planned.notebook is not None:  # what runs it is in each run's own directory
            what = [str(planned.notebook.path)]
        key = (recipe.key, *started, *what)
        if key not in self._programs:
            mistake = missing_program(planned)
            if mistake is not None:
                where = paths.registration(planned.request.tool)
                mistake = StashError(f"{where}: {mistake.message}.", mistake.hint)
            self._programs[key] = mistake
            is_elsewhere = "/" not in argv[0] or argv[1:2] == ["-m"]
            if not (planned.build is None or planned.build.in_job or planned.build.is_ready()):
                say(f"{planned.request.tool!r} is not built yet: whether that makes what is started can't be told")
            elif is_elsewhere and not environments.is_ready(recipe):
                say(f"the environment of {recipe.name!r} is not made yet: whether it has what is started can't be told")
        if (mistake := self._programs[key]) is not None:
            raise mistake

    def _secured(self, request: Request) -> Frozen | None:
        """Return the code of a run's tool; None if git doesn't know it."""
        from experimentstash.code import pins, worktrees

        key = _code_key(request)
        if key not in self._frozen:
            stash, name, tool = request.stash, request.tool, request.config.tool
            directory = tool_directory(stash, name, tool, is_needed=tool.commit is None)
            # Copies of a checkout have what is changed and not committed, as the checkout itself.
            pin = pins.read(stash, name, tool, directory) if request.to_be_frozen else None
            user, outputs = request.sweep or request.directory, left_at(request)
            self._frozen[key] = worktrees.ensure_worktree(
                stash, name, directory, tool, user, say, pin, outputs, built_by=built_by(request, directory)
            )
        return self._frozen[key]


def built_by(request: Request, directory: Path) -> str:
    """Return what tells a build in frozen code itself from others of it; empty if there is none."""
    if not request.config.tool.build:
        return ""
    from experimentstash.freeze.build import builds

    return builds.mark(request.tool, request.config.tool, directory, in_job=is_built_in_job(request))


def _code_key(request: Request) -> tuple[object, ...]:
    """Return what decides which code a run gets."""
    tool = request.config.tool
    paths = (tool.path, *tool.shared, tool.call.config_dir, tool.call.config_path)
    return request.tool, tool.commit, request.to_be_frozen, repr(tool.build), *paths
