"""What a run has come to is read when it ends, and kept in its record: of what this attempt has written, no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experimentstash.record import records, transitions
from experimentstash.record.run import Run, State
from tests.testing.faults import freeze, new_stash, running
from tests.testing.run_parts import put
from tests.testing.stash import StashUnderTest


def shell(root: Path, script: str, **fields: Any) -> Run:
    """Freeze a run of a shell script that begins in the run's directory."""
    run = freeze(new_stash(root), [], **fields)
    put(run, argv=["sh", "-c", script], cwd=str(run.path))
    records.write(run)
    return run


def executed(run: Run) -> dict[str, Any]:
    with running(run) as one:
        attempt: dict[str, Any] = one.end()["attempt"]
    return attempt


def test_numbers_are_kept_at_the_end(tmp_path: Path) -> None:
    run = shell(tmp_path, """echo '{"val": {"loss": NaN, "acc": 0.5}}' > metrics.json""", objective={"key": "val.acc"})
    attempt = executed(run)
    assert attempt["metrics"] == {"val.acc": 0.5, "val.loss": {"_float_": "nan"}}
    assert (attempt["result"], attempt["notes"], attempt["state"]) == (0.5, [], "completed")


def test_of_a_run_that_fails_too(tmp_path: Path) -> None:
    attempt = executed(shell(tmp_path, """echo '{"loss": 1}' > metrics.json; exit 3"""))
    assert (attempt["state"], attempt["metrics"]) == ("failed", {"loss": 1.0})


def test_there_need_be_none(tmp_path: Path) -> None:
    attempt = executed(shell(tmp_path, "true"))
    assert (attempt["metrics"], attempt["notes"]) == ({}, [])


def test_what_cant_be_read_fails_nothing(tmp_path: Path) -> None:
    attempt = executed(shell(tmp_path, "echo '{' > metrics.json"))
    assert (attempt["state"], attempt["exit_code"], attempt["metrics"]) == ("completed", 0, {})
    assert attempt["notes"][0].startswith("there are no numbers: metrics.json is no JSON: Expecting property name")


def test_what_an_earlier_attempt_has_left_is_not_the_next_ones(tmp_path: Path) -> None:
    script = """test -e metrics.json && exit; echo '{"loss": 1}' > metrics.json; kill -9 $$"""
    run = shell(tmp_path, script, resume=[], objective={"key": "loss", "file": "metrics.json"})
    assert executed(run)["metrics"] == {"loss": 1.0}
    run = records.read(run.path)
    transitions.open_next_attempt(run, State.FROZEN)
    records.write(run)
    attempt = executed(run)
    assert (attempt["state"], attempt["metrics"], attempt["result"]) == ("completed", {}, None)
    assert attempt["notes"] == [
        "no value for the objective (loss in metrics.json): metrics.json is from before this attempt, which has not"
        " written it",
        "there are no numbers: metrics.json is from before this attempt, which has not written it",
    ]
    earlier = records.read(run.path).earlier[0]
    assert earlier.metrics == {"loss": 1.0}


def test_what_is_declared_goes_with_the_run(stash: StashUnderTest) -> None:
    stash.add_tool(
        "parabola",
        "parabola",
        "entrypoint: main.py\ncall: {style: options, output: --out}\n"
        "metrics:\n  least: {column: loss, file: metrics.csv, take: min}\n  said: {pattern: 'loss=(\\S+)'}\n",
    )
    stash.add_experiment("one", "parabola", "params: {x: 2}\nmetrics: {said: {better: lower}}\nobjective: least\n")
    done = stash.cli("run", "one")
    assert done.returncode == 0, done.stderr
    record = stash.record()
    assert record["spec"]["metric_sources"] == {
        "least": {"column": "loss", "file": "metrics.csv", "take": "min"},
        "said": {"pattern": "loss=(\\S+)", "file": None, "take": "last"},
    }
    assert record["spec"]["objective"] == record["spec"]["metric_sources"]["least"]
    attempt = record["attempt"]
    assert attempt["metrics"] == {"least": 0.25, "said": 0.25, "loss": 0.25, "x": 2.0, "test.distance": 0.5}
    assert (attempt["result"], attempt["notes"]) == (0.25, [])
