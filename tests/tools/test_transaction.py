from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.adapters.git.gitindex import Entry
from experimentstash.adapters.git.superproject import superproject
from experimentstash.base.errors import StashError
from experimentstash.tools import adding, recovery, removing, restoring, transaction
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, differences, is_healthy, killed_at, no_report, repository, snapshot

PLAIN = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def do_much(stash: StashUnderTest, *, end: bool) -> None:
    with recovery.exclusive(as_stash(stash), no_report) as project:  # noqa: SIM117
        with transaction.begin(as_stash(stash), project, "add", "x", no_report) as changes:
            staged = changes.folder / "tree"
            staged.mkdir()
            (staged / "file").write_text("staged\n")
            changes.move(staged, stash.root / "tools" / "x")
            changes.replace(stash.root / "conf" / "tool" / "x.yaml", b"path: tools/x\n")
            changes.replace(stash.root / "conf" / "config.yaml", b"other\n")
            changes.section("tools/x", [("url", "u"), ("active", "true")])
            changes.drop(stash.root / "old")
            git("hash-object", "-w", "conf/config.yaml", cwd=stash.root)
            blob = git("hash-object", "-w", "conf/config.yaml", cwd=stash.root).strip()
            changes.index([Entry("conf/config.yaml", "100644", blob), Entry("old")])
            if end:
                changes.commit()
            raise ArithmeticError


@pytest.mark.parametrize("end", [False, True])
def test_it_is_undone_unless_it_was_committed(stash: StashUnderTest, end: bool) -> None:
    stash.write("old", "old\n").chmod(0o755)
    stash.commit()
    before = snapshot(stash.root)
    with pytest.raises(ArithmeticError):
        do_much(stash, end=end)
    is_healthy(stash)
    after = snapshot(stash.root)
    if not end:
        assert differences(after, before) == []
        return
    assert differences(after, before) == [
        "(index)",
        ".git/config",
        "conf/config.yaml",
        "conf/tool/",
        "conf/tool/x.yaml",
        "old",
        "tools/",
        "tools/x/file",
    ]


def all_but_added(stash: StashUnderTest, tmp_path: Path) -> None:
    """Leave an addition that was killed when all was in place, but not yet final."""
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})

    def add() -> None:
        adding.add(as_stash(stash), "x", str(upstream), make_environment=False, report=no_report)

    total = killed_at(0, add)
    assert total is not None
    removing.remove(as_stash(stash), "x", report=no_report)
    shutil.rmtree(stash.root / "backups")
    assert killed_at(total - 1, add) is None


@pytest.mark.slow
def test_what_somebody_changed_since_is_kept(stash: StashUnderTest, tmp_path: Path) -> None:
    all_but_added(stash, tmp_path)
    (stash.root / "tools" / "x" / "main.py").write_text("my work\n")
    (stash.root / "conf" / "tool" / "x.yaml").write_text("my work\n")
    heard: list[str] = []
    recovery.put_in_order(as_stash(stash), heard.append)
    assert any("undoing" in line for line in heard) and sum("had been changed" in line for line in heard) == 2
    assert not (stash.root / "tools" / "x").exists() and not (stash.root / "conf" / "tool" / "x.yaml").exists()
    kept = [path for path in (stash.root / "backups").rglob("*") if path.is_file() and path.name != ".gitignore"]
    assert [path.read_text() for path in kept].count("my work\n") == 2
    is_healthy(stash)


def journal(stash: StashUnderTest, **changed: Any) -> Path:
    folder = stash.root / ".git" / "experimentstash" / "token"
    folder.mkdir(parents=True)
    ours = procfs.identity(os.getpid())
    assert ours is not None
    data = {
        "format": 1,
        "verb": "add",
        "tool": "x",
        "pid": os.getppid(),
        "start_time": 1,
        "host": procfs.hostname(),
        "boot_id": procfs.boot_id(),
        "started": time.time(),
        "committed": False,
        "discard": [],
        "prune": [],
        "steps": [],
        **changed,
    }
    (folder / "journal.json").write_text(json.dumps(data))
    return folder


def test_a_process_that_lives_is_left_alone(stash: StashUnderTest) -> None:
    parent = procfs.identity(os.getppid())
    assert parent is not None
    folder = journal(stash, pid=parent.pid, start_time=parent.start_time)
    assert recovery.pending(as_stash(stash)) == []
    with pytest.raises(StashError, match="still at work"), recovery.exclusive(as_stash(stash), no_report):
        pass
    assert folder.exists()


