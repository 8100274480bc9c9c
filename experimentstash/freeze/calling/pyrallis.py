"""pyrallis and draccus: each value is YAML."""

from __future__ import annotations

from experimentstash.freeze.calling.command_line import Dialect, only_text
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.freeze.declared.kinds import Reading
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.pyrallis,
    possible=frozenset({"word", "yaml", "json", "value", "dotted"}),
    usual={"text": "yaml", "number": "yaml"},
    is_joined=True,
    abbreviates=True,
    separator="_",
    check_text=only_text,
)
STYLE = Style(CallStyle.pyrallis, of_words(DIALECT.arguments), reading=Reading.exact)
