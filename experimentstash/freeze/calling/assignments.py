"""`key=value` as it is, for make, shell scripts and programs that take it apart themselves: nothing is quoted.

What reads YAML there has the style `key_value`.
"""

from __future__ import annotations

from experimentstash.base.errors import StashError
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Arguments, Given, Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.assignments,
    possible=frozenset({"word", "value", "comma", "json", "yaml", "python", "dotted", "omit"}),
    usual={"mapping": "dotted"},
    is_joined=True,
    is_bare=True,
)


def _write(given: Given) -> Arguments:
    written = of_words(DIALECT.arguments)(given)
    keys = {word.partition("=")[0] for word in written.argv[: len(written.argv) - len(given.extra)] if "=" in word}
    for word in given.extra:
        key, is_update, _ = word.partition("=")
        if is_update and key in keys:
            raise StashError(f"{word!r} of `arguments` says again what the parameters say.", "keep one of them")
    return written


STYLE = Style(
    CallStyle.assignments,
    _write,
    settings=("subcommand", "experiment", "output", "ways", "lists", "booleans", "mappings", "nulls"),
    asks_the_source=False,
)
