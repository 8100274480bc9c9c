"""From an experiment's parameters to the command-line arguments of its tool, in the style that the tool reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.freeze.calling import (
    absl,
    argparse,
    bare,
    click,
    file,
    fire,
    gin,
    hf,
    hydra,
    jsonargparse,
    key_value,
    ml_collections,
    options,
    pyrallis,
    sacred,
    simple_parsing,
    typer,
    tyro,
    words,
)
from experimentstash.freeze.calling.style import Arguments as Arguments
from experimentstash.freeze.calling.style import Given, Style
from experimentstash.stash.schema import CallConfig, CallStyle

# The next one is a file more, and a line here.
_EVERY = (
    hydra.STYLE,
    options.STYLE,
    argparse.STYLE,
    click.STYLE,
    typer.STYLE,
    tyro.STYLE,
    absl.STYLE,
    ml_collections.STYLE,
    gin.STYLE,
    fire.STYLE,
    hf.STYLE,
    jsonargparse.STYLE,
    simple_parsing.STYLE,
    pyrallis.STYLE,
    sacred.STYLE,
    key_value.STYLE,
    file.STYLE,
    bare.STYLE,
)
STYLES: Mapping[CallStyle, Style] = {each.name: each for each in _EVERY}


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
    given = Given(call, experiment, params, extra, run_directory, tool_directory, stash_root)
    return STYLES[call.style].write(given)
