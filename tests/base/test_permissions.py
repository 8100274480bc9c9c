"""Who may read what runs leave."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.base import files, permissions
from tests.testing.stash import InProcess, StashUnderTest

TOOL = """#!/bin/sh
umask > "$1/umask"
exit ${FAILS:-0}
"""


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = os.umask(0o022)
    with permissions.restored():
        yield
    os.umask(before)


@pytest.fixture
def open_stash(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose directory everybody may read."""
    stash.root.chmod(0o755)
    stash.write("tools/t/go", TOOL).chmod(0o755)
    stash.write(
        "conf/tool/t.yaml",
        "path: tools/t\nentrypoint: go\nenvironment: {kind: none}\ncall: {style: arguments}\nresume: []\n",
    )
    stash.add_experiment("one", "t", "arguments: ['${output_dir}', '${params.n}']\nparams: {n: 1}\n")
    stash.commit()
    stash.write("tools/t/go", TOOL + "# changed\n").chmod(0o755)
    return stash


def modes(*roots: Path) -> dict[int, set[str]]:
    """Return what has each mode at and below these places, but for what the tool has made."""
    found: dict[int, set[str]] = {}
    for root in roots:
        for path in (root, *root.rglob("*")):
            if not path.is_symlink() and path.name != "umask":
                kind = "d" if path.is_dir() else "f"
                found.setdefault(stat.S_IMODE(path.stat().st_mode), set()).add(f"{kind} {path.name}")
    return found


def is_all(found: dict[int, set[str]], *, directories: int, ordinary: int) -> bool:
    directory_names = {each[0] for each in found.get(directories, ())}
    return {*found} == {directories, ordinary} and directory_names == {"d"} and {e[0] for e in found[ordinary]} == {"f"}


@pytest.mark.parametrize(
    ("how", "umask", "directories", "ordinary"),
    [
        ([], 0o022, 0o700, 0o600),
        (["permissions=group"], 0o002, 0o770, 0o660),
        (["permissions=umask"], 0o022, 0o755, 0o644),
    ],
)
def test_runs(
    open_stash: StashUnderTest, in_process: InProcess, how: list[str], umask: int, directories: int, ordinary: int
) -> None:
    os.umask(umask)
    assert in_process(open_stash, "run", "one", *how).returncode == 0
    assert in_process(open_stash, "-m", "+exp=one", "params.n=1,2", "hydra/launcher=local", *how).returncode == 0
    found = modes(open_stash.root / "outputs", open_stash.root / "multirun")
    assert is_all(found, directories=directories, ordinary=ordinary), found
    names = {name.partition(" ")[2] for name in found[ordinary]}
    assert {"run.json", "stash.patch", "output.log", "supervisor.log", "config.yaml", "multirun.yaml"} <= names
    # What isn't ours is as the user wants it.
    for run in open_stash.run_directories():
        assert (run / "umask").read_text() == f"{umask:04o}\n"
        assert stat.S_IMODE((run / "umask").stat().st_mode) == 0o666 & ~umask
    assert os.umask(umask) == umask and permissions.VARIABLE not in os.environ


@pytest.mark.slow
def test_a_directory_that_was_there(open_stash: StashUnderTest, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    done = open_stash.cli("run", "one", f"hydra.run.dir={place}", FAILS="3")
    assert done.returncode == 3
    assert open_stash.cli("resume", str(place)).returncode == 0
    open_stash.cli("runs")
    assert stat.S_IMODE(place.stat().st_mode) == 0o755  # it is the user's
    open_ones = {path.name for path in place.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077}
    assert open_ones == {"umask"}


@pytest.mark.parametrize(
    ("setting", "mode"), [("", 0o700), ("permissions: group\n", 0o750), ("permissions: umask\n", 0o755)]
)
def test_what_a_stash_has_for_itself(stash: StashUnderTest, setting: str, mode: int) -> None:
    stash.root.chmod(0o755)
    stash.write("conf/config.yaml", (stash.root / "conf/config.yaml").read_text() + setting)
    for name in (".experimentstash/locks", "backups/x", "elsewhere/x"):
        files.make_directory(stash.root / name)
        files.mark(stash.root / name / "file")
    found = modes(stash.root / ".experimentstash", stash.root / "backups")
    assert is_all(found, directories=mode, ordinary=mode & 0o666), found
    assert is_all(modes(stash.root / "elsewhere"), directories=0o755, ordinary=0o644)


def test_what_is_replaced_stays_as_closed_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.write_atomically(tmp_path / "file", "1")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    (tmp_path / "file").chmod(0o600)
    files.write_atomically(tmp_path / "file", "2")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
