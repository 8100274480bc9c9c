"""A new experiment organizer, with what its tool can be given as comments."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.patterns import regex
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.stash.layout import Stash
from experimentstash.tools import editor_files, known_parameters, registrations
from experimentstash.tools.known_parameters import Known, Parameter

_NAME = regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_WIDTH = 120
_MOST_NAMED = 30


@dataclass(frozen=True)
class NewExperiment:
    """An organizer that was made."""

    path: Path
    needs: tuple[str, ...]  # parameters that the tool insists on
    is_known: bool  # whether anything is known of what the tool can be given


def make(stash: Stash, name: str, tool: str, experiment: str | None = None) -> NewExperiment:
    """Write ``conf/exp/NAME.yaml`` for a tool; StashError if there is one, or the tool has no such experiment."""
    if not _NAME.fullmatch(name) or name.endswith(".yaml"):
        proposal = name.removesuffix(".yaml")
        hint = f"experimentstash new exp {proposal} --tool {tool}" if _NAME.fullmatch(proposal) else "figure4/my_run"
        raise StashError(f"{name!a} can't be an experiment's name: letters, digits, `_`, `-`, `.` and `/`.", hint)
    path = stash.organizer(name)
    if os.path.lexists(path):
        raise StashError(f"{stash.relative(path)} is there already.", "give another name, or edit that one")
    registration = registrations.read(stash, tool)
    known = known_parameters.of(tool_directory(stash, tool, registration), registration)
    if experiment is not None and known.experiments and experiment not in known.experiments:
        raise StashError(
            f"The tool {tool} has no experiment {experiment!r}.{did_you_mean(experiment, known.experiments)}\n"
            f"Experiments: {', '.join(known.experiments[:_MOST_NAMED])}",
            f"experimentstash new exp {name} --tool {tool} --experiment NAME",
        )
    schema = editor_files.schema_place(stash, tool)
    if schema is not None and not schema.exists():
        files.write_atomically(schema, editor_files.schema_of_tool(stash, tool))
    modeline = "" if schema is None else editor_files.modeline(schema, path)
    files.make_directory(path.parent)
    try:
        files.write(path, text(tool, known, experiment, modeline).encode(), os.O_EXCL)
    except FileExistsError as error:
        raise StashError(f"{stash.relative(path)} is there already.", "give another name") from error
    needs = tuple(each.name for each in known.parameters if each.is_required)
    return NewExperiment(path, needs, known != Known())


def text(tool: str, known: Known, experiment: str | None, modeline: str = "") -> str:
    """Return the text of an organizer; Hydra wants its own line to be the first."""
    lines = [f"# @package _global_\n{modeline}defaults:", f"  - override /tool: {tool}"]
    if experiment is not None:
        lines.append(f"experiment: {registrations.scalar(experiment)}")
    elif known.experiments:
        named = ", ".join(known.experiments[:_MOST_NAMED])
        more = f" and {len(known.experiments) - _MOST_NAMED} more" if len(known.experiments) > _MOST_NAMED else ""
        lines += textwrap.wrap(f"# Of the tool: {named}{more}", _WIDTH, subsequent_indent="# ", break_long_words=False)
        lines.append("experiment: null")
    lines += ['description: ""', f"tags: [{tool}]", "# estimated_runtime: 30m"]
    required = [each for each in known.parameters if each.is_required]
    others = [each for each in known.parameters if not each.is_required]
    if known.parameters:
        lines.append("params:" if required else "# params:")
    lines += [f'  {registrations.scalar(each.name)}: "???"  # the tool insists on it{_said(each)}' for each in required]
    lines += [_default(each) for each in others]
    return "\n".join(lines) + "\n"


def _default(parameter: Parameter) -> str:
    name = registrations.scalar(parameter.name)
    said = _said(parameter).removeprefix("; ")
    return f"#   {name}:{f' {parameter.default}' if parameter.default else ''}{f'  # {said}' if said else ''}"


def _said(parameter: Parameter) -> str:
    choices = f"one of {', '.join(parameter.choices[:_MOST_NAMED])}" if parameter.choices else ""
    said = [each for each in (choices or parameter.kind, parameter.help) if each]
    return "".join(f"; {each}" for each in said)
