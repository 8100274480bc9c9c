"""Types of values as a tool declares them: which values arrive as they are, and which would become something else."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex

_NAMES = {
    **dict.fromkeys(("int", "PositiveInt", "NonNegativeInt"), "integer"),
    **dict.fromkeys(("float", "PositiveFloat", "NonNegativeFloat", "ClosedUnitInterval"), "float"),
    "bool": "boolean",
    "str": "text",
    **dict.fromkeys(("Path", "PurePath", "PosixPath", "PathLike"), "path"),
    **dict.fromkeys(("None", "NoneType"), "null"),
    **dict.fromkeys(("Any", "object"), "any"),
    **dict.fromkeys(("list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "set", "Set"), "list"),
    **dict.fromkeys(("FrozenSet", "frozenset", "AbstractSet"), "list"),
    **dict.fromkeys(("tuple", "Tuple"), "tuple"),
    **dict.fromkeys(
        ("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict", "TypedDict"), "mapping"
    ),
}
_WRAPPERS = {"Annotated", "Final", "Required", "Suppress", "UseAppendAction", "FlagConversionOff", "Positional"}
_TRUTH = {"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"}
_NULL = {"none", "null", "~"}
# What every language of literals takes for a text.
_BARE = regex(r"(?:-*[A-Za-z_/]|\.{1,2}/|~/)(?:[^\0-\x1f\x7f-\xa0\u2028\u2029\"'\[\]{}#:&*!|>%@`]|:(?=[^\s]))*")


class Reading(Enum):
    """How a library reads values."""

    words = 1  # as words, each as what the type of the option makes of it
    yaml = 2  # as YAML, and then texts in it once more, where the type leaves open what they are
    exact = 3  # as YAML alone


@dataclass(frozen=True)
class Kind:
    """A type: integer, float, boolean, text, path, null, literal, list, tuple, mapping, union, any, or unknown."""

    name: str = "unknown"
    inner: tuple[Kind, ...] = ()  # elements; of a mapping its keys and values; of a union its members
    choices: tuple[Any, ...] = ()  # of a literal

    def __str__(self) -> str:
        shown = {"integer": "a whole number", "float": "a number", "boolean": "true or false", "null": "null"}
        if self.name in shown:
            return shown[self.name]
        if self.name == "union":
            return " or ".join(dict.fromkeys(map(str, self.inner)))
        if self.name == "literal":
            return "one of " + ", ".join(map(repr, self.choices))
        if self.name == "tuple" and self.inner:
            return f"a list of {len(self.inner)}"
        return {"unknown": "something else", "any": "anything"}.get(self.name, f"a {self.name}")

    @property
    def members(self) -> tuple[Kind, ...]:
        """Return what a value may be, null first: every library asks for it first."""
        if self.name != "union":
            return (self,)
        return tuple(sorted(self.inner, key=lambda each: each.name != "null"))

    @property
    def rest(self) -> Kind:
        """Return the type without null."""
        return union(*(each for each in self.members if each.name != "null")) if self.name == "union" else self

    @property
    def may_be_null(self) -> bool:
        return any(each.name in ("null", "any") for each in self.members)

    def has(self, *names: str) -> bool:
        """Tell whether a value may be of one of these types."""
        return any(each.name in names for each in self.members)


UNKNOWN = Kind()
TEXT, INTEGER, FLOAT, BOOLEAN, NULL = map(Kind, ("text", "integer", "float", "boolean", "null"))


def list_of(kind: Kind) -> Kind:
    return Kind("list", (kind,))


def union(*kinds: Kind) -> Kind:
    """Return the type of what may be one of several."""
    flat = tuple(dict.fromkeys(inner for each in kinds for inner in (each.inner if each.name == "union" else (each,))))
    return flat[0] if len(flat) == 1 else Kind("union", flat) if flat else UNKNOWN


def read(node: ast.expr | None) -> Kind:
    """Return the type that an annotation says."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return read(ast.parse(node.value, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError):
            return UNKNOWN
    if isinstance(node, ast.Constant) and node.value is None:
        return NULL
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return union(read(node.left), read(node.right))
    if not isinstance(node, ast.Subscript):
        return Kind(_NAMES.get(_last(node), "unknown"))
    outer = _last(node.value)
    given = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer in _WRAPPERS:
        return read(given[0])
    if outer == "Optional":
        return union(read(given[0]), NULL)
    if outer == "Union":
        return union(*map(read, given))
    if outer == "Literal":
        values = [each.value for each in given if isinstance(each, ast.Constant)]
        return Kind("literal", choices=tuple(values)) if len(values) == len(given) else UNKNOWN
    name = _NAMES.get(outer, "unknown")
    if name == "tuple" and isinstance(given[-1], ast.Constant) and given[-1].value is ...:
        return list_of(read(given[0]))
    return Kind(name, tuple(map(read, given))) if name in ("list", "tuple", "mapping") else UNKNOWN


