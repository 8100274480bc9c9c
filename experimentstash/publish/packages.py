"""What an interpreter has installed, each package with a hash of what it consists of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experimentstash.base import typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError, clean_environment, run
from experimentstash.base.text import listed
from experimentstash.publish.frozen import Package

# Seconds that an interpreter may take to say what it has.
_PATIENCE = 120.0
_NAMED = 3
# The hash is of the list of a package's files with their hashes, which whoever installed it has left (RECORD), without
# what differs between two installations of the same: scripts, compiled files, and notes of the installer. A file that
# was written after that list, or has another size, is read: somebody may have edited it.
_ASKED = r"""
import base64, hashlib, importlib.metadata as metadata, json, os, platform
NOTES = ("/RECORD", "/INSTALLER", "/REQUESTED", "/direct_url.json", "/uv_cache.json", "/uv_build.json", ".pyc")
def as_it_is(line, base, listed):
    name, said, size = line.rsplit(",", 2)
    path = os.path.join(base, name.strip('"'))
    try:
        seen = os.stat(path)
        if str(seen.st_size) == size and seen.st_mtime <= listed:
            return line
        with open(path, "rb") as stream:
            content = hashlib.sha256(stream.read()).digest()
        return f"{name},sha256={base64.urlsafe_b64encode(content).rstrip(b'=').decode()},{seen.st_size}"
    except OSError:
        return f"{name},gone,"
found = {}
for each in metadata.distributions():
    name = each.metadata["Name"]
    if not name or name.lower() in found:
        continue
    record = each.read_text("RECORD")
    lines = [line for line in (record or "").splitlines() if not line.startswith(("../", "/"))]
    lines = sorted(line for line in lines if not line.rpartition(",")[0].rpartition(",")[0].endswith(NOTES))
    record = os.path.join(str(getattr(each, "_path", "")), "RECORD")
    if lines and os.path.isfile(record):
        listed = os.stat(record).st_mtime
        lines = [as_it_is(line, str(each.locate_file("")), listed) if line.count(",") > 1 else line for line in lines]
    direct = json.loads(each.read_text("direct_url.json") or "null") or {}
    editable = bool(direct.get("dir_info", {}).get("editable"))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines and not editable else None
    found[name.lower()] = [name, each.version, digest]
said = {"implementation": platform.python_implementation(), "version": platform.python_version()}
print(json.dumps({**said, "packages": sorted(found.values(), key=lambda each: each[0].lower())}))
"""


@dataclass(frozen=True)
class Told:
    """What an interpreter says of itself."""

    implementation: str
    version: str
    packages: list[Package]


def look(python: Path) -> Told:
    """Return what an interpreter has; StashError if it doesn't answer."""
    try:
        argv = [str(python), "-I", "-c", _ASKED]
        said: Any = typed.loads(run(argv, cwd=Path("/"), env=clean_environment(), timeout=_PATIENCE).stdout)
        packages = [Package(str(name), str(version), digest) for name, version, digest in said["packages"]]
        return Told(said["implementation"], said["version"], packages)
    except (CommandError, OSError, ValueError, KeyError, TypeError) as error:
        raise StashError(f"{python} doesn't say what is installed: {str(error).splitlines()[0]}") from error


def unknown(packages: Iterable[Package]) -> str | None:
    """Return what is said of packages whose code isn't known: editable ones, and such as nothing lists the files of."""
    names = [each.name for each in packages if each.sha256 is None]
    return (
        f"whether the code of {listed(names, _NAMED)} is the same isn't known: only the version is" if names else None
    )


def constraints(packages: Iterable[Package]) -> str:
    """Return the text of a file that has uv install exactly these versions, where it installs them."""
    return "".join(f"{each.name}=={each.version}\n" for each in packages if each.sha256 is not None)


def differences(before: Iterable[Package], now: Iterable[Package]) -> tuple[list[str], list[str]]:
    """Return which packages have other versions now, and which are other builds of the same version."""
    earlier, later = ({each.name.lower(): each for each in found} for found in (before, now))
    versions, builds = [], []
    for name in sorted({*earlier, *later}):
        one, two = earlier.get(name), later.get(name)
        if one is None or two is None or one.version != two.version:
            shown = [each.version if each is not None else "missing" for each in (one, two)]
            versions.append(f"{name} {shown[0]} → {shown[1]}")
        elif one.sha256 != two.sha256:
            builds.append(f"{name} {one.version}")
    return versions, builds
