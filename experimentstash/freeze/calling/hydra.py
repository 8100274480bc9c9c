"""Parameters as overrides on a Hydra application's command line."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import literals, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallConfig, CallStyle

# Hydra's override grammar: https://hydra.cc/docs/1.3/advanced/override_grammar/basic/

_INTEGER = r"(?:0|[1-9](?:_?[0-9])*)"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_-]*"
_SEGMENT = r"[A-Za-z_$][A-Za-z0-9_$-]*"
_PACKAGE = rf"(?:{_SEGMENT}|(?:{_SEGMENT}|{_INTEGER})(?:\.(?:{_SEGMENT}|{_INTEGER}))+)"
_HYDRA_KEY = regex(rf"(?:{_PACKAGE}|{_IDENTIFIER}(?:/{_IDENTIFIER})+)(?:@{_PACKAGE}?)?")
# Strings that need no quotes, unless Hydra reads them as something else.
_BARE = regex(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_NO_STRING = regex(
    rf"true|false|null|[+-]?(?:inf|nan|(?:{_INTEGER}(?:\.[0-9_]*)?|\.[0-9_]+)(?:e[+-]?[0-9_]+)?)", re.IGNORECASE
)


def arguments(
    call: CallConfig,
    experiment: str | None,
    params: Mapping[str, Any],
    run_directory: Path,
    tool: Path,
    stash: Path,
    extra: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the words; StashError for a key that would reach the tool twice, ``extra`` (the `arguments`) included."""
    given = {"--config-path": call.config_path, "--config-dir": call.config_dir}
    ours = {option: (stash / path).absolute() for option, path in given.items() if path is not None}
    for option, directory in ours.items():
        yield from (option, str(directory))
    once = _Once()
    if experiment is not None and ours and call.experiment is None:
        yield from words.option("--config-name", experiment)
    elif experiment is not None:
        key = call.experiment or "experiment"
        yield once(f"{key}={override_value(experiment, 'experiment')}", "`experiment`")
    directories = [*([tool / call.configs] if call.configs else []), *ours.values()]
    for word in _overrides(_in_order(params), "", "", directories):
        yield once(word, "`params`")
    output = call.output or "hydra.run.dir"
    if output == "hydra.run.dir" and "${" in str(run_directory):
        raise StashError(f"Hydra can't write to {run_directory}: it takes the ${{ for an interpolation.", "rename it")
    yield once(f"{output}={override_value(str(run_directory), 'the run directory')}", _OURS)
    if output == "hydra.run.dir":  # it is our run directory too: the tool's .hydra must not overwrite ours
        yield once("hydra.output_subdir=.hydra/tool", _OURS)
    for word in extra:
        if _OVERRIDE.match(word):
            once(word, "`arguments`")


# What gives the tool its directory.
_OURS = "ExperimentStash itself (where the run writes)"
_OVERRIDE = regex(r"(?:\+\+?)?[A-Za-z_][^=\s]*=|~[A-Za-z_]")


class _Once:
    """Sees to it that no key is handed over twice."""

    def __init__(self) -> None:
        self._given: dict[parameters.Name, tuple[str, str]] = {}
        self._inside: dict[parameters.Name, tuple[str, str]] = {}  # by what they are inside of

    def __call__(self, word: str, source: str) -> str:
        """Return a word; StashError if an earlier one, from elsewhere, says something of the same key."""
        key, _, value = word.lstrip("+~").partition("=")
        name = tuple(key.replace("/", ".").split("."))
        above = [name[:length] for length in range(1, len(name))]
        same = [self._given.get(name), self._inside.get(name) if value.startswith("{") else None]
        same += [each for each in map(self._given.get, above) if each and each[0].partition("=")[2].startswith("{")]
        for earlier, its_source in filter(None, same):
            if source != its_source:
                raise StashError(
                    f"The tool would get {earlier!r} (by {its_source}) and {word!r} (by {source}): the same key twice.",
                    "leave one of them out" if _OURS not in (source, its_source) else "leave that one out",
                )
        self._given.setdefault(name, (word, source))
        for each in above:
            self._inside.setdefault(each, (word, source))
        return word


