"""Tiny tools that are no Python, each with what builds it: of so many steps, a half each."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

# Which kinds must be here: what builds another one is for who has it.
MUST_HAVE = os.environ.get("EXPERIMENTSTASH_REQUIRE_BUILDERS", "").split()


@dataclass(frozen=True)
class Builder:
    """How a tool in testing/tools is registered, and which programs it needs."""

    tool: str
    registration: str
    programs: tuple[str, ...]
    edit: tuple[str, str, str] = ("rate.h", "0.5", "0.25")  # a file, what is edited there, and by what


KINDS = {
    "make": Builder("sim_make", "entrypoint: sim\nbuild: [[make]]\n", ("make", "cc")),
    "cmake": Builder(
        "sim_cmake",
        "entrypoint: '{build}/sim'\nbuild: [[cmake, -S, ., -B, '{build}'], [cmake, --build, '{build}']]\n",
        ("cmake", "make", "cc"),
    ),
    "cargo": Builder(
        "sim_cargo",
        "entrypoint: '{build}/release/sim'\n"
        "build: [[cargo, build, --release, --locked, --offline, --target-dir, '{build}']]\n",
        ("cargo", "rustc"),
        ("src/main.rs", "0.5", "0.25"),
    ),
    "npm": Builder(
        "sim_node",
        "entrypoint: node main.js\nbuild: [[npm, ci, --offline, --no-audit]]\n",
        ("npm", "node"),
        ("rate/index.js", "0.5", "0.25"),
    ),
    "shell": Builder("sim_shell", "entrypoint: sim.sh\n", ("sh", "awk"), ("sim.sh", "value /= 2", "value /= 4")),
}


def builder(name: str, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Builder:
    """Return a kind of tool; the test is skipped if what builds it isn't here, unless that must be.

    What it keeps in a home goes into ``scratch``; a Rust of rustup's is that of who runs the tests.
    """
    found = KINDS[name]
    missing = [each for each in found.programs if shutil.which(each) is None]
    if missing and name in MUST_HAVE:
        pytest.fail(f"{', '.join(missing)} must be here")
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if (real / ".rustup").is_dir():
        monkeypatch.setenv("RUSTUP_HOME", str(real / ".rustup"))
    monkeypatch.setenv("CARGO_HOME", str(scratch / "cargo"))
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(scratch / "npm"))
    return found
