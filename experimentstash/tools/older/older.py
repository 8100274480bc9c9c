"""Reads an older stash: `configs/meta.yaml` with its `tools:`, and flat organizers (`tool: name`, `experiment: name`),
or whole configurations of tools (see `older_trees`).

Works on YAML nodes instead of values, so that a version 3.10 stays 3.10 and what was in quotes stays in quotes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base import durations, yaml_files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import check_tool_name
from experimentstash.base.patterns import regex
from experimentstash.base.yaml_files import YamlError
from experimentstash.stash import paths
from experimentstash.stash.schema import StashConfig, ToolConfig
from experimentstash.tools.older import older_trees
from experimentstash.tools.older.older_trees import Submodule, Tree
from experimentstash.tools.older.yaml_nodes import entries, mapping, node_of, sequence, serialized, text_node, value_of

if TYPE_CHECKING:
    from yaml import Node

_PARAMETERS = ("params", "parameters", "overrides")
_ORGANIZER_NAME = regex(r"[\w.-]+(?:/[\w.-]+)*")
_COMMIT = regex(r"[0-9a-f]{7,40}")
_OVERRIDE = regex(r"(?P<key>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)=(?P<value>[^=(){}]*)")
# Keys that would do something else here than they did.
_REFUSED = {"defaults", "hydra", "<<", "output_dir", "validate_only", "dry_run"}
_MOST_SOURCES = 2000
_BAD_NAME = "its name can't stand on Hydra's command line: use letters, digits, _ - and ."


@dataclass(frozen=True)
class Left:
    """Something that was not carried over, or that should be looked at."""

    file: str  # relative to the older stash
    key: str | None
    why: str


@dataclass(frozen=True)
class Translation:
    """An older stash as files of a new one: text by path relative to the stash's root."""

    tools: dict[str, str]
    experiments: dict[str, str]
    left: tuple[Left, ...]
    trees: tuple[Tree, ...] = ()  # configurations that are copied
    submodules: tuple[Submodule, ...] = ()  # where the tools' code comes from

    @property
    def files(self) -> dict[str, str]:
        named = {paths.registration(name): text for name, text in self.tools.items()}
        return {**named, **{paths.organizer(name): text for name, text in self.experiments.items()}}


def translate(directory: Path, known_tools: list[str]) -> Translation:
    """Return an older stash (or its `configs` directory) in the present form; ``known_tools`` are there already.

    Raises StashError if it isn't one.
    """
    configs = next((each for each in (directory / "configs", directory) if (each / "meta.yaml").is_file()), None)
    if configs is None:
        raise StashError(
            f"There is no configs/meta.yaml in {directory}: this is no older stash.",
            "give the directory that has configs/ in it",
        )
    return _Reader(configs, known_tools).translate()


