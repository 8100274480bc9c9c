"""The command line that an entrypoint reads: of its own file, or of what it imports from the repository."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from experimentstash.declared import library
from experimentstash.declared.option import Declared
from experimentstash.schema import CallStyle

_LARGEST_FILE = 1_000_000
# Files that are read at most, of those that an entrypoint imports.
_MOST_FILES = 30


@dataclass(frozen=True)
class Program:
    """How an entrypoint reads its command line."""

    style: CallStyle | None  # None: not in a way that is known
    declared: Declared


def read(directory: Path, entrypoint: str, target: str | None = None) -> Program:
    """Read what an entrypoint declares; ``target``: the module, if it is a script that an installation makes."""
    start = _file(directory, entrypoint, target)
    style: CallStyle | None = None
    declared = Declared()
    for path in _reached(directory, start) if start is not None else ():
        tree = parsed(path)
        if tree is None:
            continue
        found = library.style(tree)
        if found is None or (style is not None and found is not style):
            continue
        style = found
        more = library.read(tree, found)
        declared = replace(
            declared,
            options=(*declared.options, *more.options),
            subcommands=declared.subcommands or more.subcommands,
            needs_subcommand=declared.needs_subcommand or more.needs_subcommand,
        )
    return Program(style, declared)


def parsed(path: Path) -> ast.Module | None:
    """Return a file's syntax tree; None if it isn't one that can be read."""
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_FILE:
            return None
        return ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _file(directory: Path, entrypoint: str, target: str | None) -> Path | None:
    try:
        words = shlex.split(entrypoint)
    except ValueError:
        return None
    if target is not None:
        return _module(directory, directory, target)
    if words[:1] == ["-m"] and len(words) > 1:
        return _module(directory, directory, f"{words[1]}.__main__") or _module(directory, directory, words[1])
    path = directory / words[0] if words else directory
    return path if path.suffix == ".py" and path.is_file() else None


def _module(directory: Path, beside: Path, name: str) -> Path | None:
    path = name.replace(".", "/")
    for root in (beside, directory, directory / "src"):
        for found in (root / f"{path}.py", root / path / "__init__.py"):
            if found.is_file():
                return found
    return None


def _reached(directory: Path, start: Path) -> Iterator[Path]:
    """Yield a file and those of the repository that it imports, the nearest first."""
    waiting, seen = [start], {start}
    count = 0
    while waiting and count < _MOST_FILES:
        path = waiting.pop(0)
        count += 1
        yield path
        tree = parsed(path)
        for found in _imported(directory, path, tree) if tree is not None else ():
            if found not in seen:
                seen.add(found)
                waiting.append(found)


def _imported(directory: Path, path: Path, tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        names: list[str] = []
        beside = path.parent
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            for _ in range(node.level - 1):
                beside = beside.parent
            module = node.module or ""
            names = [".".join(filter(None, (module, alias.name))) for alias in node.names] + [module] * bool(module)
        for name in names:
            found = _module(directory, beside, name)
            if found is not None and found.is_relative_to(directory):
                yield found
