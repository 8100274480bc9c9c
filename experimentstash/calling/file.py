"""Parameters as one YAML or JSON file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experimentstash.calling import words
from experimentstash.schema import CallConfig, FileFormat


def text(call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path) -> str:
    content: dict[str, Any] = {}
    if call.experiment is not None and experiment is not None:
        content[call.experiment] = experiment
    content |= {key: value for key, value in params.items() if key not in content}
    if call.output is not None:
        content[call.output] = str(run_directory)
    return words.json_text(content, "params", indent=2) + "\n" if call.format is FileFormat.json else _yaml(content)


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    # Strings such as 1e-5 or 0o17, which YAML 1.2 and OmegaConf read as numbers, but PyYAML doesn't, get quotes.
    number = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))
