"""How long the next run takes, as those that have completed tell, and where that is said."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.launch.expectation import Expectation
from experimentstash.record import times
from experimentstash.record.run import Run, State
from experimentstash.runs.past import Estimate, Past
from experimentstash.runs.selection import Selection, choose
from experimentstash.runs.summary import resources_table
from experimentstash.stash.layout import Stash
from experimentstash.validate.engine import validate
from tests.testing.finished import finished
from tests.testing.run_parts import run_with
from tests.testing.stash import InProcess, StashUnderTest

HERE = procfs.hostname()


@pytest.fixture(autouse=True)
def with_index(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def completed(root: Path, name: str, seconds: float | None, params: dict[str, Any], **fields: Any) -> Run:
    run = finished(root, name, params, **{"duration": seconds, "host": HERE, **fields})
    os.utime(run.path / "run.json", (0, 0))  # old enough for an index
    return run


def wanted(params: dict[str, Any], **fields: Any) -> Run:
    return run_with("wanted7", "/r/wanted7", params=params, **{"organizer": "fig/one", **fields})


def estimate(root: Path, run: Run) -> Estimate | None:
    """Return how long it takes as the records tell, and an index does as well."""

    def told() -> Estimate | None:
        past = Past(Stash(root))
        past.read(60.0)
        return past.of(run)

    from_records = told()
    choose(Stash(root), Selection())
    assert told() == from_records
    return from_records


def test_what_an_index_tells_is_not_read(tmp_path: Path) -> None:
    runs = [completed(tmp_path, f"run222{number}", 10.0, {"nan": float("nan"), "a": {"b": 1}}) for number in range(3)]
    assert estimate(tmp_path, runs[0]) == Estimate(10.0, 3, True, (HERE,))
    for run in runs[1:]:  # as no record is, but with the same marks
        path = run.path / "run.json"
        with open(path, "r+b") as stream:
            stream.write(b"x" * path.stat().st_size)
        os.utime(path, (0, 0))
    past = Past(Stash(tmp_path))
    past.read(60.0)
    assert past.of(runs[0]) == Estimate(10.0, 3, True, (HERE,))
    (runs[1].path / "run.json").write_text("{}")
    past = Past(Stash(tmp_path))
    past.read(60.0)
    assert past.of(runs[0]) == Estimate(10.0, 2, True, (HERE,))


def test_the_same_parameters_tell_most(tmp_path: Path) -> None:
    assert estimate(tmp_path, wanted({"lr": 1})) is None
    for number, seconds in enumerate((10.0, 20.0, 60.0)):
        completed(tmp_path, f"slow{number}", seconds, {"lr": 1, "seed": number, "out": "{}/x"})
    for number in range(5):
        completed(tmp_path, f"fast{number}", 2.0, {"lr": 2, "seed": number})
    same = estimate(tmp_path, wanted({"lr": 1.0, "seed": 77, "out": "{}/x"}))
    assert same == Estimate(20.0, 3, True, (HERE,))
    assert same.basis == "3 completed runs with these parameters"
    other = estimate(tmp_path, wanted({"lr": 3}))
    assert other == Estimate(2.0, 8, False, (HERE,))
    assert other.basis == "8 completed runs of this experiment, whatever the parameters"
    assert estimate(tmp_path, wanted({"lr": 1}, organizer="fig/other")) is None
    assert estimate(tmp_path, wanted({"lr": 1}, tool="u")) is None


def test_where_a_run_writes_makes_no_difference(tmp_path: Path) -> None:
    for number in range(3):
        directory = tmp_path / "outputs" / "2026-01-31" / f"12-00-00-run{number}"
        completed(tmp_path, f"run{number}", 5.0, {"out": f"{directory}/x"})
    completed(tmp_path, "other", 100.0, {"out": "/x"})
    found = estimate(tmp_path, wanted({"out": "/r/wanted7/x"}))
    assert found is not None and (found.seconds, found.is_alike) == (5.0, True)


def test_what_tells_nothing_is_left_out(tmp_path: Path) -> None:
    completed(tmp_path, "failed7", 1.0, {}, state=State.FAILED)
    completed(tmp_path, "nothing", None, {})
    second = completed(tmp_path, "second7", 1.0, {})
    record = second.path / "run.json"
    data = json.loads(record.read_text())
    data["attempt"]["number"] = 2  # a part of its work was done at the first attempt
    record.write_text(json.dumps(data, indent=2))
    for name, text in (("garbage", '"state": "completed" {'), ("list777", '["state", "completed"]')):
        broken = completed(tmp_path, name, 1.0, {})
        (broken.path / "run.json").write_text(text)
    assert estimate(tmp_path, wanted({})) is None


def test_other_machines_are_named(tmp_path: Path) -> None:
    for number in range(3):
        completed(tmp_path, f"run{number}", 5.0, {}, host=f"gpu{number % 2}")
    found = estimate(tmp_path, wanted({}))
    assert found is not None
    assert found.basis == "3 completed runs with these parameters, on other machines (gpu0, gpu1)"


def test_no_longer_than_allowed(tmp_path: Path) -> None:
    for number in range(3):
        completed(tmp_path, f"run{number}", 5.0, {})
    past = Past(Stash(tmp_path))
    past.read(0.0)
    assert past.of(wanted({})) is None
    past.read(60.0)
    past.read(60.0)  # there are no more
    assert past.of(wanted({})) is not None


@pytest.mark.parametrize(("since", "said"), [(40, "≈ 1m00s left"), (400, "≈ 5m00s longer than usual")])
def test_how_much_longer_a_run_will_take(since: int, said: str) -> None:
    now = time.time()
    run = wanted({}, started=times.as_text(now - since))
    assert Estimate(100.0, 3, True, (HERE,)).left(run, times.moment(run.attempt.started or "") + since) == said


def test_running_ones_are_shown_with_their_ends(stash: StashUnderTest, in_process: InProcess) -> None:
    for number in range(3):
        completed(stash.root, f"aaaaaa{number + 2}", 86400.0 * 9, {})
    assert "≈" not in in_process(stash, "runs").stdout
    at_work = {"state": State.RUNNING, "started": times.now(), "supervisor": supervisor_here()}
    running = finished(stash.root, "bbbbbbb", {}, **at_work)
    shown = in_process(stash, "runs").stdout
    (row,) = [line for line in shown.splitlines() if running.id in line]
    assert re.search(r"s, ≈ (9d00h|8d23h) left ", row)
    told = in_process(stash, "show", running.id).stdout
    assert re.search(r"(?m)^expected +9d00h, ≈ (9d00h|8d23h) left: the median of 3 completed runs with these", told)
    assert shown.endswith("· ≈ is by the median of 3 completed runs with these parameters\n")


def test_a_plan_says_how_long_it_takes(tmp_path: Path) -> None:
    for number, seconds in enumerate((600.0, 660.0, 6000.0)):
        completed(tmp_path, f"run{number}", seconds, {"a": 1, "seed": number})
    past = Past(Stash(tmp_path))
    past.read(60.0)
    planned = [wanted({"a": 1, "seed": 9}), wanted({"a": 1}), wanted({"a": 1}, organizer="fig/new")]
    heading, *rows, hours, total, basis = resources_table(planned, past=past).splitlines()
    assert heading.split()[-1] == "takes" and [row.split()[-1] for row in rows] == ["11m00s", "11m00s", "-"]
    assert hours.startswith("3 runs: 0.0 CPU-hours")
    assert total == "≈ 22m00s of work in all, without 1 of which no earlier run tells"
    assert basis == "· ≈ is by the median of 3 completed runs with these parameters"
    nothing = Past(Stash(tmp_path / "nowhere"))
    nothing.read(60.0)
    assert resources_table(planned, past=nothing) == resources_table(planned)


def test_a_sweep_knows_before_its_first_run_has_ended(tmp_path: Path) -> None:
    for number in range(3):
        completed(tmp_path, f"run{number}", 50.0, {})
    expectation = Expectation(Past(Stash(tmp_path)))
    run = wanted({}, estimated_runtime=7.0)
    expectation.look_back(60.0)
    assert expectation.of(None) is None  # nothing has begun
    expectation.meet(run)
    assert (expectation.of(run), expectation.of(None)) == (7.0, 7.0)
    expectation.look_back(60.0)
    assert (expectation.of(run), expectation.of(None)) == (50.0, 50.0)
    ended = wanted({}, state=State.COMPLETED, duration=3.0)
    expectation.learn(ended)  # this machine, this code: that tells more
    assert (expectation.of(run), expectation.of(None)) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("said", "took", "found"),
    [
        ("30m", 7200.0, "30m00s, but its runs took 2h00m, 4 times as long"),
        ("3h", 600.0, "3h00m, but its runs took 10m00s, 18 times less"),
        ("30m", 2400.0, None),
        ("50s", 1.0, None),  # nobody minds
    ],
)
def test_validate_says_which_estimates_are_off(
    stash: StashUnderTest, said: str, took: float, found: str | None
) -> None:
    (stash.add_tool("t", registration="entrypoint: sh\nenvironment: {kind: none}\n") / "readme").write_text("")
    stash.add_experiment("fig/one", "t", f"params: {{lr: 1, seed: 0}}\nestimated_runtime: {said}\n")
    stash.commit()
    for number in range(3):
        warnings = [each for each in validate(Stash(stash.root)).problems if each.check == "runtime"]
        assert warnings == []  # two runs tell too little
        completed(stash.root, f"run{number}", took, {"lr": 1, "seed": number})
    warnings = [each for each in validate(Stash(stash.root)).problems if each.check == "runtime"]
    assert len(warnings) == (0 if found is None else 1)
    for each in warnings:
        assert found is not None and found in each.what and each.line is not None
        assert each.what.endswith("the median of 3 completed runs with these parameters")
