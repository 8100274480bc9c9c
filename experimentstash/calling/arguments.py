"""From an experiment's parameters to the command-line arguments of its tool, in each of the four styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experimentstash.calling import file, hydra, options, words
from experimentstash.schema import CallConfig, CallStyle


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
    line can't express. ``extra`` comes last, as it is; two parsers are particular about it. argparse takes its words
    for part of a list just before it (when all parameters are lists in the style `spread`): begin it with an option or
    ``--``. Hydra reads no override after an option that follows an override: put overrides before options.
    """
    words.reject_nul("experiment", experiment or "")
    for text in extra:
        words.reject_nul("arguments", text)
    if call.style is CallStyle.hydra:
        argv = hydra.arguments(call, experiment, params, run_directory, tool_directory, stash_root)
        return Arguments((*argv, *extra))
    if call.style is CallStyle.options:
        return Arguments((*options.arguments(call, experiment, params, run_directory), *extra))
    if call.style is CallStyle.file:
        name = f"params.{call.format.value}"
        option = [call.option] if call.option else []
        text = file.text(call, experiment, params, run_directory)
        return Arguments((*option, str(run_directory / name), *extra), {name: text})
    return Arguments(tuple(extra))
