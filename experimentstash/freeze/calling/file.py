"""Parameters as one YAML or JSON file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.freeze.calling import literals, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallConfig, CallStyle, FileFormat


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], extra: Sequence[str], run_directory: Path
) -> tuple[list[str], dict[str, str]]:
    """Return the words after the entrypoint, and the file by its name in the run directory."""
    literals.refuse_settings(call)
    literals.refuse_ways(call)
    name = f"params.{call.format.value}"
    option = [call.option] if call.option else []
    content = _content(call, experiment, params, run_directory)
    text = words.json_text(content, "params", indent=2) + "\n" if call.format is FileFormat.json else _yaml(content)
    return [*subcommand(call), *option, str(run_directory / name), *extra], {name: text}


def _content(call: CallConfig, experiment: str | None, params: Mapping[str, Any], directory: Path) -> dict[Any, Any]:
    """Return what stands in the file: dotted keys are nested ones, and no key has two values."""
    content: dict[Any, Any] = {}
    if call.experiment is not None and experiment is not None:
        words.put(content, call.experiment, experiment, "call.experiment")
    for key, value in words.nested(params).items():
        words.put(content, key, value, f"params.{key}", is_path=False)
    if call.output is not None:
        words.put(content, call.output, str(directory), "call.output")
    return content


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    # Strings such as 1e-5 or 0o17, which YAML 1.2 and OmegaConf read as numbers, but PyYAML doesn't, get quotes.
    number = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))


def _write(given: Given) -> Arguments:
    params = parameters.apart(given.params)
    argv, files = arguments(given.call, given.experiment, params, given.extra, given.run_directory)
    return Arguments(tuple(argv), files)


STYLE = Style(
    CallStyle.file,
    _write,
    settings=("subcommand", "experiment", "output", "option", "format"),
    asks_the_source=False,
)
