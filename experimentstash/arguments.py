"""From an experiment's parameters to the command-line arguments of its tool, in each of the four styles."""

from __future__ import annotations

import json
import math
import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from experimentstash.errors import StashError
from experimentstash.schema import BooleanStyle, CallConfig, CallStyle, FileFormat, ListStyle


@dataclass(frozen=True)
class Arguments:
    """What a tool is called with."""

    argv: tuple[str, ...]  # after the entrypoint
    files: Mapping[str, str] = field(default_factory=dict)  # name in the run directory → text


def build(
    call: CallConfig,
    experiment: str | None,
    params: Mapping[str, Any],
    extra: Sequence[str],
    *,
    run_directory: Path,
    tool_directory: Path,
    stash_root: Path,
) -> Arguments:
    """Return the arguments that hand ``experiment`` and ``params`` to a tool.

    ``params`` holds plain Python values; the tool reads exactly these, or StashError names the one that its command
    line can't express. ``extra`` comes last, as it is; two parsers are particular about it. argparse takes its words
    for part of a list just before it (when all parameters are lists in the style `spread`): begin it with an option or
    ``--``. Hydra reads no override after an option that follows an override: put overrides before options.
    """
    _reject_nul("experiment", experiment or "")
    for text in extra:
        _reject_nul("arguments", text)
    if call.style is CallStyle.hydra:
        argv = _hydra(call, experiment, params, run_directory, tool_directory, stash_root)
        return Arguments((*argv, *extra))
    if call.style is CallStyle.options:
        return Arguments((*_options(call, experiment, params, run_directory), *extra))
    if call.style is CallStyle.file:
        file = f"params.{call.format.value}"
        option = [call.option] if call.option else []
        text = _file_text(call, experiment, params, run_directory)
        return Arguments((*option, str(run_directory / file), *extra), {file: text})
    return Arguments(tuple(extra))


def _reject_nul(name: str, text: str) -> None:
    if "\0" in text:
        raise StashError(f"{name} contains a NUL character, which no command line can carry.", f"remove it from {name}")


# --- hydra -----------------------------------------------------------------------------------------------------------
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


def _hydra(
    call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path, tool: Path, stash: Path
) -> Iterator[str]:
    given = {"--config-path": call.config_path, "--config-dir": call.config_dir}
    ours = {option: (stash / path).absolute() for option, path in given.items() if path is not None}
    for option, directory in ours.items():
        yield from (option, str(directory))
    if experiment is not None and ours and call.experiment is None:
        yield from _option("--config-name", experiment)
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
        return "null" if value is None else _word(value, name)
    _reject_nul(name, value)
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
        return _word(key, name)
    readable = isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9_/\-+.$%*@?|\\()\[\]{}:=, \t]+", key)
    if not readable or _NO_STRING.fullmatch(key):
        raise StashError(
            f"{name} has the key {key!r}, which Hydra's override grammar can't express.",
            "rename it, or put it into a config file of the tool",
        )
    return re.sub(r"[\\()\[\]{}:=, \t]", r"\\\g<0>", key)


# --- options ---------------------------------------------------------------------------------------------------------

_OPTION_KEY = re.compile(r"-{0,2}[^-\s=\0][^\s=\0]*")
_PLAIN_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)  # what every argparse takes for a number, not for an option


