"""Which library reads a program's command line, by what its source imports and calls."""

from __future__ import annotations

import ast
from importlib import import_module

from experimentstash.base.patterns import regex
from experimentstash.freeze.declared.option import Declared, calls
from experimentstash.stash.schema import CallStyle

# The files beside this one, and the functions there, that read what is declared: a run needs one of them at most.
_READ = {
    CallStyle.argparse: ("argparse", "read"),
    CallStyle.click: ("click", "read"),
    CallStyle.typer: ("typed", "read_typer"),
    CallStyle.tyro: ("typed", "read_tyro"),
    CallStyle.absl: ("absl", "read"),
    CallStyle.ml_collections: ("absl", "read_own"),
    CallStyle.gin: ("absl", "read_own"),
    CallStyle.fire: ("typed", "read_fire"),
    CallStyle.hf: ("typed", "read_hf"),
    CallStyle.jsonargparse: ("typed", "read_jsonargparse"),
    CallStyle.simple_parsing: ("typed", "read_simple_parsing"),
    CallStyle.pyrallis: ("typed", "read_pyrallis"),
}


def style(tree: ast.Module) -> CallStyle | None:
    """Return the dialect of a program's command line; None: it reads none, or in a way that isn't known."""
    modules, names = _imports(tree)
    roots = {name.partition(".")[0] for name in modules}
    if "LightningCLI" in names or any(calls(tree, "LightningCLI")):
        return CallStyle.jsonargparse
    if roots & {"transformers", "trl", "alignment"} and any(
        calls(tree, "HfArgumentParser", "TrlParser", "H4ArgumentParser")
    ):
        return CallStyle.hf
    for root, found in _BY_ROOT.items():
        if root in roots:
            return found
    if "config_flags" in names or any(calls(tree, "DEFINE_config_file", "DEFINE_config_dict")):
        return CallStyle.ml_collections
    if "gin" in roots and any(calls(tree, "parse_config_files_and_bindings", "parse_config")):
        return CallStyle.gin
    if "absl" in roots and any(
        name.startswith("absl.flags") for name in [*modules, *(f"absl.{each}" for each in names)]
    ):
        return CallStyle.absl
    if "click" in roots:
        return CallStyle.click
    if "argparse" in roots:
        return CallStyle.argparse
    return CallStyle.key_value if any(calls(tree, "from_cli")) else None


_BY_ROOT = {
    "typer": CallStyle.typer,
    "tyro": CallStyle.tyro,
    "jsonargparse": CallStyle.jsonargparse,
    "simple_parsing": CallStyle.simple_parsing,
    "pyrallis": CallStyle.pyrallis,
    "draccus": CallStyle.pyrallis,
    "sacred": CallStyle.sacred,
    "fire": CallStyle.fire,
}


# Without one of these words a source reads no command line in a way that is known.
_SIGNS = regex(
    r"LightningCLI|HfArgumentParser|TrlParser|H4ArgumentParser|config_flags|DEFINE_config_|from_cli"
    rf"|\b(?:gin|absl|click|argparse|{'|'.join(_BY_ROOT)})\b"
)


def may_read(text: str) -> bool:
    """Tell quickly whether a source may read a command line: most files of a large repository don't."""
    return _SIGNS.search(text) is not None


def read(tree: ast.Module, found: CallStyle) -> Declared:
    """Return what a program declares of its command line in a dialect."""
    if found not in _READ:
        return Declared()
    file, function = _READ[found]
    declared: Declared = getattr(import_module(f"{__package__}.{file}"), function)(tree)
    return declared


def _imports(tree: ast.Module) -> tuple[set[str], set[str]]:
    modules: set[str] = set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module)
            names |= {alias.name for alias in node.names}
    return modules, names
