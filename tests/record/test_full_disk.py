"""A disk that is full, or broken, at the moment when an end is to be recorded: the record tells it all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.record import records
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile
from experimentstash.runs.selection import Selection, choose
from experimentstash.stash.layout import Stash
from tests.testing.faults import INT, TOOLS, freeze, marked, new_stash, python, record, running
from tests.testing.finished import finished
from tests.testing.stash import PATIENCE, StashUnderTest, bare_stash, wait_until

ODD = TOOLS / "odd" / "main.py"


def _mount(directory: Path, *arguments: str) -> None:
    directory.mkdir()
    done = subprocess.run(["mount", *arguments, directory], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


def _unmount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    directory = tmp_path / "small"
    _mount(directory, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    yield directory
    _unmount(directory)


@pytest.fixture(params=["tmpfs", "tmpfs with few files", "ext4"])
def any_small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system with little room, of several kinds."""
    directory = tmp_path / "small"
    if request.param == "ext4":
        image = tmp_path / "image"
        with image.open("wb") as stream:
            stream.truncate(4 << 20)
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4 here")
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        _mount(directory, "-o", "loop", str(image))
    else:
        size = "size=2m" if request.param == "tmpfs" else "size=8m,nr_inodes=60"
        _mount(directory, "-t", "tmpfs", "-o", size, "tmpfs")
    yield directory
    _unmount(directory)


def record_text(run: Run, **changes: Any) -> str:
    """Return what the record of a run would be if it had completed."""
    attempt = {**vars(run.attempt), "state": "completed", "exit_code": 0, "number": changes.pop("number", 1)}
    return json.dumps({**vars(run), "attempt": attempt, **changes}, default=vars)


def on(disk: Path) -> StashUnderTest:
    """Make a stash on a disk."""
    stash = bare_stash(disk)
    stash.add_tool("odd", "odd", "entrypoint: main.py\ncall: {style: arguments}\nenv: {N: '${params.n}'}\n")
    (disk / "filler").mkdir()
    fill = json.dumps([f"{disk}/filler"])[1:-1]
    stash.add_experiment("fill", "odd", f"params: {{n: 1}}\narguments: [fill_and_complete, {fill}]")
    stash.add_experiment("ok", "odd", "params: {n: 1}\narguments: [binary]")
    return stash


def said(done: subprocess.CompletedProcess[str]) -> None:
    """Check that the true cause was told, and no other."""
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr + done.stdout
    for wrong in ("configuration is wrong", "Traceback", "bug", "could not be started"):
        assert wrong not in done.stderr, done.stderr


def test_a_run_that_completes_on_a_full_disk(any_small_disk: Path) -> None:
    stash = new_stash(any_small_disk / "stash")
    (any_small_disk / "filler").mkdir()
    run = freeze(stash, python("odd", "fill_and_complete", any_small_disk / "filler"))
    with running(run) as one:
        data = one.end()
    assert (one.process.returncode, data["attempt"]["state"], data["attempt"]["exit_code"]) == (0, "completed", 0)
    assert data["attempt"]["warnings"] == [
        "No space left on device when its end was recorded: what it wrote last may be incomplete"
    ]
    assert reconcile.load_reconciled(stash, run.path).attempt.state is State.COMPLETED
    assert sorted(os.listdir(run.path)) == ["output.log", "run.json", "supervisor.log"]


def test_one_that_fails_on_it(small_disk: Path) -> None:
    stash = new_stash(small_disk / "stash")
    run = freeze(stash, python("odd", "fill", small_disk / "filler", 0))
    with running(run) as one:
        data = one.end()
    assert (one.process.returncode, one.stderr) == (1, "")
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["warnings"]) == ("failed", 1, [])
    assert "No space left on device when its end was recorded" in data["attempt"]["notes"][0]


def test_one_that_is_stopped_on_it(small_disk: Path) -> None:
    stash = new_stash(small_disk / "stash")
    run = freeze(stash, python("odd", "fill", small_disk / "filler", 100), grace=20.0)
    with running(run) as one:
        wait_until(lambda: marked(run) and shutil.disk_usage(small_disk).free == 0)
        one.process.send_signal(INT)
        data = one.end()
    assert (one.process.returncode, data["attempt"]["state"], data["attempt"]["exit_code"]) == (130, "cancelled", 130)


