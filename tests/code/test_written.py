"""What a tool writes into its checkout is seen, said of the right run, and remembered."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.code import written
from experimentstash.code.written import Looks, Written
from experimentstash.record.records import write
from experimentstash.record.run import Code, Command, Run
from tests.launch.test_launch_local import WAIT
from tests.testing.made_once import made_once, same_place
from tests.testing.run_parts import run_with
from tests.testing.stash import PATIENCE, SHELL, StashUnderTest, git, wait_until
from tests.testing.tool_support import as_stash, refresh, repository


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def shell(stash: StashUnderTest, tmp_path: Path) -> StashUnderTest:
    """A stash whose tool is a shell in a submodule of its own."""
    upstream = tmp_path / "upstream"

    def make() -> None:
        repository(upstream, {"main.py": "x = 1\n", "params.yaml": "a: 1\n", ".gitignore": "ignored/\n"})
        git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(upstream), "tools/sh", cwd=stash.root)
        stash.write("conf/tool/sh.yaml", f"path: tools/sh\n{SHELL}")
        stash.commit()

    made_once([stash.root, upstream], make)
    refresh(stash.root, stash.root / "tools" / "sh")
    return stash


def script(stash: StashUnderTest, text: str, more: str = "") -> None:
    stash.add_script("one", text, "sh", "${params.n}", more=more)
    stash.commit()


def record(stash: StashUnderTest, *words: str) -> dict[str, Any]:
    done = stash.cli("run", "one", *words)
    assert done.returncode == 0, done.stderr
    return stash.record(stash.run_directories()[-1])


def test_what_appeared_is_named_with_what_to_write(shell: StashUnderTest) -> None:
    script(shell, "echo model > mnist_cnn.pt; mkdir -p runs/a ignored; echo 1 > runs/a/x; echo 2 > ignored/y")
    run = record(shell)
    assert run["attempt"]["wrote"] == ["ignored/y", "mnist_cnn.pt", "runs/a/x"]
    (warning,) = run["attempt"]["warnings"]
    assert warning.startswith("it wrote into its tool's checkout, where other runs would write over it: ")
    for word in ("runs/ (1 file)", "mnist_cnn.pt", "ignored/ (1 file)", "conf/tool/sh.yaml", "working_directory: run"):
        assert word in warning
    assert "`collect: [ignored, mnist_cnn.pt, runs]`" in warning and "`shared: [" in warning
    shown = shell.cli("show", run["id"]).stdout
    assert "mnist_cnn.pt" in shown
    # The next run finds them there, and writes nothing itself; nor are they its code.
    script(shell, "true")
    run = record(shell)
    assert (run["attempt"]["wrote"], run["attempt"]["warnings"]) == ([], [])
    # With what is proposed there is nothing to be said.
    script(shell, "echo again > mnist_cnn.pt; echo 3 > runs/z; echo 4 > ignored/y")
    shell.write("conf/tool/sh.yaml", f"path: tools/sh\n{SHELL}collect: [mnist_cnn.pt, runs]\nshared: [ignored]\n")
    run = record(shell)
    assert (run["attempt"]["wrote"], run["attempt"]["warnings"]) == ([], [])
    assert sorted(run["attempt"]["collected"]) == ["mnist_cnn.pt", "runs/z"]


def test_a_file_that_git_tracks(shell: StashUnderTest) -> None:
    script(shell, "echo b: 2 >> params.yaml")
    run = record(shell)
    assert run["attempt"]["wrote"] == ["params.yaml"]
    assert "git tracks params.yaml: from now on the code is changed" in run["attempt"]["warnings"][0]
    # A change of the code itself may be somebody's work.
    script(shell, "echo y = 1 >> main.py")
    run = record(shell)
    assert run["attempt"]["wrote"] == ["main.py"] and run["attempt"]["warnings"] == []
    assert any(
        "code was changed while it was at work" in note and "main.py" in note for note in run["attempt"]["notes"]
    )


def test_a_tracked_file_that_is_collected(shell: StashUnderTest) -> None:
    shell.write("conf/tool/sh.yaml", f"path: tools/sh\n{SHELL}collect: [params.yaml]\n")
    script(shell, "echo b: 2 >> params.yaml")
    run = record(shell)
    assert (run["attempt"]["wrote"], run["attempt"]["collected"]) == ([], ["params.yaml"])
    assert (
        "changed what git tracks" in run["attempt"]["warnings"][0]
        and "checkout -- params.yaml" in run["attempt"]["warnings"][0]
    )
    assert (shell.root / "tools/sh/params.yaml").read_text() == "a: 1\nb: 2\n"  # perhaps it is somebody's work, too


def test_patterns(shell: StashUnderTest) -> None:
    shell.write("conf/tool/sh.yaml", f"path: tools/sh\n{SHELL}collect: ['*.pt', 'runs/*/best']\n")
    script(shell, "mkdir -p runs/a; for name in x.pt y.pt z.txt runs/a/best runs/a/last; do echo 1 > $name; done")
    run = record(shell)
    assert run["attempt"]["collected"] == ["runs/a/best", "x.pt", "y.pt"]
    assert run["attempt"]["wrote"] == ["runs/a/last", "z.txt"]
    # Kept apart, too.
    sweep = ("-m", "+exp=one", "params.n=1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=2")
    assert shell.cli(*sweep).returncode == 0
    latest = [shell.record(path) for path in shell.run_directories()][1:]
    assert [each["attempt"]["collected"] for each in latest] == [
        ["runs/a/best", "runs/a/last", "x.pt", "y.pt", "z.txt"]
    ] * 2


@pytest.mark.parametrize(
    "command",
    [
        "mkdir -p __pycache__ pkg/__pycache__; touch __pycache__/a.pyc pkg/__pycache__/b.pyc c.pyc",
        "touch .main.py.swp 'main.py~' .#main.py 4913",
        "mkdir -p wandb/offline-run-20260101_000000-x; touch wandb/offline-run-20260101_000000-x/files",
        "mkdir -p .venv/lib; touch .venv/lib/x .venv/pyvenv.cfg",
        "mkdir -p .pytest_cache x.egg-info; touch .pytest_cache/x x.egg-info/PKG-INFO",
        "git commit -q --allow-empty -m x; git gc -q",
        'echo 1 > "$EXPERIMENTSTASH_RUN_DIR/x"',
        "touch -r main.py /dev/null; cat main.py",
    ],
)
def test_what_is_no_result(shell: StashUnderTest, command: str) -> None:
    script(shell, command)
    run = record(shell)
    assert (run["attempt"]["wrote"], run["attempt"]["warnings"]) == ([], [])


def test_a_file_with_an_old_date_is_new_all_the_same(shell: StashUnderTest) -> None:
    script(shell, "echo 1 > old.pt; touch -d 2001-01-01 old.pt")
    assert record(shell)["attempt"]["wrote"] == ["old.pt"]


def test_a_run_in_the_tools_own_directory(shell: StashUnderTest) -> None:
    script(shell, 'echo 1 > "$EXPERIMENTSTASH_RUN_DIR/x"')
    done = shell.cli("+exp=one", "hydra.run.dir=tools/sh/results/a")
    assert done.returncode == 0
    data = json.loads((shell.root / "tools/sh/results/a/run.json").read_text())
    assert (data["attempt"]["wrote"], data["attempt"]["warnings"]) == ([], [])


def test_turns_of_a_sweep_are_not_blamed_on_each_other(shell: StashUnderTest) -> None:
    script(shell, "[ $1 = 2 ] || echo $1 > made-$1")
    done = shell.cli("-m", "+exp=one", "params.n=1,2,3", "hydra/launcher=local", "hydra.launcher.n_jobs=1")
    assert done.returncode == 0
    runs = [shell.record(path) for path in sorted(shell.run_directories(), key=lambda path: path.name)]
    assert [run["attempt"]["wrote"] for run in runs] == [["made-1"], [], ["made-3"]]
    assert "made-1" in done.stdout and "made-3" in done.stdout


def test_several_at_work_are_said_to_be_several(shell: StashUnderTest, tmp_path: Path) -> None:
    """Both write the same model at the same time, in the checkout itself."""
    here = f"'{tmp_path}'"
    text = f"{WAIT} touch {here}/at-$1; wait_for {here}/at-$((3 - $1)); echo $1 >> model.pt; touch {here}/x-$1;"
    text += f" wait_for {here}/x-$((3 - $1))"
    script(shell, text, "code: live\n")
    done = shell.cli("-m", "+exp=one", "params.n=1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    first, second = (shell.record(path) for path in shell.run_directories())
    for run, other in ((first, second), (second, first)):
        assert run["attempt"]["wrote"] == ["model.pt"]
        assert f"while it and {other['id']} were at work, model.pt appeared or changed" in run["attempt"]["warnings"][0]


@pytest.mark.parametrize("is_over", [False, True])
def test_a_run_of_another_process_may_have_been_it(shell: StashUnderTest, tmp_path: Path, is_over: bool) -> None:
    """Two commands at the same time: what both write in the checkout is not blamed on one of them."""
    here = f"'{tmp_path}'"
    text = f"{WAIT} touch {here}/at-$1; wait_for {here}/go-$1; echo $1 >> model.pt; touch {here}/wrote-$1;"
    script(shell, f"{text} wait_for {here}/end-$1")
    commands = [shell.start("run", "one", f"params.n={n}") for n in (1, 2)]
    try:
        wait_until(lambda: all((tmp_path / f"at-{n}").exists() for n in (1, 2)))
        for name in ("go-1", "go-2"):
            (tmp_path / name).touch()
        wait_until(lambda: all((tmp_path / f"wrote-{n}").exists() for n in (1, 2)))
        for name in ("end-1", *(["end-2"] if is_over else [])):
            (tmp_path / name).touch()
        for command in commands if is_over else commands[:1]:
            command.communicate(timeout=PATIENCE)
    finally:
        (tmp_path / "end-2").touch()
        for command in commands:
            command.communicate()
    runs = [shell.record(path) for path in shell.run_directories()]
    for run, other in zip(runs, reversed(runs), strict=True):
        assert f"while it and {other['id']} were at work, model.pt appeared or changed" in run["attempt"]["warnings"][0]


def test_who_was_not_at_work_then_is_not_named(tmp_path: Path) -> None:
    looks = Looks()
    long, first, second = (run_in(tmp_path, name) for name in ("long", "first", "second"))
    looks.begins(long)
    looks.begins(first)
    settle()
    (tmp_path / "tool" / "one").touch()
    assert seen(looks, first) == (["one"], ["long"])
    settle()
    write(second)
    looks.begins(second)
    settle()
    (tmp_path / "tool" / "two").touch()
    assert seen(looks, second) == (["two"], ["long"])
    assert seen(looks, long) == (["one", "two"], ["first", "second"])
    # Nobody is at work any more: what lies there is old.
    settle()
    write(first)
    looks.begins(first)
    assert seen(looks, first) == ([], [])


def seen(looks: Looks, run: Run) -> tuple[list[str], list[str]]:
    found = looks.ends(run, time.monotonic())
    assert isinstance(found, Written)
    return found.names, found.others


def run_in(folder: Path, name: str) -> Run:
    directory = folder / name
    (folder / "tool").mkdir(exist_ok=True)
    directory.mkdir()
    run = run_with(name, directory, command=Command([], "."), code=Code(str(folder / "tool")))
    write(run)
    return run


def settle() -> None:
    """Wait until the clock of the file system, which counts in ticks, has gone on."""
    time.sleep(0.03)


def test_a_large_checkout_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MOST_FILES", 10)
    run = run_in(tmp_path, "a")
    for number in range(11):
        (tmp_path / "tool" / str(number)).touch()
    looks = Looks()
    looks.begins(run)
    why = looks.ends(run, time.monotonic())
    assert isinstance(why, str) and "files are in" in why


def test_one_look_serves_all_that_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    scandir = os.scandir
    looks = Looks()
    runs = [run_in(tmp_path, str(number)) for number in range(20)]
    for run in runs:
        looks.begins(run)
    settle()
    (tmp_path / "tool" / "x").touch()
    ended = time.monotonic()
    monkeypatch.setattr(os, "scandir", lambda path: count.append(path) or scandir(path))
    found = [looks.ends(run, ended) for run in runs]
    assert len(count) == 1
    assert all(isinstance(each, Written) and each.names == ["x"] and len(each.others) == 19 for each in found)


def test_where_a_tool_writes_is_remembered(shell: StashUnderTest) -> None:
    script(shell, "echo 1 > model.pt; mkdir -p runs; echo 1 > runs/$$; echo c: 3 >> params.yaml")
    record(shell)
    note = as_stash(shell).writes("sh")
    assert written.known(note) == ["model.pt", "runs"]
    note.write_text("rubbish")
    assert written.known(note) == []
    record(shell)
    assert written.known(note) == ["model.pt", "runs"]


def test_what_is_deleted_is_named(shell: StashUnderTest) -> None:
    script(shell, "rm main.py; mkdir -p data; touch data/x; rm ../nothing 2>/dev/null; true")
    run = record(shell)
    assert run["attempt"]["deleted"] == ["main.py"]
    (said,) = [each for each in run["attempt"]["warnings"] if "was deleted from its tool's checkout: main.py" in each]
    assert "checkout -- main.py puts it back" in said
    # What was missing before isn't this run's doing; what git doesn't know can't be named.
    script(shell, "rm data/x")
    run = record(shell)
    assert run["attempt"]["deleted"] == [] and run["attempt"]["warnings"] == []
    assert [
        note for note in run["attempt"]["notes"] if "something was deleted from its tool's checkout, in data;" in note
    ]
    script(shell, "true")
    run = record(shell)
    assert (run["attempt"]["deleted"], run["attempt"]["warnings"], run["attempt"]["notes"]) == ([], [], [])


def test_a_folder_of_tracked_files_that_is_deleted(shell: StashUnderTest) -> None:
    tool = shell.root / "tools" / "sh"
    (tool / "sub").mkdir()
    (tool / "sub" / "a.txt").write_text("a")
    git("add", "-A", cwd=tool)
    git("commit", "-qm", "more", cwd=tool)
    script(shell, "rm -r sub")
    assert record(shell)["attempt"]["deleted"] == ["sub/a.txt"]


def test_a_commit_of_the_tools_is_said(shell: StashUnderTest) -> None:
    script(shell, "git -c user.name=n -c user.email=e commit -q --allow-empty -m more")
    run = record(shell)
    (said,) = run["attempt"]["notes"]
    assert run["attempt"]["warnings"] == [] and said.startswith(
        f"its tool's checkout was at commit {run['spec']['code']['commit'][:12]} when it began and is at "
    )
    script(shell, "true")
    assert record(shell)["attempt"]["notes"] == []


def test_a_file_beside_the_tool_is_seen(shell: StashUnderTest) -> None:
    script(shell, "echo 1 > ../left.txt")
    run = record(shell)
    assert run["attempt"]["wrote"] == ["../left.txt"] and "../left.txt" in run["attempt"]["warnings"][0]


@pytest.mark.slow
def test_a_checkout_that_is_too_large_is_said(shell: StashUnderTest) -> None:
    folder = shell.root / "tools" / "sh" / "ignored"
    folder.mkdir()
    for number in range(written.MOST_FILES + 1):
        (folder / str(number)).touch()
    script(shell, "echo 1 > new.txt")
    run = record(shell)
    assert run["attempt"]["wrote"] is None
    (note,) = run["attempt"]["notes"]
    assert note.startswith("what the tool wrote into its checkout was not looked at: more than 20,")
