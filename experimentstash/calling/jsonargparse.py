"""jsonargparse and LightningCLI: each value is read as its parameter's type, lists and mappings as YAML."""

from __future__ import annotations

import re

from experimentstash.calling.command_line import Dialect
from experimentstash.errors import StashError
from experimentstash.schema import CallStyle

# What its loader takes for something else than a string where the parameter's type leaves that open.
_NO_STRING = re.compile(
    r"~|null|true|false|yes|no|on|off|[-+]?(?:[0-9][0-9_.:]*|\.[0-9_]+)(?:e[-+]?[0-9]+)?|0[xo][0-9a-f_]+"
    r"|[-+]?\.(?:inf|nan)|[\[{].*",
    re.IGNORECASE | re.DOTALL,
)


def _is_itself(text: str) -> bool:
    """Tell whether YAML reads a string as this string."""
    import yaml

    try:
        return text == "" or bool(yaml.safe_load(text) == text)
    except (yaml.YAMLError, ValueError):
        return False


def _check_text(text: str, name: str) -> None:
    if _NO_STRING.fullmatch(text.strip()) or not _is_itself(text):
        key = name.removeprefix("params.")
        raise StashError(
            f"{name} is a string that jsonargparse takes for something else unless its type is `str`.",
            f"give what it is meant to be, or say that the type is `str`: `call: {{ways: {{{key}: word}}}}`",
        )


DIALECT = Dialect(
    style=CallStyle.jsonargparse,
    possible=frozenset({"word", "value", "json", "yaml", "dotted", "omit"}),
    usual={"boolean": "value", "list": "yaml", "null": "yaml", "mapping": "dotted", "number": "yaml"},
    is_joined=True,
    other_modes=frozenset({"print_config", "print_shtab"}),
    loses_dashes=True,
    abbreviates=True,
    check_text=_check_text,
)
arguments = DIALECT.arguments
