"""What `--where` says of a run, in Python's words: `metrics.trustworthiness > 0.9 and params.seed < 3`.

It is read by Python's parser and never executed: there are comparisons, `and`, `or`, `not`, `in`, texts, numbers,
lists and names, and nothing else. What a run doesn't have is neither true nor false, and so is whatever hangs on it:
such a run matches nothing but `is None`.
"""

from __future__ import annotations

import ast
import keyword
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.dotted import is_number
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.patterns import regex
from experimentstash.base.text import cells

# Characters of an expression, and levels of brackets and operators in it.
_LONGEST, _DEEPEST = 2000, 50
# Names that an error lists at most.
_LISTED = 20
_FORM = "write it like  metrics.accuracy > 0.9 and params.seed < 3"
_CONSTANTS = {"true": True, "false": False, "null": None}
_ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# The same with its sides exchanged.
_MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
# How much wider a bound is than what was asked for: others may read a number's digits a little otherwise.
_MARGIN, _LARGEST_BOUND = 1e-9, 1e15
_ASSIGNED = regex(r"(?<![=!<>])=(?!=)")
_WORDS = regex(r"\.\s*(\w+)")

# Returns what stands at a name, such as ("params", "model.lr"), as `alike` has it; None if nothing does.
Lookup = Callable[[str, str], Any]


def alike(name: str) -> str:
    """Return a name as it is told from others: a dash is no more than a low line, as argparse has it."""
    return name.replace("-", "_")


@dataclass(frozen=True)
class Name:
    """A name in an expression: `params.model.lr` is what ``params`` has as ``model.lr``, a dash as a low line."""

    root: str
    rest: str
    place: str  # the expression, with a mark below the name
    may_be_missing: bool  # it is only asked whether it is None

    def __str__(self) -> str:
        return f"{self.root}.{self.rest}" if self.rest else self.root


@dataclass(frozen=True)
class Bound:
    """Where a number must lie, or an expression is false: a little wider than that, and None where there is no end.

    It says nothing of what is missing, and of what is no number.
    """

    root: str
    rest: str
    least: float | None
    greatest: float | None


@dataclass(frozen=True)
class Expression:
    """What a run is to be like."""

    names: tuple[Name, ...]
    bounds: tuple[Bound, ...]  # by which most runs can be told apart without the expression itself
    _test: Callable[[Lookup], bool | None]

    def holds(self, lookup: Lookup) -> bool | None:
        """Tell whether it is true of what ``lookup`` finds; None if that can't be known."""
        return self._test(lookup)

    def missing(self, lookup: Lookup) -> list[str]:
        """Return the names at which nothing is found."""
        return list(dict.fromkeys(str(name) for name in self.names if lookup(name.root, name.rest) is None))

    def check(self, known: Mapping[str, Iterable[str]]) -> None:
        """Raise StashError for a name that isn't among the ``known``, by their roots; other roots aren't looked at."""
        for name in self.names:
            valid = sorted(known.get(name.root, ()))
            is_known = any(f"{alike(each)}.".startswith(f"{name.rest}.") for each in valid)
            if name.root in known and not is_known and not name.may_be_missing:
                listed = ", ".join(valid[:_LISTED]) + (f" and {len(valid) - _LISTED} more" if valid[_LISTED:] else "")
                raise StashError(
                    f"--where: none of these runs has {str(name)!r}.{did_you_mean(name.rest, valid)}\n{name.place}\n"
                    f"{name.root} that there are: {listed or 'none'}",
                    _FORM,
                )


def parse(text: str, roots: Mapping[str, bool], values: Mapping[str, Sequence[str]] | None = None) -> Expression:
    """Return what an expression means; StashError, with the place, if it has no meaning.

    ``roots`` are the names that there are, and whether they have others below: then what follows is anybody's.
    ``values`` are, by such names, the only texts that they can be.
    """
    return _Reader(" ".join(text.splitlines()).strip(), roots, values or {}).read()


