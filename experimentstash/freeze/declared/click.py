"""click's decorators."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    is_open,
    is_true,
    key,
    keywords,
    kind,
    number,
    preferred,
)


def read(tree: ast.Module) -> Declared:
    options = [*map(_option, calls(tree, "option"))]
    options += [_argument(call) for call in calls(tree, "argument") if constant(call.args[0] if call.args else None)]
    groups = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _decorator(node, "group")]
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    added = [called(call.args[0]) for call in calls(tree, "add_command") if call.args]
    commands = [_name(node) for node in functions.values() if _is_inner(node)]
    commands += [_name(functions[name]) if name in functions else name.replace("_", "-") for name in added]
    alone = any(is_true(keywords(call).get("invoke_without_command")) for call in calls(tree, "group"))
    needs = bool(groups) and bool(commands) and not alone
    return Declared(tuple(each for each in options if each), preferred(commands) if groups else (), needs)


def is_command(node: ast.stmt) -> bool:
    """Tell whether a statement is a command that belongs to no group of its file."""
    return isinstance(node, ast.FunctionDef) and _decorator(node, "command") is not None and not _is_inner(node)


def _decorator(node: ast.FunctionDef, name: str) -> ast.expr | None:
    return next((each for each in node.decorator_list if called(each) == name), None)


def _is_inner(node: ast.FunctionDef) -> bool:
    """Tell whether a function is a command of a group: @group.command(), where `group` isn't click itself."""
    found = _decorator(node, "command")
    function = found.func if isinstance(found, ast.Call) else found
    return isinstance(function, ast.Attribute) and called(function.value) not in ("click", "")


def _name(node: ast.FunctionDef) -> str:
    found = _decorator(node, "command")
    given = keywords(found).get("name") if isinstance(found, ast.Call) else None
    first = found.args[0] if isinstance(found, ast.Call) and found.args else given
    return constant(first) or node.name.replace("_", "-")


def _argument(call: ast.Call) -> Option:
    words = keywords(call)
    optional = (constant(words.get("nargs")) or "") in ("?", "*") or "default" in words or _number(words) == -1
    is_required = not optional and not is_false(words.get("required"))
    return Option(str(constant(call.args[0])), is_required, True, example(words), kind=kind(words))


def _option(call: ast.Call) -> Option | None:
    flags = [text for text in map(constant, call.args) if text and text.strip().startswith(("-", "/"))]
    if not flags:
        return None
    words = keywords(call)
    long = [flag for flag in flags if flag.startswith("--")] or flags
    on, _, off = (half.strip() for half in long[0].partition("/"))
    is_flag = is_true(words.get("is_flag")) or bool(off)
    required = is_true(words.get("required"))
    shown = None if is_flag else example(words)
    aliases = tuple(key(flag.partition("/")[0].strip()) for flag in flags if flag != long[0] and "/" not in flag)
    ways = () if is_open(call) else tuple(_ways(on, off, words, is_required=required))
    several = None if is_true(words.get("multiple")) else number(words.get("nargs"))
    given = words.get("type")
    if isinstance(given, ast.Tuple) and not words.keys() & {"nargs", "multiple"}:
        several = len(given.elts)
    of_values = UNKNOWN if is_open(call) else BOOLEAN if is_flag else _kind_of(words)
    shown_kind = "" if is_flag else kind(words)
    return Option(
        key(on or off),
        required,
        False,
        shown,
        ways,
        aliases,
        several,
        shown_kind,
        of_values,
        default_of(words),
        help_of(words),
    )


def _ways(on: str, off: str, words: dict[str, ast.expr], *, is_required: bool) -> Iterator[str]:
    default = words.get("default")
    omit = ["omit"] if is_none(default) and not is_required else []
    if off or "/" in on:
        yield "negatable" if off == f"--no-{on.lstrip('-')}" else f"{on}/{off}"
    elif is_true(words.get("count")):
        yield "only_true"
    elif is_true(words.get("is_flag")):
        yield "flag" if "flag_value" not in words and (default is None or is_false(default)) else "only_true"
    elif "flag_value" in words:
        yield "only_true"
    elif is_true(words.get("multiple")):
        if "nargs" not in words:
            yield "repeat"
            if default is None or is_empty(default):
                yield "omit_empty"
    elif "nargs" in words or isinstance(words.get("type"), ast.Tuple):
        yield from ("spread", *omit)
    elif _kind(words) in ("bool", "BOOL") or isinstance(getattr(default, "value", None), bool):
        yield from ("value", *omit)
    else:
        yield from ("word", *omit)


_KINDS = {
    **dict.fromkeys(("int", "INT", "IntRange"), INTEGER),
    **dict.fromkeys(("float", "FLOAT", "FloatRange"), FLOAT),
    **dict.fromkeys(("bool", "BOOL"), BOOLEAN),
    **dict.fromkeys(("str", "STRING", "Path", "Choice", "File"), TEXT),
}


def _kind_of(words: dict[str, ast.expr]) -> Kind:
    """Return the type of an option's values."""
    if "count" in words or "flag_value" in words or "callback" in words:
        return UNKNOWN
    default, several = words.get("default"), "multiple" in words or "nargs" in words
    if "type" in words:
        kind = UNKNOWN if isinstance(words["type"], ast.Tuple) else _KINDS.get(called(words["type"]), UNKNOWN)
    elif is_none(default) or (isinstance(default, ast.Constant) and isinstance(default.value, str)):
        kind = TEXT
    else:  # click takes the type of the default
        first = default.elts[0] if isinstance(default, (ast.List, ast.Tuple)) and several and default.elts else default
        value = first.value if isinstance(first, ast.Constant) else None
        kind = _KINDS.get(type(value).__name__, UNKNOWN)
    if several and "multiple" in words and "nargs" in words:
        return UNKNOWN
    return kinds.list_of(kind) if several or isinstance(words.get("type"), ast.Tuple) else kind


def _kind(words: dict[str, ast.expr]) -> str:
    return called(words["type"]) if "type" in words else ""


def _number(words: dict[str, ast.expr]) -> int | None:
    try:
        value = ast.literal_eval(words["nargs"])
    except (KeyError, ValueError):
        return None
    return value if isinstance(value, int) else None
