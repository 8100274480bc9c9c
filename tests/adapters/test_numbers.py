"""Where numbers are read besides an objective's places: all of a file, W&B's summaries, TensorBoard's event files."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.numbers import declarations, sources
from experimentstash.adapters.numbers.metrics import measure
from experimentstash.adapters.numbers.place import Missing, Place
from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import places, summary
from experimentstash.base.errors import StashError
from experimentstash.record.run import Attempt, Run, State
from experimentstash.stash.schema import MetricConfig
from tests.testing.run_parts import run_with
from tests.testing.stash import PATIENCE

# Logs into a directory what the tests below look for, as a tool would.
WANDB = """
import math, os, sys, wandb
run = wandb.init(project="p", mode="offline", dir=sys.argv[1])
run.define_metric("best", summary="min")
for step in range(3):
    run.log({"loss": 1 / (step + 1), "val/acc": step, "nest": {"a": step, "nan": math.nan}, "best": step, "word": "x"})
run.summary["said"] = 7
run.summary["gone"] = 7
del run.summary["gone"]
run.finish()
"""
CLASH = "names with dots and nested ones come to the same, with different numbers: which one is meant?"
IN_SUMMARY = {"loss": 1 / 3, "val/acc": 2.0, "nest.a": 2.0, "nest.nan": math.nan, "best.min": 0.0, "said": 7.0}


def read(given: dict[str, Any], place: Place) -> dict[str, float]:
    return dict(sources.checked(given, "metrics.x", place.directory).numbers(place))


def in_place(directory: Path, **fields: Any) -> Place:
    return Place(directory, "output.log", wandb=lambda: places.below(directory), **fields)


def measured(directory: Path, metrics: dict[str, dict[str, Any]] | None = None, **fields: Any) -> Run:
    run = run_with("aaaaaaa", directory, state=State.COMPLETED, metrics={})
    run.spec = type(run.spec)(**{**vars(run.spec), "metric_sources": metrics or {}})
    run.attempt.notes += measure(run, in_place(directory, **fields))
    return run


# --- what a number is ------------------------------------------------------------------------------------------------


def test_what_has_two_values_or_none_that_a_float_holds_is_noted_and_not_guessed(tmp_path: Path) -> None:
    text = '{"x.y": 6, "x": {"y": 7}, "same.a": 1, "same": {"a": 1.0}, "big": %s, "less": -1e999, "inf": Infinity,'
    text += ' "k": 1, "p.q": {"r": 1}, "p": {"q.r": 2}}'
    (tmp_path / "metrics.json").write_text(text % 10**400)
    (tmp_path / "more.json").write_text('{"x.y": 6, "x": {"y": 7}}')
    run = measured(tmp_path)
    assert run.attempt.metrics == {"same.a": 1.0, "inf": math.inf, "k": 1.0}
    assert [note.partition(": ")[::2] for note in run.attempt.notes] == [
        ("no value for the metric x.y", CLASH),
        ("no value for the metric big", "int too large to convert to float"),
        ("no value for the metric less", "the number is too large"),
        ("no value for the metric p.q.r", CLASH),
    ]
    run = measured(
        tmp_path, {"more": {"key": "*", "file": "more.json"}, "one": {"key": "p.q.r"}, "big": {"key": "less"}}
    )
    assert run.attempt.metrics is not None and not {"more.x.y", "one", "big"} & set(run.attempt.metrics)
    assert f"no value for the metric more.x.y: {CLASH}" in run.attempt.notes
    assert f"no value for the metric one (p.q.r in metrics.json): {CLASH}" in run.attempt.notes
    assert "no value for the metric big (less in metrics.json): the number is too large" in run.attempt.notes


def test_a_number_of_a_text_that_no_float_holds_is_none(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("a,b\n1e999,-inf\n")
    with pytest.raises(Missing, match="too large: 1e999"):
        read({"column": "a", "file": "h.csv"}, in_place(tmp_path))
    assert read({"column": "b", "file": "h.csv"}, in_place(tmp_path)) == {"b": -math.inf}


def test_of_many_such_numbers_some_are_noted(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({f"n{number}": 10**400 for number in range(50)}))
    notes = measured(tmp_path).attempt.notes
    assert len(notes) == 21 and notes[-1] == "no value for the metrics of 30 more names either"


# --- what is declared ------------------------------------------------------------------------------------------------


def test_an_experiment_wins_over_its_tool_by_name(tmp_path: Path) -> None:
    registered = {
        "loss": MetricConfig(column="val", file="history.csv", take="min", label="Loss"),
        "acc": MetricConfig(key="acc"),
        "shown": MetricConfig(label="only shown"),
    }
    own = {"acc": MetricConfig(pattern="acc=(.*)"), "loss": MetricConfig(label="other")}
    assert declarations.frozen(registered, own, tmp_path) == {
        "loss": {"column": "val", "file": "history.csv", "take": "min"},
        "acc": {"pattern": "acc=(.*)", "file": None, "take": "last"},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (MetricConfig(file="x.csv"), "none of key, column, pattern, wandb and tensorboard is given"),
        (MetricConfig(key="a", column="b"), "metrics.x: unknown key 'column'"),
        (MetricConfig(wandb="a", file="x"), "metrics.x: unknown key 'file'.\nValid: wandb"),
        (MetricConfig(tensorboard="a", take="best"), "take: 'best' is none of last, min, max, mean"),
        (MetricConfig(key="a", file="../x.json"), "is not in the run directory"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, given: MetricConfig, message: str) -> None:
    with pytest.raises(StashError, match=r"^metrics\.x: ") as raised:
        declarations.frozen({}, {"x": given}, tmp_path)
    assert message in str(raised.value)


def test_the_name_of_all_is_for_all(tmp_path: Path) -> None:
    with pytest.raises(StashError, match="is for all numbers of a file"):
        declarations.frozen({}, {"*": MetricConfig(key="a")}, tmp_path)


# --- all of a file ---------------------------------------------------------------------------------------------------


def test_all_numbers_have_their_own_names_or_stand_below_one(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"a": 1, "b": {"c": 2}, "word": "x"}')
    (tmp_path / "h.csv").write_text("step,loss,note\n1,0.5,x\n2,,\nstep,loss,note\n3,0.25,y\n")
    (tmp_path / "metrics.json").write_text('{"unasked": 1}')
    run = measured(
        tmp_path,
        {
            "b.c": {"column": "loss", "file": "h.csv", "take": "mean"},
            "*": {"key": "*", "file": "results.json"},
            "h": {"column": "*", "file": "h.csv", "take": "max"},
        },
    )
    assert run.attempt.metrics == {"a": 1.0, "b.c": 0.375, "h.step": 3.0, "h.loss": 0.5}
    assert run.attempt.notes == []


def test_what_is_declared_and_missing_is_said_of_completed_runs(tmp_path: Path) -> None:
    declared = {"a": {"key": "a", "file": "none.json"}, "b": {"key": "b", "file": "metrics.json"}}
    (tmp_path / "metrics.json").write_text('{"b": NaN}')
    run = measured(tmp_path, declared)
    assert run.attempt.metrics is not None and math.isnan(run.attempt.metrics["b"]) and len(run.attempt.metrics) == 1
    (note,) = run.attempt.notes
    assert note.startswith("no value for the metric a (a in none.json): the run directory has no none.json.")
    run.attempt = Attempt(1, State.FAILED)
    assert measure(run, in_place(tmp_path)) == []


def test_the_mean_of_one_that_is_none_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("a\n1\nnan\n")
    assert math.isnan(read({"column": "a", "file": "m.csv", "take": "mean"}, in_place(tmp_path))["a"])
    (tmp_path / "m.csv").write_text("a\ninf\n-inf\n")
    assert math.isnan(read({"column": "a", "file": "m.csv", "take": "mean"}, in_place(tmp_path))["a"])


def test_what_is_too_large_for_now_is_left_for_later(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("a\n1\n" + "2\n" * 100)
    given = {"column": "a", "file": "m.csv"}
    with pytest.raises(Missing, match="`experimentstash metrics refresh` reads it"):
        read(given, in_place(tmp_path, most=100))
    assert read(given, in_place(tmp_path)) == {"a": 2.0}


# --- W&B -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that has logged with the real wandb, offline."""
    directory = tmp_path_factory.mktemp("wandb")
    environment = {**os.environ, "WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", WANDB, directory], env=environment, check=True, timeout=PATIENCE)
    return directory