class _Reader:
    def __init__(self, text: str, roots: Mapping[str, bool], values: Mapping[str, Sequence[str]]) -> None:
        self._text, self._roots, self._texts = text, roots, values
        self._names: list[Name] = []
        self._asked: set[int] = set()  # nodes of which only it is asked whether they are None

    def read(self) -> Expression:
        if len(self._text) > _LONGEST:
            raise StashError(f"--where: it has {len(self._text):,} characters; {_LONGEST:,} are the most.")
        if not self._text:
            raise StashError("--where: it is empty.", _FORM)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            self._refuse(f"it can't be read: {error.msg}", (error.offset or 1) - 1, 1, self._hint())
        except (ValueError, RecursionError, MemoryError) as error:
            raise StashError(f"--where: it can't be read: {error or 'it is too deeply nested'}.", _FORM) from None
        test = self._condition(tree, 0)
        return Expression(tuple(self._names), tuple(self._bounds(tree)), test)

    def _hint(self) -> str:
        """Return what may fix what is no Python at all."""
        reserved = next((word for word in _WORDS.findall(self._text) if keyword.iskeyword(word)), None)
        if reserved is not None:
            return f"write ['{reserved}'] for .{reserved}, which is a word of Python's"
        if "&&" in self._text or "||" in self._text:
            return "write `and` for &&, `or` for ||"
        return "== compares" if _ASSIGNED.search(self._text) else _FORM

    # Conditions ------------------------------------------------------------------------------------------------------

    def _condition(self, node: ast.expr, depth: int) -> Callable[[Lookup], bool | None]:
        """Return what tells whether a part of it is true."""
        self._refuse_deep(node, depth)
        if isinstance(node, ast.BoolOp):
            tests = [self._condition(each, depth + 1) for each in node.values]
            decides = isinstance(node.op, ast.Or)  # one such part decides it, whatever the others are
            return lambda lookup: _joined((test(lookup) for test in tests), decides)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            test = self._condition(node.operand, depth + 1)
            return lambda lookup: None if (found := test(lookup)) is None else not found
        if isinstance(node, ast.Compare):
            return self._comparison(node, depth)
        value = self._value(node, depth)
        return lambda lookup: None if (found := value(lookup)) is None else bool(found)

    def _comparison(self, node: ast.Compare, depth: int) -> Callable[[Lookup], bool | None]:
        sides = [node.left, *node.comparators]
        for left, operation, right in zip(sides, node.ops, node.comparators, strict=False):
            if isinstance(operation, (ast.Is, ast.IsNot)) and not _is_none(right):
                self._refuse_node(right, "`is` asks only for None", "== compares")
            if _asks_for_none(operation, right):
                self._asked.add(id(left))
            self._refuse_impossible(left, right)
            if not isinstance(operation, (ast.In, ast.NotIn)):  # 'out' in state
                self._refuse_impossible(right, left)
        values = [self._value(each, depth + 1) for each in sides]
        steps = [
            (left, _compared(operation, _is_none(given)), right)
            for left, operation, right, given in zip(values, node.ops, values[1:], node.comparators, strict=False)
        ]
        return lambda lookup: _joined((compare(left(lookup), right(lookup)) for left, compare, right in steps), False)

    def _refuse_impossible(self, name: ast.expr, given: ast.expr) -> None:
        """Refuse a text that what it is compared with can't be: a slip of the pen would let through all, or nothing."""
        if not isinstance(name, ast.Name) or name.id not in self._texts:
            return
        valid = self._texts[name.id]
        for each in given.elts if isinstance(given, (ast.List, ast.Tuple, ast.Set)) else [given]:
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value not in valid:
                meant = did_you_mean(each.value, valid)
                self._refuse_node(
                    each, f"there is no {name.id} {each.value!r}.{meant} Valid: {', '.join(valid)}", _FORM
                )

    def _bounds(self, node: ast.expr) -> Iterator[Bound]:
        """Yield the bounds of a condition that has been read; what isn't simple has none."""
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            for each in node.values:
                yield from self._bounds(each)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operation, right in zip(sides, node.ops, node.comparators, strict=False):
                yield from self._bound(left, type(operation), right)
                yield from self._bound(right, _MIRRORED.get(type(operation), type(operation)), left)

    def _bound(self, name: ast.expr, operation: type[ast.cmpop], given: ast.expr) -> Iterator[Bound]:
        is_name = isinstance(name, (ast.Name, ast.Attribute, ast.Subscript)) and not _is_constant(name)
        number = self._constant(given, 0) if isinstance(given, (ast.Constant, ast.UnaryOp)) else None
        if not is_name or number is None or not is_number(number) or abs(number) > _LARGEST_BOUND:
            return
        found, margin = self._name(name, 0), _MARGIN * max(1.0, abs(number))
        least = number - margin if operation in (ast.Gt, ast.GtE, ast.Eq) else None
        greatest = number + margin if operation in (ast.Lt, ast.LtE, ast.Eq) else None
        if (least, greatest) != (None, None):
            yield Bound(found.root, found.rest, least, greatest)

    # Values ----------------------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr, depth: int) -> Callable[[Lookup], Any]:
        """Return what finds the value that a part of it stands for."""
        self._refuse_deep(node, depth)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = [self._value(each, depth + 1) for each in node.elts]
            return lambda lookup: [item(lookup) for item in items]
        if isinstance(node, ast.Name) and _is_constant(node):
            constant = _CONSTANTS[node.id]
            return lambda lookup: constant
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            name = self._name(node, depth)
            self._names.append(name)
            return lambda lookup: lookup(name.root, name.rest)
        constant = self._constant(node, depth)
        return lambda lookup: constant

    def _constant(self, node: ast.expr, depth: int) -> Any:
        self._refuse_deep(node, depth)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            number = self._constant(node.operand, depth + 1)
            if isinstance(number, (int, float)):
                return -number if isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (str, int, float))):
            return node.value
        if isinstance(node, ast.BinOp):
            self._refuse_node(
                node,
                "nothing is calculated here",
                "a name with a dash in it is written with a low line, or as  params['n-neighbors']",
            )
        return self._refuse_node(node, "this is neither a name, a text, a number nor a comparison", _FORM)

    def _name(self, node: ast.expr, depth: int) -> Name:
        parts: list[str] = []
        inner = node
        while not isinstance(inner, ast.Name):
            depth += 1
            self._refuse_deep(node, depth)
            if isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
            elif (
                isinstance(inner, ast.Subscript)
                and isinstance(inner.slice, ast.Constant)
                and isinstance(inner.slice.value, (str, int))
            ):
                parts.append(str(inner.slice.value))
            else:
                self._refuse_node(inner, "this is no name", "write  params.lr  or  params['lr']")
            inner = inner.value
        root, rest = inner.id, alike(".".join(reversed(parts)))
        if root not in self._roots:
            guess = did_you_mean(root, self._roots)
            self._refuse_node(
                inner,
                f"there is no {root!r}.{guess} There are: {', '.join(sorted(self._roots))}",
                "a text stands in quotes: state == 'completed'; a parameter is  params.NAME, a number  metrics.NAME",
            )
        if self._roots[root] != bool(rest):
            self._refuse_node(
                node, f"`{root}` {'has nothing below it' if rest else f'is many: {root}.NAME is one of them'}", _FORM
            )
        return Name(root, rest, self._shown(*self._span(node)), id(node) in self._asked)

    # Refusals --------------------------------------------------------------------------------------------------------

    def _refuse_deep(self, node: ast.expr, depth: int) -> None:
        if depth > _DEEPEST:
            self._refuse_node(node, f"it has more than {_DEEPEST} levels", "make it simpler")

    def _refuse_node(self, node: ast.expr, why: str, hint: str) -> NoReturn:
        self._refuse(why, *self._span(node), hint)

    def _refuse(self, why: str, begin: int, length: int, hint: str) -> NoReturn:
        raise StashError(f"--where: {why}.\n{self._shown(begin, length)}", hint)

    def _span(self, node: ast.expr) -> tuple[int, int]:
        """Return where a part of it begins, and how long it is, in characters: Python counts bytes."""
        encoded = self._text.encode()
        begin = len(encoded[: node.col_offset].decode())
        return begin, len(encoded[: node.end_col_offset].decode()) - begin

    def _shown(self, begin: int, length: int) -> str:
        marks = "^" * max(1, cells(self._text[begin : begin + length]))
        return f"    {self._text}\n    {' ' * cells(self._text[:begin])}{marks}"


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _CONSTANTS


