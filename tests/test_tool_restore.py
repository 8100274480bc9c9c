"""`tool restore` brings a tool back to where it was, or touches nothing; and a backup may have been made to mislead."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash import removing
from experimentstash.errors import StashError
from tests.conftest import StashUnderTest, git
from tests.tool_support import as_stash, differences, is_healthy, no_report, repository, snapshot

SCRIPT = "import argparse\n\nif __name__ == '__main__':\n    argparse.ArgumentParser().parse_args()\n"
FILE_ALLOWED = ("-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return repository(tmp_path / "upstream", {"main.py": SCRIPT})


@pytest.fixture
def tool(stash: StashUnderTest, upstream: Path) -> Path:
    """A tool that is called otherwise than its directory, and whose submodule has a name of its own."""
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "own", str(upstream), "tools/xyz", cwd=stash.root)
    for key, value in (("branch", "main"), ("shallow", "true"), ("update", "rebase"), ("ignore", "dirty")):
        git("config", "-f", ".gitmodules", f"submodule.own.{key}", value, cwd=stash.root)
    git("config", "submodule.own.update", "merge", cwd=stash.root)
    stash.write("conf/tool/c.yaml", "# mine\npath: tools/xyz\nentrypoint: main.py\n")
    stash.write("conf/exp/group/run.yaml", "# @package _global_\ndefaults:\n  - override /tool: c\n").chmod(0o600)
    stash.commit()
    return stash.root / "tools" / "xyz"


def whole(stash: StashUnderTest) -> dict[str, bytes | str]:
    """Return the stash but for what git writes anew whenever a repository is cloned."""
    found = snapshot(stash.root, without=("backups",))
    ours = {key: value for key, value in found.items() if not key.startswith(".git/modules/")}
    return ours | {key: value for key, value in found.items() if key.endswith(("/config", "/HEAD", "/index"))}


def remove(stash: StashUnderTest, *, force: bool = False) -> Path:
    removed = removing.remove(as_stash(stash), "c", force=force, report=no_report)
    assert removed is not None
    return removed.backup


def restore(stash: StashUnderTest, wanted: str | Path = "c") -> list[str]:
    heard: list[str] = []
    removing.restore(as_stash(stash), str(wanted), report=heard.append)
    return heard


def test_it_comes_back_to_where_it_was(stash: StashUnderTest, tool: Path) -> None:
    before = whole(stash)
    remove(stash)
    assert not tool.exists() and "own" not in (stash.root / ".git" / "config").read_text()
    restore(stash)
    assert differences(whole(stash), before) == []
    assert not (stash.root / "tools" / "c").exists()
    assert (stash.root / "conf/exp/group/run.yaml").stat().st_mode & 0o777 == 0o600
    assert git("status", "--porcelain", cwd=stash.root) == ""
    is_healthy(stash)


def test_other_sections_that_came_meanwhile_stay(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    remove(stash)
    stash.commit()
    other = repository(tmp_path / "other", {"x": "x\n"})
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(other), "tools/other", cwd=stash.root)
    stash.commit()
    restore(stash)
    listed = git("config", "-f", ".gitmodules", "--list", cwd=stash.root).splitlines()
    assert {f"submodule.own.{each}" for each in ("path=tools/xyz", "branch=main", "shallow=true", "update=rebase")} <= {
        *listed
    }
    assert "submodule.tools/other.path=tools/other" in listed
    assert git("config", "submodule.own.update", cwd=stash.root) == "merge\n"
    assert len(git("submodule", "status", cwd=stash.root).splitlines()) == 2
    is_healthy(stash)


def a_directory(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("tools/xyz/precious.txt", "precious\n")


def an_empty_directory(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools" / "xyz").mkdir()


def a_file(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("tools/xyz", "precious\n")


def a_link(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools" / "xyz").symlink_to(upstream)


def a_link_on_the_way(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "tools").rmdir()
    (stash.root / "tools").symlink_to(upstream)


def a_submodule(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "new", str(upstream), "tools/xyz", cwd=stash.root)


def a_submodule_inside(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", str(upstream), "tools/xyz/inner", cwd=stash.root)


def a_section_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git("config", "-f", ".gitmodules", "submodule.own.path", "elsewhere", cwd=stash.root)
    git("add", ".gitmodules", cwd=stash.root)


def a_submodule_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_ALLOWED, "submodule", "--quiet", "add", "--name", "own", str(upstream), "tools/new", cwd=stash.root)


def a_setting(stash: StashUnderTest, upstream: Path) -> None:
    git("config", "submodule.own.url", "https://elsewhere.example/x", cwd=stash.root)


def a_repository_of_its_name(stash: StashUnderTest, upstream: Path) -> None:
    git("init", "-q", "--bare", ".git/modules/own", cwd=stash.root)


def an_entry_of_the_index(stash: StashUnderTest, upstream: Path) -> None:
    head = git("rev-parse", "HEAD", cwd=stash.root).strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{head},tools/xyz", cwd=stash.root)


def an_entry_below(stash: StashUnderTest, upstream: Path) -> None:
    blob = git("hash-object", "-w", "conf/config.yaml", cwd=stash.root).strip()
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},tools/xyz/file", cwd=stash.root)


def a_registration(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/tool/c.yaml", "path: tools/new\n")


def a_dangling_registration(stash: StashUnderTest, upstream: Path) -> None:
    (stash.root / "conf" / "tool" / "c.yaml").symlink_to("nowhere")


def a_registration_in_the_index(stash: StashUnderTest, upstream: Path) -> None:
    a_registration(stash, upstream)
    git("add", "conf/tool/c.yaml", cwd=stash.root)
    (stash.root / "conf/tool/c.yaml").unlink()


def an_organizer(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/exp/group/run.yaml", "# another\n")


def a_file_for_a_directory(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/exp/group", "a file\n")


def a_registration_of_the_place(stash: StashUnderTest, upstream: Path) -> None:
    stash.write("conf/tool/d.yaml", "path: tools/xyz\nentrypoint: main.py\n")


OCCUPIED = [
    (a_directory, "tools/xyz (a directory)"),
    (an_empty_directory, "tools/xyz (an empty directory)"),
    (a_file, "tools/xyz (a file)"),
    (a_link, "tools/xyz (a symbolic link)"),
    (a_link_on_the_way, "tools (a symbolic link"),
    (a_submodule, "the submodule 'new' in .gitmodules"),
    (a_submodule_inside, "the submodule 'tools/xyz/inner'"),
    (a_section_of_its_name, "the section [submodule 'own']"),
    (a_submodule_of_its_name, "the section [submodule 'own']"),
    (a_setting, "submodule.own in .git/config"),
    (a_repository_of_its_name, ".git/modules/own"),
    (an_entry_of_the_index, "tools/xyz in the index"),
    (an_entry_below, "tools/xyz/file in the index"),
    (a_registration, "conf/tool/c.yaml (a file)"),
    (a_dangling_registration, "conf/tool/c.yaml (a symbolic link)"),
    (a_registration_in_the_index, "conf/tool/c.yaml in the index"),
    (an_organizer, "conf/exp/group/run.yaml (a file)"),
    (a_file_for_a_directory, "conf/exp/group (a file"),
    (a_registration_of_the_place, "the tool 'd'"),
]


@pytest.mark.parametrize(("put", "said"), OCCUPIED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_stands_there_is_not_replaced(
    stash: StashUnderTest, tool: Path, upstream: Path, put: Callable[[StashUnderTest, Path], None], said: str
) -> None:
    remove(stash)
    stash.commit()
    put(stash, upstream)
    before = snapshot(stash.root)
    with pytest.raises(StashError) as caught:
        restore(stash)
    assert said in str(caught.value) and "in the way" in str(caught.value)
    assert differences(snapshot(stash.root), before) == []


def test_what_is_just_the_same_is_not_in_the_way(stash: StashUnderTest, tool: Path) -> None:
    before = whole(stash)
    remove(stash)
    git("reset", "-q", "--", "tools/xyz", "conf", cwd=stash.root)  # in the index all is as it was
    restore(stash)
    assert differences(whole(stash), before) == []
