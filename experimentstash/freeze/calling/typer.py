"""typer: click with types. Underscores in names are dashes, a boolean is a pair of options, a list repeats its own."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.typer,
    possible=frozenset(ways.EVERY) - {"nonempty"},
    separator="-",
)
arguments = DIALECT.arguments
