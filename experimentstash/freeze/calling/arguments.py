"""From an experiment's parameters to the command-line arguments of its tool, in the style that the tool reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.freeze.calling import words
from experimentstash.freeze.calling.style import Arguments as Arguments
from experimentstash.freeze.calling.style import Given, Style
from experimentstash.stash.schema import CallConfig, CallStyle

if TYPE_CHECKING:
    from experimentstash.freeze.notebooks.source import Notebook

# Styles whose files aren't called as they are.
_FILES = {CallStyle.arguments: "bare"}


@functools.cache
def style_of(name: CallStyle) -> Style:
    """Return a style. Its file is read now: a run needs that of its tool alone."""
    style: Style = import_module(f"{__package__}.{_FILES.get(name, name.value)}").STYLE
    return style


def build(
    call: CallConfig,
    experiment: str | None,
    params: Mapping[str, Any],
    extra: Sequence[str],
    *,
    run_directory: Path,
    tool_directory: Path,
    stash_root: Path,
    notebook: Notebook | None = None,
) -> Arguments:
    """Return the arguments that hand ``experiment`` and ``params`` to a tool.

    ``params`` holds plain Python values; the tool reads exactly these, or StashError names the one that its command
    line can't express. ``extra`` comes last, as it is. Hydra reads no override after an option that follows an
    override: put overrides before options.
    """
    words.reject_nul("experiment", experiment or "")
    for text in extra:
        words.reject_nul("arguments", text)
    given = Given(call, experiment, params, extra, run_directory, tool_directory, stash_root, notebook)
    return style_of(call.style).write(given)
