"""A program that reads `--key=value`, or `key=value`, from its command line itself, into variables of its own.

As nanoGPT does it: the variables stand at the top of the program, and a few lines in it, or in a file that it executes,
go through `sys.argv` and split each word at `=`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.freeze.declared import program
from experimentstash.freeze.declared.option import Option, called, constant

_EVALUATES = ("literal_eval", "eval", "safe_load")


@dataclass(frozen=True)
class Configurator:
    """How such a program reads its command line."""

    has_dashes: bool  # --key=value
    evaluates: bool  # a value is read as Python has it: True, None, [1, 2]
    variables: tuple[Option, ...]  # those that it may set


def read(directory: Path, file: str) -> Configurator | None:
    """Return how a program in a directory reads its command line; None: not in this way."""
    tree = program.parsed(directory / file)
    if tree is None:
        return None
    for each in (tree, *_executed(tree, directory)):
        for loop in _loops(each):
            text = ast.unparse(loop)
            if re.search(r"\.(?:r?split|partition)\(['\"]=['\"]", text):
                return Configurator(
                    has_dashes=re.search(r"['\"]--?['\"]", text) is not None,
                    evaluates=any(called(node) in _EVALUATES for node in ast.walk(loop) if isinstance(node, ast.Call)),
                    variables=tuple(_variables(tree)),
                )
    return None


def _executed(tree: ast.Module, directory: Path) -> Iterator[ast.Module]:
    """Yield the files of the repository that a program executes as part of itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) == "exec":
            for inner in ast.walk(node):
                name = constant(inner) if isinstance(inner, ast.Constant) else None
                if name is not None and name.endswith(".py") and ".." not in Path(name).parts:
                    found = program.parsed(directory / name)
                    if found is not None:
                        yield found


def _loops(tree: ast.Module) -> Iterator[ast.For]:
    for node in ast.walk(tree):
        if isinstance(node, ast.For) and "argv" in ast.unparse(node.iter):
            yield node


def _variables(tree: ast.Module) -> Iterator[Option]:
    """Yield what a program gives a plain value at its top."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is not None:
            for target in node.targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield Option(target.id, is_required=False, is_positional=False, example=repr(node.value.value))
