"""YAML as nodes instead of values, so that a version 3.10 stays 3.10 and what was in quotes stays in quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import MappingNode, Node


def entries(node: MappingNode) -> dict[str, Node]:
    """Return what a mapping holds, by its keys."""
    return {str(key.value): value for key, value in node.value}


def value_of(node: Node) -> Any:
    """Return what a node means."""
    import yaml

    return yaml.constructor.SafeConstructor().construct_document(node)


def node_of(value: object) -> Node:
    """Return a plain value as a node."""
    import yaml

    return yaml.representer.SafeRepresenter().represent_data(value)


def text_node(text: str) -> Node:
    """Return a string, which gets quotes where it would be read as something else."""
    return node_of(text)


def sequence(nodes: list[Node]) -> Node:
    """Return nodes as a list that is written on one line."""
    import yaml

    return yaml.SequenceNode("tag:yaml.org,2002:seq", nodes, flow_style=True)


def mapping(content: dict[str, Any]) -> Node:
    """Return nodes by their keys, and such mappings in it, as a node."""
    import yaml

    pairs = [(node_of(key), mapping(value) if isinstance(value, dict) else value) for key, value in content.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def serialized(content: dict[str, Node]) -> str:
    """Return a mapping as a text in YAML."""
    import yaml

    return str(yaml.serialize(mapping(dict(content)), Dumper=yaml.SafeDumper, allow_unicode=True, width=120))