def _in_order(params: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the tree with the choices of groups before the values inside them."""
    tree = parameters.canonical(params)
    if not any(map(parameters.is_group, tree)):
        return tree
    leaves = parameters.read(tree)

    def is_late(name: parameters.Name) -> bool:
        is_group = any(map(parameters.is_group, leaves[name].keys))
        return not (is_group and any(other[: len(name)] == name != other for other in leaves))

    return parameters.tidy({name: leaves[name] for name in sorted(leaves, key=is_late)})


def _overrides(tree: Mapping[Any, Any], path: str, mark: str, config_directories: Sequence[Path]) -> Iterator[str]:
    """Yield one override per leaf. A key that has no place in a dotted path goes as ``path={key:value}``, which Hydra
    merges all the same; that keeps numbers and booleans as keys, too."""
    below_group = "/" in path or "@" in path
    for key, value in tree.items():
        own_mark, bare = parameters.split_mark(key)
        here_mark = own_mark or mark
        is_choice = bare == parameters.CHOICE and bool(path)
        here = path if is_choice else f"{path}.{bare}" if path else str(bare)
        if path and isinstance(bare, str) and "@" in bare and "/" not in path:
            group, at, package = here.partition("@")
            here = group.replace(".", "/") + at + package
        label = f"params.{here_mark}{here}"
        if is_choice and not parameters.may_choose(value):
            raise StashError(
                f"{label} is {value!r} and has values inside; only a text or a list of texts can have both."
            )
        if is_choice and _HYDRA_KEY.fullmatch(group := path.replace(".", "/")):
            yield f"{here_mark}{group}={override_value(value, label)}"
        elif is_choice or not isinstance(bare, str) or below_group or not _HYDRA_KEY.fullmatch(here):
            inner, marks = _unmarked(value) if not here_mark else (value, {here_mark})
            if not path or below_group or is_choice or len(marks) > 1 or "~" in marks:
                raise StashError(
                    f"{label} can't be written as a Hydra override: {bare!r} is not a key of Hydra's.",
                    "use letters, digits, _ - $, with dots between nested keys, or group/subgroup@package",
                )
            yield f"{''.join(marks)}{path}={override_value({bare: inner}, f'params.{path}')}"
        elif isinstance(value, Mapping) and value:
            yield from _overrides(value, here, here_mark, config_directories)
        elif here_mark == "~" and value is None:
            yield f"~{here}"
        else:
            group = here.replace(".", "/")
            may_choose = isinstance(value, str) and "." in here and _HYDRA_KEY.fullmatch(group)
            # (os.path.isfile, because Path.is_file raises for a value that is too long for a file's name.)
            if may_choose and any(os.path.isfile(each / group / f"{value}.yaml") for each in config_directories):
                here = group
            yield f"{here_mark}{here}={override_value(value, label)}"


def _unmarked(value: Any) -> tuple[Any, set[str]]:
    """Return a value without the marks of the keys in it, and these."""
    if not isinstance(value, Mapping) or not value:
        return value, {""}
    unmarked: dict[Any, Any] = {}
    marks: set[str] = set()
    for key, each in value.items():
        mark, bare = parameters.split_mark(key)
        unmarked[bare], inner = _unmarked(each) if not mark else (each, {mark})
        marks |= inner
    return unmarked, marks


def override_value(value: Any, name: str) -> str:
    """Return a value as Hydra reads it in an override; StashError, with its name, for one that can't be written."""
    if isinstance(value, Mapping):
        items = (f"{_hydra_key(key, name)}:{override_value(inner, f'{name}.{key}')}" for key, inner in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(override_value(inner, f"{name}[{index}]") for index, inner in enumerate(value)) + "]"
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


def _write(given: Given) -> Arguments:
    literals.refuse_settings(given.call)
    literals.refuse_ways(given.call)
    places = given.run_directory, given.tool_directory, given.stash_root
    argv = arguments(given.call, given.experiment, given.params, *places, given.extra)
    return Arguments((*subcommand(given.call), *argv, *given.extra))


STYLE = Style(
    CallStyle.hydra,
    _write,
    settings=("subcommand", "experiment", "output", "configs", "config_dir", "config_path"),
    asks_the_source=False,
    has_marks=True,
)
