"""The command line that an entrypoint reads: of its own file, or of what it imports from the repository."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.freeze.declared import library
from experimentstash.freeze.declared.option import Declared, takes_unknown
from experimentstash.stash.schema import CallStyle

_LARGEST_FILE = 1_000_000
# Files that are read at most, of those that an entrypoint imports.
_MOST_FILES = 30


@dataclass(frozen=True)
class Program:
    """How an entrypoint reads its command line."""

    style: CallStyle | None  # None: not in a way that is known
    declared: Declared


NOTHING = Program(None, Declared())


def read(directory: Path, entrypoint: Sequence[str]) -> Program:
    """Read what an entrypoint, given in words, declares."""
    start = _file(directory, entrypoint)
    style: CallStyle | None = None
    declared = Declared()
    paths = list(_reached(directory, start)) if start is not None else []
    trees = [(path, tree) for path, tree in ((path, parsed(path)) for path in paths) if tree is not None]
    classes = {node.name: node for _, tree in reversed(trees) for node in tree.body if isinstance(node, ast.ClassDef)}
    for path, tree in trees:
        if path != start:  # what a module does when it is started itself is another command line
            tree.body = [node for node in tree.body if not is_main_guard(node)]
        found = library.style(tree)
        if found is None or (style is not None and found is not style):
            continue
        style = found
        if found is CallStyle.click and declared.options and not declared.subcommands:
            from experimentstash.freeze.declared import click  # here, because most programs use another library

            tree.body = [node for node in tree.body if not click.is_command(node)]  # programs of their own
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        tree.body += [node for name, node in classes.items() if name not in own]
        more = library.read(tree, found)
        declared = replace(
            declared,
            options=(*declared.options, *more.options),
            of_library=(*declared.of_library, *more.of_library),
            subcommands=declared.subcommands or more.subcommands,
            needs_subcommand=declared.needs_subcommand or more.needs_subcommand,
            takes_unknown=declared.takes_unknown or takes_unknown(tree),
        )
    return Program(style, declared)


def is_main_guard(node: ast.stmt) -> bool:
    """Tell whether a statement is `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test) and "__main__" in ast.dump(node.test)


def parsed(path: Path) -> ast.Module | None:
    """Return a file's syntax tree; None if it isn't one that can be read."""
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_FILE:
            return None
        return ast.parse(files.read_text(path, errors="replace"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _file(directory: Path, entrypoint: Sequence[str]) -> Path | None:
    first, *others = entrypoint
    if first == "-m" and others:
        return _module(directory, directory, f"{others[0]}.__main__") or _module(directory, directory, others[0])
    if first.endswith(".py"):
        return directory / first if (directory / first).is_file() else None
    target = _script(directory, first)
    return _module(directory, directory, target) if target is not None else None


def _script(directory: Path, name: str) -> str | None:
    """Return the module of a script that the installation of a project makes."""
    path = directory / "pyproject.toml"
    if "/" in name or path.is_symlink() or not path.is_file():
        return None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    try:
        target = tomllib.loads(files.read_text(path))["project"]["scripts"][name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return target.partition(":")[0].strip() if isinstance(target, str) else None


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
