"""pyrallis and draccus: each value is YAML."""

from __future__ import annotations

from experimentstash.calling.command_line import Dialect
from experimentstash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.pyrallis,
    possible=frozenset({"yaml", "json", "value", "dotted"}),
    usual={"boolean": "value", "list": "yaml", "null": "yaml", "mapping": "dotted", "text": "yaml", "number": "yaml"},
    is_joined=True,
    abbreviates=True,
    separator="_",
)
arguments = DIALECT.arguments
