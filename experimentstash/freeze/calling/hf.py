"""transformers' HfArgumentParser: argparse for dataclasses; every boolean takes a word, every list all that follow."""

from __future__ import annotations

from experimentstash.freeze.calling.command_line import Dialect, only_text
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.hf,
    possible=frozenset({"word", "value", "spread", "filled", "json", "omit"}),
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    separator="_",
    check_text=only_text,
)
STYLE = Style(CallStyle.hf, of_words(DIALECT.arguments))
