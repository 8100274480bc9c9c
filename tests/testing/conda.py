"""Stand-ins for conda, mamba, micromamba, conda-lock and pixi, which have nothing to fetch from here.

Each takes the words that its documentation has, refuses others, notes with which it was called, and lays out what the
real one leaves: a prefix with `conda-meta`, a Python with its packages, and a program.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.testing.slurm import without

# Of documentation, as of 2026: mamba.readthedocs.io (micromamba create), docs.conda.io (conda env create),
# conda.github.io/conda-lock (conda-lock install), pixi.prefix.dev (pixi init, pixi install).
_STAND_IN = r"""
import argparse, json, os, pathlib, shutil, subprocess, sys
name = pathlib.Path(sys.argv[0]).stem
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
told = ("CONDA_OFFLINE", "MAMBA_OFFLINE", "CONDA_ALWAYS_YES")
interesting = {key: os.environ[key] for key in told if key in os.environ}
with open(here / "calls.jsonl", "a") as stream:
    stream.write(json.dumps([[name, *words], interesting]) + "\n")

def lay_out(prefix, source):
    text = pathlib.Path(source).read_text()
    if "no such package" in text:
        sys.exit("error    libmamba Could not solve for environment specs\n  no-such-package does not exist")
    prefix.mkdir(parents=True)
    meta = prefix / "conda-meta"
    meta.mkdir()
    def package(name, version, build, files=()):
        said = {"name": name, "version": version, "build": build, "files": list(files)}
        (meta / f"{name}-{version}-{build}.json").write_text(json.dumps(said))
    package("libblas", "3.9.0", "23_openblas")
    (prefix / "bin").mkdir()
    (prefix / "bin/sim").write_text('#!/bin/sh\necho "$CONDA_PREFIX" > "$EXPERIMENTSTASH_RUN_DIR/where"\n')
    (prefix / "bin/sim").chmod(0o755)
    if "activates" in text:
        (prefix / "etc/conda/activate.d").mkdir(parents=True)
        (prefix / "etc/conda/activate.d/gdal.sh").write_text("export GDAL_DATA=x\n")
    if "python" in text:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
        (prefix / "pyvenv.cfg").write_text((prefix / "pyvenv.cfg").read_text().replace("version = ", "said = "))
        site = next(prefix.glob("lib/python3*/site-packages"))
        def distribution(name, version):
            place = site / f"{name}-{version}.dist-info"
            place.mkdir()
            (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            return (place / "METADATA").relative_to(prefix).as_posix()
        package("python", "%d.%d.%d" % sys.version_info[:3], "h1_cpython")
        package("numpy", "1.26.4", "py311h1", [distribution("numpy", "1.26.4")])
        distribution("by_pip", "2.0")

def parsed(*options, file=False, switches=()):
    parser = argparse.ArgumentParser()
    for each in options:
        parser.add_argument(each, required=True)
    for each in switches:
        parser.add_argument(each, action="store_true")
    if file:
        parser.add_argument("file")
    return parser

if name == "micromamba" and words[0] == "create":
    given = parsed("--prefix", "--file", switches=["--yes"]).parse_args(words[1:])
    lay_out(pathlib.Path(given.prefix), given.file)
elif name in ("mamba", "conda") and words[:2] == ["env", "create"]:
    given = parsed("--prefix", "--file").parse_args(words[2:])
    lay_out(pathlib.Path(given.prefix), given.file)
elif name == "conda-lock" and words[0] == "install":
    given = parsed("--prefix", file=True).parse_args(words[1:])
    lay_out(pathlib.Path(given.prefix), given.file)
elif name == "pixi" and words[0] == "init":
    given = parsed("--import", file=True).parse_args(words[1:])
    place = pathlib.Path(given.file)
    place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(vars(given)["import"], place / "pixi.toml")
elif name == "pixi" and words[0] == "install":
    given = parsed("--manifest-path", switches=["--locked"]).parse_args(words[1:])
    manifest = pathlib.Path(given.manifest_path)
    assert not given.locked or manifest.with_name("pixi.lock").is_file()
    assert "detached-environments = false" in (manifest.parent / ".pixi/config.toml").read_text()
    lay_out(manifest.parent / ".pixi/envs/default", manifest)
else:
    sys.exit(f"{name}: {words}: no such command")
"""


class StandIns:
    """A directory of such programs, the only ones of their kind on PATH."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def add(self, *names: str) -> None:
        self._place.mkdir(exist_ok=True)
        for name in names:
            program = self._place / name
            # A shell starts it: the path of this Python may have a space, which `#!` can't.
            start = f'exec {shlex.quote(sys.executable)} -I {shlex.quote(f"{program}.py")} "$@"'
            program.with_name(f"{name}.py").write_text(_STAND_IN)
            program.write_text(f"#!/bin/sh\n{start}\n")
            program.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """Return with which words each was called."""
        return [words for words, _ in self._calls()]

    def told(self) -> list[dict[str, str]]:
        """Return what their variables said."""
        return [variables for _, variables in self._calls()]

    def _calls(self) -> list[tuple[list[str], dict[str, str]]]:
        noted = self._place / "calls.jsonl"
        return [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []


def stand_ins(place: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> StandIns:
    """Have these programs on PATH, and no real one."""
    for name in ("CONDA_EXE", "MAMBA_EXE"):
        monkeypatch.delenv(name, raising=False)
    found = StandIns(place)
    found.add(*names)
    others = without(("conda", "mamba", "micromamba", "conda-lock", "pixi"), "/usr/bin:/bin", place.parent)
    monkeypatch.setenv("PATH", f"{place}:{others}")
    return found