def test_a_record_that_has_grown_beyond_its_room(small_disk: Path) -> None:
    stash = new_stash(small_disk / "stash")
    run = freeze(stash, ["true"])
    run.attempt.state = State.RUNNING
    records.write(run, reserve=True)
    with pytest.raises(OSError, match="No space"), (small_disk / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)
    run.attempt.state, run.attempt.exit_code, run.attempt.notes = State.FAILED, 3, ["n" * 3000] * 10
    run.attempt.collected = [f"a file of many, {number}" for number in range(1000)]
    records.write(run)
    again = records.read(run.path)
    assert (again.attempt.state, again.attempt.exit_code) == (State.FAILED, 3)
    assert "are left out: the disk was full" in again.attempt.notes[-1]


def test_room_is_made_for_what_the_record_has_become(tmp_path: Path) -> None:
    run = freeze(new_stash(tmp_path / "stash"), ["true"])
    room = run.path / ".run.json.room"
    first = room.stat()
    run.attempt.notes, run.attempt.state = ["x" * 10000], State.RUNNING
    records.write(run, reserve=True)
    assert room.stat().st_size >= first.st_size + 8000 and room.stat().st_nlink == 1
    size = room.stat().st_ino
    records.write(run, reserve=True)
    assert room.stat().st_ino == size
    run.attempt.state = State.COMPLETED
    records.write(run)
    assert not room.exists()