def test_a_process_of_an_earlier_boot_is_gone(stash: StashUnderTest) -> None:
    parent = procfs.identity(os.getppid())
    assert parent is not None
    journal(stash, pid=parent.pid, start_time=parent.start_time, boot_id="earlier")
    assert recovery.pending(as_stash(stash)) == ["tool add x"]
    recovery.put_in_order(as_stash(stash), no_report)
    is_healthy(stash)


def test_another_machine_is_waited_for(stash: StashUnderTest) -> None:
    folder = journal(stash, host="elsewhere")
    with pytest.raises(StashError, match="begun on elsewhere"), recovery.exclusive(as_stash(stash), no_report):
        pass
    shutil.rmtree(folder)
    journal(stash, host="elsewhere", started=time.time() - 3600)
    recovery.put_in_order(as_stash(stash), no_report)
    is_healthy(stash)


def test_a_journal_that_cannot_be_read_is_not_guessed_at(stash: StashUnderTest) -> None:
    folder = journal(stash)
    (folder / "journal.json").write_text("{")
    with pytest.raises(StashError, match="can't be read"), recovery.exclusive(as_stash(stash), no_report):
        pass
    assert folder.exists()


HOSTILE: dict[str, dict[str, Any]] = {
    "a target outside": {"steps": [{"op": "create", "path": "{outside}/precious"}]},
    "a way out by dots": {"steps": [{"op": "create", "path": "{root}/tools/../../outside/precious"}]},
    "through a link": {"steps": [{"op": "create", "path": "{root}/tools/link/precious"}]},
    "the repository itself": {"steps": [{"op": "create", "path": "{root}/.git"}]},
    "a hook": {"steps": [{"op": "file", "path": "{root}/.git/hooks/post-checkout", "before": "eA==", "after": None}]},
    "a file outside": {"steps": [{"op": "file", "path": "{outside}/precious", "before": None, "after": "eA=="}]},
    "moved from outside": {
        "steps": [{"op": "move", "source": "{root}/tools/x", "target": "{outside}/precious", "print": ""}]
    },
    "moved to outside": {
        "steps": [{"op": "move", "source": "{outside}/x", "target": "{root}/conf/config.yaml", "print": ""}]
    },
    "discarded outside": {"committed": True, "discard": ["{outside}"]},
    "discarded through a link": {"committed": True, "discard": ["{root}/tools/link/precious"]},
    "pruned outside": {"committed": True, "prune": ["{outside}/empty"]},
    "a checkout outside": {
        "steps": [{"op": "checkout", "tree": "{outside}", "commit": "0" * 40, "branch": None, "new": "1" * 40}]
    },
    "an option for git": {
        "steps": [{"op": "checkout", "tree": "{root}", "commit": "0" * 40, "branch": "--x", "new": "1" * 40}]
    },
    "an index entry outside": {"steps": [{"op": "index", "before": [["../x", "100644", "0" * 40]]}]},
    "a setting that is none": {"steps": [{"op": "section", "name": "x", "before": [["a]\n[core", "x"]]}]},
    "an unknown step": {"steps": [{"op": "explode"}]},
    "no steps": {"steps": {}},
    "no step": {"steps": ["create"]},
    "a name that is a path": {"tool": "../../outside"},
    "a number that is none": {"pid": "1"},
    "a time that is none": {"started": float("nan")},
    "another format": {"format": 2},
    "a NUL": {"steps": [{"op": "create", "path": "{root}/tools/\0"}]},
}