class _Reader:
    """Goes through an older stash once."""

    def __init__(self, configs: Path, known_tools: list[str]) -> None:
        self.configs = configs
        self.root = configs.parent
        self.known_tools = set(known_tools)
        self.left: list[Left] = []

    def translate(self) -> Translation:
        tools = dict(self._tools())
        self.known_tools |= set(tools)
        experiments: dict[str, str] = {}
        trees = [tree for name in tools if (tree := older_trees.find(self.configs, name)) is not None]
        for tree in trees:
            experiments |= self._of_tree(tree)
        for path in sorted([*self.configs.rglob("*.yaml"), *self.configs.rglob("*.yml")]):
            inner = path.relative_to(self.configs)
            if inner.name.removesuffix(inner.suffix) == "meta" and len(inner.parts) == 1:
                continue
            if any(part.startswith(".") for part in inner.parts) or any(path.is_relative_to(t.place) for t in trees):
                continue
            name = inner.with_suffix("").as_posix()
            text = self._organizer(path, name)
            if text is not None and name in experiments:
                self._leave(path, None, f"there is a {name}.yaml, too")
            elif text is not None:
                experiments[name] = text
        submodules = tuple(self._submodules(tools))
        return Translation(tools, experiments, tuple(self.left), tuple(trees), submodules)

    def _of_tree(self, tree: Tree) -> dict[str, str]:
        """Return an organizer for each experiment of a tool's own configuration."""
        found = {}
        for inner, path in tree.experiments():
            name = f"{tree.tool}/{inner.partition('/')[2]}"
            if not _ORGANIZER_NAME.fullmatch(name):
                self._leave(path, None, _BAD_NAME)
                continue
            settings = {"experiment": text_node(inner)}
            found[name] = _head(tree.tool) + serialized(settings)
        return found

    def _submodules(self, tools: Mapping[str, str]) -> Iterator[Submodule]:
        """Yield where the code of the tools comes from, as far as .gitmodules says it."""
        places = {os.path.normpath(_plain(text)["path"]) for text in tools.values()}
        for each in older_trees.submodules(self.root):
            if os.path.normpath(each.path) not in places:
                self._leave(self.root / ".gitmodules", each.path, "no tool is registered for this submodule")
            elif each.problem is not None:
                self._leave(self.root / ".gitmodules", each.path, f"its URL {each.url!a}: {each.problem}")
            else:
                yield each

    def _leave(self, path: Path, key: str | None, why: str) -> None:
        self.left.append(Left(os.path.relpath(path, self.root), key, why))

    def _mapping(self, path: Path) -> dict[str, Node] | None:
        """Return the top level of a file; None, and a note, if it has none."""
        try:
            node = yaml_files.nodes(path)
        except YamlError as error:
            self._leave(path, None, f"it can't be read: {error.what}{f' (line {error.line})' if error.line else ''}")
            return None
        if node is None or node.id != "mapping":
            self._leave(path, None, "it is empty, or not a mapping")
            return None
        return entries(node)

    # --- tools -------------------------------------------------------------------------------------------------------

    def _tools(self) -> Iterator[tuple[str, str]]:
        import yaml

        path = self.configs / "meta.yaml"
        content = self._mapping(path) or {}
        for key in content:
            if key != "tools":
                self._leave(path, key, "there is nothing like it any more")
        tools = content.get("tools")
        if not isinstance(tools, yaml.MappingNode):
            raise StashError(f"{path} has no mapping `tools:`.")
        for name, node in entries(tools).items():
            if not isinstance(node, yaml.MappingNode):
                self._leave(path, f"tools.{name}", "it is no mapping")
                continue
            try:
                check_tool_name(name)
            except StashError as error:
                self._leave(path, f"tools.{name}", str(error))
                continue
            text = self._registration(path, name, entries(node))
            if text is not None:
                yield name, text

    def _registration(self, path: Path, name: str, content: dict[str, Node]) -> str | None:
        import yaml

        valid = [field.name for field in dataclasses.fields(ToolConfig)]
        known = {key: node for key, node in content.items() if key in valid}
        tree = older_trees.find(self.configs, name)
        if tree is not None and "call" not in known:
            known["call"] = node_of({"style": "hydra", "config_path": tree.path})
        if "hydra" in content and value_of(content["hydra"]) is False and "call" not in known:
            self._leave(path, f"tools.{name}.hydra", "it is no Hydra application: look at `call:` there")
            known["call"] = node_of({"style": "options"})
        packages = content.get("search_packages")
        if isinstance(packages, yaml.ScalarNode) and "env" not in known:
            known["env"] = node_of({"HYDRA_SEARCH_PACKAGES": str(packages.value)})
        for key in content:
            if key not in valid and key not in ("hydra", "search_packages"):
                self._leave(path, f"tools.{name}.{key}", "a registration has no such setting")
        for key in ("path", "entrypoint"):
            if not isinstance(known.get(key), yaml.ScalarNode):
                self._leave(path, f"tools.{name}.{key}", "a tool needs it, so the tool is left out")
                return None
        directory = os.path.normpath(str(known["path"].value))
        if os.path.isabs(directory) or directory.split(os.sep)[0] in ("..", "."):
            self._leave(path, f"tools.{name}.path", f"{directory} is not below the stash, so the tool is left out")
            return None
        commit = known.pop("commit", None)
        if commit is not None and value_of(commit) is not None:
            if _COMMIT.fullmatch(str(commit.value)):
                known["commit"] = text_node(str(commit.value))
            else:
                self._leave(
                    path, f"tools.{name}.commit", f"{commit.value!r} is no commit; the submodule itself says which"
                )
        version = known.get("python_version")
        if version is not None and value_of(version) is not None:
            known["python_version"] = text_node(str(version.value))
        for key, empty in (("dependencies", []), ("description", None), ("python_version", None)):
            if key in known and value_of(known[key]) in (empty, None):
                del known[key]
        if "call" not in known:
            known["call"] = self._call(path, name, self.root / directory)
        return serialized({key: known[key] for key in valid if key in known})

    def _call(self, path: Path, name: str, tool: Path) -> Node:
        """Return how a tool is called: older stashes called each as a Hydra application."""
        sources = _sources(tool)
        if sources and not any(b"hydra" in source.read_bytes() for source in sources):
            self._leave(path, f"tools.{name}", "it doesn't look like a Hydra application: look at `call:` there")
            return node_of({"style": "options"})
        groups = {found.parent.parent for found in tool.glob("**/experiment/*.yaml") if ".venv" not in found.parts}
        if len(groups) == 1:
            return node_of({"style": "hydra", "configs": groups.pop().relative_to(tool).as_posix()})
        return node_of({"style": "hydra"})

    # --- organizers --------------------------------------------------------------------------------------------------

    def _organizer(self, path: Path, name: str) -> str | None:
        import yaml

        content = self._mapping(path)
        if content is None:
            return None
        tool = content.get("tool")
        experiment = content.get("experiment")
        if not isinstance(tool, yaml.ScalarNode):
            why = (
                "it names no `tool:`, so it is no organizer; a tool's own configs are handed to it with call.config_dir"
            )
        elif tool.value not in self.known_tools:
            why = f"there is no tool {tool.value!r}"
        elif experiment is not None and not isinstance(experiment, yaml.ScalarNode):
            why = "its `experiment:` is no name: it is a whole configuration of the tool, not an organizer"
        elif not _ORGANIZER_NAME.fullmatch(name):
            why = _BAD_NAME
        else:
            settings = self._settings(path, content)
            return _head(tool.value) + (serialized(settings) if settings else "")
        self._leave(path, None, why)
        return None

    def _settings(self, path: Path, content: dict[str, Node]) -> dict[str, Node]:
        """Return an organizer's settings. Keys that mean nothing here are taken for parameters."""
        import yaml

        order = [field.name for field in dataclasses.fields(StashConfig)]
        known: dict[str, Node] = {}
        parameters: dict[str, Any] = {}
        arguments: list[Node] = []
        for key, node in content.items():
            if key in _PARAMETERS:
                self._add_parameters(path, key, node, parameters, arguments)
            elif key in _REFUSED:
                self._leave(path, key, "it would mean something else here")
            elif key == "estimated_runtime" and not _is_duration(value_of(node)):
                self._leave(path, key, f"{node.value!r} is not a duration")
            elif key == "tags" and isinstance(node, yaml.ScalarNode) and value_of(node) is not None:
                known[key] = node_of([str(node.value)])
            elif key == "experiment" and value_of(node) is not None:
                known[key] = text_node(str(node.value))
            elif key in order:
                if key != "tool" and value_of(node) is not None:
                    known[key] = node
            else:
                self._leave(path, key, f"it is now params.{key}: look whether it is a parameter of the tool")
                parameters[key] = node
        if arguments:
            known["arguments"] = sequence([*(known["arguments"].value if "arguments" in known else []), *arguments])
        if parameters:
            known["params"] = mapping(parameters)
            if "${" in serialized({"params": known["params"]}):
                self._leave(path, "params", "it has interpolations: they are resolved here, not by the tool")
        return {key: known[key] for key in order if key in known}

    def _add_parameters(
        self, path: Path, key: str, node: Node, parameters: dict[str, Any], arguments: list[Node]
    ) -> None:
        """Take parameters from a mapping or a list of overrides; what isn't key=value stays an argument as it is."""
        import yaml

        if isinstance(node, yaml.MappingNode):
            parameters.update(entries(node))
        elif isinstance(node, yaml.SequenceNode) and all(isinstance(each, yaml.ScalarNode) for each in node.value):
            for each in node.value:
                override = _OVERRIDE.fullmatch(each.value)
                if override is None or not _place(parameters, override["key"].split("."), override["value"]):
                    arguments.append(text_node(each.value))
        elif value_of(node) is not None:
            self._leave(path, key, "it is neither a mapping nor a list of key=value")


def _head(tool: str) -> str:
    """Return how an organizer begins."""
    return f"# @package _global_\ndefaults:\n  - override /tool: {tool}\n"


def _plain(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _place(parameters: dict[str, Any], keys: list[str], text: str) -> bool:
    """Put a value at a dotted key; False if its text isn't plain, or the place is taken by another kind."""
    import yaml

    if "," in text and not text.startswith("["):
        return False
    try:
        value = yaml.compose(text, Loader=yaml.SafeLoader) or node_of(None)
    except yaml.YAMLError:
        return False
    for key in keys[:-1]:
        parameters = parameters.setdefault(key, {})
        if not isinstance(parameters, dict):
            return False
    if isinstance(parameters.get(keys[-1]), dict):
        return False
    parameters[keys[-1]] = value
    return True


def _sources(tool: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(tool):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
        if len(found) > _MOST_SOURCES:
            break
    return found


def _is_duration(value: object) -> bool:
    try:
        durations.parse(str(value), "")
    except StashError:
        return value is None
    return True
