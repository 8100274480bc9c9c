"""Parameters as YAML, which every version of it reads as the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def text(content: Mapping[Any, Any]) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    # Strings such as 1e-5 or 0o17, which YAML 1.2 and OmegaConf read as numbers, but PyYAML doesn't, get quotes.
    number = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))
