"""A git that refuses, is broken or isn't here is not "no git": what it said is told, and what helps."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.adapters.git import gitconfig, objects
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.status import status_of
from experimentstash.base import process
from tests.testing.stash import InProcess, StashUnderTest, bare_stash
from tests.testing.stash import git as ask_git


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StashUnderTest:
    stash = bare_stash(tmp_path_factory.mktemp("git"))
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.write("tools/plain/run.py", "print('it ran')\n")
    stash.add_tool("plain", registration="entrypoint: run.py")
    stash.add_experiment("one", "plain")
    stash.commit()
    return stash


@pytest.fixture
def stash(made: StashUnderTest, tmp_path: Path) -> StashUnderTest:
    shutil.copytree(made.root, tmp_path / "my stäsh's", symlinks=True)
    return StashUnderTest(tmp_path / "my stäsh's")


def _instead(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a program called git in front of the real one."""
    real = shutil.which("git")
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nreal={shlex.quote(str(real))}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def _owned_by_somebody_else(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    _instead(monkeypatch, stash.root.parent, 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "$real" "$@"')
    return "git config --global --add safe.directory"


def _broken_index(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    (stash.root / ".git" / "index").write_bytes(b"DIRC" + bytes(100))
    return "rev-parse --git-path index"


def _half_an_index(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    index = stash.root / ".git" / "index"
    index.write_bytes(index.read_bytes()[:16])
    return "rev-parse --git-path index"


def _somewhere_else(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.rmtree(stash.root / ".git")
    (stash.root / ".git").write_text("gitdir: /nowhere/at/all\n")
    return "status"


def _without_a_word(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    _instead(monkeypatch, stash.root.parent, "exit 128")
    return "exit code 128"


def _killed(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    _instead(monkeypatch, stash.root.parent, "kill -9 $$")
    return "exit code -9"


def _broken_settings(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    (stash.root / ".git" / "config").write_text("[core\n")
    return "bad config line 1"


def _not_here(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = stash.root.parent / "few"
    folder.mkdir()
    for program in ("sh", "env", "setpriv", "cat"):
        (folder / program).symlink_to(str(shutil.which(program)))
    monkeypatch.setenv("PATH", str(folder))
    return "no `git` is on PATH"


REFUSALS: list[Callable[[StashUnderTest, pytest.MonkeyPatch], str]] = [
    _owned_by_somebody_else,
    _broken_index,
    _half_an_index,
    _somewhere_else,
    _without_a_word,
    _killed,
    _broken_settings,
    _not_here,
]


@pytest.mark.slow
@pytest.mark.parametrize("refuse", REFUSALS)
def test_it_is_said_and_recorded(
    refuse: Callable[[StashUnderTest, pytest.MonkeyPatch], str],
    stash: StashUnderTest,
    monkeypatch: pytest.MonkeyPatch,
    in_process: InProcess,
) -> None:
    helps = refuse(stash, monkeypatch)

    ran = in_process(stash, "run", "one")
    assert ran.returncode == 0 and "it ran" in (next(stash.root.glob("outputs/*/*/output.log"))).read_text()
    told = " ".join(ran.stderr.split())  # a terminal breaks lines
    assert "warning: which code it has run can't be known" in told and helps in told, ran.stderr
    record = stash.record()
    for which in ("stash", "code"):
        assert (
            helps in record["spec"][which]["unknown"]
            and record["spec"][which]["commit"] is None
            and record["spec"][which]["dirty"] is None
        )
    (warning,) = record["attempt"]["warnings"]
    assert helps in warning
    shown = in_process(stash, "show")
    assert "unknown: " in shown.stdout

    frozen = in_process(stash, "run", "one", "code=frozen")
    told = " ".join(frozen.stderr.split())
    assert frozen.returncode == 2 and "can't be frozen" in told and helps in told and "code=live" in told, told
    assert "git add" not in told

    pinned = in_process(stash, "run", "one", "tool.commit=main")
    told = " ".join(pinned.stderr.split())
    assert helps in told and "no such commit" not in told, told
    assert pinned.returncode != 0 or "warning: which code it has run can't be known" in told

    validated = in_process(stash, "validate")
    assert validated.returncode == 1 and helps in " ".join(validated.stdout.split()), validated.stdout
    assert "no git repository" not in validated.stdout and "2 checks" not in validated.stdout

    for words in (["tool", "list"], ["tool", "show", "plain"]):
        done = in_process(stash, *words)
        assert done.returncode == 0 and "plain" in done.stdout, (words, done)
        assert not done.stderr or ("warning: " in done.stderr and "git" in done.stderr), (words, done)
    stash.write("conf/tool/sound.yaml", "path: tools/plain\nentrypoint: run.py\nenvironment: {kind: none}\n")
    stash.write("conf/tool/broken.yaml", "path: tools/nowhere\nentrypoint: run.py\n")
    done = in_process(stash, "tool", "sync", "--all")
    assert done.returncode == 1 and "sound: needs no environment" in done.stdout, done
    told = " ".join(done.stderr.split())
    assert "tool's directory tools/nowhere does not exist" in told, done.stderr
    assert "warning: " not in told or helps in told or "rev-parse" in told, done.stderr
    done = in_process(stash, "tool", "add", "other", "https://localhost:1/x.git")
    assert done.returncode != 0 and "bug" not in done.stderr and "Traceback" not in done.stderr, done.stderr
    for words in (["runs"], ["list"], ["show"]):
        assert in_process(stash, *words).returncode == 0


def test_a_new_stash_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: InProcess) -> None:
    under_test = StashUnderTest(tmp_path / "new")
    under_test.root.mkdir()
    _not_here(under_test, monkeypatch)
    done = in_process(under_test, "init", ".")
    assert done.returncode != 0 and "no `git` is on PATH" in " ".join(done.stderr.split())
    assert "bug" not in done.stderr
    assert list(under_test.root.iterdir()) == []


def test_a_folder_called_like_a_repository_is_none(stash: StashUnderTest) -> None:
    shutil.rmtree(stash.root / ".git")
    (stash.root / ".git").mkdir()
    assert status_of(stash.root) is None


def test_a_name_that_stands_for_nothing_is_no_refusal(stash: StashUnderTest) -> None:
    for name in ("nowhere", "a..b", "deadbeef", "0" * 40, "HEAD~99", ":/x", "main:nothing", "@{5}"):
        assert objects.commit_named(stash.root, name) is None, name
        assert objects.object_at(stash.root, f"{name}^{{commit}}") is None, name
    assert objects.object_type(stash.root, "HEAD:nothing") is None
    assert objects.object_type(stash.root, "HEAD:tools") == "tree"


def test_a_submodule_s_settings_that_cannot_be_read(stash: StashUnderTest) -> None:
    stash.write(".gitmodules", "[submodule\n")
    with pytest.raises(GitError, match="bad config"):
        gitconfig.declared_submodules(stash.root)


def test_runs_of_a_sweep_are_recorded_alike(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_git("status", cwd=stash.root)
    _without_a_word(stash, monkeypatch)
    done = stash.cli("-m", "+exp=one", "+params.a=1,2", "hydra/launcher=local")
    assert done.returncode == 0, done.stderr
    records = [json.loads((path / "run.json").read_text()) for path in stash.run_directories()]
    assert len(records) == 2 and all(record["spec"]["code"]["unknown"] for record in records), sys.version


def test_one_that_speaks_without_end(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, in_process: InProcess
) -> None:
    monkeypatch.setattr(process, "MOST_OUTPUT", 1 << 20)
    _instead(monkeypatch, stash.root.parent, "exec yes")
    ran = in_process(stash, "run", "one")
    assert ran.returncode == 0 and "it said more than 1 MiB" in " ".join(ran.stderr.split()), ran.stderr
    listed = in_process(stash, "tool", "list")
    assert listed.returncode == 0 and "plain" in listed.stdout, listed
    assert "more than 1 MiB" in " ".join(listed.stderr.split()), listed.stderr


@pytest.mark.parametrize("stream", [1, 2])
def test_what_a_program_may_say_is_bounded(stream: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MOST_OUTPUT", 1 << 20)
    with pytest.raises(process.CommandError, match="more than 1 MiB"):
        process.run(["sh", "-c", f"yes >&{stream}"], check=False)


def test_input_and_output_go_on_together() -> None:
    text = "line\n" * 200_000
    assert process.run(["cat"], stdin=text).stdout == text
    assert process.run(["cat"], stdin="").stdout == ""
    assert process.run(["true"], stdin=text).stdout == ""  # it reads nothing
    with pytest.raises(process.CommandError, match="no answer within"):
        process.run(["sleep", "60"], timeout=0.1)


def test_a_broken_repository_inside_another_is_not_taken_for_that(stash: StashUnderTest) -> None:
    tool = stash.root / "tools" / "plain"
    ask_git("init", "-q", cwd=tool)
    ask_git("add", "-A", cwd=tool)
    ask_git("commit", "-q", "-m", "own", cwd=tool)
    (tool / ".git" / "HEAD").write_text("nonsense\n")
    with pytest.raises(GitError, match="git can't tell about"):
        status_of(tool)
    assert stash.cli("+exp=one").returncode == 0
    code = stash.record()["spec"]["code"]
    assert code.get("commit") is None and "not a git repository" in code["unknown"]
    (tool / ".git" / "HEAD").unlink()  # nothing of the kind
    assert status_of(tool) is None