@pytest.fixture
def lost_place(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the ends are kept that can't be recorded."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return home / ".local" / "state" / "experimentstash" / "ends"


def test_a_file_system_that_has_become_read_only(small_disk: Path, lost_place: Path) -> None:
    stash = new_stash(small_disk / "stash")
    run = freeze(stash, python("odd", "make_read_only", small_disk))
    with running(run) as one:
        data = one.end()
    (kept,) = lost_place.iterdir()
    assert (one.process.returncode, data["attempt"]["state"]) == (1, "running")
    assert one.stderr == (
        f"error: The record of {run.path} can't be written: Read-only file system; the run itself: completed, exit"
        f" code 0.\nUntil it can be, {kept} keeps it.\n  → experimentstash show {run.id}\n"
    )
    seen = reconcile.load_reconciled(stash, run.path)
    assert (seen.attempt.state, seen.attempt.exit_code) == (State.COMPLETED, 0) and kept.exists()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert reconcile.load_reconciled(stash, run.path).attempt.state is State.COMPLETED
    assert record(run)["attempt"]["state"] == "completed" and not kept.exists()


@pytest.mark.parametrize("home_is", ["fine", "a file"])
def test_a_directory_that_was_moved_while_it_ran(tmp_path: Path, lost_place: Path, home: Path, home_is: str) -> None:
    if home_is == "a file":
        (home / ".local").write_text("")
    run = freeze(new_stash(tmp_path / "stash"), ["sh", "-c", "while ! test -e go; do sleep 0.01; done"])
    with running(run) as one:
        wait_until(lambda: record(run)["attempt"]["process"])
        (tmp_path / "stash").rename(tmp_path / "other")
        (tmp_path / "other" / "go").touch()
        assert one.process.wait(PATIENCE) == 1
    moved = tmp_path / "other" / run.path.relative_to(tmp_path / "stash")
    seen = reconcile.load_reconciled(Stash(tmp_path / "other"), moved)
    assert (seen.attempt.state, seen.attempt.exit_code, seen.path) == (State.COMPLETED, 0, moved)
    assert records.read(moved).attempt.state is State.COMPLETED


@pytest.mark.parametrize("how", ["another directory", "a link"])
def test_a_directory_that_has_become_another_runs(tmp_path: Path, lost_place: Path, how: str) -> None:
    stash = new_stash(tmp_path / "stash")
    other = freeze(stash, ["true"])
    run = freeze(stash, ["sh", "-c", f"while ! test -e {tmp_path}/go; do sleep 0.01; done"])
    with running(run) as one:
        wait_until(lambda: record(run)["attempt"]["process"])
        run.path.rename(tmp_path / "moved")
        if how == "a link":
            run.path.symlink_to(other.path)
        else:
            shutil.copytree(other.path, run.path)
        before = (run.path / "run.json").read_bytes()
        (tmp_path / "go").touch()
        data = one.end()
    (kept,) = lost_place.iterdir()
    assert one.process.returncode == 1 and data["id"] == other.id
    assert "its directory has become another run's; the run itself: completed" in one.stderr
    assert (run.path / "run.json").read_bytes() == before == (other.path / "run.json").read_bytes()
    run.path.unlink() if how == "a link" else shutil.rmtree(run.path)
    (tmp_path / "moved").rename(run.path)
    assert reconcile.load_reconciled(stash, run.path).attempt.state is State.COMPLETED and not kept.exists()


def test_an_end_of_somebody_else_is_not_believed(tmp_path: Path, lost_place: Path) -> None:
    stash = new_stash(tmp_path / "stash")
    run = freeze(stash, ["true"])
    lost_place.mkdir(parents=True, mode=0o777)
    for text in ("{", "[]", '{"id": "x"}', record_text(run, created="another time"), record_text(run, number=2)):
        (lost_place / f"{run.id}-1.json").write_text(text)
        assert records.read_ended(run.path).attempt.state is State.FROZEN
    (lost_place / f"{run.id}-1.json").write_text(record_text(run))
    assert records.read_ended(run.path).attempt.state is State.COMPLETED
    lost_place.chmod(0o777)
    assert records.read_ended(run.path).attempt.state is State.FROZEN
    lost_place.chmod(0o700)
    (lost_place / f"{run.id}-1.json").rename(tmp_path / "elsewhere")
    (lost_place / f"{run.id}-1.json").symlink_to(tmp_path / "elsewhere")
    assert records.read_ended(run.path).attempt.state is State.FROZEN


def test_a_sweep_says_that_the_disk_is_full(small_disk: Path) -> None:
    stash = on(small_disk)
    with (small_disk / "filler" / "0").open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        while True:
            stream.write(b"x" * 4096)
    done = stash.cli("-m", "+exp=ok", "params.n=1,2", "hydra/launcher=local")
    said(done)
    done = stash.cli("+exp=ok")
    said(done)


@pytest.mark.parametrize("launcher", ["local", "basic", pytest.param("submitit_local", marks=pytest.mark.slow)])
def test_a_sweep_whose_tools_fill_the_disk(small_disk: Path, launcher: str) -> None:
    stash = on(small_disk)
    done = stash.cli("-m", "+exp=fill", "params.n=1,2,3", f"hydra/launcher={launcher}")
    assert "configuration is wrong" not in done.stderr and "could not be started" not in done.stderr
    if launcher != "submitit_local":  # which says it in words of its own
        assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    states = {stash.record(directory)["attempt"]["state"] for directory in stash.run_directories()}
    assert states <= {"completed", "failed"}
    (small_disk / "filler" / "0").unlink()
    assert "running" not in stash.cli("runs").stdout


def test_runs_are_seen_where_the_index_finds_no_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk))
    monkeypatch.setenv("SQLITE_TMPDIR", str(small_disk))
    stash = Stash(tmp_path / "stash")
    finished(stash.root, "aaaaaa2")
    assert [facts.id for facts in choose(stash, Selection()).found] == ["aaaaaa2"]
    (index,) = (small_disk / "experimentstash").glob("*.sqlite")
    before = index.stat().st_ino
    disk = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize))
    for number in range(3, 9):
        run = finished(stash.root, f"aaaaaa{number}", {"long": "x" * 600_000}, second=number)
        os.utime(run.path / "run.json", (0, 0))
    found = choose(stash, Selection()).found
    assert [facts.id for facts in found] == [f"aaaaaa{number}" for number in range(8, 1, -1)]
    assert len(found[0].params["long"]) == 600_000
    assert index.stat().st_ino == before  # what is in there is well