@pytest.mark.slow
def test_a_summary_is_what_wandb_says(offline: Path) -> None:
    found = read({"wandb": "*"}, in_place(offline))
    assert found.keys() == IN_SUMMARY.keys()
    assert found == pytest.approx(IN_SUMMARY, nan_ok=True)
    assert read({"wandb": "val/acc"}, in_place(offline)) == {"val/acc": 2.0}
    with pytest.raises(Missing, match=r"it has no 'los'. Did you mean 'loss'\?"):
        read({"wandb": "los"}, in_place(offline))


def test_without_metrics_json_it_is_taken_unasked(offline: Path, tmp_path: Path) -> None:
    run = measured(offline)
    assert run.attempt.metrics is not None and run.attempt.metrics["val/acc"] == 2.0 and run.attempt.notes == []
    assert measured(tmp_path).attempt.metrics == {}
    since = max(path.stat().st_ctime_ns for path in places.below(offline)) + 1
    assert measured(offline, since=since).attempt.notes == [
        "there are no numbers: the W&B run is from before this attempt, which has not written it"
    ]


def log(directory: Path, records: list[Any], name: str = "offline-run-20260131_120000-a") -> Path:
    """Write a log by the real wandb's own messages."""
    path = directory / "wandb" / name / f"run-{name[-1]}.wandb"
    path.parent.mkdir(parents=True)
    wandb_log.write(path, [record.SerializeToString() for record in records])
    return path


