"""transformers' HfArgumentParser: argparse for dataclasses; every boolean takes a word, every list all that follow."""

from __future__ import annotations

from experimentstash.calling.command_line import Dialect
from experimentstash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.hf,
    possible=frozenset({"word", "value", "spread", "filled", "json", "omit"}),
    usual={"boolean": "value", "list": "filled"},
    is_greedy=True,
    loses_dashes=True,
    abbreviates=True,
    separator="_",
)
arguments = DIALECT.arguments
