"""Which files of a run are histories, and what is read of them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.histories import find, history
from experimentstash.adapters.wandb import log
from experimentstash.record import archives
from experimentstash.record.run import Run
from tests.testing.run_parts import run_with


def a_run(directory: Path, **fields: Any) -> Run:
    return run_with("aaaaaaa", directory, **fields)


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def found(directory: Path, **fields: Any) -> dict[tuple[str, str], tuple[dict[str, list[Any]], list[Any]]]:
    """Return the points of each metric by its source and its name, without empty ones."""
    every = {}
    for each in find.of_run(a_run(directory, **fields)).histories:
        for metric, numbers in each.ys.items():
            rows = list(history.points(each, metric))
            xs = {kind: [column[row] for row in rows] for kind, column in each.xs.items()}
            every[each.source, metric] = (xs, [numbers[row] for row in rows])
    return every


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_a_csv_file_that_counts_steps_or_epochs_is_a_history(tmp_path: Path) -> None:
    write(tmp_path, "history.csv", "epoch,loss,note\n0,1.0,a\n1,0.5,b\n2,nan,c\n")
    # As Lightning's logger writes it: what has no value at a step is empty.
    write(tmp_path, "logs/v0/metrics.csv", "epoch,step,train,val\n0,10,3,\n0,19,,4\n1,20,2,\n1,39,,3\n")
    assert found(tmp_path) == {
        ("history.csv", "loss"): ({"epoch": [0, 1, 2]}, [1.0, 0.5, pytest.approx(math.nan, nan_ok=True)]),
        ("logs/v0/metrics.csv", "train"): ({"step": [10, 20], "epoch": [0, 1]}, [3, 2]),
        ("logs/v0/metrics.csv", "val"): ({"step": [19, 39], "epoch": [0, 1]}, [4, 3]),
    }


@pytest.mark.parametrize(
    "text",
    [
        "x,y,label\n1,2,0\n2,3,1\n",  # an embedding
        "step,x,y\n" + "".join(f"{number * 37 % 50},1,2\n" for number in range(50)),  # steps in no order
        "step,loss\n1,2\n",  # a single row
        "step,loss\n3,2\n3,4\n",
        "step,name\n1,a\n2,b\n",
        "",
        "\0\n\0\n",
    ],
)
def test_what_counts_nothing_is_no_history(tmp_path: Path, text: str) -> None:
    write(tmp_path, "history.csv", text)
    assert found(tmp_path) == {}


def test_other_csv_files_are_read_only_if_metrics_in_them_are_declared(tmp_path: Path) -> None:
    for name in ("mine.csv", "runs/a/other.csv", "third.csv", "never.csv"):
        write(tmp_path, name, "iter,loss\n1,2\n2,1\n")
    sources = {"loss": {"column": "loss", "file": "mine.csv"}, "all": {"column": "*", "file": "runs/*/other.csv"}}
    assert found(tmp_path, metric_sources=sources, objective={"column": "loss", "file": "third.csv"}) == {
        (name, "loss"): ({"step": [1, 2]}, [2, 1]) for name in ("mine.csv", "runs/a/other.csv", "third.csv")
    }


def test_of_columns_that_count_the_one_that_rises_is_taken(tmp_path: Path) -> None:
    rows = "".join(f"{epoch},{batch},{1.5},{9 - epoch}\n" for epoch in range(15) for batch in range(3))
    write(tmp_path, "log.csv", f"epoch,step,time,loss\n{rows}")
    ((_, name),) = (key for key in found(tmp_path) if key[1] != "time")
    assert name == "loss"
    assert list(found(tmp_path)["log.csv", "loss"][0]) == ["epoch"]
    assert found(tmp_path)["log.csv", "time"][1] == [1.5] * 45  # which is a number here, that of an epoch


def test_what_was_done_again_counts_as_it_was_done_last(tmp_path: Path) -> None:
    write(tmp_path, "progress.csv", "time/total_timesteps,r\n1,1\n2,2\n3,3\ntime/total_timesteps,r\n2,20\n4,40\n")
    assert found(tmp_path) == {("progress.csv", "r"): ({"step": [1, 2, 4]}, [1, 20, 40])}


def test_times_since_1970_are_shown_from_the_beginning(tmp_path: Path) -> None:
    write(tmp_path, "log.csv", "step,timestamp,loss\n1,1760000000.5,2\n2,1760000002,1\n")
    assert found(tmp_path)["log.csv", "loss"][0] == {"step": [1, 2], "time": [0, 1.5]}


# --- JSON lines ------------------------------------------------------------------------------------------------------


def test_json_lines_are_a_history_torn_and_odd_ones_left_out(tmp_path: Path) -> None:
    lines = ['{"step": 1, "train": {"loss": 2}, "ok": true, "text": "a"}', "no json", "[1]", '{"step": 2, "big": %s}']
    lines += ['{"step": 3, "train": {"loss": NaN}}', '{"step": 4, "train": {"loss": "Infinity"}}', '{"step": 5, "tra']
    write(tmp_path, "logs/train.jsonl", "\n".join(lines) % 10**400)
    write(tmp_path, "predictions.jsonl", '{"y": 1}\n{"y": 2}\n' * 30)
    ((xs, ys),) = found(tmp_path).values()
    assert xs == {"step": [1, 3, 4]} and str(ys) == "[2.0, nan, inf]"


# --- TensorBoard and W&B ---------------------------------------------------------------------------------------------


def test_event_files_are_histories_a_tag_each(tmp_path: Path) -> None:
    writer_of = pytest.importorskip("tensorboard.summary.writer.event_file_writer").EventFileWriter
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    writer = writer_of(str(tmp_path / "tb"))
    for step in range(3):
        for tag, every in (("loss", 1), ("step", 2)):
            if step % every == 0:
                value = Summary.Value(tag=tag, simple_value=step / 2)
                writer.add_event(Event(step=step * 10, wall_time=1.76e9 + step, summary=Summary(value=[value])))
    writer.close()
    assert found(tmp_path) == {
        ("tb", "loss"): ({"step": [0, 10, 20], "time": [0, 1, 2]}, [0, 0.5, 1]),
        ("tb", "step"): ({"step": [0, 20], "time": [0, 2]}, [0, 1]),
    }
    event_file = next((tmp_path / "tb").iterdir())
    event_file.write_bytes(event_file.read_bytes() + b"\0" * 40)
    assert found(tmp_path)["tb", "loss"][1] == [0, 0.5, 1]
    assert "is damaged after" in find.of_run(a_run(tmp_path)).notes[0]


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def logged(**items: Any) -> bytes:
    """Return a history record as wandb writes it: each item has the keys that lead to it, and its value as JSON."""
    body = b"".join(
        field(1, field(2, name.encode()) + field(16, json.dumps(value).encode())) for name, value in items.items()
    )
    return field(2, body)


def test_the_log_of_a_wandb_run_is_a_history(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "offline-run-20260101_000000-abc"
    folder.mkdir(parents=True)
    values = [{"_step": step, "_timestamp": 1.76e9 + step, "loss": 3 - step, "n": {"a": step}} for step in range(3)]
    log.write(folder / "run-abc.wandb", [logged(**each, word="x", _wandb=1, _runtime=7) for each in values])
    source = "wandb/offline-run-20260101_000000-abc/run-abc.wandb"
    xs = {"step": [0, 1, 2], "time": [0, 1, 2]}
    assert found(tmp_path) == {(source, "loss"): (xs, [3, 2, 1]), (source, "n.a"): (xs, [0, 1, 2])}


def test_of_a_metric_that_several_kinds_have_the_first_counts(tmp_path: Path) -> None:
    write(tmp_path, "history.csv", "step,loss\n1,2\n2,1\n")
    write(tmp_path, "log.jsonl", '{"step": 1, "loss": 2, "acc": 0}\n{"step": 2, "loss": 1, "acc": 1}\n')
    assert list(found(tmp_path)) == [("history.csv", "loss"), ("log.jsonl", "acc")]


# --- what is outside, too large, archived ----------------------------------------------------------------------------


def test_no_link_is_followed_and_nothing_is_waited_for(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    write(outside, "history.csv", "step,loss\n1,2\n2,1\n")
    (run / "history.csv").symlink_to(outside / "history.csv")
    (run / "folder").symlink_to(outside)
    os.mkfifo(run / "metrics.csv")
    sources = {"a": {"column": "loss", "file": "folder/history.csv"}, "b": {"column": "loss", "file": "history.csv"}}
    given = find.of_run(a_run(run, metric_sources=sources))
    assert not given.histories
    assert given.notes == [
        "folder/history.csv: it is a symbolic link, where a directory must be",
        "history.csv: it is a symbolic link",
    ]


def test_what_is_too_large_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "history.csv", "step,loss\n1,2\n2,1\n")
    os.truncate(tmp_path / "history.csv", history.LARGEST + 1)
    many = ",".join(f"m{number}" for number in range(history.MOST_METRICS + 5))
    row = ",".join("1" for _ in range(history.MOST_METRICS + 5))
    write(tmp_path, "log.csv", f"{many},step\n{row},1\n{row},2\n")
    given = find.of_run(a_run(tmp_path))
    assert given.notes == ["history.csv: it has more than 32 MB", "log.csv: it has more metrics than are shown"]
    assert len(given.histories[0].ys) == history.MOST_METRICS


def test_histories_of_archived_runs_are_read_where_they_are(tmp_path: Path) -> None:
    import zipfile

    sweep = tmp_path / "12-00-00-abcdefg"
    with zipfile.ZipFile(archives.path_for(sweep), "w") as packed:
        packed.writestr(f"{sweep.name}/0/run.json", "{}")
        packed.writestr(f"{sweep.name}/0/history.csv", "step,loss\n1,2\n2,1\n")
        packed.writestr(f"{sweep.name}/0/.wandb/", "")  # W&B's directory, and no log of a run
        packed.writestr(f"{sweep.name}/1/run.json", "{}")
        packed.writestr(f"{sweep.name}/1/log.jsonl", '{"step": 1, "a": 1}\n{"step": 2, "a": 1}\n')
    assert list(found(sweep / "0")) == [("history.csv", "loss")]
    assert list(found(sweep / "1")) == [("log.jsonl", "a")]
    assert not find.of_run(a_run(sweep / "0")).notes
