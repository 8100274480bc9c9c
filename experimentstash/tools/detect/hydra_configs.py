"""Where a foreign Hydra application has its configuration, and which experiments are in it; by its files alone."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.base import yaml_files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.yaml_files import YamlError
from experimentstash.tools.detect.sources import Source

_EXPERIMENT_GROUPS = ("experiment", "experiments", "exp")


@dataclass(frozen=True)
class Hydra:
    """A Hydra application's configuration."""

    config_directory: str | None  # relative to the tool's directory
    config_name: str | None
    experiment_key: str | None  # "experiment", or "+experiment" if the defaults list doesn't have the group
    experiments: tuple[str, ...]


def of(directory: Path, source: Source) -> Hydra:
    """Return where a Hydra application has its configs, relative to the tool's directory, and its experiments."""
    assert source.hydra is not None
    path, name, base = source.hydra
    here = (directory / source.path).parent
    place: Path | None = None
    if path and not path.startswith(("pkg://", "/")):
        place = Path(os.path.normpath(here / path))
    elif path is None and base is None and name is not None:
        place = here  # before version_base 1.2, a missing config_path meant the script's own directory
    if place is None or not place.is_dir():
        wanted = f"{name.removesuffix('.yaml')}.yaml" if name else "config.yaml"
        guesses = [folder / word for folder in (here, directory) for word in ("configs", "conf", "config")]
        place = next((guess for guess in guesses if (guess / wanted).is_file()), None)
    if place is None or not place.is_relative_to(directory):
        return Hydra(None, name, None, ())
    key, experiments = _experiments(place, name)
    return Hydra(place.relative_to(directory).as_posix(), name, key, experiments)


def _experiments(place: Path, config_name: str | None) -> tuple[str | None, tuple[str, ...]]:
    groups = [name for name in _EXPERIMENT_GROUPS if (place / name).is_dir()]
    if not groups:
        return None, ()
    group = groups[0]
    files = sorted((place / group).rglob("*.yaml"))
    names = [path.relative_to(place / group).with_suffix("").as_posix() for path in files]
    names = [name for name in names if not name.rpartition("/")[2].startswith(("_", "."))]
    primary = place / f"{(config_name or 'config').removesuffix('.yaml')}.yaml"
    return (group if group in _default_groups(primary) else f"+{group}"), tuple(names)


def _default_groups(path: Path) -> set[str]:
    """Return the config groups that a config's defaults list has."""
    try:
        data = yaml_files.load(path)
    except YamlError:
        return set()
    found: set[str] = set()
    for entry in data.get("defaults") or () if isinstance(data, dict) else ():
        for key in entry if isinstance(entry, dict) else ():
            found.add(str(key).split()[-1].partition("@")[0].lstrip("/"))
    return found
