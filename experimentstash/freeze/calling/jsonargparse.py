"""jsonargparse and LightningCLI: each value is read as its parameter's type, lists and mappings as YAML."""

from __future__ import annotations

from experimentstash.freeze.calling.command_line import Dialect, only_text
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.freeze.declared.kinds import Reading
from experimentstash.stash.schema import CallStyle

DIALECT = Dialect(
    style=CallStyle.jsonargparse,
    possible=frozenset({"word", "value", "json", "yaml", "dotted", "omit"}),
    usual={"number": "yaml"},
    is_joined=True,
    other_modes=frozenset({"print_config", "print_shtab"}),
    loses_dashes=True,
    abbreviates=True,
    check_text=only_text,
)
STYLE = Style(CallStyle.jsonargparse, of_words(DIALECT.arguments), reading=Reading.yaml)
