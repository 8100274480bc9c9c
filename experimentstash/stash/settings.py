"""Every setting there is, with its type, its default and its meaning: schema.py's classes, and the comments in them.

What editors, ``experimentstash explain`` and the reference in docs/ tell of settings is read here, from one source.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import io
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from experimentstash.stash import paths, schema

# What stands for a name of the user's own in the key of a setting: metrics.NAME.key.
ANY = "NAME"


@dataclass(frozen=True)
class Kind:
    """A kind of configuration file."""

    name: str
    title: str
    where: str  # relative to the stash's root, as a pattern
    types: tuple[type, ...]


ORGANIZER = Kind("organizer", "An experiment organizer", f"{paths.ORGANIZERS}/**/*.yaml", (schema.StashConfig,))
REGISTRATION = Kind("registration", "A tool's registration", f"{paths.REGISTRATIONS}/*.yaml", (schema.ToolConfig,))
ROOT = Kind("config", "The root configuration", paths.ROOT_CONFIG, (schema.StashConfig,))
LAUNCHER = Kind(
    "launcher",
    "A preset of a launcher",
    f"{paths.LAUNCHERS}/*.yaml",
    (schema.SlurmLauncherConfig, schema.LocalLauncherConfig),
)
KINDS = (ORGANIZER, REGISTRATION, ROOT, LAUNCHER)


@dataclass(frozen=True)
class Section:
    """Settings that belong together: where they stand in files, and what is before their keys on the command line."""

    title: str
    file: str
    type: type
    prefix: str = ""


_EXPERIMENT = Section("An experiment", f"an experiment organizer, or {paths.ROOT_CONFIG} for all", schema.StashConfig)
_TOOL = Section("A tool's registration", paths.registration(ANY), schema.ToolConfig, "tool.")
SECTIONS = (
    _EXPERIMENT,
    _TOOL,
    Section("`hydra/launcher=slurm`", f"{paths.LAUNCHERS}/{ANY}.yaml", schema.SlurmLauncherConfig, "hydra.launcher."),
    Section("`hydra/launcher=local`", f"{paths.LAUNCHERS}/{ANY}.yaml", schema.LocalLauncherConfig, "hydra.launcher."),
    Section("`hydra/sweeper=zip`", f"{paths.SWEEPERS}/{ANY}.yaml", schema.ZipSweeperConfig, "hydra.sweeper."),
)


@dataclass(frozen=True)
class Setting:
    """A setting: its key with dots, its type in words, and what is said of it."""

    key: str
    hint: Any
    default: Any
    text: str
    # Of an enumeration: each value, and what is said of it.
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def is_needed(self) -> bool:
        return bool(self.default == schema.MISSING)

    @property
    def type(self) -> str:
        """Its type, in words."""
        return words_for(self.hint)

    @property
    def default_text(self) -> str:
        """Its default, as it is written in YAML."""
        return json.dumps(self.default)


def below(kind: type, prefix: str = "") -> Iterator[Setting]:
    """Yield the settings of one of schema.py's classes, those inside of them after each."""
    for own in own_settings(kind):
        setting = dataclasses.replace(own, key=f"{prefix}{own.key}")
        yield setting
        inner = inner_kind(setting.hint)
        if inner is not None:
            is_named = get_origin(optional(setting.hint)[0]) is dict
            yield from below(inner, f"{setting.key}.{ANY}." if is_named else f"{setting.key}.")


def of(section: Section) -> list[Setting]:
    """Return the settings of a section; a registration's, which an experiment has too, only as a section of theirs."""
    found = below(section.type)
    return [each for each in found if section is not _EXPERIMENT or not f"{each.key}.".startswith(_TOOL.prefix)]


@functools.cache
def own_settings(kind: type) -> tuple[Setting, ...]:
    """Return the settings of one class alone; those that only Hydra reads (`_target_`) aren't among them."""
    hints, texts = get_type_hints(kind), _comments()[kind.__name__]
    found = []
    for item in dataclasses.fields(kind):
        if item.name.startswith("_"):
            continue
        hint = hints[item.name]
        enumeration = optional(hint)[0]
        is_enumeration = isinstance(enumeration, type) and issubclass(enumeration, Enum)
        choices = _choices(enumeration) if is_enumeration else {}
        inner = enumeration if is_enumeration else inner_kind(hint)
        text = texts.get(item.name) or (about(inner).splitlines()[0] if inner is not None else "")
        if not text.partition(" ")[0].endswith(":"):  # what only one style of calling knows begins with its name
            text = text[:1].upper() + text[1:]
        found.append(Setting(item.name, hint, _default(item), text, choices))
    return tuple(found)


def about(kind: type) -> str:
    """Return what one of schema.py's classes is, in its own words."""
    return inspect.getdoc(kind) or ""


def inner_kind(hint: Any) -> type | None:
    """Return the class of what a setting holds, if it holds settings itself."""
    hint, _ = optional(hint)
    if get_origin(hint) is dict:
        hint = get_args(hint)[1]
    return hint if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None


def optional(hint: Any) -> tuple[Any, bool]:
    """Return what a type is besides null, and whether it may be null."""
    if get_origin(hint) is Union:
        return next(each for each in get_args(hint) if each is not type(None)), True
    return hint, hint is Any


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


def words_for(hint: Any) -> str:
    """Return a type in words."""
    hint, is_optional = optional(hint)
    if is_optional and hint is not Any:
        return f"{words_for(hint)}, or null"
    origin = get_origin(hint)
    if origin is list:
        (inner,) = get_args(hint)
        return f"list of {_plural(inner)}"
    if origin is dict:
        return f"mapping of names to {_plural(get_args(hint)[1])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " | ".join(each.value for each in hint)
    return _WORDS.get(hint, "mapping")


_PLURALS = {str: "texts", int: "whole numbers", float: "numbers", bool: "truth values", Any: "anything"}


def _plural(hint: Any) -> str:
    hint, is_optional = optional(hint)
    words = f"lists of {_plural(get_args(hint)[0])}" if get_origin(hint) is list else _PLURALS.get(hint, "mappings")
    return f"{words} or null" if is_optional and hint is not Any else words


def _default(item: dataclasses.Field[Any]) -> Any:
    factory = item.default_factory
    value = item.default if factory is dataclasses.MISSING else factory()
    if isinstance(value, Enum):
        return value.value
    return {} if dataclasses.is_dataclass(value) else value


def _choices(enumeration: type[Enum]) -> dict[str, str]:
    texts = _comments()[enumeration.__name__]
    return {each.value: texts.get(each.name, "") for each in enumeration}


@functools.cache
def _comments() -> dict[str, dict[str, str]]:
    """Return what schema.py says of each name in each of its classes: in the lines above, and behind it."""
    source = inspect.getsource(schema)
    said: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            said[token.start[0]] = token.string.lstrip("#").strip()
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {name: text for each in node.body for name, text in _of(each, said, alone)}
    return found


def _of(node: ast.stmt, said: dict[int, str], alone: set[int]) -> Iterator[tuple[str, str]]:
    target = (
        node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
    )
    if not isinstance(target, ast.Name):
        return
    first = node.lineno
    while first - 1 in alone:
        first -= 1
    lines = [said[line] for line in range(first, node.lineno)]
    lines += [said[line] for line in (node.end_lineno or node.lineno,) if line in said and line not in alone]
    yield target.id, " ".join(lines)
