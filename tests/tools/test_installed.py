"""Tools without a repository: a package of an interpreter that is there already, from `tool add` to `tool restore`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.adapters.python import installed
from experimentstash.base.errors import StashError
from experimentstash.tools import adding, adding_installed, removing, restoring, status, syncing, updating
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, differences, is_healthy, no_report, repository, snapshot

PROGRAM = """
import argparse, os
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output-dir", required=True)
    parser.add_argument("--size", type=int, default=1)
    given = parser.parse_args()
    open(os.path.join(given.output_dir, "out.txt"), "w").write(f"{given.size} {os.getcwd()}")
if __name__ == "__main__":
    main()
"""


def make_environment(place: Path, *, editable: Path | None = None) -> Path:
    """Make an environment with the package `pack`, as pip would have; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (packages,) = place.glob("lib/python3*/site-packages")
    home = packages if editable is None else editable
    (home / "pack").mkdir(parents=True, exist_ok=True)
    (home / "pack" / "__init__.py").write_text("")
    (home / "pack" / "main.py").write_text(PROGRAM)
    facts = packages / "my_pack-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-pack\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text("[console_scripts]\npacked = pack.main:main\n")
    if editable is None:
        (facts / "RECORD").write_text("pack/__init__.py,,\npack/main.py,,\n")
    else:
        (packages / "my_pack.pth").write_text(f"{editable}\n")
        (facts / "direct_url.json").write_text(json.dumps({"url": editable.as_uri(), "dir_info": {"editable": True}}))
    script = place / "bin" / "packed"
    script.write_text(f"#!/bin/sh\nexec '{place}/bin/python' -m pack.main \"$@\"\n")
    script.chmod(0o755)
    return place / "bin" / "python"


@pytest.mark.slow
def test_the_life_of_an_installed_package(stash: StashUnderTest, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "an environment")
    stash_ = as_stash(stash)
    done = stash.cli("tool", "add", "x", "--interpreter", str(python.parent.parent), "-m", "pack.main")
    assert done.returncode == 0, done.stderr
    assert "my-pack 1.2" in done.stdout and "whether somebody has changed it" in done.stderr
    registration = (stash.root / "conf/tool/x.yaml").read_text()
    assert "\npath:" not in registration and str(python) in registration
    assert 'output: "--output-dir"' in registration
    assert git("status", "--porcelain", "tools", ".gitmodules", cwd=stash.root) == ""
    for path in ("", "path: ''\n", "path:\n"):
        (stash.root / "conf/tool/x.yaml").write_text(path + registration)
        assert status.show(stash_, "x").problem is None
    done = stash.cli("run", "x/example", "+params.size=7")
    assert done.returncode == 0, done.stderr
    (directory,) = stash.run_directories()
    record = stash.record(directory)
    assert (directory / "out.txt").read_text() == f"7 {directory}"
    assert record["spec"]["environment"]["package"].startswith("my-pack 1.2 of ")
    assert "my-pack==1.2" in (directory / record["spec"]["environment"]["packages"]).read_text().splitlines()
    assert record["spec"]["code"]["commit"] is None and any(
        "whether somebody" in note for note in record["attempt"]["notes"]
    )

    shown = status.show(stash_, "x")
    assert shown.environment == "interpreter" and shown.is_ready and shown.commit is None
    assert [each.environment for each in syncing.sync(stash_, ["x"], report=no_report)] == [None]
    with pytest.raises(StashError, match="no repository"):
        updating.update(stash_, "x", report=no_report)
    assert "no problems" in stash.cli("validate").stdout
    refused = stash.cli("run", "x/example", "code=frozen")
    assert refused.returncode == 2 and "can't be frozen" in refused.stderr

    before = snapshot(stash.root, without=("backups", "outputs"))
    removed = removing.remove(stash_, "x", report=no_report)
    assert removed is not None and stash_.tools() == [] and stash_.experiments() == []
    assert restoring.restore(stash_, "x", report=no_report).experiments == ("x/example",)
    assert differences(snapshot(stash.root, without=("backups", "outputs")), before) == []
    is_healthy(stash)


