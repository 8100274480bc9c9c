"""absl's `DEFINE_…`."""

from __future__ import annotations

import ast

from experimentstash.base.dataclass_light import replace
from experimentstash.freeze.declared.kinds import BOOLEAN, FLOAT, INTEGER, TEXT, UNKNOWN, list_of
from experimentstash.freeze.declared.option import (
    Declared,
    Option,
    constant,
    example,
    is_empty,
    is_none,
    is_open,
    keywords,
    kind,
)

_KINDS = {
    "DEFINE_bool": "value",
    "DEFINE_boolean": "value",
    "DEFINE_list": "comma",
    "DEFINE_string": "word",
    "DEFINE_integer": "word",
    "DEFINE_float": "word",
    "DEFINE_enum": "word",
    "DEFINE_enum_class": "word",
    "DEFINE_multi_string": "repeat",
    "DEFINE_multi_integer": "repeat",
    "DEFINE_multi_float": "repeat",
    "DEFINE_multi_enum": "repeat",
    "DEFINE_spaceseplist": "",
}


_OF_VALUES = {
    "DEFINE_bool": BOOLEAN,
    "DEFINE_boolean": BOOLEAN,
    "DEFINE_list": list_of(TEXT),
    "DEFINE_string": TEXT,
    "DEFINE_integer": INTEGER,
    "DEFINE_float": FLOAT,
    "DEFINE_enum": TEXT,
    "DEFINE_enum_class": TEXT,
    "DEFINE_multi_string": list_of(TEXT),
    "DEFINE_multi_integer": list_of(INTEGER),
    "DEFINE_multi_float": list_of(FLOAT),
    "DEFINE_multi_enum": list_of(TEXT),
}


def read(tree: ast.Module) -> Declared:
    required = {
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("mark_flag_as_required", "mark_flags_as_required"))
        for text in _texts(node)
    }
    found = []
    for node in ast.walk(tree):
        name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        name = name or (node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else "")
        if not isinstance(node, ast.Call) or name not in _KINDS or is_open(node):
            continue
        flag = constant(node.args[0] if node.args else keywords(node).get("name"))
        if flag is not None:
            words = keywords(node)
            default = node.args[1] if len(node.args) > 1 else words.get("default")
            is_required = flag in required or "required" in words
            taken = _words(name, default, node)
            ways = _ways(name, default, is_required)
            found.append(
                Option(
                    flag,
                    is_required,
                    False,
                    example(taken),
                    ways,
                    kind=kind(taken),
                    values=_OF_VALUES.get(name, UNKNOWN),
                )
            )
    return Declared(tuple(found))


def read_own(tree: ast.Module) -> Declared:
    """Read the flags that a tool has beside its configuration: a parameter for one begins with dashes."""
    found = read(tree).options
    shown = [option for option in found if not option.name.startswith("gin_")]
    return Declared(tuple(replace(option, name=f"--{option.name}") for option in shown))


def _texts(call: ast.Call) -> set[str]:
    return {node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _ways(name: str, default: ast.expr | None, is_required: bool) -> tuple[str, ...]:
    way = _KINDS[name]
    if not way:
        return ()
    omit = ("omit",) if is_none(default) and not is_required else ()
    return (way, *omit, *(("omit_empty",) if way == "repeat" and is_empty(default) else ()))


def _words(name: str, default: ast.expr | None, call: ast.Call) -> dict[str, ast.expr]:
    """Return what a flag takes, as argparse would say it."""
    kinds = {"DEFINE_integer": "int", "DEFINE_float": "float", "DEFINE_bool": "bool", "DEFINE_boolean": "bool"}
    found: dict[str, ast.expr] = {"default": default} if default is not None else {}
    if name in kinds:
        found["type"] = ast.Name(kinds[name])
    if name == "DEFINE_enum" and (choices := call.args[2] if len(call.args) > 2 else keywords(call).get("enum_values")):
        found["choices"] = choices
    return found
