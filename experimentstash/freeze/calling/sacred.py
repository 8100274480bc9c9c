"""sacred: `[COMMAND] [OPTIONS] with NAMED_CONFIG key=LITERAL`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling import literals, ways, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallConfig, CallStyle


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> list[str]:
    """Return the words after the entrypoint; ``extra`` are sacred's options, or further updates."""
    literals.refuse_settings(call)
    given = ways.read(call)
    updates: dict[str, str] = {}
    named = []
    if experiment is not None and call.experiment is None:
        if "=" in experiment or experiment.startswith("-"):
            raise StashError(f"The experiment {experiment!r} is no name of a named config.", "rename it")
        named = [experiment]
    elif experiment is not None and call.experiment is not None:
        updates[call.experiment] = words.python_text(experiment, "experiment")
    output = []
    if call.output is not None and call.output.startswith("-"):
        output = words.joined(call.output, str(run_directory))
    for key, value in literals.once(literals.leaves(params, given)):
        name = f"params.{key}"
        if not key or key.startswith(("-", "@")) or any(each.isspace() or each == "=" for each in key):
            raise StashError(f"{name}: {key!r} can't be a key of sacred's command line.", "rename it")
        if isinstance(value, Mapping) and not value:
            raise StashError(f"{name} is an empty mapping, which sacred merges without effect.", "leave it out")
        if key in updates:
            raise StashError(f"{name} and call.experiment are one key to the tool.", "keep one of them")
        raw = literals.way(given, key) == "word"
        updates[key] = words.word(value, name) if raw else words.python_text(value, name)
    if call.output is not None and not output:
        if call.output in updates:
            raise StashError(f"params.{call.output} and call.output are one key to the tool.", "keep one of them")
        updates[call.output] = words.python_text(str(run_directory), "the run directory")
    for word in extra:
        key, is_update, _ = word.partition("=")
        if (is_update and key in updates) or (word == "with" and (updates or named)):
            raise StashError(f"{word!r} of `arguments` says again what the parameters say.", "keep one of them")
    written = [f"{key}={text}" for key, text in updates.items()]
    return [*subcommand(call), *output, *(["with", *named, *written] if named or written else []), *extra]


STYLE = Style(CallStyle.sacred, of_words(arguments))
