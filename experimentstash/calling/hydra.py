"""Parameters as overrides on a Hydra application's command line."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.calling import words
from experimentstash.errors import StashError
from experimentstash.schema import CallConfig

# Hydra's override grammar: https://hydra.cc/docs/1.3/advanced/override_grammar/basic/

_INTEGER = r"(?:0|[1-9](?:_?[0-9])*)"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_-]*"
_SEGMENT = r"[A-Za-z_$][A-Za-z0-9_$-]*"
_PACKAGE = rf"(?:{_SEGMENT}|(?:{_SEGMENT}|{_INTEGER})(?:\.(?:{_SEGMENT}|{_INTEGER}))+)"
_HYDRA_KEY = re.compile(rf"(?:{_PACKAGE}|{_IDENTIFIER}(?:/{_IDENTIFIER})+)(?:@{_PACKAGE}?)?")
_MARKED = re.compile(r"\A(\+\+|\+|~|)(.*)", re.DOTALL)
# Strings that need no quotes, unless Hydra reads them as something else.
_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_NO_STRING = re.compile(
    rf"true|false|null|[+-]?(?:inf|nan|(?:{_INTEGER}(?:\.[0-9_]*)?|\.[0-9_]+)(?:e[+-]?[0-9_]+)?)", re.IGNORECASE
)


def arguments(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path, tool: Path, stash: Path
) -> Iterator[str]:
    given = {"--config-path": call.config_path, "--config-dir": call.config_dir}
    ours = {option: (stash / path).absolute() for option, path in given.items() if path is not None}
    for option, directory in ours.items():
        yield from (option, str(directory))
    if experiment is not None and ours and call.experiment is None:
        yield from words.option("--config-name", experiment)
    elif experiment is not None:
        yield f"{call.experiment or 'experiment'}={_hydra_value(experiment, 'experiment')}"
    yield from _overrides(params, "params", "", "", [*([tool / call.configs] if call.configs else []), *ours.values()])
    output = call.output or "hydra.run.dir"
    if output == "hydra.run.dir" and "${" in str(run_directory):
        raise StashError(f"Hydra can't write to {run_directory}: it takes the ${{ for an interpolation.", "rename it")
    yield f"{output}={_hydra_value(str(run_directory), 'the run directory')}"
    if output == "hydra.run.dir":  # it is our run directory too: the tool's .hydra must not overwrite ours
        yield "hydra.output_subdir=.hydra/tool"


def _overrides(
    params: Mapping[Any, Any], name: str, mark: str, path: str, config_directories: Sequence[Path]
) -> Iterator[str]:
    """Yield one override per leaf. A key that has no place in a dotted path goes as ``path={key:value}``, which Hydra
    merges all the same; that keeps numbers and booleans as keys, too."""
    for key, value in params.items():
        label = f"{name}.{key}"
        own_mark, bare_key = _MARKED.findall(key)[0] if isinstance(key, str) else ("", "")
        here_mark = own_mark or mark
        here = f"{path}.{bare_key}" if path else bare_key
        below_group = "/" in path or "@" in path
        if not bare_key or below_group or not _HYDRA_KEY.fullmatch(here):
            if not path or below_group or here_mark == "~":
                raise StashError(
                    f"{label} can't be written as a Hydra override: {key!r} is not a key of Hydra's.",
                    "use letters, digits, _ - $, with dots between nested keys, or group/subgroup@package",
                )
            yield f"{here_mark}{path}={_hydra_value({bare_key if own_mark else key: value}, name)}"
        elif isinstance(value, Mapping) and value:
            yield from _overrides(value, label, here_mark, here, config_directories)
        elif here_mark == "~" and value is None:
            yield f"~{here}"
        else:
            group = here.replace(".", "/")
            is_choice = isinstance(value, str) and "." in here and _HYDRA_KEY.fullmatch(group)
            # (os.path.isfile, because Path.is_file raises for a value that is too long for a file's name.)
            if is_choice and any(os.path.isfile(each / group / f"{value}.yaml") for each in config_directories):
                here = group
            yield f"{here_mark}{here}={_hydra_value(value, label)}"


def _hydra_value(value: Any, name: str) -> str:
    if isinstance(value, Mapping):
        items = (f"{_hydra_key(key, name)}:{_hydra_value(inner, f'{name}.{key}')}" for key, inner in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_hydra_value(inner, f"{name}[{index}]") for index, inner in enumerate(value)) + "]"
    if not isinstance(value, str):
        return "null" if value is None else words.word(value, name)
    words.reject_nul(name, value)
    if value == "???":
        raise StashError(f"{name} is '???', which to Hydra means that it is still to be given.", f"give {name} a value")
    if _BARE.fullmatch(value) and not _NO_STRING.fullmatch(value):
        return value
    # OmegaConf reads ${ as an interpolation unless an odd number of backslashes stands before it …
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    # … and in Hydra's quotes, backslashes escape only directly before a quote.
    quote = '"' if "'" in text and '"' not in text else "'"
    escaped = re.sub(rf"(\\*)({quote}|\Z)", lambda run: run[1] * 2 + ("\\" + quote if run[2] else ""), text)
    return f"{quote}{escaped}{quote}"


def _hydra_key(key: Any, name: str) -> str:
    """Return a key of a mapping inside a value. Hydra has no quotes there, only backslashes before some characters."""
    if isinstance(key, (bool, int, float)):
        return words.word(key, name)
    readable = isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9_/\-+.$%*@?|\\()\[\]{}:=, \t]+", key)
    if not readable or _NO_STRING.fullmatch(key):
        raise StashError(
            f"{name} has the key {key!r}, which Hydra's override grammar can't express.",
            "rename it, or put it into a config file of the tool",
        )
    return re.sub(r"[\\()\[\]{}:=, \t]", r"\\\g<0>", key)
