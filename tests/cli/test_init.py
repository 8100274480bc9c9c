"""`experimentstash init`: a stash that works with the installed package alone, made whole or not at all."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash import __version__
from experimentstash.base.errors import StashError
from experimentstash.cli import installation
from experimentstash.cli.commands.init import init, main
from experimentstash.freeze.environment import store as environments
from experimentstash.stash.layout import Stash
from experimentstash.validate.engine import validate
from tests.testing.stash import GIT_IDENTITY, REPOSITORY, StashUnderTest, git


def everything(directory: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


def test_a_new_stash_is_in_order_and_nothing_is_committed(tmp_path: Path) -> None:
    made = init(tmp_path / "a" / "my paper's")
    assert made.root == tmp_path / "a" / "my paper's" and made.is_new_repository
    assert git("status", "--porcelain", "-uall", cwd=made.root).split("\n")[:-1] == [
        f"?? {path}" for path in sorted(made.files)
    ]
    problems = validate(Stash(made.root)).problems
    assert [(problem.where, problem.what.partition(":")[0]) for problem in problems] == [
        (".", "nothing is committed yet"),
        ("conf/tool/example.yaml", "the environment of the tool as it is now is not made yet"),
    ]


@pytest.mark.slow
def test_the_example_in_it_runs(tmp_path: Path) -> None:
    stash = StashUnderTest(init(tmp_path / "new").root)
    done = stash.cli("run", "example/pi", "params.points=1000")
    assert done.returncode == 0 and done.stdout.startswith("π is about 3."), done.stderr
    assert 2.8 < stash.record()["attempt"]["metrics"]["pi"] < 3.5


def test_in_a_part_of_a_repository_it_brings_no_workflow(tmp_path: Path) -> None:
    git("init", "-q", cwd=tmp_path)
    assert ".github/workflows/validate.yml" not in init(tmp_path / "stash").files
    assert ".github/workflows/validate.yml" in init(tmp_path).files


def test_the_root_config_is_this_repositorys(tmp_path: Path) -> None:
    root = init(tmp_path / "new").root
    ours = (REPOSITORY / "conf/config.yaml").read_text()
    assert ours.partition("# How `experimentstash compare`")[0] == (root / "conf/config.yaml").read_text()
    assert "# new\n" in (root / "README.md").read_text()


def test_an_experiment_runs_in_it_without_this_repository(tmp_path: Path) -> None:
    stash = StashUnderTest(init(tmp_path / "new").root)
    stash.add_tool("plain", "plain", "entrypoint: main.py")
    stash.add_experiment("one", "plain", "params: {say: [hello], sleep: 0}\n")
    done = stash.cli("+exp=one", cwd=stash.root / "tools")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    stash.commit()
    assert git("status", "--porcelain", cwd=stash.root) == ""
    clone = tmp_path / "clone"
    git("clone", "-q", str(stash.root), str(clone), cwd=tmp_path)
    assert StashUnderTest(clone).cli("validate").returncode == 0


def test_a_directory_with_other_things_in_it_is_fine(tmp_path: Path) -> None:
    (tmp_path / "paper.tex").write_text("text")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.txt").write_text("mine")
    git("init", "-q", cwd=tmp_path)
    made = init(tmp_path)
    assert not made.is_new_repository and Stash(made.root).experiments() == ["example/pi"]
    assert (tmp_path / "paper.tex").read_text() == "text" and (tmp_path / "conf" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["README.md", ".gitignore", "conf/config.yaml", "tools", "conf", "outputs/.gitkeep"])
def test_it_overwrites_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(StashError, match="Nothing is made") as raised:
        init(tmp_path)
    assert name in str(raised.value) and everything(tmp_path) == before


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    directory.mkdir()
    (directory / "README.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(StashError, match=r"README\.md"):
        init(directory)
    assert not (tmp_path / "elsewhere.md").exists()


def test_no_stash_inside_another(tmp_path: Path) -> None:
    root = init(tmp_path / "new").root
    with pytest.raises(StashError, match="is a stash already"):
        init(root)
    with pytest.raises(StashError, match="is inside the stash"):
        init(root / "tools" / "inner")


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    git_that_fails = tmp_path / "bin" / "git"
    git_that_fails.write_text("#!/bin/sh\nmkdir -p .git/hooks\nexit 3\n")
    git_that_fails.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StashError):
        init(tmp_path / "deep" / "new")
    assert not (tmp_path / "deep").exists()


@pytest.mark.slow
def test_the_command_line(tmp_path: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "experimentstash", "init", *arguments]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, **GIT_IDENTITY}, capture_output=True, text=True)

    done = call("my paper")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  cd 'my paper'\n  experimentstash run example/pi " in done.stdout
    again = call("my paper")
    assert (again.returncode, again.stdout) == (2, "") and "is a stash already" in again.stderr
    (tmp_path / "file").write_text("")
    assert "is a file" in call("file").stderr


@pytest.mark.parametrize(
    ("told", "requirement", "note"),
    [
        (
            {"url": "https://host.example/o/r.git", "vcs_info": {"vcs": "git", "commit_id": "1" * 40}},
            f"experimentstash @ git+https://host.example/o/r.git@{'1' * 40}",
            None,
        ),
        (
            {"url": "https://me:secret@host.example/o/r", "vcs_info": {"vcs": "git", "commit_id": "2" * 40}},
            f"experimentstash @ git+https://host.example/o/r@{'2' * 40}",
            None,
        ),
        (
            {"url": "https://host.example/e-1.whl", "archive_info": {}},
            "experimentstash @ https://host.example/e-1.whl",
            None,
        ),
        (None, f"experimentstash=={__version__}", None),
        ("nonsense", f"experimentstash=={__version__}", None),
    ],
    ids=["a repository", "with a password", "a file", "an index", "what nobody can read"],
)
def test_how_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: object, requirement: str, note: str | None
) -> None:
    info = tmp_path / f"experimentstash-{__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: experimentstash\nVersion: {__version__}\n")
    if told is not None:
        (info / "direct_url.json").write_text(told if isinstance(told, str) else json.dumps(told))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "site-packages" / "experimentstash" / "cli" / "x.py"))
    assert installation.here() == installation.Installation(requirement, note)


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("git@host.example:o/r.git", "ssh://git@host.example/o/r.git"),
        ("https://me:secret@host.example/o/r.git", "https://host.example/o/r.git"),
        (None, "file://"),
        ("/some/where", "file://"),
    ],
)
def test_a_clone_is_told_by_its_commit_and_where_others_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str | None, shown: str
) -> None:
    clone = tmp_path / "clone"
    git("init", "-q", str(clone), cwd=tmp_path)
    if remote is not None:
        git("remote", "add", "origin", remote, cwd=clone)
    (clone / "x").write_text("")
    git("add", "x", cwd=clone)
    git("commit", "-q", "-m", "x", cwd=clone)
    info = tmp_path / f"experimentstash-{__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: experimentstash\nVersion: {__version__}\n")
    (info / "direct_url.json").write_text(json.dumps({"url": clone.as_uri(), "dir_info": {"editable": True}}))
    monkeypatch.syspath_prepend(str(tmp_path))
    commit = git("rev-parse", "HEAD", cwd=clone).strip()
    made_by = installation.here()
    assert made_by.requirement.startswith(f"experimentstash @ git+{shown}")
    assert made_by.requirement.endswith(f"@{commit}") and "secret" not in made_by.requirement
    assert (made_by.note is None) == (shown != "file://")
    (clone / "x").write_text("changed")
    assert "not committed" in str(installation.here().note)


@pytest.mark.slow
def test_what_a_new_stash_pins_can_be_installed(tmp_path: Path) -> None:
    stash = init(tmp_path / "new").root
    uv = environments._find_uv()
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, "here"], cwd=tmp_path, check=True)
    wanted = ["--python", "here/bin/python", "--no-deps", "-r", str(stash / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "-q", *wanted], cwd=tmp_path, check=True)
    seen = [str(tmp_path / "here/bin/python"), "-c", "import experimentstash; print(experimentstash.__version__)"]
    assert subprocess.run(seen, cwd=tmp_path, capture_output=True, text=True).stdout == f"{__version__}\n"
    assert "pip install experimentstash" not in (stash / "README.md").read_text()


def test_a_requirements_file_of_somebodys_own_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    main(argparse.Namespace(directory=Path()))
    assert (tmp_path / "requirements.txt").read_text() == "mine\n"
    assert "add to it  experimentstash @ " in capsys.readouterr().out
