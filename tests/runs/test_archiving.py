"""Sweeps as one file: what is read of them, what is refused, what comes back, and what an interruption leaves."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import experimentstash as es
from experimentstash.base import failpoints
from experimentstash.base.errors import StashError
from experimentstash.record import added, archives, records, run_places, sweep_list, times
from experimentstash.record.run import Run, State
from experimentstash.runs import archiving, done_before, listing, naming, selection
from experimentstash.runs.naming import Sweep
from experimentstash.stash.layout import Stash
from tests.testing.faults import new_stash
from tests.testing.finished import finished
from tests.testing.run_parts import put, run_with
from tests.testing.stash import InProcess, StashUnderTest

ID = "k3f9a2b"
SIGNATURE = f"sha256:{0:064}"
LOG = "first\nTraceback (most recent call last):\nValueError: no such thing\n"
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stash:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return new_stash(tmp_path / "my stäsh's")


@pytest.fixture
def told(here: Stash, in_process: InProcess) -> Say:
    """Run a verb and return its exit code, and what it says, whitespace aside."""

    def call(*words: str) -> tuple[int, str]:
        done = in_process(StashUnderTest(here.root), *words)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return call


def place(stash: Stash) -> Path:
    return stash.root / "multirun" / "2026-01-31" / f"12-00-00-{ID}"


def a_run(stash: Stash, number: int, state: State = State.COMPLETED, path: str = "", **parts: Any) -> Run:
    """Write a run of the one sweep there is, with what its tool has left."""
    sweep = place(stash)
    run = run_with(
        f"{ID}-{number}",
        sweep / (path or str(number)),
        state=state,
        sweep=str(sweep),
        created=times.now(),
        **{
            "started": times.now(),
            "metrics": {"loss": number / 4},
            "params": {"lr": number},
            "exit_code": 1,
            "signature": SIGNATURE,
            **parts,
        },
    )
    run.path.mkdir(parents=True)
    (run.path / "output.log").write_text(LOG)
    records.claim(run)
    return run


@pytest.fixture
def sweep(here: Stash) -> Path:
    """A sweep of two runs, with all that there may be in its directory."""
    runs = [a_run(here, 0), a_run(here, 1, State.FAILED)]
    (place(here) / records.LOCK).touch()
    (place(here) / records.SWEEP_FILE).write_text("hydra: {}\n")
    added.change_tags(runs[0], here.lock(added.LOCK), ["paper"])
    path = runs[0].path
    (path / "wandb").mkdir()
    (path / "empty").mkdir(mode=0o750)
    (path / "wandb" / "latest").symlink_to("run-1")
    (path / "outside").symlink_to("/etc")
    (path / "tool.sh").write_text("#!/bin/sh\n")
    (path / "tool.sh").chmod(0o750)
    (path / "naïve\nname.bin").write_bytes(os.urandom(3_000_000))
    os.utime(path / "naïve\nname.bin", ns=(10**9, -(10**15) + 100))
    (path / "closed").mkdir()
    (path / "closed" / "x").write_bytes(b"")
    (path / "closed").chmod(0o550)
    return place(here)


def tree(root: Path) -> dict[str, object]:
    """Return what is in a directory, with modes and times."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in (".", *folders, *names)):
            one = path.lstat()
            content: object = None
            if stat.S_ISLNK(one.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(one.st_mode):
                content = path.read_bytes()
                if path.name == records.FILE_NAME:  # of a directory that is another one by now
                    content = {**json.loads(path.read_text()), "inode": None}
            is_lock = path.name == records.LOCK
            found[os.path.relpath(path, root)] = (one.st_mode, 0 if is_lock else one.st_mtime_ns // 100, content)
    return found


def archived(stash: Stash) -> Path:
    return archiving.archive(stash, archiving.look(stash, naming.find_sweep(stash, ID)))


@pytest.fixture
def watching() -> Iterator[Callable[[Callable[[str], None]], None]]:
    tokens: list[Any] = []
    yield lambda look: tokens.append(failpoints.observer.set(look))
    for token in tokens:
        failpoints.observer.reset(token)


def ids(stash: Stash) -> set[str]:
    listed = {run.id for run in listing.all_runs(stash)}
    assert listed == {facts.id for facts in selection.choose(stash, selection.of_words()).found}
    return listed


def test_all_of_a_sweep_becomes_one_file_and_comes_back_as_it_was(here: Stash, sweep: Path, told: Say) -> None:
    before = tree(sweep)
    code, said = told("archive", ID, "--yes")
    assert (code, [path.name for path in sweep.parent.iterdir()]) == (0, [f"{sweep.name}.runs.zip"])
    assert f"{len(before)} files and directories (3.0 MB) are one file now (3.0 MB)" in said
    assert zipfile.ZipFile(archives.path_for(sweep)).testzip() is None
    code, said = told("archive", "--restore", ID)
    assert (code, [path.name for path in sweep.parent.iterdir()]) == (0, [sweep.name])
    assert tree(sweep) == before
    assert f"again in multirun/2026-01-31/{sweep.name}" in said


def test_what_looks_at_runs_looks_into_archives(here: Stash, sweep: Path, told: Say) -> None:
    asked = [
        ("runs", "--json"),
        ("runs", ID, "--csv"),
        ("runs", "--where", "params.lr > 0", "--jsonl"),
        ("runs", "--tag", "paper", "--json"),
        ("runs", "--sweep", ID, "--json"),
        ("show", f"{ID}-1", "--json"),
        ("show", str(sweep / "1"), "--json"),
        ("show", f"{ID}-1", "--diff", f"{ID}-0"),
        ("compare", ID, "--csv"),
        ("logs", f"{ID}-1"),
        ("logs", f"{ID}-1", "-f"),
        ("logs", ID),
    ]
    earlier = finished(here.root, "zzzzzzz")
    (earlier.path / "output.log").write_text(LOG)
    sweep_list.note_earlier(here.root, sweep, 2, earlier)
    done = done_before.by_signature(here), set(done_before.of_sweep(here, sweep))
    assert done == ({SIGNATURE: [sweep / "0"]}, {2})
    before = {words: told(*words) for words in asked}
    api = [(run.id, run.tags, run.metrics, run.error, run.log()) for run in es.runs(stash=here.root)]
    archived(here)
    assert {words: told(*words) for words in asked} == before
    assert all(code == 0 for code, _ in before.values())
    assert done == (done_before.by_signature(here), set(done_before.of_sweep(here, sweep)))
    assert [(run.id, run.tags, run.metrics, run.error, run.log()) for run in es.runs(stash=here.root)] == api
    code, said = told("show", f"{ID}-1")
    assert code == 0 and "ValueError: no such thing" in said
    assert f"in multirun/2026-01-31/{sweep.name}.runs.zip: experimentstash archive --restore {ID}" in said
    for name in (ID, str(sweep), str(archives.path_for(sweep))):
        code, said = told("show", name)
        assert code == 0 and f"{ID}-0" in said and f"archive --restore {ID}" in said
    assert told("path", f"{ID}-0") == (0, str(sweep / "0"))


@pytest.mark.parametrize(
    "words",
    [
        ("resume", f"{ID}-1"),
        ("resume", ID),
        ("retry", f"{ID}-1"),
        ("retry", ID),
        ("rerun", f"{ID}-1"),
        ("rm", f"{ID}-1", "--yes"),
        ("rm", ID, "--keep-record", "--yes"),
        ("tag", ID, "+x"),
        ("note", f"{ID}-1", "x"),
        ("path", f"{ID}-1", "output.log"),
        ("open", f"{ID}-1", "output.log"),
        ("sync", ID),
        ("archive", ID, "--yes"),
    ],
    ids=" ".join,
)
def test_what_needs_the_files_says_how_to_have_them_back(
    here: Stash, sweep: Path, told: Say, words: tuple[str, ...]
) -> None:
    packed = archived(here)
    before = packed.read_bytes()
    code, said = told(*words)
    assert code != 0
    assert "archived" in said and f"experimentstash archive --restore {ID}" in said
    assert packed.read_bytes() == before and not sweep.exists()


def test_nothing_is_written_into_an_archived_run(here: Stash, sweep: Path, told: Say) -> None:
    run = records.read(sweep / "0")
    archived(here)
    with pytest.raises(StashError, match="is archived"):
        records.write(run)
    with pytest.raises(StashError, match="is archived"):
        es.runs(stash=here.root)[0].path("output.log")
    assert told("metrics", "refresh") == (0, "read the numbers of 0 runs: none changed; left alone: 2 runs (archived)")
    assert not sweep.exists()


def test_an_archive_is_removed_as_a_whole(here: Stash, sweep: Path, told: Say) -> None:
    packed = archived(here)
    code, said = told("rm", ID, "--yes")
    assert code == 0 and "removed 2 runs (3.0 MB)" in said
    assert not packed.exists() and ids(here) == set()


def test_earlier_tries_go_along(here: Stash, sweep: Path, told: Say) -> None:
    a_run(here, 1, State.FAILED, path=f"{records.ASIDE}/1-1")
    archived(here)
    assert ids(here) == {f"{ID}-0", f"{ID}-1"}
    assert [run.path for run in listing.superseded(here)] == [sweep / records.ASIDE / "1-1"]
    assert told("rm", ID, "--yes")[0] == 0 and listing.superseded(here) == []


def test_a_sweep_that_lies_elsewhere_is_still_found(here: Stash, tmp_path: Path, told: Say) -> None:
    sweep = tmp_path / "data" / "mine" / "sweep"
    run = run_with("a2b3c4d", sweep / "x=1", state=State.COMPLETED, sweep=str(sweep), created=times.now())
    records.claim(run)
    run_places.remember(here, run.path, sweep)
    archiving.archive(here, archiving.look(here, naming.find_sweep(here, str(sweep))))
    assert ids(here) == {"a2b3c4d"} and not run_places.away(here)
    assert told("archive", "--restore", str(sweep))[0] == 0 and records.read(run.path).id == "a2b3c4d"


def test_a_run_that_was_unpacked_by_hand_hides_no_others(here: Stash, sweep: Path, told: Say) -> None:
    with zipfile.ZipFile(archived(here)) as packed:
        packed.extract(f"{sweep.name}/0/{records.FILE_NAME}", sweep.parent)
        packed.extract(f"{sweep.name}/1/output.log", sweep.parent)
    for _ in range(2):  # the index has seen it then
        assert ids(here) == {f"{ID}-0", f"{ID}-1"}
    assert told("logs", f"{ID}-1") == (0, " ".join(LOG.split()))
    code, said = told("archive", "--restore", ID)
    assert code == 1 and f"{sweep} is in the way" in said
    code, said = told("rm", f"{ID}-0", "--yes")
    assert code == 1 and "its sweep has an archive, too" in said
    assert told("gc", "--yes")[0] == 0 and ids(here) == {f"{ID}-0", f"{ID}-1"}


def test_an_archive_of_which_all_is_there_goes_and_no_other(here: Stash, sweep: Path, told: Say) -> None:
    packed = archived(here)
    content = packed.read_bytes()
    archiving.restore(here, Sweep(sweep, ID))
    packed.write_bytes(content)
    log = sweep / "1" / "output.log"
    log.write_text(LOG.swapcase())
    assert told("archive", "--restore", ID)[0] == 1
    code, said = told("gc", "--yes")
    assert code == 0 and "stays: it is needed by now" in said and packed.exists()
    log.write_text(LOG)
    assert told("archive", "--restore", ID)[0] == 0 and not packed.exists()
    assert ids(here) == {f"{ID}-0", f"{ID}-1"}


def test_an_archive_is_no_more_open_than_what_is_in_it(here: Stash, sweep: Path) -> None:
    (sweep / "1" / "output.log").chmod(0o600)
    assert archived(here).stat().st_mode & 0o777 == 0o600
    archiving.restore(here, Sweep(sweep, ID))
    assert (sweep.stat().st_mode & 0o777, (sweep / "1" / "output.log").stat().st_mode & 0o777) == (0o755, 0o600)


def test_a_new_sweep_does_not_take_the_place_of_an_archived_one(here: Stash, sweep: Path) -> None:
    archived(here)
    assert next(records.directories(sweep), None) is not None  # what a new sweep asks before it begins


def test_a_damaged_archive_is_said(here: Stash, sweep: Path, told: Say) -> None:
    packed = archived(here)
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    for verb in ("runs", "show"):
        code, said = told(verb, ID)
        assert code != 0 and f"{packed} can't be read: it is damaged" in said
    assert f"{packed} can't be read: it is damaged" in told("runs")[1]
    packed.write_bytes(content)
    with zipfile.ZipFile(packed) as whole:
        info = whole.getinfo(f"{sweep.name}/1/output.log")
    log = info.header_offset + 30 + len(info.filename) + len(info.extra) + 10  # in what was compressed
    packed.write_bytes(content[:log] + bytes([content[log] ^ 0xFF]) + content[log + 1 :])
    assert ids(here) == {f"{ID}-0", f"{ID}-1"}
    for words in (("logs", f"{ID}-1"), ("archive", "--restore", ID)):
        code, said = told(*words)
        assert code != 0 and "it is damaged" in said
    assert [path.name for path in sweep.parent.iterdir()] == [packed.name]


@pytest.mark.parametrize("name", ["../out", "/out", "top/../../out", "other/out", "top//out"])
def test_an_archive_leads_nowhere_else(here: Stash, tmp_path: Path, told: Say, name: str) -> None:
    packed = archives.path_for(place(here))
    packed.parent.mkdir(parents=True)
    with zipfile.ZipFile(packed, "w") as written:
        written.writestr("top/0/run.json", "{}")
        written.writestr(name, "x")
    code, said = told("archive", "--restore", str(place(here)))
    assert code == 1 and "it is no archive of a sweep" in said
    assert not list(tmp_path.rglob("out"))


def test_nothing_is_written_through_a_link_of_an_archive(here: Stash, tmp_path: Path, told: Say) -> None:
    packed = archives.path_for(place(here))
    packed.parent.mkdir(parents=True)
    with zipfile.ZipFile(packed, "w") as written:
        for name, mode, content in (
            ("top/", stat.S_IFDIR | 0o755, ""),
            ("top/link", stat.S_IFLNK | 0o777, str(tmp_path)),
            ("top/link/out", stat.S_IFREG | 0o644, "x"),
        ):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            written.writestr(info, content)
    assert told("archive", "--restore", str(place(here)))[0] == 1
    assert not list(tmp_path.rglob("out")) and [path.name for path in packed.parent.iterdir()] == [packed.name]


def refused(stash: Stash) -> str:
    before = tree(place(stash))
    with pytest.raises(StashError) as caught:
        archived(stash)
    assert tree(place(stash)) == before
    assert [path.name for path in place(stash).parent.iterdir()] == [place(stash).name]
    return str(caught.value)


@pytest.mark.parametrize("state", [State.RUNNING, State.QUEUED, State.FROZEN])
def test_a_run_that_is_not_over_keeps_its_sweep(here: Stash, sweep: Path, state: State) -> None:
    a_run(here, 2, state)
    assert f"{ID}-2: it is {state.value}" in refused(here)


def test_a_sweep_at_work_is_left_alone(here: Stash, sweep: Path) -> None:
    with open(sweep / records.LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "a command is at work on it" in refused(here)


def test_what_an_archive_could_not_give_back_is_refused(here: Stash, sweep: Path) -> None:
    odd = sweep / "1" / "odd"
    os.link(sweep / "1" / "output.log", odd)
    assert f"{sweep}/1/odd is a hard link" in refused(here)
    odd.unlink()
    os.mkfifo(odd)
    assert f"{odd} is a FIFO" in refused(here)
    odd.unlink()
    (sweep / "1" / os.fsdecode(b"latin-\xe9")).touch()
    assert "is no UTF-8" in refused(here)


def test_a_socket_and_what_can_not_be_read_are_refused(here: Stash, sweep: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(sweep / "1")  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s")
        assert f"{sweep}/1/s is a socket" in refused(here)
    (sweep / "1" / "s").unlink()
    if os.getuid() != 0:
        (sweep / "1" / "output.log").chmod(0)
        assert f"{sweep}/1/output.log can't be read" in refused(here)


def test_runs_whose_wandb_was_not_sent_or_whose_numbers_were_not_read_stay(here: Stash, sweep: Path) -> None:
    log = sweep / "1" / "wandb" / "offline-run-20260131_120000-abc" / "run-abc.wandb"
    log.parent.mkdir(parents=True)
    log.touch()
    assert "were not sent yet (offline-run-20260131_120000-abc)" in refused(here)
    log.with_name(f"{log.name}.synced").touch()
    records.write(put(records.read(sweep / "1"), metrics=None))
    assert "experimentstash metrics refresh" in refused(here)


def test_other_runs_keep_a_directory(here: Stash, sweep: Path) -> None:
    run = a_run(here, 7)
    run.sweep = None
    records.write(run)
    assert f"{ID}-7, in its directory, is not of this sweep" in refused(here)


def test_what_changes_while_it_is_read_is_kept(
    here: Stash, sweep: Path, watching: Callable[[Callable[[str], None]], None]
) -> None:
    def change(name: str) -> None:
        if name == "the archive is written":
            with open(sweep / "1" / "output.log", "a") as log:
                log.write("more\n")

    watching(change)
    with pytest.raises(StashError, match="has changed while it was read"):
        archived(here)
    assert [path.name for path in sweep.parent.iterdir()] == [sweep.name]


@pytest.mark.parametrize(
    ("verb", "number"), [("archive", 0), ("archive", 1), ("archive", 2), ("restore", 0), ("restore", 1)]
)
def test_killed_anywhere_nothing_is_lost_and_gc_tidies_up(
    here: Stash, sweep: Path, told: Say, verb: str, number: int
) -> None:
    before = tree(sweep)
    if verb == "restore":
        archived(here)
    steps: list[str] = []

    def kill(name: str) -> None:
        steps.append(name)
        if len(steps) > number:
            os._exit(0)

    pid = os.fork()
    if pid == 0:
        failpoints.observer.set(kill)
        try:
            if verb == "archive":
                archived(here)
            else:
                archiving.restore(here, Sweep(sweep, ID))
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "it ended before that"
    assert ids(here) == {f"{ID}-0", f"{ID}-1"}
    assert told("logs", f"{ID}-1")[0] == 0
    assert told("gc", "--yes")[0] == 0
    assert len([path.name for path in sweep.parent.iterdir()]) == 1
    assert ids(here) == {f"{ID}-0", f"{ID}-1"}
    if not sweep.exists():
        archiving.restore(here, Sweep(sweep, ID))
    found = tree(sweep)
    assert {name: each for name, each in found.items() if name not in (".", records.LOCK)} == {
        name: each for name, each in before.items() if name not in (".", records.LOCK)
    }
