"""`experimentstash metrics refresh`: numbers read once more, of runs that are over, and nothing lost by that."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from experimentstash.record import records, times
from experimentstash.record.run import Attempt, JobEnd, Run, State
from experimentstash.runs.refreshing import Refreshed, refresh
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.run_parts import put
from tests.testing.stash import InProcess, StashUnderTest


@pytest.fixture
def here(stash: StashUnderTest) -> Stash:
    return Stash(stash.root)


def older(here: Stash, metrics: Any = None, **fields: Any) -> Run:
    """Write a run that a version before there were numbers in records has recorded."""
    return finished(here.root, fields.pop("name", "aaaaaaa"), metrics=metrics, is_read=False, **fields)


def one(here: Stash, run: Run) -> Refreshed:
    (found,) = refresh(here, [records.read(run.path)])
    return found


def numbers(run: Run) -> dict[str, float] | None:
    return records.read(run.path).attempt.metrics


def test_numbers_of_older_runs_are_read(here: Stash) -> None:
    run = older(here, {"loss": 1, "nan": math.nan}, objective={"column": "acc", "file": "gone.csv"}, result=0.5)
    before = records.read(run.path)
    assert one(here, run).has_changed
    after = records.read(run.path)
    assert after.attempt.metrics is not None and math.isnan(after.attempt.metrics.pop("nan"))
    assert after.attempt.metrics == {"loss": 1.0, "acc": 0.5}
    after.attempt.metrics = None
    assert after == before
    inode = (run.path / "run.json").stat().st_ino
    assert not one(here, run).has_changed and (run.path / "run.json").stat().st_ino == inode


def test_what_has_changed_since_is_taken_and_what_is_gone_stays(here: Stash) -> None:
    sources = {"trust": {"column": "trust", "file": "t.csv", "take": "last"}}
    run = finished(here.root, "aaaaaaa", metrics={"loss": 1, "old": 2}, metric_sources=sources)
    (run.path / "metrics.json").write_text('{"loss": 3}')
    (run.path / "t.csv").write_text("trust\n0.5\n")
    assert one(here, run).has_changed and numbers(run) == {"loss": 3.0, "trust": 0.5}
    assert not any(note.startswith("no value") for note in records.read(run.path).attempt.notes)
    for name in ("metrics.json", "t.csv"):
        (run.path / name).unlink()
    found = one(here, run)
    assert not found.has_changed and numbers(run) == {"loss": 3.0, "trust": 0.5}
    assert found.notes[0].startswith(
        "no value for the metric trust (the last trust in t.csv): the run directory has no"
    )
    assert found.notes == records.read(run.path).attempt.notes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": State.RUNNING}, "not over yet"),
        ({"state": State.CANCELLED, "started": None}, "never begun"),
    ],
)
def test_what_is_at_work_or_never_was_is_left_alone(here: Stash, change: dict[str, Any], why: str) -> None:
    run = older(here, {"loss": 1})
    for name, value in change.items():
        setattr(run.attempt, name, value)
    assert [each.left_alone for each in refresh(here, [run])] == [why]
    assert numbers(run) is None


def test_one_of_which_only_the_record_is_left_keeps_its_numbers(here: Stash) -> None:
    run = finished(here.root, "aaaaaaa", metrics={"loss": 1}, removed="2026-02-01T12:00:00.000+00:00")
    (run.path / "metrics.json").unlink()
    assert one(here, run).left_alone == "its files were removed"


def test_one_that_was_taken_up_again_meanwhile_is_left_alone(here: Stash) -> None:
    seen = older(here, {"loss": 1})
    run = records.read(seen.path)
    run.earlier, run.attempt = [run.attempt], Attempt(2, State.COMPLETED, started=run.attempt.started)
    records.write(run)
    (found,) = refresh(here, [seen])
    assert (found.left_alone, numbers(run)) == ("taken up again", None)


def test_what_an_earlier_attempt_left_is_not_the_last_ones(here: Stash, tmp_path: Path) -> None:
    run = older(here, {"loss": 1})
    run.earlier, run.attempt.number, run.attempt.started = [Attempt(1, State.LOST)], 2, "2200-01-01T00:00:00.000+00:00"
    records.write(run)
    assert one(here, run).notes == [
        "there are no numbers: metrics.json is from before this attempt, which has not written it"
    ]
    # In a copy all files are new, but not what is in them.
    run.attempt.started = "2026-01-31T12:00:00.000+00:00"
    records.write(run)
    os.utime(run.path / "metrics.json", (0, 0))
    copy = shutil.copytree(run.path, run.path.with_name("copy"))
    assert "from before this attempt" in one(here, records.read(copy)).notes[0]
    assert one(here, run).has_changed and numbers(run) == {"loss": 1.0}


def test_what_is_declared_by_now_counts_for_runs_that_knew_nothing_of_it(here: Stash, stash: StashUnderTest) -> None:
    stash.write("conf/tool/t.yaml", "metrics: {a: {key: a, file: x.json}, b: {key: b, file: x.json}, c: {label: C}}\n")
    stash.write("conf/config.yaml", "metrics: {d: {pattern: 'd=(.)', file: '${params.x}.log'}}\n")
    stash.add_experiment("fig/one", "t", "metrics: {b: {key: bb, file: x.json}}\n")
    run = older(here, {"loss": 1})
    (run.path / "x.json").write_text('{"a": 1, "b": 2, "bb": 3}')
    found = one(here, run)
    assert found.notes == ["where its metrics are was declared later: a, b"] == records.read(run.path).attempt.notes
    assert numbers(run) == {"loss": 1.0, "a": 1.0, "b": 3.0}
    assert records.read(run.path).spec.metric_sources == {}
    stash.write("conf/tool/t.yaml", "metrics: {a: {key: a, take: last}}\n")
    assert (one(here, run).failed or "").startswith("conf/tool/t.yaml: metrics.a: unknown key 'take'")


def test_a_record_that_says_what_makes_no_sense_is_a_note(here: Stash) -> None:
    sources = {"a": {"pattern": "(", "file": "run.json", "take": "last"}}
    run = older(here, metric_sources=sources)
    assert one(here, run).notes[0].startswith("no value for the metric a (the last match of '(' in run.json): ")


def test_a_record_of_another_version_is_left_as_it_is(here: Stash) -> None:
    run = older(here, {"loss": 1})
    record = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**record, "format": 99}))
    assert "another version" in (one(here, run).failed or "")
    assert json.loads((run.path / "run.json").read_text())["attempt"]["metrics"] is None


def test_what_may_go_back_into_a_queue_is_for_its_job_to_write(here: Stash) -> None:
    run = older(here, {"loss": 1}, state=State.TIMED_OUT)
    end = JobEnd(State.TIMED_OUT, "its job's time was up", is_known=True)
    records.write(put(run, resume=[], max_requeues=1, job_end=end, ended=times.now()))
    assert one(here, run).left_alone == "not over yet" and numbers(run) is None
    records.write(put(run, resume=None))
    assert one(here, run).has_changed and numbers(run) == {"loss": 1.0}


def test_the_verb_says_what_became_of_all(here: Stash, stash: StashUnderTest, in_process: InProcess) -> None:
    older(here, {"loss": 1}, name="aaaaaaa")
    older(here, "{", name="aaaaaab")
    finished(here.root, "aaaaaac", metrics={"loss": 1}, exp="fig/two")
    finished(here.root, "aaaaaad", state=State.FROZEN, exp="fig/two")
    done = in_process(stash, "metrics", "refresh")
    assert (done.returncode, done.stderr) == (0, "")
    note, *rest = done.stdout.splitlines()
    assert note.startswith("aaaaaab: there are no numbers: metrics.json is no JSON: ")
    assert rest == ["read the numbers of 3 runs: 2 changed; left alone: 1 run (not over yet)"]
    done = in_process(stash, "metrics", "refresh", "--exp", "fig/two", "--state", "completed")
    assert done.stdout == "read the numbers of 1 run: none changed\n"
    assert in_process(stash, "metrics", "refresh", "nosuch0").returncode == 2
