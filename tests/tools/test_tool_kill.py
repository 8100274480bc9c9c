"""`tool add` and `tool remove`, killed at each of their steps: afterwards all of it is there, or nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from experimentstash.tools import adding, recovery, removing, restoring, updating
from tests.testing.stash import PATIENCE, StashUnderTest, git
from tests.testing.tool_support import (
    as_stash,
    commit,
    differences,
    is_healthy,
    killed_at,
    no_report,
    repository,
    snapshot,
)

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return repository(tmp_path / "upstream", {"main.py": SCRIPT, "big.bin": "x" * 100_000})


def reset(stash: StashUnderTest, pristine: Path) -> None:
    shutil.rmtree(stash.root)
    shutil.copytree(pristine, stash.root, symlinks=True)


def keep(stash: StashUnderTest, tmp_path: Path) -> Path:
    pristine = tmp_path / "pristine"
    shutil.copytree(stash.root, pristine, symlinks=True)
    return pristine


def numbers(total: int, is_short: bool) -> list[int]:
    """Return the steps to kill at: all, or a spread of them which always has the last ones."""
    return sorted({*range(1, total + 1, 13), *range(total - 2, total + 1)}) if is_short else list(range(1, total + 1))


@pytest.mark.slow
@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_killed_add_leaves_all_or_nothing(
    stash: StashUnderTest, upstream: Path, tmp_path: Path, is_short: bool
) -> None:
    def add() -> None:
        adding.add(as_stash(stash), "plain", str(upstream), report=no_report)

    stash.write("conf/exp/mine.yaml", "# my own\n")
    before = snapshot(stash.root)
    pristine = keep(stash, tmp_path)
    reset(stash, pristine)  # git has to look closer at files that were copied
    total = killed_at(0, add)
    assert total is not None
    complete = snapshot(stash.root)
    outcomes = {"nothing": 0, "all": 0}
    for number in numbers(total, is_short):
        reset(stash, pristine)
        assert killed_at(number, add) is None
        recovery.put_in_order(as_stash(stash), no_report)
        with recovery.exclusive(as_stash(stash), no_report):
            pass
        is_healthy(stash)
        after = snapshot(stash.root)
        if "conf/tool/plain.yaml" in after:
            outcomes["all"] += 1
            assert [key for key in differences(after, complete) if not key.startswith(".git/modules/")] == []
            assert {*after} == {*complete}
        else:
            outcomes["nothing"] += 1
            assert differences(after, before) == []
            environments = stash.root / ".experimentstash" / "environments"
            assert not (environments / "plain").exists()
            if number % 10 == 0:
                add()
                assert {*snapshot(stash.root)} == {*complete}
    print(f"add: {sum(outcomes.values())} kills in {total} steps: {outcomes}")
    assert outcomes["nothing"] and outcomes["all"]


@pytest.mark.slow
@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_killed_remove_loses_nothing(stash: StashUnderTest, upstream: Path, tmp_path: Path, is_short: bool) -> None:
    adding.add(as_stash(stash), "plain", str(upstream), make_environment=False, report=no_report)
    tool = stash.root / "tools" / "plain"
    stash.commit()
    (tool / "main.py").write_text("stashed\n")
    git("stash", cwd=tool)
    commit(tool, {"local.py": "mine\n"}, "unpushed")
    (tool / "main.py").write_text("staged\n")
    git("add", "main.py", cwd=tool)
    (tool / "main.py").write_text("changed\n")
    (tool / "untracked").write_text("untracked\n")
    environment = stash.root / ".experimentstash" / "environments" / "plain" / "file"
    environment.parent.mkdir(parents=True)
    environment.touch()
    before = snapshot(stash.root)
    pristine = keep(stash, tmp_path)

    def remove() -> None:
        assert removing.remove(as_stash(stash), "plain", force=True, report=no_report)

    reset(stash, pristine)
    total = killed_at(0, remove)
    assert total is not None
    complete = snapshot(stash.root, without=("backups",))
    outcomes = {"nothing": 0, "all": 0}
    for number in numbers(total, is_short):
        reset(stash, pristine)
        assert killed_at(number, remove) is None
        with recovery.exclusive(as_stash(stash), no_report):
            pass
        is_healthy(stash)
        after = snapshot(stash.root)
        if "conf/tool/plain.yaml" in after:
            outcomes["nothing"] += 1
            assert differences(after, before) == []
            assert environment.exists()
            continue
        outcomes["all"] += 1
        assert differences(snapshot(stash.root, without=("backups",)), complete) == []
        assert not environment.parent.exists()
        restoring.restore(as_stash(stash), "plain", report=no_report)
        restored = snapshot(stash.root, without=("backups",))
        assert [key for key in differences(restored, before) if not is_of_no_matter(key)] == []
        assert git("show", "HEAD:local.py", cwd=tool) == "mine\n"
        assert "stashed" in git("stash", "show", "-p", cwd=tool)
    print(f"remove: {sum(outcomes.values())} kills in {total} steps: {outcomes}")
    assert outcomes["nothing"] and outcomes["all"]


@pytest.mark.slow
@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_killed_restore_leaves_all_or_nothing(
    stash: StashUnderTest, upstream: Path, tmp_path: Path, is_short: bool
) -> None:
    adding.add(as_stash(stash), "plain", str(upstream), make_environment=False, report=no_report)
    tool = stash.root / "tools" / "plain"
    commit(tool, {"local.py": "mine\n"}, "unpushed")
    stash.commit()
    with_tool = snapshot(stash.root, without=("backups",))
    assert removing.remove(as_stash(stash), "plain", force=True, report=no_report)
    before = snapshot(stash.root)
    pristine = keep(stash, tmp_path)

    def restore() -> None:
        restoring.restore(as_stash(stash), "plain", report=no_report)

    reset(stash, pristine)
    total = killed_at(0, restore)
    assert total is not None
    outcomes = {"nothing": 0, "all": 0}
    for number in numbers(total, is_short):
        reset(stash, pristine)
        assert killed_at(number, restore) is None
        recovery.put_in_order(as_stash(stash), no_report)
        is_healthy(stash)
        after = snapshot(stash.root, without=("backups",))
        if "conf/tool/plain.yaml" in after:
            outcomes["all"] += 1
            assert [key for key in differences(after, with_tool) if not is_of_no_matter(key)] == []
        else:
            outcomes["nothing"] += 1
            assert differences(snapshot(stash.root), before) == []
    print(f"restore: {sum(outcomes.values())} kills in {total} steps: {outcomes}")
    assert outcomes["nothing"] and outcomes["all"]


@pytest.mark.slow
@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_killed_update_leaves_all_or_nothing(
    stash: StashUnderTest, upstream: Path, tmp_path: Path, is_short: bool
) -> None:
    adding.add(as_stash(stash), "plain", str(upstream), report=no_report)
    tool = stash.root / "tools" / "plain"
    stash.commit()
    (tool / "loose").write_text("mine\n")
    commit(upstream, {"main.py": SCRIPT + "# new\n", "requirements.txt": "", "new.txt": "new\n"})
    (upstream / "big.bin").unlink()
    newest = commit(upstream, {})
    before = snapshot(stash.root, without=(".git",))
    pristine = keep(stash, tmp_path)

    def update() -> None:
        assert updating.update(as_stash(stash), "plain", report=no_report)

    reset(stash, pristine)
    total = killed_at(0, update)
    assert total is not None
    complete = snapshot(stash.root, without=(".git",))
    outcomes = {"nothing": 0, "all": 0}
    for number in numbers(total, is_short):
        reset(stash, pristine)
        assert killed_at(number, update) is None
        recovery.put_in_order(as_stash(stash), no_report)
        is_healthy(stash)
        after = snapshot(stash.root, without=(".git",))
        assert git("status", "--porcelain", cwd=tool) == "?? loose\n"
        assert git("branch", "--show-current", cwd=tool) == "main\n"
        is_new = git("rev-parse", "HEAD", cwd=tool).strip() == newest
        outcomes["all" if is_new else "nothing"] += 1
        assert differences(after, complete if is_new else before) == []
        assert not (stash.root / "backups").exists()
    print(f"update: {sum(outcomes.values())} kills in {total} steps: {outcomes}")
    assert outcomes["nothing"] and outcomes["all"]


@pytest.mark.exhaustive
def test_kills_while_the_killed_is_undone(stash: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    def add() -> None:
        adding.add(as_stash(stash), "plain", str(upstream), make_environment=False, report=no_report)

    def repair() -> None:
        recovery.put_in_order(as_stash(stash), no_report)

    leftover = stash.root / ".git" / "modules" / "tools" / "plain"
    git("clone", "-q", "--bare", str(upstream), str(leftover), cwd=tmp_path)
    before = snapshot(stash.root)
    pristine = keep(stash, tmp_path)
    total = killed_at(0, add)
    assert total is not None
    count = 0
    for number in range(4, total - 1, 7):
        for again in range(1, 100, 4):
            reset(stash, pristine)
            assert killed_at(number, add) is None
            if killed_at(again, repair) is not None:
                break
            count += 1
            repair()
            is_healthy(stash)
            assert differences(snapshot(stash.root), before) == []
    print(f"{count} kills while undoing")
    assert count > 10


def is_of_no_matter(key: str) -> bool:
    """Tell whether a file of a restored repository may differ: where objects are kept, and git's own samples."""
    inner = key.removeprefix(".git/modules/tools/plain/")
    return key != inner and (inner.startswith(("objects/", "hooks/")) or inner in ("FETCH_HEAD",))