@pytest.mark.slow
def test_a_program_of_the_environment(stash: StashUnderTest, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "e")
    added = adding_installed.add(as_stash(stash), "x", python, "packed", report=no_report)
    assert added.package.name == "my-pack" and added.package.source is not None
    done = stash.cli("run", "x/example", "-m", "+params.size=1,2", "arguments=[--output-dir,${output_dir}]")
    assert done.returncode == 0, done.stderr
    assert len(stash.run_directories()) == 2


@pytest.mark.slow
def test_an_editable_installation_is_known_by_its_checkout(stash: StashUnderTest, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "my source", {"README": "x\n"})
    python = make_environment(tmp_path / "e", editable=checkout)
    head = commit(checkout, {})
    (checkout / "pack" / "__init__.py").write_text("CHANGED = 1\n")
    added = adding_installed.add(as_stash(stash), "x", python, "-m pack.main", report=no_report)
    assert added.package.editable == checkout
    assert stash.cli("run", "x/example").returncode == 0
    (directory,) = stash.run_directories()
    code = stash.record(directory)["spec"]["code"]
    assert (code["path"], code["commit"], code["dirty"]) == (str(checkout), head, True)
    assert "CHANGED = 1" in (directory / code["patch"]).read_text()


@pytest.mark.slow
def test_what_cannot_be_added(stash: StashUnderTest, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "e")
    before = snapshot(stash.root)
    for entrypoint in ("-m pack", "-m nothing.here", "-m pack.nothing", "nothing", "pack/main.py"):
        with pytest.raises(StashError, match=r"that can be run\. Installed there: my-pack"):
            adding_installed.add(as_stash(stash), "x", python, entrypoint, report=no_report)
    (tmp_path / "empty").mkdir()
    for given in ("no/such/python", str(tmp_path / "empty"), __file__):
        with pytest.raises(StashError, match="is no interpreter"):
            installed.interpreter(given, tmp_path)
    for words, reason in (
        (["--interpreter", str(python)], "what of that environment is started"),
        (["-m", "pack.main"], "Neither a repository nor an interpreter"),
        (["--interpreter", str(python), "-m", "pack.main", "--branch", "b"], "--branch is for repositories"),
        (["--interpreter", str(python), "-m", "pack.main", "--entrypoint", "x"], "both say how"),
    ):
        refused = stash.cli("tool", "add", "x", *words)
        assert refused.returncode == 2 and reason in refused.stderr
    assert differences(snapshot(stash.root), before) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("entrypoint: -m x\n", "neither a `path:` nor an `environment.interpreter`"),
        ("entrypoint: -m x\nenvironment: {interpreter: bin/python}\n", "is relative"),
        ("entrypoint: -m x\ncommit: main\nenvironment: {interpreter: /x/bin/python}\n", "commit: is for tools with"),
        ("entrypoint: -m x\nenvironment: {interpreter: /x/bin/python}\n", "/x/bin/python is no file"),
    ],
)
def test_registrations_that_mean_nothing(stash: StashUnderTest, text: str, reason: str) -> None:
    (stash.root / "conf/tool").mkdir(exist_ok=True)
    (stash.root / "conf/tool/x.yaml").write_text(text)
    shown = status.show(as_stash(stash), "x")
    assert reason in str(shown.problem)


def test_a_repository_with_an_interpreter_that_is_there(stash: StashUnderTest, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "e")
    upstream = repository(tmp_path / "u", {"main.py": "import pack\nprint(pack.__file__)\n"})
    added = adding.add(as_stash(stash), "x", str(upstream), interpreter=python, report=no_report)
    assert added.environment == "interpreter" and not any("says what it needs" in note for note in added.notes)
    assert stash.cli("run", "x/example").returncode == 0
    (directory,) = stash.run_directories()
    assert str(tmp_path / "e") in (directory / "output.log").read_text()
