"""From an experiment's parameters to the command-line arguments of its tool, in the dialect that the tool reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.freeze.calling import (
    absl,
    argparse,
    click,
    file,
    fire,
    gin,
    hf,
    hydra,
    jsonargparse,
    key_value,
    literals,
    ml_collections,
    options,
    pyrallis,
    sacred,
    simple_parsing,
    typer,
    tyro,
    words,
)
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallConfig, CallStyle

# Those that write words alone. The next one is a file more, and a line here.
_COMMAND_LINES = {
    CallStyle.options: options.arguments,
    CallStyle.argparse: argparse.arguments,
    CallStyle.click: click.arguments,
    CallStyle.typer: typer.arguments,
    CallStyle.tyro: tyro.arguments,
    CallStyle.absl: absl.arguments,
    CallStyle.ml_collections: ml_collections.arguments,
    CallStyle.gin: gin.arguments,
    CallStyle.fire: fire.arguments,
    CallStyle.hf: hf.arguments,
    CallStyle.jsonargparse: jsonargparse.arguments,
    CallStyle.simple_parsing: simple_parsing.arguments,
    CallStyle.pyrallis: pyrallis.arguments,
    CallStyle.sacred: sacred.arguments,
    CallStyle.key_value: key_value.arguments,
}


@dataclass(frozen=True)
class Arguments:
    """What a tool is called with."""

    argv: tuple[str, ...]  # after the entrypoint
    files: Mapping[str, str] = field(default_factory=dict)  # name in the run directory → text


def build(
    call: CallConfig,
    experiment: str | None,
    params: Mapping[str, Any],
    extra: Sequence[str],
    *,
    run_directory: Path,
    tool_directory: Path,
    stash_root: Path,
) -> Arguments:
    """Return the arguments that hand ``experiment`` and ``params`` to a tool.

    ``params`` holds plain Python values; the tool reads exactly these, or StashError names the one that its command
    line can't express. ``extra`` comes last, as it is. Hydra reads no override after an option that follows an
    override: put overrides before options.
    """
    words.reject_nul("experiment", experiment or "")
    for text in extra:
        words.reject_nul("arguments", text)
    if call.style in (CallStyle.hydra, CallStyle.arguments):
        literals.refuse_settings(call)
        literals.refuse_ways(call)
    if call.style is CallStyle.hydra:
        argv = hydra.arguments(call, experiment, params, run_directory, tool_directory, stash_root, extra)
        return Arguments((*subcommand(call), *argv, *extra))
    params = parameters.apart(params)
    if call.style is CallStyle.file:
        words_given, files = file.arguments(call, experiment, params, extra, run_directory)
        return Arguments(tuple(words_given), files)
    if call.style is CallStyle.arguments:
        return Arguments((*subcommand(call), *extra))
    return Arguments(tuple(_COMMAND_LINES[call.style](call, experiment, params, extra, run_directory)))