def _options(call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path) -> list[str]:
    first: list[str] = []
    if experiment is not None and call.experiment == "positional":
        if experiment.startswith("-"):
            raise StashError(f"The experiment {experiment!r} would be read as an option.", "rename it")
        first = [experiment]
    elif experiment is not None and call.experiment is not None:
        first = _option(call.experiment, experiment)
    spread: list[str] = []  # an option should follow a list, or it goes on with the next positional
    others: list[str] = []
    for key, value in _flat(params):
        name = f"params.{key}"
        if not _OPTION_KEY.fullmatch(key):
            raise StashError(f"{name} can't be an option: {key!r} is empty or has spaces or `=`.", "rename it")
        option = key if key.startswith("-") else f"-{key}" if len(key) == 1 else f"--{key}"
        if isinstance(value, (list, tuple)):
            words = [_word(element, f"{name}[{index}]") for index, element in enumerate(value)]
            if call.lists is ListStyle.spread:
                spread += [option, *_spread(value, words, name)]
            elif call.lists is ListStyle.repeat:
                others += [word for each in words for word in _option(option, each)]
            else:
                others += _comma(option, words, name)
        elif isinstance(value, bool) and call.booleans is not BooleanStyle.value:
            if value:
                others.append(option)
            elif call.booleans is BooleanStyle.negatable:
                others.append(f"--no-{option.lstrip('-')}")
        elif value is not None and not isinstance(value, Mapping):
            others += _option(option, _word(value, name))
    output = _option(call.output, str(run_directory)) if call.output else []
    return [*first, *spread, *others, *output]


def _flat(params: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and leaves; keys that aren't strings are written like values."""
    for key, value in params.items():
        text = f"{path}.{_word(key, 'a key of params')}" if path else _word(key, "a key of params")
        if isinstance(value, Mapping) and value:
            yield from _flat(value, text)
        else:
            yield text, value


def _option(option: str, text: str) -> list[str]:
    """Return an option with its value; joined, when the value alone would be read as another option."""
    if not text.startswith("-") or _PLAIN_NEGATIVE.fullmatch(text):
        return [option, text]
    # click reads `-k=value` as the value `=value`, but both click and argparse read `-kvalue`.
    return [option + text] if re.fullmatch("-[^-]", option) else [f"{option}={text}"]


def _spread(values: Sequence[Any], words: Sequence[str], name: str) -> Iterator[str]:
    for value, word in zip(values, words, strict=True):
        if isinstance(value, float) and word.startswith("-") and math.isfinite(value):
            yield f"{Decimal(word):f}"  # the same number without an exponent, which argparse takes for an option
        elif word.startswith("-") and not _PLAIN_NEGATIVE.fullmatch(word):
            raise StashError(
                f"{name} holds {word!r}, which a list of arguments would read as an option.",
                "set `call.lists: repeat` in the tool's registration, if the tool takes lists so",
            )
        else:
            yield word


def _comma(option: str, words: Sequence[str], name: str) -> list[str]:
    if any("," in word for word in words) or list(words) == [""]:
        raise StashError(
            f"{name} has an element with a comma, or a single empty one, which a list with commas can't express.",
            "set `call.lists: repeat` or `spread` in the tool's registration, if the tool takes lists so",
        )
    text = ",".join(words)
    return [f"{option}="] if not text and option.startswith("--") else _option(option, text)


def _word(value: Any, name: str) -> str:
    """Return one value as text: true, false, numbers so that they are read back exactly, lists and mappings as JSON."""
    if isinstance(value, str):
        _reject_nul(name, value)
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple, Mapping)):
        return _json(value, name)
    raise StashError(f"{name} is {value!r}, which has no form on a command line.", "use strings, numbers and booleans")


# --- file ------------------------------------------------------------------------------------------------------------


def _file_text(call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path) -> str:
    content: dict[str, Any] = {}
    if call.experiment is not None and experiment is not None:
        content[call.experiment] = experiment
    content |= {key: value for key, value in params.items() if key not in content}
    if call.output is not None:
        content[call.output] = str(run_directory)
    return _json(content, "params", indent=2) + "\n" if call.format is FileFormat.json else _yaml(content)


def _json(value: Any, name: str, indent: int | None = None) -> str:
    """Return JSON; numbers and booleans as keys become strings there."""
    _reject_infinite(value, name)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _reject_infinite(value: Any, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StashError(f"{name} is {value}, which JSON can't express.", "use a string, null or a finite number")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _reject_infinite(inner, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _reject_infinite(inner, f"{name}[{index}]")


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    # Strings such as 1e-5 or 0o17, which YAML 1.2 and OmegaConf read as numbers, but PyYAML doesn't, get quotes.
    number = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))
