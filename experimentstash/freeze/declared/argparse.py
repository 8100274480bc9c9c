"""argparse's `add_argument`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from experimentstash.freeze.declared import kinds
from experimentstash.freeze.declared.kinds import BOOLEAN, FLOAT, INTEGER, TEXT, UNKNOWN, Kind
from experimentstash.freeze.declared.option import (
    Declared,
    Option,
    called,
    calls,
    constant,
    default_of,
    example,
    help_of,
    is_empty,
    is_false,
    is_none,
    is_number,
    is_open,
    is_true,
    key,
    keywords,
    kind,
    number,
    preferred,
)

# What turns a word into one value of any type.
_READERS = {
    "loads": ("json",),
    "safe_load": ("yaml",),
    "full_load": ("yaml",),
    "literal_eval": ("python",),
    "eval": ("python",),
    "bool": ("nonempty",),
}
_WORDS = {"str", "int", "float", "Path", "PurePath", "abspath", "expanduser", "complex", "Decimal"}


def read(tree: ast.Module) -> Declared:
    defaults = _set_defaults(tree)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    has_own_default = any("argument_default" in keywords(call) for call in calls(tree, "ArgumentParser"))
    found = [_Argument(call) for call in calls(tree, "add_argument")]
    found = [argument for argument in found if argument.flags]
    switched = {argument.name: argument for argument in found if argument.action in ("store_true", "store_false")}
    options = tuple(
        Option(
            name=argument.name,
            is_required=argument.is_required,
            is_positional=argument.is_positional,
            example=argument.example,
            aliases=tuple(key(flag) for flag in argument.flags if key(flag) != argument.name),
            ways=()
            if argument.is_positional or argument.is_open
            else tuple(_ways(argument, switched, defaults, functions, is_sure=not has_own_default)),
            number=number(argument.words.get("nargs")) if argument.action == "store" else None,
            kind=kind(argument.words),
            values=UNKNOWN if argument.is_open else _kind(argument, functions),
            default=None if argument.is_open or has_own_default else default_of(argument.with_default(defaults)),
            help=help_of(argument.words),
        )
        for argument in found
    )
    names = [constant(call.args[0]) for call in calls(tree, "add_parser") if call.args]
    subcommands = preferred(name for name in names if name)
    return Declared(options, subcommands, bool(subcommands) and any(True for _ in calls(tree, "add_subparsers")))


class _Argument:
    """One `add_argument`."""

    def __init__(self, call: ast.Call) -> None:
        self.flags = [text for text in map(constant, call.args) if text]
        self.words = keywords(call)
        self.is_open = is_open(call)
        if not self.flags:
            return
        long = [flag for flag in self.flags if flag.startswith("--")] or self.flags
        self.is_positional = not self.flags[0].startswith("-")
        self.flag = long[0]
        self.name = key(long[0])
        action = self.words.get("action")
        self.action = constant(action) or (called(action) if action is not None else "store")
        self.dest = constant(self.words.get("dest")) or long[0].lstrip("-").replace("-", "_")
        optional = (constant(self.words.get("nargs")) or "") in ("?", "*") or "default" in self.words
        self.is_required = (self.is_positional and not optional) or is_true(self.words.get("required"))
        is_switch = self.action.startswith(("store_", "help", "version"))
        self.example = None if is_switch else example(self.words)

    def with_default(self, defaults: Mapping[str, ast.expr] | None) -> dict[str, ast.expr]:
        """Return what it is declared with, and with the default that `set_defaults` gives it."""
        own = (defaults or {}).get(self.dest)
        return self.words if own is None else {**self.words, "default": own}


_KINDS = {"int": INTEGER, "float": FLOAT, "str": TEXT, "Path": Kind("path"), "abspath": TEXT, "expanduser": TEXT}


def _kind(argument: _Argument, functions: Mapping[str, ast.FunctionDef]) -> Kind:
    """Return the type of an argument's values."""
    words, action = argument.words, argument.action
    if action in ("store_true", "store_false", "BooleanOptionalAction"):
        return BOOLEAN
    if action not in ("store", "append"):
        return UNKNOWN
    given = words.get("type")
    kind = UNKNOWN if given is None or isinstance(given, (ast.Call, ast.Lambda)) else _KINDS.get(called(given), UNKNOWN)
    if kind == UNKNOWN and given is not None:
        kind = _read_kind(given, functions)
    if given is None and not is_number(words.get("default")):
        kind = TEXT  # of a default that is a number, the tool makes numbers itself
    several = constant(words.get("nargs")) in ("*", "+") or number(words.get("nargs")) is not None
    if several and action == "append":
        return UNKNOWN
    if "nargs" in words and not several and constant(words["nargs"]) != "?":
        return UNKNOWN
    return kinds.list_of(kind) if several or action == "append" else kind