def filled(value: Any, **words: str) -> Any:
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace("{" + name + "}", word)
        return value
    if isinstance(value, list):
        return [filled(each, **words) for each in value]
    return {key: filled(each, **words) for key, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_journal_is_trusted_no_more_than_a_backup(stash: StashUnderTest, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (outside / "empty").mkdir(parents=True)
    (outside / "precious").write_text("precious\n")
    (stash.root / "tools" / "link").symlink_to(outside)
    folder = journal(stash, **filled(HOSTILE[name], root=str(stash.root), outside=str(outside)))
    before = snapshot(stash.root), snapshot_of(outside)
    assert recovery.pending(as_stash(stash)) == []
    with pytest.raises(StashError, match="can't be read"), recovery.exclusive(as_stash(stash), no_report):
        pass
    assert (snapshot(stash.root), snapshot_of(outside)) == before
    assert folder.exists()


def snapshot_of(directory: Path) -> list[str]:
    return sorted(f"{path} {path.read_text() if path.is_file() else ''}" for path in directory.rglob("*"))


def test_a_journal_may_be_anything(stash: StashUnderTest, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "journal.json").write_text("{}")
    folder = journal(stash)
    (folder / "journal.json").unlink()
    os.mkfifo(folder / "journal.json")
    with pytest.raises(StashError, match="it is a FIFO"), recovery.exclusive(as_stash(stash), no_report):
        pass
    (folder / "journal.json").unlink()
    (folder / "journal.json").symlink_to(outside / "journal.json")
    with pytest.raises(StashError, match="it is a symbolic link"), recovery.exclusive(as_stash(stash), no_report):
        pass
    (folder / "journal.json").unlink()
    # A link in place of a transaction's folder is not followed.
    (folder.parent / "link").symlink_to(outside)
    with recovery.exclusive(as_stash(stash), no_report):
        pass
    assert [path.name for path in outside.iterdir()] == ["journal.json"]
    is_healthy(stash)
    (stash.root / ".git" / "experimentstash").symlink_to(outside)
    with (
        pytest.raises(StashError, match="where a directory must be"),
        recovery.exclusive(as_stash(stash), no_report),
    ):
        pass


def test_a_stash_by_another_of_its_names(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    before = snapshot(stash.root)

    def add() -> None:
        adding.add(as_stash(stash), "x", str(upstream), make_environment=False, report=no_report)

    assert killed_at(30, add) is None
    assert (stash.root / ".git" / "experimentstash").exists() and (stash.root / "tools" / "x").exists()
    (tmp_path / "alias").symlink_to(stash.root)
    with recovery.exclusive(as_stash(StashUnderTest(tmp_path / "alias")), no_report):
        pass
    assert differences(snapshot(stash.root), before) == []
    is_healthy(stash)


@pytest.mark.slow
def test_what_stands_in_a_file_s_place_is_moved_away(stash: StashUnderTest, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    all_but_added(stash, tmp_path)
    registration = stash.root / "conf" / "tool" / "x.yaml"
    registration.unlink()
    registration.symlink_to(precious)
    heard: list[str] = []
    recovery.put_in_order(as_stash(stash), heard.append)
    assert any("had been replaced" in line for line in heard)
    assert precious.read_text() == "precious\n" and not os.path.lexists(registration)
    is_healthy(stash)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory on another file system."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


@pytest.mark.slow
def test_a_git_directory_on_another_file_system(stash: StashUnderTest, tmp_path: Path, elsewhere: Path) -> None:
    if elsewhere.stat().st_dev == stash.root.stat().st_dev:
        pytest.skip("there is only one file system here")
    shutil.move(stash.root / ".git", elsewhere / "git")
    (stash.root / ".git").write_text(f"gitdir: {elsewhere / 'git'}\n")
    upstream = repository(tmp_path / "u", {"main.py": PLAIN})
    before = snapshot(stash.root)

    def add() -> None:
        adding.add(as_stash(stash), "x", str(upstream), make_environment=False, report=no_report)

    total = killed_at(0, add)
    assert total is not None
    assert git("submodule", "status", cwd=stash.root).split()[1] == "tools/x"
    tool = stash.root / "tools" / "x"
    (tool / "loose").write_text("x")
    with_tool = snapshot(stash.root)
    removing.remove(as_stash(stash), "x", force=True, report=no_report)
    assert not tool.exists()
    restoring.restore(as_stash(stash), "x", report=no_report)
    shutil.rmtree(stash.root / "backups")
    assert differences(snapshot(stash.root), with_tool) == []
    removing.remove(as_stash(stash), "x", force=True, report=no_report)
    shutil.rmtree(stash.root / "backups")
    for number in range(total - 12, total, 3):
        assert killed_at(number, add) is None
        recovery.put_in_order(as_stash(stash), no_report)
        assert differences(snapshot(stash.root), before) == []
        assert not (superproject(stash.root).git_directory / "experimentstash").exists()
