"""Checks of what is registered of a tool: its place, how it is called and started."""

from __future__ import annotations

import os
import shlex

from experimentstash.adapters.git.root import toplevel
from experimentstash.code.left_out import shared_paths
from experimentstash.freeze.build.builds import Build
from experimentstash.freeze.calling.arguments import style_of
from experimentstash.freeze.plan import Plan
from experimentstash.freeze.program import missing_program, not_in_frozen_code
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallConfig, ToolConfig
from experimentstash.validate.problem import Problem, registration_file, warning


def check_path(stash: Stash, name: str, tool: ToolConfig) -> list[Problem]:
    """Look whether a tool's directory stays inside the stash, symbolic links and all, and has what is named in it."""
    registration = registration_file(stash, name)
    directory = tool_directory(stash, name, tool)
    if tool.path and os.path.isabs(tool.path):
        hint = f"path: {os.path.relpath(directory, stash.root)}"
        return [warning("registration", "path: is absolute, which holds on this machine alone", registration, hint)]
    if tool.call.configs is not None and not (directory / tool.call.configs).is_dir():
        what = f"call.configs: there is no directory {tool.call.configs} in {tool.path}"
        return [Problem("registration", what, registration)]
    if tool.shared and toplevel(directory) is not None:
        shared_paths(stash, name, tool, directory.resolve())
    missing = [given for given in (tool.call.config_dir, tool.call.config_path) if given]
    missing = [given for given in missing if not (stash.root / given).is_dir()]
    return [Problem("registration", f"there is no directory {given} in the stash", registration) for given in missing]


def check_call(stash: Stash, name: str, call: CallConfig) -> list[Problem]:
    """Look for settings of how a tool is called that its style takes no notice of."""
    usual, where = CallConfig(), registration_file(stash, name)
    given = {each for each, value in vars(call).items() if value != getattr(usual, each)}
    idle = sorted(given - {"style"} - {*style_of(call.style).settings})
    what = "call.{}: it has no effect in the style " + call.style.value
    return [warning("registration", what.format(each), where, f"remove `{each}:`") for each in idle]


def check_entrypoint(planned: Plan) -> list[Problem]:
    """Look whether the module or program that a tool is started by exists, without importing the tool."""
    registration = registration_file(planned.request.stash, planned.request.tool)
    if (missing := missing_program(planned)) is not None:
        return [Problem("entrypoint", missing.message, registration, missing.hint)]
    if (lacking := not_in_frozen_code(planned)) is not None:
        return [warning("entrypoint", lacking.message, registration, lacking.hint)]
    return []


def check_build(build: Build, registration: str) -> list[Problem]:
    """Look whether a tool is built as its code is now, and whether the programs are here that build it."""
    if build.is_ready():
        return []
    missing = [each[0] for each in build.commands if not build.has(each[0])]
    if missing:
        what = f"build: there is no program {missing[0]} here"
        return [Problem("build", what, registration, "install it, load what brings it, or fix `build:` there")]
    what = "the tool is not built yet as its code is now"
    return [warning("build", what, registration, f"experimentstash tool sync {shlex.quote(build.name)}")]
