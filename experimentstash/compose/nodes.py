"""OmegaConf's nodes, taken, copied and set without its checks, which a sweep would go through for each of its jobs."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Iterator
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf

# Keys, and positions in lists.
NodePath = tuple[Any, ...]


def raw(config: DictConfig, *path: str) -> Any:
    """Return the node at a path below nothing but mappings, as it stands.

    OmegaConf's own way there takes 30 µs: a sweep goes it dozens of times for each of thousands of jobs.
    """
    node: Any = config
    for name in path:
        node = node.__dict__["_content"][name]
    return node


def put(config: DictConfig, path: str, value: Any) -> None:
    """Give one of Hydra's own settings a value, whatever the flags that protect it say."""
    raw(config, "hydra", *path.split("."))._set_value(value)


def mapping_at(config: DictConfig, name: str) -> dict[Any, Any] | None:
    """Return a mapping of a configuration as plain data, interpolations as they stand; None if it is no mapping."""
    content = config.__dict__["_content"]
    node = content.get(name) if isinstance(content, dict) else None
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
        return None
    found = OmegaConf.to_container(node, resolve=False)
    assert isinstance(found, dict)
    return found


def pickled(config: Container) -> bytes | None:
    """Return a config as bytes, from which a copy is made several times faster than by copying; None if it can't be.

    (A launcher's types can't: Hydra executes plugin modules twice, so that pickle doesn't recognise their classes.)
    """
    try:
        return pickle.dumps(config)
    except pickle.PicklingError:
        return None


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy without the node `hydra`, which stays where it is for ``${hydra:…}``."""
    with hydra_hidden(config):
        kept = pickled(config)
        copied = copy.deepcopy(config) if kept is None else pickle.loads(kept)
    assert isinstance(copied, DictConfig)
    return copied


@contextlib.contextmanager
def hydra_hidden(config: DictConfig) -> Iterator[None]:
    """Take the node `hydra` out for a while: a job doesn't have it, and ``${hydra.…}`` finds nothing."""
    content = config.__dict__["_content"]
    config.__dict__["_content"] = {key: node for key, node in content.items() if key != "hydra"}
    try:
        yield
    finally:
        config.__dict__["_content"] = content
