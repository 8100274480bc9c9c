"""Imports point down: from room to room by name, and never in a circle."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "experimentstash"

# What a new stash is given: programs of its own.
SCAFFOLD = PACKAGE / "scaffold"

# From the top down. A room may import from the lines below its own; rooms on one line don't import each other.
ROOMS = (
    ("cli", "api"),
    ("validate", "report", "publish"),
    ("pages",),
    ("launch", "tools"),
    ("runs",),
    ("compose", "freeze", "execute"),
    ("code",),
    ("adapters",),
    ("record",),
    ("stash",),
    ("base",),
)
# Only these may import Hydra or OmegaConf: what a job executes needs neither.
COMPOSERS = (
    "compose.",
    "launch.app",
    "launch.begin",
    "launch.prepare",
    "launch.refuse",
    "launch.tasks",
    "launch.sweep_jobs",
    "launch.slurm.submitit_jobs",
    "launch.slurm.submitit_settings",
)
COMPOSERS += ("launch.sweep", "validate.composer")
# Modules that cost more than they are worth at start-up; whoever needs one imports it where it is used.
HEAVY = {
    "scipy",
    "numpy",
    "wandb",
    "submitit",
    "git",
    "rich",
    "hydra",
    "omegaconf",
    "yaml",
    "uv",
    "jinja2",
    "PIL",
    "pypdfium2",
}


@functools.cache
def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and SCAFFOLD not in path.parents
    }


class Module(NamedTuple):
    """What a module's text holds."""

    imports: set[str]  # the full names that it imports
    at_top: set[str]  # only those that it imports when it is itself imported
    texts: list[str]  # but for docstrings


@functools.cache
def read(name: str) -> Module:
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    told = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
    }
    said = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]
    return Module(imports(nodes), imports(tree.body), said)


def imports(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def own(names: set[str]) -> set[str]:
    known = modules()
    stripped = {name.removeprefix("experimentstash.") for name in names if name.startswith("experimentstash.")}
    return {name for name in stripped if name in known}


def room(name: str) -> str:
    return name.partition(".")[0]


def test_every_room_is_on_a_line_of_its_own() -> None:
    named = [each for line in ROOMS for each in line]
    assert sorted(named) == sorted({room(name) for name in modules()} - {"__main__"})


@pytest.mark.parametrize("name", sorted(set(modules()) - {"__main__"}))
def test_a_room_imports_only_from_below(name: str) -> None:
    level = {each: number for number, line in enumerate(ROOMS) for each in line}
    found = own(read(name).imports)
    wrong = {other for other in found if room(other) != room(name) and level[room(other)] <= level[room(name)]}
    assert not wrong


def test_no_imports_go_in_a_circle() -> None:
    graph = {name: own(read(name).imports) for name in modules()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)  # CycleError names the circle


@pytest.mark.parametrize("name", sorted(name for name in modules() if not name.startswith(COMPOSERS)))
def test_nothing_heavy_is_imported_at_start(name: str) -> None:
    roots = {imported.partition(".")[0] for imported in read(name).at_top}
    assert not roots & HEAVY


@pytest.mark.parametrize("folder", sorted({path.parent for path in modules().values()} - {PACKAGE}))
def test_rooms_have_nothing_at_their_door(folder: Path) -> None:
    """Whoever imports one module of a room, a job on a thousand nodes among them, imports nothing else by that."""
    assert (folder / "__init__.py").read_text() == ""


# Below `stash`, these make the folders of a stash no more open than it says.
BELOW = ("base.files", "base.permissions")
OF_A_STASH = re.compile(r"(^|[/ ])(\.experimentstash|backups|conf/(tool|exp|config)\b)(?!-)")


@pytest.mark.parametrize("name", sorted(set(modules()) - {"stash.paths", *BELOW}))
def test_one_module_knows_what_the_paths_of_a_stash_are_called(name: str) -> None:
    assert not [text for text in read(name).texts if OF_A_STASH.search(text)]
