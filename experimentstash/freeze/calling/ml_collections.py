"""ml_collections' config_flags: `--config=FILE`, then `--config.key=value`; flags of the tool's own are absl's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import replace
from experimentstash.freeze.calling.command_line import Dialect
from experimentstash.freeze.calling.style import Style, of_words
from experimentstash.stash.schema import CallConfig, CallStyle

DIALECT = Dialect(
    style=CallStyle.ml_collections,
    possible=frozenset({"word", "value", "python", "comma", "repeat", "dotted", "omit", "omit_empty"}),
    usual={"boolean": "value", "list": "python", "mapping": "dotted"},
    is_joined=True,
)


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> list[str]:
    """Return the words after the entrypoint. A key that begins with a dash is a flag of the tool itself."""
    config = call.experiment or "--config"
    named = replace(call, experiment=config)
    return DIALECT.arguments(named, experiment, params, extra, run_directory, prefix=f"{config.lstrip('-')}.")


STYLE = Style(CallStyle.ml_collections, of_words(arguments), is_of_options=False, knows_types=False)
