"""A wheel of the ExperimentStash that is at work, from its own files as they are installed, and what it runs with.

It is written here, because the sources of an installed package are no longer there, and an editable one has no files.
Formats: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from experimentstash import __version__
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.names import plain_package
from experimentstash.base.patterns import regex
from experimentstash.publish.contents import below

NAME = "experimentstash"
# The earliest time that a zip knows: the same files are the same wheel.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_WHEEL = f"Wheel-Version: 1.0\nGenerator: {NAME} {__version__}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_VERSION = regex(r"(?m)^Version: .*$")


def file_name() -> str:
    """Return what the wheel is called."""
    return f"{NAME}-{__version__}-py3-none-any.whl"


def content() -> bytes:
    """Return a wheel; StashError if nothing says what is installed here."""
    about = _installed()
    own = f"{NAME}-{__version__}.dist-info"
    said = [("METADATA", _metadata(about)), ("WHEEL", _WHEEL.encode()), *_others(about)]
    listed = [*_sources(about), *((f"{own}/{name}", text) for name, text in said)]
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in listed) + f"{own}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in [*listed, (f"{own}/RECORD", record.encode())]:
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, text)
    return packed.getvalue()


def constraints(extras: Sequence[str] = ()) -> str:
    """Return the versions of all that is installed here of what we need, as a file of constraints for pip and uv.

    What doesn't come from a registry isn't among them: nobody else could have it from there.
    """
    from packaging.requirements import Requirement  # here, because only an export asks

    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(NAME, extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            about = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform, or of an extra that isn't installed
            continue
        if name != NAME and about.read_text("direct_url.json") is None:
            found[name] = about.version
        for line in about.requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                todo += [(plain_package(wanted.name), each) for each in ("", *wanted.extras)]
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def _installed() -> metadata.Distribution:
    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError as error:
        raise StashError(
            "ExperimentStash isn't installed here, so that nothing says what it needs: an archive has a copy of it.",
            "pip install -e . where its sources are",
        ) from error


def _metadata(about: metadata.Distribution) -> bytes:
    """Return what is said of the package: an editable one's may be of an older version than its files are."""
    text = about.read_text("METADATA") or ""
    return _VERSION.sub(lambda _: f"Version: {__version__}", text, count=1).encode()


def _others(about: metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield what else is kept beside that: entry points and licences."""
    yield "entry_points.txt", (about.read_text("entry_points.txt") or "").encode()
    for path in about.files or ():
        if path.parent.name == "licenses" and path.parent.parent.suffix == ".dist-info":
            yield f"licenses/{path.name}", read_regular(Path(str(about.locate_file(path))))


def _sources(about: metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield the files of our packages: of ours, and of the plugins that our entry points name."""
    modules = {each.module for each in about.entry_points if each.group != "console_scripts"}
    packages = {NAME, *(".".join(each.split(".")[:2]) for each in modules if not each.startswith(f"{NAME}."))}
    for package in sorted(packages):
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise StashError(f"The files of {package} aren't here, and an archive has a copy of ExperimentStash.")
        folder = Path(next(iter(found.submodule_search_locations)))
        for path in below(folder):
            parts = path.split("/")
            if "__pycache__" not in parts and not any(each.startswith(".") for each in parts):
                yield f"{package.replace('.', '/')}/{path}", read_regular(folder / path)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