def _read_kind(node: ast.expr, functions: Mapping[str, ast.FunctionDef]) -> Kind:
    """Return the type of what a function that is given as `type=` returns."""
    reader = _reader(node, functions)[:1]
    body = node if isinstance(node, ast.Lambda) else functions.get(called(node), node)
    names = {called(each) for each in ast.walk(body)} - {""}
    if reader in (("value",), ("nonempty",)) or (reader == ("python",) and not names & {"eval", "literal_eval"}):
        return BOOLEAN
    if reader != ("comma",):
        return UNKNOWN
    made = sorted(names & {"int", "float"}) or ["str"]
    return kinds.list_of(_KINDS[made[0]] if len(made) == 1 else UNKNOWN)


def _set_defaults(tree: ast.Module) -> Mapping[str, ast.expr] | None:
    """Return what `set_defaults` says; None: nobody knows."""
    found: dict[str, ast.expr] = {}
    for call in calls(tree, "set_defaults"):
        if any(word.arg is None for word in call.keywords):
            return None
        found |= keywords(call)
    return found


def _ways(
    argument: _Argument,
    switched: Mapping[str, _Argument],
    defaults: Mapping[str, ast.expr] | None,
    functions: Mapping[str, ast.FunctionDef],
    *,
    is_sure: bool,
) -> Iterator[str]:
    """Yield how a parameter is written for an argument; nothing if its declaration doesn't tell."""
    words = argument.words
    default = (defaults or {}).get(argument.dest, words.get("default"))
    is_known = defaults is not None and is_sure
    omit = ["omit"] if is_known and is_none(default) and not argument.is_required else []
    if argument.action in ("store_true", "store_false"):
        yield from _switch(argument, switched, default, is_known=is_known)
    elif argument.action == "BooleanOptionalAction":
        yield from ("negatable", *omit)
    elif argument.action in ("count", "store_const", "append_const"):
        yield "only_true"
    elif argument.action in ("append", "extend"):
        is_empty_list = is_known and is_empty(default)
        if (argument.action == "append") == ("nargs" not in words) and (omit or is_empty_list):
            yield "repeat" if argument.action == "append" else "spread"
            yield from omit or ["omit_empty"]
    elif argument.action == "store":
        reader = _reader(words.get("type"), functions)
        nargs = words.get("nargs")
        if nargs is None or constant(nargs) == "?":
            yield from reader
            if reader:
                yield from omit if reader[0] not in ("json", "yaml", "python") else ()
        elif reader and (constant(nargs) in ("*", "+") or isinstance(getattr(nargs, "value", None), int)):
            yield "filled" if constant(nargs) == "+" else "spread"
            yield from (way for way in reader if way in ("value", "python", "json", "yaml"))
            yield from omit


def _switch(
    argument: _Argument, switched: Mapping[str, _Argument], default: ast.expr | None, *, is_known: bool
) -> Iterator[str]:
    others = [each for each in switched.values() if each.dest == argument.dest and each is not argument]
    if argument.action == "store_true" and len(others) == 1 and others[0].action == "store_false":
        other = others[0].flag
        yield "negatable" if other == f"--no-{argument.name}" else f"{argument.flag}/{other}"
        return
    if argument.action == "store_true":
        yield "flag" if is_known and not others and (default is None or is_false(default)) else "only_true"
        return
    own_name = argument.name.replace("-", "_")
    if others or own_name != argument.dest:
        yield "flag" if is_known and not others and (default is None or is_true(default)) else "only_true"
    # Else `--x` makes x false: what `x: true` means nobody but the user can say.


def _reader(node: ast.expr | None, functions: Mapping[str, ast.FunctionDef]) -> tuple[str, ...]:
    """Return how a value is written for what `type=` reads; (): unknown."""
    if node is None:
        return ("word",)
    name = called(node)
    if not isinstance(node, ast.Call) and name in _READERS:
        return _READERS[name]
    if name in _WORDS:
        return ("word",)
    body: ast.AST | None = node if isinstance(node, ast.Lambda) else functions.get(name)
    looks_boolean = "bool" in name.lower() and name != "bool"
    if body is None:
        return ("value",) if looks_boolean else ("word",)
    return _read_by(body, looks_boolean=looks_boolean)


def _read_by(body: ast.AST, *, looks_boolean: bool) -> tuple[str, ...]:
    texts = {node.value for node in ast.walk(body) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = {called(node) for node in ast.walk(body) if isinstance(node, ast.Call)}
    lowered = "lower" in names or "casefold" in names
    if "strtobool" in names or "true" in texts or ("True" in texts and lowered):
        return ("value",)
    if "True" in texts:
        return ("python",)
    if "split" in names:
        return ("comma",) if "," in texts else ()
    inner = names & {"loads", "safe_load", "literal_eval"}
    if len(inner) == 1:
        return _READERS[inner.pop()]
    return () if looks_boolean or inner else ("word",)
