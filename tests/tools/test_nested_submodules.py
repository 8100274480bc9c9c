"""A tool that is to be without a submodule of its own, because that can't be fetched or isn't wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experimentstash.adapters.git import nested
from experimentstash.adapters.git.nested import LeftOut
from experimentstash.base.errors import StashError
from experimentstash.tools import adding, removing, restoring, updating
from experimentstash.validate.engine import validate
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import as_stash, no_report, repository

MAIN = "#!/bin/sh\necho works\n"


def with_submodules(directory: Path, urls: dict[str, str]) -> Path:
    """Make a repository whose submodules are at these URLs, path → URL."""
    repository(directory, {"start": MAIN})
    (directory / "start").chmod(0o755)
    text = "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items())
    (directory / ".gitmodules").write_text(text)
    git("add", "-A", cwd=directory)
    for path in urls:
        commit = git("rev-parse", "HEAD", cwd=directory).strip()
        git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}", cwd=directory)
    git("commit", "-q", "-m", "with submodules", cwd=directory)
    return directory


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:9/big.git", "git@127.0.0.1:big.git", "git://127.0.0.1/big.git", "file:///nowhere/big.git"],
)
@pytest.mark.parametrize("is_all", [False, True], ids=["by its path", "all"])
def test_a_submodule_can_be_left_out_wherever_it_comes_from(
    stash: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, is_all: bool
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    place = "third party/big"
    upstream = with_submodules(tmp_path / "upstream", {place: url})
    with pytest.raises(StashError) as caught:
        adding.add(as_stash(stash), "t", str(upstream), entrypoint="start", report=no_report)
    assert place in caught.value.message and "--without-submodule 'third party/big'" in str(caught.value.hint)
    assert not (stash.root / "tools/t").exists()

    without = LeftOut(is_all=True) if is_all else LeftOut([f"{place}/"])
    adding.add(as_stash(stash), "t", str(upstream), without=without, entrypoint="start", report=no_report)
    assert f"# Not checked out, as asked: its submodule {place}\n" in (stash.root / "conf/tool/t.yaml").read_text()
    stash.commit()
    (problem,) = validate(as_stash(stash)).problems
    assert f"its submodule {place} is not checked out" in problem.what and "submodule update" in str(problem.hint)


@pytest.mark.slow
def test_it_stays_left_out(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = with_submodules(tmp_path / "upstream", {"big": "https://127.0.0.1:9/big.git"})
    without = LeftOut(["big"])
    adding.add(as_stash(stash), "t", str(upstream), without=without, entrypoint="start", report=no_report)
    stash.commit()
    (upstream / "start").write_text(MAIN + "# newer\n")
    git("commit", "-q", "-m", "newer", "start", cwd=upstream)
    assert updating.update(as_stash(stash), "t", report=no_report) is not None
    assert nested.missing(stash.root / "tools/t") == ["big"]
    for code in ("live", "frozen"):
        assert stash.cli("run", "t/example", f"code={code}").stdout == "works\n"
    stash.commit()
    removed = removing.remove(as_stash(stash), "t", report=no_report)
    assert removed is not None
    restoring.restore(as_stash(stash), str(removed.backup), report=no_report)
    assert nested.missing(stash.root / "tools/t") == ["big"]


def test_one_that_is_not_there_is_refused(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = with_submodules(tmp_path / "upstream", {"big": "https://127.0.0.1:9/big.git"})
    with pytest.raises(StashError, match="no submodule 'small'") as caught:
        without = LeftOut(["big", "small"])
        adding.add(as_stash(stash), "t", str(upstream), without=without, entrypoint="start", report=no_report)
    assert "it has: big" in str(caught.value.hint)
    assert not (stash.root / "tools/t").exists()
