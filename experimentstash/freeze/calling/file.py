"""Parameters as one file, in one of the formats beside this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from experimentstash.freeze.calling import literals, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallConfig, CallStyle


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> tuple[list[str], dict[str, str]]:
    """Return the words after the entrypoint, and the file by its name in the run directory."""
    literals.refuse_settings(call)
    literals.refuse_ways(call)
    name = f"params.{call.format.value}"
    option = [call.option] if call.option else []
    written = import_module(f"{__package__}.formats.{call.format.value}")  # a run needs that of its tool alone
    text: str = written.text(content(call, experiment, params, run_directory))
    return [*subcommand(call), *option, str(run_directory / name), *extra], {name: text}


def content(call: CallConfig, experiment: str | None, params: Mapping[str, Any], directory: Path) -> dict[Any, Any]:
    """Return what stands in the file: dotted keys are nested ones, and no key has two values."""
    found: dict[Any, Any] = {}
    if call.experiment is not None and experiment is not None:
        words.put(found, call.experiment, experiment, "call.experiment")
    for key, value in words.nested(params).items():
        words.put(found, key, value, f"params.{key}", is_path=False)
    if call.output is not None:
        words.put(found, call.output, str(directory), "call.output")
    return found


def _write(given: Given) -> Arguments:
    params = parameters.apart(given.params)
    argv, files = arguments(given.call, given.experiment, params, given.extra, given.run_directory)
    return Arguments(tuple(argv), files)


STYLE = Style(
    CallStyle.file,
    _write,
    settings=("subcommand", "experiment", "output", "option", "format"),
    asks_the_source=False,
)
