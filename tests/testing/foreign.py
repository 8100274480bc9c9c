"""Virtual environments that somebody else has made, as their files are: nothing is installed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def make_venv(directory: Path) -> Path:
    """Make a virtual environment of this Python that works, with a package in it; return where its packages are."""
    program = Path(os.path.realpath(sys.executable))
    version = ".".join(map(str, sys.version_info[:2]))
    site = directory / f"lib/python{version}/site-packages"
    site.mkdir(parents=True)
    (directory / "bin").mkdir()
    (directory / "bin/python").symlink_to(program)
    (directory / "pyvenv.cfg").write_text(
        f"home = {program.parent}\ninclude-system-site-packages = false\nversion = {version}.0\n"
    )
    install(site, "numpy-2.0", "numpy/__init__.py")
    return site


def install(site: Path, name: str, *files: str) -> Path:
    """Put a package with these empty files where packages are; return what tells about it."""
    about = site / f"{name}.dist-info"
    about.mkdir()
    for each in files:
        (site / each).parent.mkdir(parents=True, exist_ok=True)
        (site / each).touch()
    (about / "RECORD").write_text("".join(f"{each},,\n" for each in [*files, f"{about.name}/RECORD"]))
    (about / "METADATA").write_text("Metadata-Version: 2.1\n")
    return about


def install_editable(site: Path, directory: Path) -> None:
    """Do what `pip install -e` leaves there."""
    about = install(site, "mine-1.0", "__editable__.mine.pth")
    (site / "__editable__.mine.pth").write_text(f"{directory}\n")
    (about / "direct_url.json").write_text(json.dumps({"url": f"file://{directory}", "dir_info": {"editable": True}}))
