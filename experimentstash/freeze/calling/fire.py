"""fire: `--key=LITERAL`. It reads every value as a Python literal; a word without an option is the next positional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import literals, ways, words
from experimentstash.freeze.calling.command_line import (
    OPTION_KEY,
    canonical,
    given_options,
    positional_experiment,
    refuse_bare,
    refuse_other_mode,
    refuse_twice,
    subcommand,
)
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallConfig, CallStyle

# Strings that fire reads as themselves.
_BARE = regex(r"[A-Za-z_/][A-Za-z0-9_./-]*")


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> list[str]:
    """Return the words after the entrypoint."""
    refuse_bare(call)
    literals.refuse_settings(call)
    given = ways.read(call)
    values: dict[str, tuple[Any, str]] = {}
    argv = subcommand(call)
    if experiment is not None and call.experiment == "positional":
        argv += positional_experiment(_literal(experiment, "experiment"))
    elif experiment is not None and call.experiment is not None:
        values[call.experiment] = experiment, "call.experiment"
    # fire's functions take no nested keys: a mapping is one value.
    values |= {
        words.word(key, "a key of params"): (value, f"params.{key}") for key, value in words.nested(params).items()
    }
    if call.output is not None:
        values[call.output] = str(run_directory), "call.output"
    taken: dict[str, str] = {}
    for key, (value, name) in values.items():
        if not OPTION_KEY.fullmatch(key):
            raise StashError(f"{name} can't be an option: {key!r} is empty or has spaces or `=`.", "rename it")
        refuse_other_mode(key, name, given)
        if taken.setdefault(canonical(key), name) != name:
            raise StashError(f"{taken[canonical(key)]} and {name} are one option to the tool.", "keep one of them")
        way = literals.way(given, key)
        text = words.word(value, name) if way == "word" else _literal(value, name)
        argv.append(f"--{key.lstrip('-')}={text}")
    refuse_twice(taken, given_options(extra))
    return [*argv, *extra]


def _literal(value: Any, name: str) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value not in ("True", "False", "None"):
        return value
    return words.python_text(value, name)


STYLE = Style(CallStyle.fire, of_words(arguments))