@pytest.mark.exhaustive
@pytest.mark.parametrize("whole_group", [False, True], ids=["one process", "its whole group"])
def test_kills_at_random_moments(stash: StashUnderTest, upstream: Path, tmp_path: Path, whole_group: bool) -> None:
    chance = random.Random(4)
    before = snapshot(stash.root)
    pristine = keep(stash, tmp_path)
    started = time.monotonic()
    stash.cli("tool", "add", "plain", str(upstream))
    duration = time.monotonic() - started
    complete = {*snapshot(stash.root)}
    for _ in range(25):
        reset(stash, pristine)
        process = stash.start("tool", "add", "plain", str(upstream))
        time.sleep(chance.uniform(0.2, duration))
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
        done = stash.cli("tool", "list")
        assert done.returncode == 0, done.stderr
        is_healthy(stash)
        after = snapshot(stash.root)
        if "conf/tool/plain.yaml" in after:
            assert {*after} == complete
        else:
            assert differences(after, before) == []


def test_ctrl_c_leaves_nothing(stash: StashUnderTest, upstream: Path) -> None:
    before = snapshot(stash.root)
    for number in (signal.SIGINT, signal.SIGTERM):
        process = stash.start("tool", "add", "plain", str(upstream))
        journal = stash.root / ".git" / "experimentstash"
        while not list(journal.glob("*/journal.json")):
            time.sleep(0.005)
        time.sleep(0.2)
        process.send_signal(number)
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + number, error
        is_healthy(stash)
        assert differences(snapshot(stash.root), before) == []
