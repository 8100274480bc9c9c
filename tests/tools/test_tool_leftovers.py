"""Each accident of git with submodules, produced for real, and healed by one `tool add`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.tools import adding, removing, restoring
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, differences, is_healthy, no_report, repository, snapshot

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"
FILE_ALLOWED = ("-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return repository(tmp_path / "upstream", {"main.py": SCRIPT})


def by_hand(stash: StashUnderTest, upstream: Path, *options: str) -> Path:
    git(*FILE_ALLOWED, "submodule", "add", *options, str(upstream), "tools/plain", cwd=stash.root)
    return stash.root / "tools" / "plain"


def add(stash: StashUnderTest, url: Path, report: Callable[[str], None] = no_report) -> adding.Added:
    return adding.add(as_stash(stash), "plain", str(url), make_environment=False, report=report)


def removed_by_git_alone(stash: StashUnderTest, upstream: Path) -> None:
    by_hand(stash, upstream)
    git("rm", "-q", "-f", "tools/plain", cwd=stash.root)


def half_removed(stash: StashUnderTest, upstream: Path) -> None:
    shutil.rmtree(by_hand(stash, upstream))


def directory_deleted_after_commit(stash: StashUnderTest, upstream: Path) -> None:
    tool = by_hand(stash, upstream)
    stash.commit()
    shutil.rmtree(tool)


def deinitialised(stash: StashUnderTest, upstream: Path) -> None:
    by_hand(stash, upstream)
    git("submodule", "deinit", "-f", "tools/plain", cwd=stash.root)


def only_in_the_index(stash: StashUnderTest, upstream: Path) -> None:
    git("clone", "-q", str(upstream), "tools/plain", cwd=stash.root)
    git("add", "tools/plain", cwd=stash.root)
    shutil.rmtree(stash.root / "tools" / "plain")


def only_in_gitmodules(stash: StashUnderTest, upstream: Path) -> None:
    stash.write(".gitmodules", f'[submodule "tools/plain"]\n\tpath = tools/plain\n\turl = {upstream}\n')
    git("add", ".gitmodules", cwd=stash.root)


def under_another_name(stash: StashUnderTest, upstream: Path) -> None:
    by_hand(stash, upstream, "--name", "other-name")
    git("rm", "-q", "-f", "--cached", "tools/plain", cwd=stash.root)


def only_a_section(stash: StashUnderTest, upstream: Path) -> None:
    git("config", "submodule.tools/plain.url", "https://elsewhere.example/x", cwd=stash.root)
    git("config", "submodule.tools/plain.active", "true", cwd=stash.root)


def empty_directory(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools" / "plain").mkdir()


def dangling_git_file(stash: StashUnderTest, upstream: Path) -> None:
    tool = by_hand(stash, upstream)
    shutil.rmtree(stash.root / ".git" / "modules" / "tools" / "plain")
    (tool / "main.py").unlink()


def damaged_repository(stash: StashUnderTest, upstream: Path) -> None:
    by_hand(stash, upstream)
    (stash.root / ".git" / "modules" / "tools" / "plain" / "HEAD").write_text("rubbish")


def broken_repository_without_head(stash: StashUnderTest, upstream: Path) -> None:
    removed_by_git_alone(stash, upstream)
    (stash.root / ".git" / "modules" / "tools" / "plain" / "HEAD").unlink()


def interrupted_clone(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / ".git" / "modules" / "tools" / "plain" / "objects" / "pack").mkdir(parents=True)


def complete_but_not_registered(stash: StashUnderTest, upstream: Path) -> None:
    by_hand(stash, upstream)
    stash.commit()


ACCIDENTS = [
    removed_by_git_alone,
    half_removed,
    directory_deleted_after_commit,
    deinitialised,
    only_in_the_index,
    only_in_gitmodules,
    under_another_name,
    only_a_section,
    empty_directory,
    dangling_git_file,
    damaged_repository,
    broken_repository_without_head,
    interrupted_clone,
    complete_but_not_registered,
]


@pytest.mark.slow
@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__)
def test_one_add_heals(stash: StashUnderTest, upstream: Path, accident: Callable[[StashUnderTest, Path], None]) -> None:
    accident(stash, upstream)
    heard: list[str] = []
    added = add(stash, upstream, heard.append)
    assert any("found" in line for line in heard), heard
    is_healthy(stash)
    assert git("submodule", "status", cwd=stash.root).split()[:2] == [added.commit, "tools/plain"]
    assert git("config", "-f", ".gitmodules", "--get-regexp", r"path$", cwd=stash.root).count("\n") == 1
    assert git("status", "--porcelain", cwd=stash.root / "tools" / "plain") == ""
    stash.commit()
    assert git("status", "--porcelain", cwd=stash.root) == ""
    copy = stash.root.parent / "copy"
    git("clone", "-q", str(stash.root), str(copy), cwd=stash.root)
    git(*FILE_ALLOWED, "submodule", "update", "--init", "-q", cwd=copy)
    assert (copy / "tools" / "plain" / "main.py").exists()


def test_the_accidents_are_those_that_git_complains_of(stash: StashUnderTest, upstream: Path) -> None:
    for accident, complaint in (
        (removed_by_git_alone, "A git directory for 'tools/plain' is found locally"),
        (only_in_the_index, "already exists in the index"),
    ):
        accident(stash, upstream)
        with pytest.raises(subprocess.CalledProcessError) as caught:
            by_hand(stash, upstream)
        assert complaint in caught.value.stderr


@pytest.mark.slow
def test_work_in_a_leftover_is_kept(stash: StashUnderTest, upstream: Path) -> None:
    tool = by_hand(stash, upstream)
    (tool / "main.py").write_text("stashed\n")
    git("stash", "-q", cwd=tool)
    mine = commit(tool, {"mine.py": "only here\n"}, "unpushed")
    (tool / "untracked").write_text("loose\n")
    (tool / ".gitignore").write_text("ignored\n")
    (tool / "ignored").write_text("ignored, and only here\n")
    git("rm", "-q", "-f", "--cached", "tools/plain", cwd=stash.root)
    add(stash, upstream)
    assert not (tool / "mine.py").exists()
    (backup,) = stash.root.glob("backups/plain-leftover-*")
    assert (backup / "files" / "untracked").read_text() == "loose\n"
    assert (backup / "files" / "ignored").read_text() == "ignored, and only here\n"
    bundle = backup / "repositories" / "0" / "objects.bundle"
    git("fetch", "-q", str(bundle), "refs/*:refs/rescued/*", cwd=tool)
    assert git("show", f"{mine}:mine.py", cwd=tool) == "only here\n"
    assert "refs/rescued" in git("for-each-ref", "--contains", mine, cwd=tool)


@pytest.mark.slow
def test_commits_in_a_repository_without_a_checkout_are_kept(stash: StashUnderTest, upstream: Path) -> None:
    tool = by_hand(stash, upstream)
    mine = commit(tool, {"mine.py": "only here\n"}, "unpushed")
    git("rm", "-q", "-f", "tools/plain", cwd=stash.root)
    add(stash, upstream)
    (bundle,) = stash.root.glob("backups/plain-leftover-*/repositories/0/objects.bundle")
    git("fetch", "-q", str(bundle), "refs/*:refs/rescued/*", cwd=tool)
    assert git("show", f"{mine}:mine.py", cwd=tool) == "only here\n"


@pytest.mark.slow
def test_a_leftover_without_work_leaves_no_backup(stash: StashUnderTest, upstream: Path) -> None:
    removed_by_git_alone(stash, upstream)
    add(stash, upstream)
    assert not (stash.root / "backups").exists() or [p.name for p in (stash.root / "backups").iterdir()] == [
        ".gitignore"
    ]


def test_files_in_the_way_are_moved(stash: StashUnderTest, upstream: Path) -> None:
    own = stash.root / "tools" / "plain"
    repository(own, {"precious.txt": "precious\n"})
    add(stash, upstream)
    (kept,) = stash.root.glob("backups/plain-leftover-*/tree")
    assert (kept / "precious.txt").read_text() == "precious\n"
    assert git("log", "--format=%s", cwd=kept) == "first\n"


@pytest.mark.slow
def test_a_failure_puts_the_leftovers_back(stash: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    tool = by_hand(stash, upstream)
    commit(tool, {"mine.py": "only here\n"}, "unpushed")
    git("rm", "-q", "-f", "--cached", "tools/plain", cwd=stash.root)
    before = snapshot(stash.root)
    broken = repository(tmp_path / "broken", {"main.py": SCRIPT, "requirements.txt": "no-such-package-at-all==99\n"})
    with pytest.raises(StashError, match="Nothing was added"):
        adding.add(as_stash(stash), "plain", str(broken), report=no_report)
    assert differences(snapshot(stash.root), before) == []
    is_healthy(stash)


def test_files_of_the_stash_itself_are_not_touched(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("tools/plain/main.py", "mine\n")
    stash.commit()
    before = snapshot(stash.root)
    with pytest.raises(StashError, match="belong to the stash's own repository"):
        add(stash, upstream)
    assert differences(snapshot(stash.root), before) == []


def test_unstaged_changes_of_gitmodules_are_not_taken_along(stash: StashUnderTest, upstream: Path) -> None:
    stash.write(".gitmodules", "# mine\n")
    git("add", ".gitmodules", cwd=stash.root)
    stash.write(".gitmodules", "# mine, changed\n")
    with pytest.raises(StashError, match="not staged"):
        add(stash, upstream)


@pytest.mark.slow
def test_a_manifest_that_leads_elsewhere_is_refused(stash: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    add(stash, upstream)
    removed = removing.remove(as_stash(stash), "plain", report=no_report)
    assert removed is not None
    manifest = removed.backup / "backup.json"
    good = json.loads(manifest.read_text())
    for key, value in (
        ("stash_files", ["../../evil"]),
        ("stash_files", ["README.md"]),
        ("absent", ["../x"]),
        ("directories", ["/tmp/x"]),
        ("path", "../x"),
        ("module", "../../hooks"),
        ("tool", "../x"),
        ("index", [["../x", "100644", "0" * 40]]),
    ):
        manifest.write_text(json.dumps({**good, key: value}))
        before = snapshot(stash.root)
        with pytest.raises(StashError):
            restoring.restore(as_stash(stash), str(removed.backup), report=no_report)
        assert differences(snapshot(stash.root), before) == []
