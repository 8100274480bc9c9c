"""What is installed in an environment of conda's format, as its own files say it; mamba and pixi leave the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experimentstash.base import files, typed
from experimentstash.base.patterns import regex

META = "conda-meta"
_LARGEST = 1 << 26
_NAME = regex(r"(?im)^name:\s*(\S+)\s*$")
_VERSION = regex(r"(?im)^version:\s*(\S+)\s*$")


def packages(prefix: Path) -> list[str]:
    """Return what is installed: `name=version=build` of conda's packages, and as pip lists it what pip has added."""
    own = list(_records(prefix))
    owned = {str(name) for each in own for name in each.get("files", ())}
    found = [f"{each['name']}={each['version']}={each['build']}" for each in own]
    for place in _dist_infos(prefix):
        if (place / "METADATA").relative_to(prefix).as_posix() not in owned:
            found.append(_line(place))
    return sorted(found)


def python(prefix: Path) -> str | None:
    """Return the version of its Python; None if it has none."""
    return next((str(each["version"]) for each in _records(prefix, "python-*.json") if each["name"] == "python"), None)


def pins(prefix: Path) -> list[str]:
    """Return all packages of Python's, whoever has installed them, as lines of a file of constraints."""
    return [f"{name}=={version}" for place in _dist_infos(prefix) for name, version in [_named(place)]]


def scripts(prefix: Path) -> list[str]:
    """Return the scripts that its packages would have run when somebody activates it."""
    return sorted(each.name for each in (prefix / "etc/conda/activate.d").glob("*.sh"))


def _records(prefix: Path, pattern: str = "*.json") -> Iterator[dict[str, Any]]:
    for path in sorted((prefix / META).glob(pattern)):
        said = typed.loads(files.read_regular(path, _LARGEST))
        if all(isinstance(said.get(key), str) for key in ("name", "version", "build")):
            yield said


def _dist_infos(prefix: Path) -> list[Path]:
    return sorted(prefix.glob("lib/python3*/site-packages/*.dist-info"))


def _named(place: Path) -> tuple[str, str]:
    """Return the name and the version that a package's METADATA says, else its directory."""
    text = ""
    if (place / "METADATA").is_file():
        text = files.read_text(place / "METADATA", errors="replace").partition("\n\n")[0]
    name, version = _NAME.search(text), _VERSION.search(text)
    if name is not None and version is not None:
        return name[1], version[1]
    bare, _, number = place.name.removesuffix(".dist-info").rpartition("-")
    return bare, number


def _line(place: Path) -> str:
    name, version = _named(place)
    try:
        direct = json.loads((place / "direct_url.json").read_bytes())
        url, is_editable = str(direct["url"]), bool(direct.get("dir_info", {}).get("editable"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{name}=={version}"
    return f"-e {url}" if is_editable else f"{name} @ {url}"
