"""`--key value` for a parser that nothing is known of: what could be written in several ways has to be said."""

from __future__ import annotations

from experimentstash.freeze.calling import ways
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.options,
    possible=frozenset(ways.EVERY),
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    has_short=True,
)
STYLE = Style(CallStyle.options, of_words(DIALECT.arguments), also_reads=(CallStyle.argparse, CallStyle.click))
