"""What a program declares of its command line, by its syntax tree: constants tell, everything else is unknown."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator

from experimentstash.base.dataclass_light import dataclass
from experimentstash.freeze.declared.kinds import UNKNOWN, Kind


@dataclass(frozen=True)
class Option:
    """An option of a command line."""

    name: str  # without dashes, unless a single letter has two; of a positional its own
    is_required: bool
    is_positional: bool
    example: str | None  # a value that it takes, as YAML: its default, its first choice, or one of its type
    ways: tuple[str, ...] = ()  # how a parameter is written for it (calling/ways.py); (): its declaration doesn't tell
    aliases: tuple[str, ...] = ()  # its other names
    number: int | None = None  # how many words it takes, where that is said: a list must have as many
    kind: str = ""  # what it takes, for people: int; one of a, b
    values: Kind = UNKNOWN  # the type of its values
    default: str | None = None  # as YAML, where a constant is declared
    help: str = ""  # what its declaration says of it


@dataclass(frozen=True)
class Declared:
    """A command line, as far as its declarations tell."""

    options: tuple[Option, ...] = ()
    subcommands: tuple[str, ...] = ()
    needs_subcommand: bool = False
    takes_unknown: bool = False  # an option that isn't declared is no error
    of_library: tuple[Option, ...] = ()  # what a class of the library's own adds, as far as it is known

    @property
    def ways(self) -> dict[str, tuple[str, ...]]:
        """Return the ways by option; not of one that is declared twice, and differently."""
        found: dict[str, tuple[str, ...]] = {}
        unsure = set()
        for option in self.options:
            for name in () if option.is_positional else (option.name, *option.aliases):
                if found.setdefault(name, option.ways) != option.ways:
                    unsure.add(name)
        return {name: ways for name, ways in found.items() if ways and name not in unsure}

    @property
    def kinds(self) -> dict[str, Kind]:
        """Return the types of options; not of one that is declared twice, and differently."""
        found: dict[str, Kind] = {}
        for option in (*self.options, *self.of_library):
            for name in () if option.is_positional else (option.name, *option.aliases):
                if found.setdefault(name, option.values) != option.values:
                    found[name] = UNKNOWN
        return {name: kind for name, kind in found.items() if kind != UNKNOWN}

    @property
    def numbers(self) -> dict[str, int]:
        """Return how many words options take; not of one that is declared twice, and differently."""
        found: dict[str, set[int | None]] = {}
        for option in self.options:
            for name in () if option.is_positional else (option.name, *option.aliases):
                found.setdefault(name, set()).add(option.number)
        sure = {name: next(iter(numbers)) for name, numbers in found.items() if len(numbers) == 1}
        return {name: number for name, number in sure.items() if number is not None}


def key(flag: str) -> str:
    """Return the name under which a parameter is given for an option: without dashes, if there are as many as usual."""
    bare = flag.lstrip("-")
    is_usual = flag.startswith("--") == (len(bare) > 1)
    return bare if is_usual else flag


def called(node: ast.AST) -> str:
    """Return the last part of the name of what is called, or of a name."""
    if isinstance(node, ast.Call):
        return called(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Yield the calls of functions with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in names:
            yield node


def takes_unknown(tree: ast.Module) -> bool:
    """Tell whether a program may pass over options that it doesn't know."""
    if any(True for _ in calls(tree, "parse_known_args", "parse_known_intermixed_args")):
        return True
    settings = ("return_remaining_strings", "return_unknown_args", "known_only", "ignore_unknown_options")
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in settings and is_true(node.value):
            return True
        if isinstance(node, ast.Constant) and node.value == "ignore_unknown_options":  # in `context_settings`
            return True
    return False


def number(node: ast.expr | None) -> int | None:
    """Return a number of words that stands there as such."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def constant(node: ast.expr | None) -> str | None:
    """Return a string that stands there as such."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in call.keywords if word.arg}


def is_open(call: ast.Call) -> bool:
    """Tell whether a call gets more than what stands there: *args, **settings."""
    return any(word.arg is None for word in call.keywords) or any(isinstance(each, ast.Starred) for each in call.args)


def is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def is_none(node: ast.expr | None) -> bool:
    """Tell whether there is nothing, or None."""
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def is_number(node: ast.expr | None) -> bool:
    """Tell whether a number stands there, or a list that begins with one."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return bool(node.elts) and is_number(node.elts[0])
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_empty(node: ast.expr | None) -> bool:
    """Tell whether an empty list stands there."""
    return isinstance(node, (ast.List, ast.Tuple)) and not node.elts


def example(words: dict[str, ast.expr]) -> str | None:
    """Return a value that an option takes, as YAML."""
    choices = words.get("choices")
    first = choices.elts[0] if isinstance(choices, (ast.List, ast.Tuple)) and choices.elts else None
    for node in (words.get("default"), first):
        value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (str, int, float)):
            return repr(value) if isinstance(value, str) else str(value)
    kind = ast.unparse(words["type"]) if "type" in words else ""
    return {"int": "1", "float": "1.0", "click.INT": "1", "click.FLOAT": "1.0", "bool": "true"}.get(kind)


def default_of(words: dict[str, ast.expr]) -> str | None:
    """Return an option's default as YAML, in one line, if it is a constant."""
    try:
        return json.dumps(ast.literal_eval(words["default"]), allow_nan=False)
    except (KeyError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def help_of(words: dict[str, ast.expr]) -> str:
    """Return what a declaration says of an option, in one line."""
    said = " ".join((constant(words.get("help")) or "").split())
    return said if said.isprintable() and said != "==SUPPRESS==" else ""


def kind(words: dict[str, ast.expr]) -> str:
    """Return what an option takes, for people; "" if that isn't said."""
    choices = words.get("choices")
    if isinstance(choices, (ast.List, ast.Tuple)):
        known = [str(each.value) for each in choices.elts if isinstance(each, ast.Constant)]
        return f"one of {', '.join(known)}" if known else ""
    named = ast.unparse(words["type"]) if "type" in words else ""
    return named.removeprefix("click.").lower() if named.startswith("click.") else named if named.isidentifier() else ""


def preferred(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of subcommands once each, those first that do what a run is for."""
    unique = list(dict.fromkeys(names))
    usual = [name for name in ("train", "fit", "run", "main") if name in unique]
    return (*usual, *(name for name in unique if name not in usual))
