"""typer: click with types. Underscores in names are dashes, a boolean is a pair of options, a list repeats its own."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.typer,
    possible=frozenset(ways.EVERY) - {"nonempty"},
    separator="-",
)
STYLE = Style(CallStyle.typer, of_words(DIALECT.arguments))
