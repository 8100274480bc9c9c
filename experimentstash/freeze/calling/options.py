"""`--key value` for a parser that nothing is known of: what could be written in several ways has to be said."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.options,
    possible=frozenset(ways.EVERY),
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    has_short=True,
)
arguments = DIALECT.arguments
