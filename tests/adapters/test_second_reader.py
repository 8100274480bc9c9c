"""What we say of a repository, and what we make of one, as another reader of git sees it: GitPython."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git import Repo, Submodule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimentstash.adapters.git.status import status_of
from experimentstash.tools import adding, removing, restoring, updating
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, commit, no_report, repository

NAMES = ("plain.py", "with space.txt", "ünï/cödé.txt", "deep/down/here.md", '"quoted".txt', "tab\there.txt")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("second") / "checkout", dict.fromkeys(NAMES, "as committed\n"))


def touch(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edited=st.sets(st.sampled_from(NAMES)),
    removed=st.sets(st.sampled_from(NAMES)),
    staged=st.sets(st.sampled_from(NAMES)),
    new=st.sets(st.sampled_from(("new.txt", "deep/new too.txt", "ünï/neu.md", "with space.txt.orig"))),
    is_detached=st.booleans(),
)
def test_a_checkout_is_as_it_says(
    checkout: Path, edited: set[str], removed: set[str], staged: set[str], new: set[str], is_detached: bool
) -> None:
    git("checkout", "-q", "-f", *(["--detach"] if is_detached else []), "main", cwd=checkout)
    git("clean", "-q", "-f", "-d", cwd=checkout)
    for name in edited:
        touch(checkout / name, "edited\n")
    for name in removed:
        (checkout / name).unlink()
    for name in staged:
        git("add", "-A", "--", name, cwd=checkout)
    for name in new:
        touch(checkout / name, "new\n")

    found = status_of(checkout)
    assert found is not None
    with Repo(checkout) as repo:
        differences = [*repo.index.diff("HEAD"), *repo.index.diff(None)]
        assert found.commit == repo.head.commit.hexsha
        assert found.branch == (None if repo.head.is_detached else repo.active_branch.name)
        assert set(found.changed) == {path for each in differences for path in (each.a_path, each.b_path)}
        assert set(found.untracked) == set(repo.untracked_files)


@pytest.mark.slow
def test_a_tool_comes_changes_goes_and_comes_back(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "up stream", {"start": "#!/bin/sh\necho works\n"})
    (upstream / "start").chmod(0o755)
    first = commit(upstream, {})

    def submodules() -> list[tuple[str, ...]]:
        """Name, path, URL and branch as .gitmodules has them, the commit of the index, and that of the checkout."""
        with Repo(stash.root) as repo:
            staged = {path: entry.hexsha for (path, _), entry in repo.index.entries.items()}
            return [
                (each.name, str(each.path), each.url, each.branch_name, staged[str(each.path)], head(each))
                for each in repo.submodules
            ]

    def head(submodule: Submodule) -> str:
        return submodule.module().head.commit.hexsha

    adding.add(as_stash(stash), "t", str(upstream), entrypoint="start", branch="main", report=no_report)
    entry = ("tools/t", "tools/t", str(upstream), "main")
    assert submodules() == [(*entry, first, first)]
    with Repo(stash.root) as repo:
        staged = {each.b_path for each in repo.index.diff("HEAD")}
        assert staged == {".gitmodules", "tools/t", "conf/tool/t.yaml", "conf/exp/t/example.yaml"}
        assert not repo.index.diff(None) and not repo.untracked_files  # all of it is in the index, and as it is there
        assert repo.config_reader().get_value('submodule "tools/t"', "url") == str(upstream)
    stash.commit()

    second = commit(upstream, {"more.txt": "more\n"})
    updating.update(as_stash(stash), "t", report=no_report)
    assert submodules() == [(*entry, second, second)]
    stash.commit()

    removed = removing.remove(as_stash(stash), "t", report=no_report)
    assert removed is not None and submodules() == []
    with Repo(stash.root) as repo:
        assert not repo.config_reader().has_section('submodule "tools/t"')
        assert {each.a_path for each in repo.index.diff("HEAD")} == staged and not repo.index.diff(None)
    restoring.restore(as_stash(stash), "t", report=no_report)
    assert submodules() == [(*entry, second, second)]
    with Repo(stash.root) as repo:
        assert not repo.is_dirty(untracked_files=True)
