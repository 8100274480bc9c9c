"""What is added to runs later, and where they are."""

from __future__ import annotations

import itertools
import json
import os
import threading
from pathlib import Path

import pytest

from experimentstash.record import added, records
from experimentstash.record.run import State
from tests.testing.finished import finished
from tests.testing.run_parts import put
from tests.testing.stash import InProcess, StashUnderTest


def test_tags_come_and_go_and_are_what_runs_are_chosen_by(stash: StashUnderTest, in_process: InProcess) -> None:
    run = finished(stash.root, "aaaaaaa", tags=["pca", "draft"])
    finished(stash.root, "bbbbbbb", exp="fig/two")
    done = in_process(stash, "tag", "aaaaaaa", "+paper", "-draft", "+paper")
    assert (done.returncode, done.stdout) == (0, "aaaaaaa: pca, paper\n")
    assert in_process(stash, "tag", "--exp", "fig/*", "+all", "-never").stdout.splitlines() == [
        "bbbbbbb: all",
        "aaaaaaa: pca, paper, all",
    ]
    for tag, ids in (("paper", {"aaaaaaa"}), ("all", {"aaaaaaa", "bbbbbbb"})):
        found = json.loads(in_process(stash, "runs", "--tag", tag, "--json").stdout)
        assert {each["id"] for each in found} == ids
    assert in_process(stash, "runs", "--tag", "draft").returncode == 2  # no run has it any more
    assert "bbbbbbb" not in in_process(stash, "runs", "--where", "'paper' in tags").stdout
    assert "pca, paper, all" in in_process(stash, "show", "aaaaaaa").stdout
    assert in_process(stash, "tag", "aaaaaaa", "+draft", "--remove", "all").stdout == "aaaaaaa: pca, draft, paper\n"
    assert records.read(run.path).spec.tags == ["pca", "draft"]  # what it was made with


def test_the_record_is_its_supervisors_alone(stash: StashUnderTest, in_process: InProcess) -> None:
    run = finished(stash.root, "aaaaaaa", state=State.RUNNING, host="here")
    before = os.stat(run.path / "run.json").st_mtime_ns, (run.path / "run.json").read_bytes()
    os.utime(run.path / "run.json", (1, 1))
    assert in_process(stash, "tag", "aaaaaaa", "+x").returncode == 0
    assert in_process(stash, "note", "aaaaaaa", "looks good").returncode == 0
    assert (run.path / "run.json").read_bytes() == before[1]
    assert os.stat(run.path / "run.json").st_mtime_ns > before[0]  # whoever remembers what it said looks again
    records.write(put(run, state=State.FAILED))  # as the supervisor does, which knows nothing of it
    shown = in_process(stash, "show", "aaaaaaa").stdout
    assert "failed" in shown and "looks good" in shown and "x\n" in shown


def test_nothing_is_lost_of_what_many_add_at_once(stash: StashUnderTest) -> None:
    run = finished(stash.root, "aaaaaaa")
    lock = stash.root / ".lock"

    def add(number: int) -> None:
        added.change_tags(run, lock, [f"t{number}"])
        added.add_note(run, lock, f"n{number}")

    threads = [threading.Thread(target=add, args=[number]) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(added.tags_of(run)) == {f"t{number}" for number in range(20)}
    assert {note.text for note in added.read(run).notes} == {f"n{number}" for number in range(20)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tag", "aaaaaaa"], "Which tags?"),
        (["tag", "+x"], "Which runs?"),
        (["tag", "aaaaaaa", "+a,b"], "'a,b' can't be a tag"),
        (["tag", "aaaaaaa", "+" + "x" * 65], "more than 64 characters"),
        (["tag", "aaaaaaa", "+hunter2hunter2hunter2"], "secret"),
        (["note", "aaaaaaa", " "], "A note has some text"),
        (["note", "aaaaaaa", "it is hunter2hunter2hunter2"], "secret"),
        (["note", "text alone"], "Which runs?"),
    ],
)
def test_what_can_not_be_added(
    stash: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    run = finished(stash.root, "aaaaaaa")
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2hunter2")
    done = in_process(stash, *words)
    assert done.returncode == 2 and said in done.stderr
    assert not (run.path / added.FILE_NAME).exists()


@pytest.mark.parametrize("content", ["", "[]", '{"tags": 5}', '{"tags": [], "notes": [{"text": "x"}]}', "\0"])
def test_what_can_not_be_read_is_said_and_never_overwritten(
    stash: StashUnderTest, in_process: InProcess, content: str
) -> None:
    run = finished(stash.root, "aaaaaaa", tags=["own"])
    (run.path / added.FILE_NAME).write_text(content)
    done = in_process(stash, "tag", "aaaaaaa", "+x")
    assert done.returncode == 1 and "can't be read" in done.stderr
    assert (run.path / added.FILE_NAME).read_text() == content
    shown = in_process(stash, "show", "aaaaaaa")
    assert shown.returncode == 0 and "own" in shown.stdout and "can't be read" in shown.stderr


def test_a_path_is_printed_if_there_is_something(stash: StashUnderTest, in_process: InProcess) -> None:
    run = finished(stash.root, "aaaaaaa", metrics={"x": 1})
    assert in_process(stash, "path", "aaaaaaa").stdout == f"{run.path}\n"
    assert in_process(stash, "path", "latest", "metrics.json").stdout == f"{run.path / 'metrics.json'}\n"
    for file, said in (
        ("metric.json", "aaaaaaa has no metric.json. Did you mean 'metrics.json'?"),
        ("../x", "'../x' is not in the directory of aaaaaaa"),
        ("/etc/passwd", "'/etc/passwd' is not in the directory of aaaaaaa"),
        ("", "'' is not in the directory of aaaaaaa"),
    ):
        done = in_process(stash, "path", "aaaaaaa", file)
        assert (done.returncode, done.stdout) == (2, "") and said in done.stderr
    (run.path / "best").symlink_to("metrics.json")
    (run.path / "lost").symlink_to("nothing")
    for file in ("best", "lost"):
        assert in_process(stash, "path", "aaaaaaa", file).stdout == f"{run.path / file}\n"
    (run.path / "pw").symlink_to("/etc/passwd")
    (run.path / "away").symlink_to("/etc")
    (run.path / "loop").symlink_to("pw")
    for verb, file in itertools.product(("path", "open"), ("pw", "away/passwd", "loop")):
        done = in_process(stash, verb, "aaaaaaa", file)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{file} of aaaaaaa is a link that leads out of its directory, to /etc/passwd." in done.stderr
    records.write(put(run, removed=run.created))
    assert "were removed, x.csv with them" in in_process(stash, "path", "aaaaaaa", "x.csv").stderr


def test_open_asks_the_desktop_or_prints_the_path(
    stash: StashUnderTest, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(stash.root, "aaaaaaa", metrics={"x": 1})
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = in_process(stash, "open", "aaaaaaa")
    assert (done.returncode, done.stdout) == (0, f"{run.path}\n") and "nothing here to open it with" in done.stderr
    programs = tmp_path / "programs"
    programs.mkdir()
    opener = programs / "xdg-open"
    opener.write_text(
        f"#!/bin/sh\nprintf '%s' \"$1\" > '{tmp_path}/opened'; echo 'no such application' >&2; exit $CODE\n"
    )
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("CODE", "0")
    done = in_process(stash, "open", "aaaaaaa", "metrics.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "opened").read_text() == str(run.path / "metrics.json")
    monkeypatch.setenv("CODE", "3")
    done = in_process(stash, "open", "aaaaaaa")
    assert done.returncode == 2 and "can't be opened: xdg-open: no such application" in done.stderr
