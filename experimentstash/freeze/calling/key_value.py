"""`key=value` as OmegaConf.from_cli reads it: each value is YAML, each key a path with dots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import literals, ways, words
from experimentstash.freeze.calling.command_line import positional_experiment, subcommand
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallConfig, CallStyle

_KEY = regex(r"[^\s=\[\].\0]+(?:\.[^\s=\[\].\0]+)*")


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> list[str]:
    """Return the words after the entrypoint."""
    literals.refuse_settings(call)
    given = ways.read(call)
    argv = subcommand(call)
    updates: dict[str, str] = {}
    if experiment is not None and call.experiment == "positional":
        argv += positional_experiment(experiment)
    elif experiment is not None and call.experiment is not None:
        updates[call.experiment] = _value(experiment, "experiment")
    for key, value in literals.once(literals.leaves(words.nested(params), given)):
        name = f"params.{key}"
        if not _KEY.fullmatch(key) or key.startswith("-"):
            raise StashError(
                f"{name}: {key!r} can't be the key of `key=value`.", "use no spaces, `=` or brackets in it"
            )
        if key in updates:
            raise StashError(f"{name} and call.experiment are one key to the tool.", "keep one of them")
        raw = literals.way(given, key) == "word"
        updates[key] = words.word(value, name) if raw else _value(value, name)
    if call.output is not None:
        if call.output in updates:
            raise StashError(f"params.{call.output} and call.output are one key to the tool.", "keep one of them")
        updates[call.output] = _value(str(run_directory), "the run directory")
    for word in extra:
        key, is_update, _ = word.partition("=")
        if is_update and key in updates:
            raise StashError(f"{word!r} of `arguments` says again what the parameters say.", "keep one of them")
    return [*argv, *(f"{key}={text}" for key, text in updates.items()), *extra]


def _value(value: Any, name: str) -> str:
    return words.yaml_text(_escaped(value, name), name)


def _escaped(value: Any, name: str) -> Any:
    """Return a value in which OmegaConf sees no interpolation."""
    if isinstance(value, Mapping):
        return {key: _escaped(inner, f"{name}.{key}") for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(inner, f"{name}[{index}]") for index, inner in enumerate(value)]
    if value == "???":
        raise StashError(f"{name} is '???', which to OmegaConf means that it is still to be given.", "give it a value")
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


STYLE = Style(CallStyle.key_value, of_words(arguments))