def _is_none(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id == "null")


def _asks_for_none(operation: ast.cmpop, right: ast.expr) -> bool:
    return isinstance(operation, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)) and _is_none(right)


def _joined(parts: Iterator[bool | None], decides: bool) -> bool | None:
    """Return what parts come to, of which one that is ``decides`` decides it, as in Kleene's logic of three values."""
    known = True
    for part in parts:
        if part is decides:
            return decides
        known = known and part is not None
    return not decides if known else None


def _compared(operation: ast.cmpop, with_none: bool) -> Callable[[Any, Any], bool | None]:
    """Return what compares two values; what can't be compared is neither true nor false."""
    if with_none:
        wants_none = isinstance(operation, (ast.Is, ast.Eq))
        if isinstance(operation, (ast.Is, ast.Eq, ast.IsNot, ast.NotEq)):
            return lambda left, right: (left is None) is wants_none
    if isinstance(operation, (ast.Eq, ast.NotEq)):
        wants_equal = isinstance(operation, ast.Eq)
        return lambda left, right: (left == right) is wants_equal if _may_be_equal(left, right) else None
    if isinstance(operation, (ast.In, ast.NotIn)):
        wants_in = isinstance(operation, ast.In)
        return lambda left, right: None if (found := _is_in(left, right)) is None else found is wants_in
    order = _ORDERS[type(operation)]
    return lambda left, right: order(left, right) if _have_order(left, right) else None


def _may_be_equal(left: Any, right: Any) -> bool:
    """Tell whether it makes sense to ask: what is many, such as tags, is not one of them, nor is it another thing."""
    return left is not None and right is not None and isinstance(left, list) is isinstance(right, list)


def _is_in(left: Any, right: Any) -> bool | None:
    if left is None or not (isinstance(right, list) or (isinstance(right, str) and isinstance(left, str))):
        return None
    return left in right


def _have_order(left: Any, right: Any) -> bool:
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in ((int, float), str))
