"""What there is to know of a configuration of OmegaConf's."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig


def described(node: Any) -> Any:
    metadata = node._metadata
    facts = (type(node), metadata.ref_type, metadata.object_type, metadata.optional, metadata.flags, metadata.key)
    content = node._content if isinstance(node, (DictConfig, ListConfig)) else node._value()
    if isinstance(content, dict):
        return facts, [(key, described(value)) for key, value in content.items()]
    return facts, [described(value) for value in content] if isinstance(content, list) else content