def _last(node: ast.AST | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def arrives(kind: Kind, value: Any, reading: Reading) -> bool:
    """Tell whether a value that is written for an option of this type is the same when it is read."""
    if kind.name == "union":
        return _arrives_in_union(kind, value, reading)
    if kind.name == "unknown":
        return True
    if kind.name == "any":
        return reading is Reading.exact or ((isinstance(value, str) or reading is Reading.yaml) and _is_plain(value))
    if kind.name == "literal":
        return [each for each in kind.choices if str(each) == str(value)] == [value] and _is_choice(kind, value)
    if isinstance(value, (list, tuple)):
        if kind.name == "list":
            return (
                all(arrives(kind.inner[0], each, reading) for each in value) if kind.inner else _is_any(value, reading)
            )
        if kind.name == "tuple" and kind.inner:
            return len(value) == len(kind.inner) and all(
                arrives(inner, each, reading) for inner, each in zip(kind.inner, value, strict=True)
            )
        return kind.name == "tuple" and _is_any(value, reading)
    if isinstance(value, Mapping):
        key, inner = kind.inner if len(kind.inner) == 2 else (TEXT, Kind("any"))
        return kind.name == "mapping" and all(
            arrives(key, each, reading) and arrives(inner, value[each], reading) for each in value
        )
    return _is_scalar(kind, value)


def _is_any(values: Any, reading: Reading) -> bool:
    return all(arrives(Kind("any"), each, reading) for each in values)


def _is_scalar(kind: Kind, value: Any) -> bool:
    if isinstance(value, str):  # of a path, only the shortest form arrives as it is
        return kind.name == "text" or (kind.name == "path" and str(PurePosixPath(value)) == value)
    if value is None or isinstance(value, bool):
        return kind.name == ("null" if value is None else "boolean")
    if isinstance(value, int):
        return kind.name == "integer" or (kind.name == "float" and _is_exact(value))
    return kind.name == "float"


def _is_exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _is_choice(kind: Kind, value: Any) -> bool:
    return any(type(each) is type(value) and each == value for each in kind.choices)


def _is_plain(value: Any) -> bool:
    """Tell whether a value is the same when its texts are read once more."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or not looks_otherwise(value)


def looks_otherwise(text: str) -> bool:
    """Tell whether a text may be read as a number, a boolean, null or a structure."""
    is_special = text.lstrip("-").lower() in {*_TRUTH, *_NULL, "inf", "nan", "infinity"}
    return is_special or text != text.strip() or not _BARE.fullmatch(text)


def _arrives_in_union(kind: Kind, value: Any, reading: Reading) -> bool:
    """The libraries try one member after the other, and take the first that a value can be read as."""
    members = kind.members
    index = next((index for index, each in enumerate(members) if arrives(each, value, reading)), None)
    if index is None or value is None:
        return index is not None
    if isinstance(value, (list, tuple, Mapping)):
        before = [each for each in members[:index] if each.name != "null"]
        if reading is Reading.words:
            is_null = len(value) == 1 and NULL in members and _takes(NULL, next(iter(value)), reading)
            return len(kind.rest.members) == 1 and not is_null
        return not any(each.name in ("text", "any", "unknown", members[index].name) for each in before)
    is_last = isinstance(value, str) or reading is Reading.exact  # some ask the others first
    others = [each for each in (members if is_last else members[:index]) if each != members[index]]
    if reading is Reading.words and kind.has("list", "tuple", "mapping"):
        return False
    return not any(_takes(each, value, reading) for each in others)


def _takes(kind: Kind, value: Any, reading: Reading) -> bool:
    """Tell whether a scalar, as it is written, may be read as this type, and is another value then."""
    text = str(value).strip()
    if kind.name == "null":
        return text.lower() in _NULL or (reading is Reading.yaml and value != "" and _is_empty_yaml(text))
    if kind.name == "boolean":
        return text.lower() in _TRUTH or reading is Reading.exact
    if kind.name == "integer":
        return _is_number(text, whole=reading is not Reading.exact) or isinstance(value, bool)
    if kind.name == "float":
        is_same = isinstance(value, float) or (isinstance(value, int) and _is_exact(value))
        return not is_same and _is_number(text, whole=False)
    if kind.name in ("text", "path") and isinstance(value, str):
        return False
    if kind.name == "literal":
        return any(str(each) == text for each in kind.choices)
    if kind.name in ("list", "tuple", "mapping"):
        return isinstance(value, str) and looks_otherwise(value)
    return True


def _is_empty_yaml(text: str) -> bool:
    import yaml

    try:
        return yaml.safe_load(text) is None
    except (yaml.YAMLError, ValueError):
        return False


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        number = float(text)
    except ValueError:
        return bool(re.fullmatch(r"[-+]?[0-9][0-9_.:a-fA-FxXoO+-]*", text))
    return not whole or (math.isfinite(number) and number == int(number))
