"""Somebody who has nothing but an archive: another machine, as far as one can be had here, and its two commands."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from uv import find_uv_bin

from tests.testing.stash import git

PATIENCE = 600.0
_OF_REGISTRIES = ("UV_", "SSL_", "HTTP_", "HTTPS_", "http_", "https_", "no_", "NO_PROXY")


def commands(readme: str) -> list[str]:
    """Return what a README.md has one type: the lines of its first block for a shell."""
    block = re.search(r"^```bash\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive at a path with a space in it; return where."""
    place = folder / "for review"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(place)
    return place


def follow(place: Path) -> list[subprocess.CompletedProcess[str]]:
    """Type the commands of the README.md at a place, where nothing is known but uv, git and a Python."""
    programs, home = place.parent / "programs", place.parent / "another home"
    home.mkdir()
    programs.mkdir()
    (programs / "uv").symlink_to(find_uv_bin())
    python = os.path.dirname(os.path.realpath(sys.executable))
    environment = {
        # How the registries are reached is a machine's own.
        **{name: value for name, value in os.environ.items() if name.startswith(_OF_REGISTRIES)},
        "PATH": os.pathsep.join([str(programs), python, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "UV_CACHE_DIR": os.environ["UV_CACHE_DIR"],
        "UV_PYTHON_DOWNLOADS": "never",
    }
    assert shutil.which("experimentstash", path=environment["PATH"]) is None
    return [
        subprocess.run(line, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        for line in commands((place / "README.md").read_text(encoding="utf-8"))
    ]


def all_bytes(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all that is in the files at a place, packed ones and git bundles included, but for commits."""
    for path in place.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(place))
            yield name, name.encode()
            if path.suffix == ".bundle":
                yield from _in_bundle(path)
            else:
                yield from _in(name, path.read_bytes())


def _in(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for each in packed.infolist():
                yield f"{name}!{each.filename}", b"\0".join([each.filename.encode(), each.extra, each.comment])
                yield from _in(f"{name}!{each.filename}", packed.read(each))
            yield name, packed.comment
    elif content.startswith(b"\x1f\x8b"):
        yield from _in(f"{name}!", gzip.decompress(content))


def _in_bundle(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of all commits in a bundle, and their names: commits themselves name who has made them."""
    yield path.name, path.read_bytes()
    clone = path.with_suffix(".git")
    git("clone", "-q", "--mirror", str(path), str(clone), cwd=path.parent)
    for line in git("rev-list", "--objects", "--all", cwd=clone).splitlines():
        name, _, inside = line.partition(" ")
        kind = git("cat-file", "-t", name, cwd=clone).strip()
        if kind == "blob":
            yield (
                f"{path.name}!{inside}",
                subprocess.run(["git", "cat-file", "blob", name], cwd=clone, capture_output=True, check=True).stdout,
            )
            yield f"{path.name}!{inside}", inside.encode()
    shutil.rmtree(clone)
