"""Whether what an experiment says reaches the tool at all, told from the configuration before it is resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experimentstash.base.patterns import regex
from experimentstash.stash import parameters
from experimentstash.stash.schema import TOLD_THE_EXPERIMENT, CallStyle

# The styles in which a tool is told what somebody has named. (What a template names is known when it is rendered.)
_TOLD_BY_NAME = (CallStyle.arguments, CallStyle.template)


def is_heard(config: DictConfig, hydra: Any) -> bool:
    """Tell whether the tool is told of its experiment: by how it is called, or where an interpolation names it."""
    node = config._get_node("experiment")
    if node is None or node._is_none() or config.tool.call.style in TOLD_THE_EXPERIMENT:
        return True
    if config.tool.call.experiment is not None and config.tool.call.style not in _TOLD_BY_NAME:
        return True
    settings = [config.arguments, config.tool, config.params, config.vars, hydra.job.env_set]
    texts = [str(OmegaConf.to_container(each, resolve=False)) for each in settings if each is not None]
    return any(re.search(r"[{:]\.*experiment(?![\w-])", text) for text in texts)


def unused(config: DictConfig, hydra: Any) -> list[str]:
    """Return the parameters that no interpolation names, for a tool of a style that hands over none by itself."""
    if config.tool.call.style not in _TOLD_BY_NAME or not config.params:
        return []
    params = OmegaConf.to_container(config.params, resolve=False)
    if not isinstance(params, dict):
        return []
    settings = [config.arguments, config.tool, config.resources, config.vars, config.paths, hydra.job.env_set]
    texts = [str(OmegaConf.to_container(each, resolve=False)) for each in settings]
    texts.append(str(config._get_node("experiment")))
    left = parameters.read(params)
    while True:
        said = re.sub(r"[\[\]]", ".", "\n".join(texts))
        if re.search(r"(?<=[{:])params(?![\w.-])|params\.[\w.]*\$", said):  # all, or what another value names
            return []
        named = [name for name in left if _is_named(name, said)]
        if not named:
            return [".".join(("params", *name)) for name in left]
        for name in named:
            text = str(left.pop(name).value)
            beside = re.findall(r"\$\{\.+([\w.-]+)", text)  # whichever of that name
            texts += [
                text,
                *(f"params.{'.'.join(each)}" for each in left for last in beside if each[-1] in last.split(".")),
            ]


_KEY = regex(r"(?<!\\)\$\{([^\s${}:]+)\}")
_MISSING = object()


def no_texts(config: DictConfig) -> Iterator[tuple[str, str, Any]]:
    """Yield the interpolated values of which `arguments` and `env` would make a text in one of several ways."""
    given = [(f"arguments.{index}", node) for index, node in enumerate(_nodes(config.arguments))]
    given += [(f"env.{name}", config.tool.env._get_node(name)) for name in config.tool.env]
    for where, node in given:
        text = node._value() if node is not None else None
        for key in _KEY.findall(text) if isinstance(text, str) and "${" in text else ():
            if key.startswith("."):
                continue
            try:
                value = OmegaConf.select(config, key, default=_MISSING)
            except OmegaConfBaseException:
                continue  # whoever reads the text says so
            if value is None and text == f"${{{key}}}" and where.startswith("env."):
                continue  # it is unset
            if isinstance(value, (DictConfig, ListConfig)):
                yield where, key, OmegaConf.to_container(value, resolve=False)
            elif value is None or isinstance(value, bool):
                yield where, key, value


def _nodes(values: Any) -> list[Any]:
    return [values._get_node(index) for index in range(len(values))]


def _is_named(name: Sequence[str], text: str) -> bool:
    """Tell whether a text names a parameter, or what it lies in."""
    whole = (".".join(name[:length]) for length in range(1, len(name) + 1))
    return any(re.search(rf"params\.{re.escape(each)}(?![\w-])(?!\.\w)", text) for each in whole)
