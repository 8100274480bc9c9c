"""A tool that is a package of an interpreter which somebody else keeps: what is known of it, and what can't be."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError, clean_environment, run
from experimentstash.stash.entrypoints import Entrypoint

# Seconds that an interpreter may take to say what it has, and for which that is believed.
_PATIENCE = 120.0
_FRESH = 1.0
# Asks for a module or a script without importing anything of it.
_ASKED = r"""
import importlib.metadata as metadata, importlib.util, json, os, platform, sys
from urllib.parse import unquote
module, script = sys.argv[1:3]
top = module.partition(".")[0]
spec = importlib.util.find_spec(top) if top else None
places = [] if spec is None else list(spec.submodule_search_locations or []) or [spec.origin]
listed, owners = {}, []
for each in metadata.distributions():
    name = each.metadata["Name"]
    if not name or name.lower() in listed:
        continue
    direct = json.loads(each.read_text("direct_url.json") or "null")
    listed[name.lower()] = [name, each.version, direct]
    files = each.files or []
    tops = (each.read_text("top_level.txt") or "").split()
    tops += [file.parts[0] if len(file.parts) > 1 else file.name[:-3] for file in files if file.suffix == ".py"]
    folder = unquote((direct or {}).get("url", "")[7:]) if (direct or {}).get("dir_info", {}).get("editable") else ""
    holds = folder and any(os.path.realpath(place).startswith(os.path.realpath(folder) + "/") for place in places)
    scripts = [point.name for point in each.entry_points if point.group == "console_scripts"]
    if (top and (top in tops or holds)) or (script and script in scripts):
        owners.append(name.lower())
        if script and not places:
            target = next(point.value for point in each.entry_points if point.name == script)
            found = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
            places = [] if found is None else list(found.submodule_search_locations or []) or [found.origin]
print(json.dumps({"python": platform.python_version(), "places": places, "listed": listed, "owners": owners}))
"""
_known: dict[tuple[Path, str, str], tuple[float, Installed]] = {}


@dataclass(frozen=True)
class Installed:
    """What an interpreter says about the package that a tool is."""

    python: Path
    python_version: str
    source: Path | None  # the directory of the package, or the file of the module
    name: str | None  # the distribution that brings it; None: none says so
    version: str | None
    editable: Path | None  # it is used from this directory, as after `pip install -e`
    commit: str | None  # that it was installed from, with the URL
    url: str | None
    packages: tuple[str, ...]  # all that is installed

    @property
    def shown(self) -> str:
        """What it is, for people."""
        if self.name is None:
            return f"a module of {self.python}, from {self.source}"
        where = f", from {self.editable}" if self.editable else f", from {self.url}" if self.url else ""
        return f"{self.name} {self.version} of {self.python}{where}{f' at {self.commit[:12]}' if self.commit else ''}"

    @property
    def unknown(self) -> str | None:
        """What nobody can know about its code, if its files are in no repository."""
        if self.name is None:
            return f"no installed package says that it brings {self.source}: which code it is can't be known"
        if self.editable is not None:
            where = f"{self.editable}, which is in no git repository"
            return f"{self.name} is used from {where}: which code ran can't be known"
        shown = f"{self.name} {self.version} as it is installed"
        return f"the code is {shown}; whether somebody has changed it there can't be known"


def interpreter(given: str, start: Path) -> Path:
    """Return the Python that somebody means: its path, its name on PATH, or the directory of its environment."""
    path = Path(os.path.abspath(start / Path(given).expanduser()))
    if not path.exists() and "/" not in given and (found := shutil.which(given)):
        path = Path(found)
    if path.is_dir():
        inside = [path / "bin" / name for name in ("python", "python3")]
        path = next((each for each in inside if each.is_file()), path)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise StashError(
            f"{given} is no interpreter{' and no environment with one' if path.is_dir() else ''}.",
            "--interpreter PREFIX/bin/python (conda: `conda run -n NAME which python` shows it)",
        )
    return path


def prefix(python: Path) -> Path:
    """Return the directory of an interpreter's environment."""
    return python.parent.parent if python.parent.name == "bin" else python.parent


def modules_of(directory: Path) -> Path:
    """Return where an environment keeps its packages, as far as its directory tells."""
    return next(iter(sorted(directory.glob("lib/python3*/site-packages"))), directory)


def look(python: Path, entry: Entrypoint) -> Installed:
    """Return what the interpreter says about what an entrypoint names; StashError if it doesn't answer."""
    module, script = (entry.words[1], "") if entry.is_module else ("", entry.words[0])
    moment, known = _known.get((python, module, script), (-_FRESH, None))
    if known is None or time.monotonic() - moment >= _FRESH:
        known = _ask(python, module, script)
        _known[python, module, script] = time.monotonic(), known
    return known


def _ask(python: Path, module: str, script: str) -> Installed:
    try:
        command = [str(python), "-c", _ASKED, module, script]
        said = json.loads(run(command, cwd=Path("/"), env=clean_environment(), timeout=_PATIENCE).stdout)
    except (CommandError, OSError, ValueError) as error:
        raise StashError(f"{python} doesn't say what is installed: {str(error).splitlines()[0]}") from error
    listed: dict[str, list[Any]] = said["listed"]
    name, version, direct = listed[said["owners"][0]] if said["owners"] else (None, None, None)
    direct = direct or {}
    local = unquote(str(direct.get("url", "")).removeprefix("file://"))
    is_editable = bool(direct.get("dir_info", {}).get("editable"))
    places = [Path(each) for each in said["places"] if each]
    return Installed(
        python=python,
        python_version=said["python"],
        source=places[0] if places else None,
        name=name,
        version=version,
        editable=Path(local) if is_editable else None,
        commit=direct.get("vcs_info", {}).get("commit_id"),
        url=None if is_editable else direct.get("url"),
        packages=tuple(sorted(f"{each[0]}=={each[1]}{_origin(each[2])}" for each in listed.values())),
    )


def _origin(direct: dict[str, Any] | None) -> str:
    if not direct:
        return ""
    commit = direct.get("vcs_info", {}).get("commit_id")
    how = "editable " if direct.get("dir_info", {}).get("editable") else ""
    return f"  # {how}{direct.get('url', '')}{f'@{commit}' if commit else ''}"
