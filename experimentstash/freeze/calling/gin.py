"""gin: `--gin_bindings='scope/function.key = LITERAL'`, and `--gin_file` for an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import absl, literals, ways, words
from experimentstash.freeze.calling.command_line import canonical, given_options, refuse_bare, refuse_twice, subcommand
from experimentstash.freeze.calling.style import OF_OPTIONS, Style, of_words
from experimentstash.freeze.calling.ways import Way
from experimentstash.stash.schema import CallConfig, CallStyle, ListStyle

_KEY = regex(r"(?:[A-Za-z_]\w*/)*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> list[str]:
    """Return the words after the entrypoint. A key that begins with a dash is a flag of the tool itself."""
    refuse_bare(call)
    literals.refuse_settings(call, "lists")
    if call.lists not in (None, ListStyle.repeat, ListStyle.spread):
        raise StashError("call.lists: the bindings are repeated or spread.", "write `lists: repeat` or `spread`")
    given = ways.read(call)
    option = call.option if call.option not in (None, "--config") else "--gin_bindings"
    argv = subcommand(call)
    taken: dict[str, str] = {}
    if experiment is not None:
        taken[canonical(call.experiment or "--gin_file")] = "call.experiment"
        argv += words.joined(call.experiment or "--gin_file", experiment)
    bindings = []
    for key, value in literals.once(_leaves(params, given)):
        name = f"params.{key}"
        if key.startswith("-"):
            taken[canonical(key)] = name
            argv += absl.DIALECT.arguments(CallConfig(ways=_own(call, key)), None, {key: value}, [], run_directory)
            continue
        if not _KEY.fullmatch(key):
            raise StashError(f"{name}: {key!r} can't be bound by gin.", "write it as `scope/function.parameter`")
        is_raw = literals.way(given, key) == "word"
        bindings.append(f"{key} = {words.word(value, name) if is_raw else words.python_text(value, name)}")
    if bindings:
        taken[canonical(option)] = "params"
    if call.lists is ListStyle.spread and bindings:
        argv += [option, *bindings]
    else:
        argv += [f"{option}={binding}" for binding in bindings]
    if call.output is not None:
        taken[canonical(call.output)] = "call.output"
        argv += words.joined(call.output, str(run_directory))
    refuse_twice(taken, {key: word for key, word in given_options(extra).items() if key != canonical(option)})
    return [*argv, *extra]


def _leaves(params: Mapping[Any, Any], given: Mapping[str, Way]) -> Iterator[tuple[str, Any]]:
    """Yield what is bound: `function.parameter`, whichever way it is written; a mapping below that is its value."""
    for key, value in literals.leaves(params, given, depth=1):
        if isinstance(value, Mapping) and value and "." not in key and literals.way(given, key) is None:
            yield from literals.leaves({key: value}, given, depth=2)
        else:
            yield key, value


def _own(call: CallConfig, key: str) -> dict[str, Any]:
    return {name: way for name, way in call.ways.items() if name == key}


STYLE = Style(CallStyle.gin, of_words(arguments), settings=(*OF_OPTIONS, "option"), is_of_options=False)