@pytest.mark.slow
def test_logs_of_before_018_have_the_summary_only_at_their_end(tmp_path: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import HistoryRecord, Record, SummaryRecord

    history = HistoryRecord()
    for key, text in (("loss", "0.5"), ("nest", '{"a": 1}'), ("_step", "3"), ("odd", "{")):
        history.item.add(key=key, value_json=text)
    killed = [Record(history=history)]
    path = log(tmp_path, killed)
    assert summary.read(path) == {"loss": 0.5, "nest": {"a": 1}, "odd": None}
    said = SummaryRecord()
    said.update.add(key="loss", value_json="0.25")
    said.update.add(key="gone", value_json="1")
    removed = SummaryRecord()
    removed.remove.add(key="gone")
    ended = log(tmp_path / "b", [*killed, Record(summary=said), Record(summary=removed)])
    assert summary.read(ended) == {"loss": 0.25}


def test_a_log_that_says_endless_depth_is_a_note(tmp_path: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record, SummaryRecord

    said = SummaryRecord()
    said.update.add(nested_key=["a"] * 5000, value_json="1")
    log(tmp_path, [Record(summary=said)])
    run = measured(tmp_path)
    assert run.attempt.metrics == {} and run.attempt.notes[0].startswith("there are no numbers: ")


def test_of_several_wandb_runs_the_one_that_has_it_is_meant(tmp_path: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record, SummaryRecord

    for run, names in (("a", ["loss", "both"]), ("b", ["both", "acc"])):
        said = SummaryRecord()
        for name in names:
            said.update.add(nested_key=[name], value_json="1.5")
        log(tmp_path, [Record(summary=said)], f"run-20260131_120000-{run}")
    place = in_place(tmp_path)
    assert read({"wandb": "*"}, place) == {"loss": 1.5, "acc": 1.5}
    assert read({"wandb": "acc"}, place) == {"acc": 1.5}
    run = measured(tmp_path)
    assert run.attempt.metrics == {"loss": 1.5, "acc": 1.5}
    assert run.attempt.notes == ["no value for the metric both: several W&B runs have it"]
    run = measured(tmp_path, {"*": {"wandb": "*"}})
    assert run.attempt.metrics == {"loss": 1.5, "acc": 1.5}
    assert run.attempt.notes == ["no value for the metric both: several W&B runs have it"]
    run = measured(tmp_path, {"w": {"wandb": "*"}})
    assert run.attempt.metrics == {"loss": 1.5, "acc": 1.5, "w.loss": 1.5, "w.acc": 1.5}
    assert "no value for the metric w.both: several W&B runs have it" in run.attempt.notes
    run = measured(tmp_path, {"*": {"wandb": "*"}, "both": {"wandb": "loss"}})
    assert (run.attempt.metrics, run.attempt.notes) == ({"loss": 1.5, "acc": 1.5, "both": 1.5}, [])
    with pytest.raises(Missing, match="2 W&B runs have it"):
        read({"wandb": "both"}, place)


# --- TensorBoard -----------------------------------------------------------------------------------------------------


def events(directory: Path, *values: Any) -> None:
    """Write event files by TensorBoard's own library: an event for each value."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(directory))
    for step, value in enumerate(values):
        writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=[value])))
    writer.close()


def scalar(tag: str, number: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary.Value(tag=tag, simple_value=number)


def test_scalars_of_event_files(tmp_path: Path) -> None:
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    tensor = scalar_pb("tensor", 0.25).value[0]
    picture = histogram_pb("weights", [1.0, 2.0]).value[0]
    events(tmp_path / "tb", *(scalar("loss", number) for number in (2.0, 0.5, 1.0)), tensor, picture)
    place = in_place(tmp_path)
    taken = {take: read({"tensorboard": "loss", "take": take}, place)["loss"] for take in ("last", "min", "max")}
    assert taken == {"last": 1.0, "min": 0.5, "max": 2.0}
    (name,) = (name for name in read({"tensorboard": "*"}, place) if name.startswith("tensor"))
    assert read({"tensorboard": name, "file": "tb"}, place) == {name: 0.25}
    assert set(read({"tensorboard": "*"}, place)) == {"loss", name}
    with pytest.raises(Missing, match="they have no 'acc'"):
        read({"tensorboard": "acc"}, place)
    with pytest.raises(Missing, match="no event files in other"):
        read({"tensorboard": "acc", "file": "other"}, place)


def test_a_tag_in_several_directories_says_too_little(tmp_path: Path) -> None:
    for folder, number in (("train", 1.0), ("val", 2.0)):
        events(tmp_path / folder, scalar("loss", number))
    place = in_place(tmp_path)
    with pytest.raises(Missing, match="it is in train, val: give one of them as `file:`"):
        read({"tensorboard": "loss"}, place)
    assert read({"tensorboard": "loss", "file": "val"}, place) == {"loss": 2.0}
    assert read({"tensorboard": "*"}, place) == {"train/loss": 1.0, "val/loss": 2.0}


def test_event_files_of_before_are_not_its_own(tmp_path: Path) -> None:
    events(tmp_path, scalar("loss", 1.0))
    since = max(path.stat().st_ctime_ns for path in tmp_path.iterdir()) + 1
    with pytest.raises(Missing, match="from before this attempt"):
        read({"tensorboard": "loss"}, in_place(tmp_path, since=since))


def test_damaged_event_files_are_a_note(tmp_path: Path) -> None:
    events(tmp_path, *(scalar("loss", float(number)) for number in range(50)))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-20])  # as a tool that was killed leaves it
    assert read({"tensorboard": "loss"}, in_place(tmp_path)) == {"loss": 48.0}
    damaged = content[: len(content) // 2] + bytes(16) + content[len(content) // 2 + 16 :]
    path.write_bytes(damaged)
    run = measured(tmp_path, {"loss": {"tensorboard": "loss", "file": None, "take": "last"}})
    assert run.attempt.metrics == {} and " is damaged after " in run.attempt.notes[0]
    path.write_bytes(os.urandom(5000))
    assert measured(tmp_path, {"loss": {"tensorboard": "loss", "file": None, "take": "last"}}).attempt.metrics == {}


def test_without_the_library_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events(tmp_path, scalar("loss", 1.0))
    for name in ("tensorboard", "tensorboard.backend.event_processing.event_file_loader"):
        monkeypatch.setitem(sys.modules, name, None)
    run = measured(tmp_path, {"loss": {"tensorboard": "loss", "file": None, "take": "last"}})
    assert "pip install 'experimentstash[tensorboard]', then `experimentstash metrics refresh`" in run.attempt.notes[0]
    assert run.attempt.metrics == {}


def test_nothing_heavy_is_imported_for_a_plain_file() -> None:
    program = (
        "import sys; from experimentstash.adapters.numbers import metrics;"
        "print([name for name in ('csv', 'wandb', 'tensorboard', 'experimentstash.adapters.wandb.log') if name in"
        " sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert json.loads(done.stdout) == []
