"""What Poetry's own tables of a pyproject.toml say, in the words that every installer understands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.names import plain_package
from experimentstash.base.patterns import regex

_VERSION = regex(r"\d+(?:\.\d+)*")


def python(data: Mapping[str, Any]) -> str | None:
    """Return which Python a project asks for."""
    wanted = _table(data).get("dependencies", {}).get("python")
    return constraint(wanted) or None if isinstance(wanted, str) else None


def is_installable(project: Path, data: Mapping[str, Any]) -> bool:
    """Tell whether a project can be installed as a package; what isn't Poetry's can, as far as this module knows."""
    table = _table(data)
    if not table or "project" in data:
        return True
    if table.get("package-mode") is False:
        return False
    name = re.sub(r"[-.]+", "_", str(table.get("name", ""))).lower()
    places = [place for start in (project, project / "src") for place in (start / name, start / f"{name}.py")]
    return bool(table.get("packages")) or any(place.exists() for place in places)


def requirements(data: Mapping[str, Any], extras: Sequence[str] = ()) -> list[str]:
    """Return the packages that a project needs, with those of the chosen extras."""
    table = _table(data)
    wanted = {plain_package(name) for extra in extras for name in table.get("extras", {}).get(extra, ())}
    found = []
    for name, said in table.get("dependencies", {}).items():
        for each in said if isinstance(said, list) else [said]:
            settings = each if isinstance(each, dict) else {"version": str(each)}
            if name != "python" and (not settings.get("optional") or plain_package(name) in wanted):
                found.append(_requirement(name, settings))
    return found


def constraint(text: str) -> str:
    """Return a version constraint of Poetry's as PEP 440 has it; "" for any version."""
    parts = [part.strip() for part in re.split(r"\s*,\s*|\s+(?=[<>=!^~])", text.strip()) if part.strip()]
    return ",".join(each for part in parts for each in _translated(part))


def _translated(part: str) -> Iterator[str]:
    version = _VERSION.search(part)
    if part == "*" or version is None:
        return
    numbers = [int(each) for each in version[0].split(".")]
    bare = part.lstrip("^~=<>! ")
    if part.startswith("^"):
        first = next((index for index, each in enumerate(numbers) if each), len(numbers) - 1)
        yield from (f">={bare}", f"<{_after(numbers, first)}")
    elif part.startswith("~") and not part.startswith("~="):
        yield from (f">={bare}", f"<{_after(numbers, min(1, len(numbers) - 1))}")
    else:
        yield f"=={part}" if part[0].isdigit() else part.replace(" ", "")


def _after(numbers: Sequence[int], position: int) -> str:
    return ".".join(map(str, [*numbers[:position], numbers[position] + 1]))


def _requirement(name: str, settings: Mapping[str, Any]) -> str:
    extras = f"[{','.join(settings['extras'])}]" if settings.get("extras") else ""
    if "git" in settings:
        reference = next((settings[key] for key in ("rev", "tag", "branch") if key in settings), None)
        what = f" @ git+{settings['git']}{f'@{reference}' if reference else ''}"
    elif "url" in settings or "path" in settings:
        what = f" @ {settings.get('url') or settings['path']}"
    else:
        what = constraint(str(settings.get("version", "*")))
    markers = [str(settings["markers"])] if settings.get("markers") else []
    if isinstance(settings.get("python"), str):
        each = constraint(settings["python"]).split(",")
        markers += [re.sub(r"^([<>=!~]+)(.*)$", r"python_full_version \1 '\2'", part) for part in each if part]
    return f"{name}{extras}{what}" + (f" ; {' and '.join(f'({each})' for each in markers)}" if markers else "")


def _table(data: Mapping[str, Any]) -> Mapping[str, Any]:
    table = data.get("tool", {}).get("poetry", {})
    return table if isinstance(table, dict) else {}
