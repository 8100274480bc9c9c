"""What is kept of records is never more than they say: the index is a cache that may be old, broken, busy or gone."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase as LETTERS
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.record import records
from experimentstash.record.run import Run, State
from experimentstash.runs import done_before, index
from experimentstash.runs.facts import Facts
from experimentstash.runs.listing import all_runs
from experimentstash.runs.selection import Selection, choose, of_words
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.run_parts import put

OLD = 1_700_000_000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return what will be the ids of the runs whose records were read, in an empty cache directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "_PATIENCE", 0.05)
    seen: list[str] = []
    load = records.read

    def noted(directory: Path) -> Run:
        seen.append(directory.name[-7:])
        return load(directory)

    monkeypatch.setattr(records, "read", noted)
    return seen


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    stash = Stash(tmp_path / "stash")
    for number in range(3):
        old(finished(stash.root, f"22222a{number}", {"lr": number}, {"loss": number / 2}, second=number))
    return stash


def old(run: Run) -> Run:
    """Have a record be no newer than what is kept."""
    os.utime(run.path / "run.json", (OLD, OLD))
    return run


def ids(stash: Stash, **words: Any) -> list[str]:
    return [facts.id for facts in choose(stash, of_words(**words)).found]


NUMBERS = [
    0,
    1,
    -1,
    2,
    0.1,
    0.30000000000000004,
    0.3,
    -0.0,
    1e-12,
    1e300,
    2**53 + 1,
    10**20,
    float("nan"),
    float("inf"),
]
PARAMS = [*NUMBERS[:12], True, None, "1", "x", [1], {"deep": 1}]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stash, list[Facts]]]:
    """Runs with all kinds of numbers and parameters, kept in an index; some lack them, or have them with a dash."""
    stash = Stash(tmp_path_factory.mktemp("many") / "stash")
    chance = random.Random(7)
    for number in range(60):
        params = {name: chance.choice(PARAMS) for name in ("a", "b", "c-d") if chance.random() < 0.8}
        metrics = {name: chance.choice(NUMBERS) for name in ("m", "val.loss", "c-d") if chance.random() < 0.8}
        old(finished(stash.root, f"22222{LETTERS[number // 26]}{LETTERS[number % 26]}", params, metrics))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(stash.root.parent / "cache"))
        choose(stash, of_words())
        yield stash, list(map(Facts, all_runs(stash)))


NAMES = ["params.a", "params.b", "params.c_d", "params['c-d']", "params.b.deep", "metrics.m", "metrics.val.loss"]
NAMES += ["metrics.c_d", "metrics.nothing", "duration", "job"]
values = st.sampled_from([*map(repr, NUMBERS[:12]), "-2", "'x'", "true", "null", *NAMES])
comparisons = st.builds(
    "{} {} {}{}".format,
    st.sampled_from(NAMES) | values,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    values,
    st.just("") | st.builds(" {} {}".format, st.sampled_from(["<", ">="]), values),
)


@settings(max_examples=150)
@given(st.lists(comparisons, min_size=1, max_size=3), st.sampled_from([" and ", " or ", " and not "]))
def test_what_is_told_without_looking_closer_is_told_right(
    many: tuple[Stash, list[Facts]], parts: list[str], joint: str
) -> None:
    stash, runs = many
    try:
        asked = of_words(where=joint.join(parts))
    except StashError:  # a text that can't be compared so
        return
    assert asked.where is not None
    holds = {facts.id: asked.where.holds(facts.look_up) for facts in runs}
    try:
        chosen = choose(stash, asked)
    except StashError as error:  # a name that no run has
        assert "none of these runs has" in error.message and "nothing" in error.message
        return
    assert {facts.id for facts in chosen.found} == {each for each, told in holds.items() if told}
    assert {facts.id for facts in chosen.untold} == {each for each, told in holds.items() if told is None}


def test_a_name_that_only_others_have_is_no_mistake(read: list[str], here: Stash) -> None:
    old(finished(here.root, "22222b0", {"other": 1}, {"loss": 9.0}))
    assert ids(here) and ids(here, where="metrics.loss < 0.1 and params.other > 0") == []


def file_of(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "experimentstash").glob("*.sqlite")
    return path


def test_what_has_not_changed_is_not_read_again(here: Stash, read: list[str]) -> None:
    first = choose(here, Selection()).found
    assert sorted(read) == ["22222a0", "22222a1", "22222a2"]
    read.clear()
    again = choose(here, Selection()).found
    assert read == [] and [facts.plain for facts in again] == [facts.plain for facts in first]
    for kept, (facts, run) in zip(again, [(facts, facts.run) for facts in first], strict=True):
        fresh = Facts(run)
        for name in ("params", "numbers", "tags", "overrides", "warnings", "result", "sweep", "version", "experiment"):
            assert getattr(kept, name) == getattr(fresh, name) == getattr(facts, name), name
    assert ids(here, where="metrics.loss >= 0.5 and params.lr < 2") == ["22222a1"]


@pytest.mark.parametrize("change", ["same size", "another state", "removed", "moved", "added"])
def test_a_change_is_seen_at_once(here: Stash, read: list[str], change: str) -> None:
    choose(here, Selection())
    path = here.root / "outputs/2026-01-31/12-00-00-22222a1"
    run = records.read(path)
    if change == "same size":
        records.write(put(run, params={**run.spec.params, "lr": 9}))
        assert choose(here, of_words(where="params.lr == 9")).found[0].id == "22222a1"
        assert ids(here, where="params.lr == 1") == []
    elif change == "another state":
        run.attempt.state = State.FAILED
        records.write(run)
        assert ids(here, states=["failed"]) == ["22222a1"] and "22222a1" not in ids(here, states=["completed"])
    elif change == "removed":
        shutil.rmtree(path)
        assert ids(here) == ["22222a2", "22222a0"]
    elif change == "moved":
        (here.root / "multirun").mkdir()
        path.rename(here.root / "multirun" / "elsewhere")
        found = choose(here, Selection()).found
        assert [facts.directory.rpartition("/")[2][-9:] for facts in found] == ["0-22222a2", "elsewhere", "0-22222a0"]
    else:
        finished(here.root, "22222a9", second=9)
        assert ids(here)[0] == "22222a9"
    again = ids(here)
    assert ids(here) == again and len(again) == {"removed": 2, "added": 4}.get(change, 3)


def test_what_is_young_or_not_over_is_read_each_time(here: Stash, read: list[str]) -> None:
    finished(here.root, "22222b0")
    old(finished(here.root, "22222b1", state=State.RUNNING))
    choose(here, Selection())
    read.clear()
    choose(here, Selection(), closes=False)
    assert sorted(set(read)) == ["22222b0", "22222b1"]


@pytest.mark.parametrize("how", ["garbage", "empty", "half", "another version", "no tables", "a directory", "texts"])
def test_a_broken_index_is_made_anew(here: Stash, read: list[str], tmp_path: Path, how: str) -> None:
    expected = ids(here)
    path = file_of(tmp_path)
    content = path.read_bytes()
    if how == "a directory":
        path.unlink()
        path.mkdir()
    elif how in ("garbage", "empty", "half"):
        path.write_bytes({"garbage": b"x" * 9000, "empty": b"", "half": content[: len(content) // 2]}[how])
    else:
        with sqlite3.connect(path) as connection:
            order = {"another version": "PRAGMA user_version = 99", "no tables": "DROP TABLE seen"}
            connection.execute(order.get(how, "UPDATE texts SET params = 'x', numbers = NULL, said = 3"))
        connection.close()
    assert ids(here) == expected
    assert ids(here, where="params.lr == 1 and metrics.loss == 0.5 and not tags") == ["22222a1"]
    read.clear()
    assert ids(here) == expected and (read == []) is (how != "a directory")


def test_it_may_be_deleted_or_out_of_reach(
    here: Stash, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ids(here)
    shutil.rmtree(tmp_path / "cache")
    assert ids(here) == expected and file_of(tmp_path).exists()
    (tmp_path / "file").touch()
    for home in (str(here.root / "cache"), str(tmp_path / "file"), "/proc/nowhere"):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        assert ids(here) == expected
    assert not (here.root / "cache").exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(index, "_kind_of_disk", lambda path: "nfs4")
    assert ids(here) == expected and not (tmp_path / "other").exists()


def test_where_links_lead_from_place_to_place_what_is_gone_is_gone(here: Stash, read: list[str]) -> None:
    """All is read then, since a run has several paths."""
    several = here.run_roots[1]
    several.symlink_to(here.root / "outputs")
    assert ids(here) == ids(here) == ["22222a2", "22222a1", "22222a0"]
    shutil.rmtree(here.root / "outputs/2026-01-31/12-00-00-22222a1")
    assert ids(here) == ["22222a2", "22222a0"]
    records.write(put(records.read(here.root / "outputs/2026-01-31/12-00-00-22222a0"), state=State.RUNNING))
    assert ids(here, states=["completed"]) == ["22222a2"]


def test_a_link_to_a_run_is_none(here: Stash, read: list[str], tmp_path: Path) -> None:
    ids(here)
    path = here.root / "outputs/2026-01-31/12-00-00-22222a1"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert ids(here) == ["22222a2", "22222a0"]


def test_one_that_is_being_written_is_not_waited_for(here: Stash, read: list[str], tmp_path: Path) -> None:
    ids(here)
    with sqlite3.connect(file_of(tmp_path), isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        finished(here.root, "22222c0", second=9)
        old(records.read(here.root / "outputs/2026-01-31/12-00-00-22222c0"))
        assert ids(here)[0] == "22222c0"
        connection.execute("ROLLBACK")
    connection.close()
    assert ids(here)[0] == "22222c0"


PROCESSES, THREADS = 20, 50


def _write(root: Path, process: int, gate: int) -> None:
    """Be so many writers, each of a run of its own that it writes three times, as soon as the gate opens."""
    opened = threading.Barrier(THREADS + 1)
    written = []

    def write(number: int) -> None:
        name = f"{LETTERS[process]}22{number:04}".translate(str.maketrans("01", "zy"))
        opened.wait()
        run = finished(root, name, {"lr": 1}, {"loss": 1})
        for loss in (2.0, 3.0):
            run.attempt.metrics = {"loss": loss}
            records.write(run)
        written.append(name)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    os.read(gate, 1)
    opened.wait()
    for thread in threads:
        thread.join()
    assert len(written) == THREADS


@pytest.mark.slow
def test_a_thousand_write_at_once_while_one_reads(here: Stash, read: list[str], tmp_path: Path) -> None:
    """No record is seen torn, and no row stays that is old."""
    context = multiprocessing.get_context("fork")
    gate, opener = os.pipe()
    writers = [context.Process(target=_write, args=(here.root, number, gate)) for number in range(PROCESSES)]
    for writer in writers:
        writer.start()
    os.write(opener, bytes(PROCESSES))
    looks = 0
    try:
        while any(writer.is_alive() for writer in writers):
            selected = choose(here, Selection())
            assert selected.unread == []
            assert all(facts.numbers["loss"] in (1.0, 2.0, 3.0) for facts in selected.found if facts.id[:6] != "22222a")
            looks += 1
    finally:
        for writer in writers:
            writer.join()
        os.close(gate)
        os.close(opener)
    assert [writer.exitcode for writer in writers] == [0] * PROCESSES and looks
    for _ in range(2):
        found = choose(here, Selection()).found
        assert len(found) == PROCESSES * THREADS + 3
        assert {facts.numbers["loss"] for facts in found if facts.id[:6] != "22222a"} == {3.0}
        for path in (here.root / "outputs").glob("*/*/run.json"):
            os.utime(path, (OLD, OLD))  # and once more, from what is kept


def test_disks_are_told_apart() -> None:
    assert index._kind_of_disk("/proc/self") == "proc" and index._kind_of_disk("/nowhere") != ""


def without_index(stash: Stash) -> dict[str, list[Path]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(stash.root.parent / "nowhere"))
        found = completed(stash)
    assert not (stash.root.parent / "nowhere").exists()  # who only asks what has completed makes no index
    return found


def completed(stash: Stash) -> dict[str, list[Path]]:
    return {signature: sorted(found) for signature, found in done_before.by_signature(stash).items()}


def signed(stash: Stash, name: str, number: int, **fields: Any) -> Run:
    return old(finished(stash.root, name, {"lr": number}, signature=f"sha256:{number:064x}", **fields))


@pytest.mark.parametrize("change", ["nothing", "failed", "removed", "moved", "added", "signed anew"])
@pytest.mark.parametrize("kept", ["kept", "none", "nonsense", "cut", "another version", "in use"])
def test_what_has_completed_is_the_same_with_any_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, kept: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "_PATIENCE", 0.01)
    stash = Stash(tmp_path / "stash")
    runs = [signed(stash, f"22222a{number}", number % 3) for number in range(5)]
    signed(stash, "22222b0", 1, state=State.FAILED)
    busy = None
    if kept != "none":
        choose(stash, Selection())
        place = file_of(tmp_path)
        if kept == "nonsense":
            place.write_bytes(b"no database" * 1000)
        elif kept == "cut":
            os.truncate(place, 4096)
        elif kept != "kept":
            busy = sqlite3.connect(place, isolation_level=None)
            busy.execute("PRAGMA user_version = 1" if kept == "another version" else "BEGIN EXCLUSIVE")
    changed = runs[1]
    if change == "failed":
        changed.attempt.state = State.FAILED
        records.write(changed)
    elif change == "signed anew":
        records.write(put(changed, signature=f"sha256:{9:064x}"))
        old(changed)
    elif change == "removed":
        shutil.rmtree(changed.path)
    elif change == "moved":
        (stash.root / "multirun").mkdir()
        changed.path.rename(stash.root / "multirun" / "elsewhere")
    elif change == "added":
        finished(stash.root, "22222b1", signature=f"sha256:{9:064x}")
    assert completed(stash) == without_index(stash)
    if busy is not None:
        busy.close()


def test_what_is_known_to_have_completed_is_not_read(here: Stash, read: list[str], tmp_path: Path) -> None:
    runs = [signed(here, f"22222b{number}", number) for number in range(3)]
    choose(here, Selection())
    for run in runs[1:]:  # as no record is, but with the same marks
        mark = os.stat(run.path / "run.json")
        with open(run.path / "run.json", "r+b") as stream:
            stream.write(b"x" * mark.st_size)
        os.utime(run.path / "run.json", ns=(mark.st_atime_ns, mark.st_mtime_ns))
    before = file_of(tmp_path).read_bytes()
    assert sorted(completed(here).values()) == [[run.path] for run in runs]
    assert file_of(tmp_path).read_bytes() == before
    assert done_before.completed(runs[0].path) is not None and done_before.completed(runs[1].path) is None
