"""How the files of a configuration are read: by our reader of YAML, whichever source Hydra has for them."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import OmegaConf

from experimentstash.base import yaml_files
from experimentstash.base.errors import StashError
from experimentstash.base.yaml_files import YamlError
from experimentstash.compose.hydra_compat import (
    ConfigResult,
    ConfigSource,
    FileConfigSource,
    IConfigRepository,
)


class _FileSource(FileConfigSource):
    """Hydra's source of files, with our reader of YAML: safe from what isn't one, and ten times faster."""

    @classmethod
    def of(cls, source: ConfigSource) -> _FileSource:
        return cls(provider=source.provider, path=source.path)

    def load_config(self, config_path: str) -> ConfigResult:
        path = os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path)))
        text = yaml_files.text_of(path)
        content = yaml_files.as_mapping(yaml_files.parse(text, path, for_omegaconf=True), path)
        _check_defaults(content, path)
        if content.get("hydra", {}) is None:  # Hydra would stumble over it
            raise StashError(f"{yaml_files.shown(path)}: hydra is null; it must be a mapping, or not be there.")
        try:
            header = ConfigSource._get_header_dict(text[:512])
        except ValueError as error:
            raise YamlError(path, f"a file with a first line that Hydra can't read ({error})", 1) from error
        return ConfigResult(
            config=OmegaConf.create(content),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


def _check_defaults(content: dict[Any, Any], path: str) -> None:
    """Refuse a defaults list with entries of which Hydra can't make anything."""
    entries = content.get("defaults")
    if entries is None:
        return
    if not isinstance(entries, list):
        raise StashError(
            f"{yaml_files.shown(path)}: its defaults must be a list.", "begin each entry of `defaults` with a dash"
        )
    for entry in entries:
        pairs = list(entry.items()) if isinstance(entry, dict) else [(entry, None)]
        is_known = len(pairs) == 1 and isinstance(pairs[0][0], str) and pairs[0][0] != ""
        for chosen in pairs[0][1] if is_known and isinstance(pairs[0][1], list) else (pairs[0][1:] if is_known else ()):
            is_known &= chosen is None or isinstance(chosen, str)
        if not is_known:
            raise StashError(
                f"{yaml_files.shown(path)}: an entry of its defaults is neither a name nor one group with the names to"
                f" choose in it: {str(entry)[:200]}.",
                "write `- NAME` or `- override /GROUP: NAME`, a number in quotes",
            )


def read_ourselves(repository: IConfigRepository) -> None:
    """Have the files in all places of a repository read by our reader."""
    sources = repository.get_sources()
    sources[:] = [_FileSource.of(source) if _is_file_source(source) else source for source in sources]
    # Hydra copies a repository before each composition, and with it all types that it knows, which never change.
    schemas: Any = repository.get_schema_source()
    schemas.__deepcopy__ = lambda _: schemas


def _is_file_source(source: ConfigSource) -> bool:
    # By name: Hydra executes the modules of its plugins a second time.
    return type(source).__name__ == FileConfigSource.__name__
