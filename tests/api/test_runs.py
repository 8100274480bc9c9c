"""`es.runs`: chosen as on the command line, a sequence of runs, and a frame in which each column has its type."""

from __future__ import annotations

import datetime
import math
import os
import sys
import warnings
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import experimentstash as es
from experimentstash.record import added, records
from experimentstash.record.run import State
from tests.testing.finished import finished
from tests.testing.run_parts import put
from tests.testing.stash import StashUnderTest

SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def ended(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    """A stash with runs of two tools, seen from a folder in it."""
    params = [
        {"seed": 1, "lr": 0.1, "model": {"depth": 2, "kind": "a"}, "layers": [1, 2], "deep": True},
        {"seed": 2, "lr": 1, "model": {"depth": None, "kind": "b"}, "layers": [3], "deep": None},
        {"seed": 3, "lr": {"_float_": "nan"}, "huge": 10**30, "mixed": "x"},
        {"seed": 4, "mixed": 1},
    ]
    for number, each in enumerate(params):
        finished(
            stash.root,
            f"r{number:06}",
            each,
            {"acc": math.nan if number == 1 else number / 10, **({"loss": math.inf} if number == 2 else {})},
            exp=f"fig/{'ab'[number // 2]}",
            tool="ab"[number // 2],
            tags=["t"] * (number == 0),
            state=State.FAILED if number == 3 else State.COMPLETED,
            second=number,
            duration=1.5 * number,
            exit_code=int(number == 3),
        )
    monkeypatch.chdir(stash.root / "conf")
    return stash


def ids(runs: es.Runs) -> list[str]:
    return [run.id for run in runs]


def test_runs_are_chosen_as_on_the_command_line(ended: StashUnderTest) -> None:
    assert ids(es.runs()) == ["r000003", "r000002", "r000001", "r000000"]
    assert ids(es.runs("r000002", "r000000")) == ["r000002", "r000000"]
    assert ids(es.runs("latest")) == ["r000003"]
    assert ids(es.runs(exp="fig/b", state="completed")) == ["r000002"]
    assert ids(es.runs(exp=["fig/a", "fig/b"], tool="a", where="params.seed < 2")) == ["r000000"]
    assert ids(es.runs(tag="t", until="2026-02-01", since="2026-01-01")) == ["r000000"]
    assert len(es.runs(since="2027-01-01")) == 0
    with pytest.raises(es.StashError, match="There is no state 'faild'"):
        es.runs(state="faild")
    with pytest.raises(es.StashError, match="it can't be read"):
        es.runs(where="params.seed <")


def test_a_stash_is_found_or_named(ended: StashUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(es.StashError, match="not inside a stash"):
        es.runs()
    assert len(es.runs(stash=ended.root)) == len(es.runs(stash=str(ended.root / "conf"))) == 4


def test_they_are_a_sequence(ended: StashUnderTest) -> None:
    runs = es.runs()
    assert (len(runs), runs[0].id, runs[-1].id) == (4, "r000003", "r000000")
    assert isinstance(runs[1:], es.Runs) and ids(runs[1:3]) == ["r000002", "r000001"]
    assert runs[0] in runs and runs[0] == es.runs("latest")[0] and len({*runs, *es.runs()}) == 4
    assert repr(runs[:1]) == "<1 run>\n  <Run r000003: fig/b, failed in 4.5s>"
    assert repr(runs[:0]) == "<0 runs>"


def test_a_frame_of_pandas_has_the_right_types(ended: StashUnderTest) -> None:
    frame = es.runs().to_pandas()
    assert list(frame.columns[:4]) == ["id", "state", "experiment", "tool"]
    kinds = {name: str(frame[name].dtype) for name in frame}
    assert kinds["id"] == kinds["state"] == kinds["params.model.kind"] == "string"
    assert kinds["params.seed"] == kinds["exit_code"] == "int64" or kinds["exit_code"] == "Int64"
    assert (kinds["params.model.depth"], kinds["params.deep"]) == ("Int64", "boolean")
    assert kinds["params.lr"] == kinds["metrics.acc"] == kinds["metrics.loss"] == kinds["duration"] == "float64"
    assert kinds["params.layers"] == kinds["params.huge"] == kinds["params.mixed"] == kinds["tags"] == "object"
    assert isinstance(frame["started"].dtype, pd.DatetimeTZDtype) and str(frame["started"].dtype.tz) == "UTC"
    row = frame.set_index("id").loc["r000000"]
    assert (row["params.layers"], row["tags"], row["metrics.acc"], row["params.lr"]) == ([1, 2], ["t"], 0.0, 0.1)
    assert row["started"] == datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
    assert frame.groupby("experiment")["metrics.acc"].mean()["fig/b"] == pytest.approx(0.25)
    assert list(frame[frame.state == "failed"].id) == ["r000003"]
    assert frame["metrics.loss"].tolist()[1] == math.inf
    assert str(es.runs(since="2027-01-01").to_pandas()["started"].dtype).startswith("datetime64")


def test_a_frame_of_polars_tells_nan_from_what_is_missing(ended: StashUnderTest) -> None:
    frame = es.runs().to_polars()
    schema = frame.schema
    assert schema["params.seed"] == pl.Int64 and schema["params.lr"] == pl.Float64 and schema["state"] == pl.String
    assert schema["started"] == pl.Datetime("ms", "UTC") and schema["params.deep"] == pl.Boolean
    assert schema["tags"] == pl.List(pl.String)
    assert frame["metrics.loss"].to_list() == [None, math.inf, None, None]
    acc = frame["metrics.acc"].to_list()
    assert math.isnan(acc[2]) and None not in acc
    assert frame["params.layers"].to_list() == [None, None, "[3]", "[1, 2]"]
    assert frame["params.mixed"].to_list() == ["1", '"x"', None, None]
    assert es.runs(since="2027-01-01").to_polars().schema["started"] == pl.Datetime("ms", "UTC")


def test_neither_is_needed(ended: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(es.StashError, match=f"{name} isn't installed here") as error:
            getattr(es.runs(), f"to_{name}")()
        assert error.value.hint == f"pip install {name}"


def test_tags_that_were_added_later_are_its_tags(ended: StashUnderTest) -> None:
    run = es.runs("r000000")[0]
    added.change_tags(records.read(run.directory), ended.root / ".lock", ["paper"], ["t"])
    assert es.runs("r000000")[0].tags == ["paper"] and [each.id for each in es.runs(tag="paper")] == ["r000000"]


def test_all_that_a_run_tells(ended: StashUnderTest) -> None:
    run = es.runs("r000000")[0]
    assert (run.state, run.is_completed, run.is_over, run.experiment, run.tool) == (
        "completed",
        True,
        True,
        "fig/a",
        "a",
    )
    assert run.params["model"] == {"depth": 2, "kind": "a"} and run.metrics == {"acc": 0.0}
    assert math.isnan(es.runs("r000002")[0].params["lr"])
    assert (run.tags, run.overrides, run.duration, run.exit_code, run.reason) == (["t"], [], 0.0, 0, None)
    assert run.started == run.created == datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
    assert (run.ended, run.error, run.warnings, run.directory.name) == (None, None, [], "12-00-00-r000000")
    records.write(put(run._record, state=State.RUNNING, duration=61.0))
    assert run.refresh() is run


def test_files_of_a_run(ended: StashUnderTest) -> None:
    run = es.runs("r000000")[0]
    (run.directory / "sub").mkdir()
    (run.directory / "sub" / "a.csv").write_text("1")
    assert run.path("sub/a.csv").read_text() == "1" and run.path("run.json").is_file()
    with pytest.raises(es.StashError, match=r"has no embeddings.csv.\nIn .*: .*run.json, sub"):
        run.path("embeddings.csv")
    (run.directory / "away").symlink_to("/etc")
    (run.directory / "pw").symlink_to("/etc/passwd")
    (run.directory / "best").symlink_to("sub/a.csv")
    assert run.path("best").read_text() == "1"
    for outside in ("../r", "/etc/passwd", ""):
        with pytest.raises(es.StashError, match="is not in the directory of r000000"):
            run.path(outside)
    for outside in ("pw", "away/passwd"):
        with pytest.raises(es.StashError, match="of r000000 is a link that leads out of its directory, to /etc/passwd"):
            run.path(outside)


def test_a_log_is_masked(ended: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    run = es.runs("r000003")[0]
    with pytest.raises(es.StashError, match="has no log yet"):
        run.log()
    (run.directory / "output.log").write_bytes(b"\xff " + f"{SECRET}\nValueError: {SECRET}\n".encode())
    assert run.log() == f"\ufffd {'*' * 40}\nValueError: {'*' * 40}\n"
    assert run.error == f"ValueError: {'*' * 40}"
    with pytest.raises(es.StashError, match="has had 1 attempts, not 2"):
        run.log(attempt=2)


def test_what_a_notebook_shows_is_escaped(ended: StashUnderTest) -> None:
    run = finished(ended.root, "odd0000", {"name": "<script>&\x1b[31m"}, second=9)
    shown = es.runs()._repr_html_()
    assert "<caption>5 runs</caption>" in shown and shown.count("<tr>") == 6
    for html in (shown, es.runs(run.id)[0]._repr_html_()):
        assert "&lt;script&gt;&amp;\\x1b[31m" in html and "<script>" not in html and "\x1b" not in html


def test_what_is_not_known_is_a_warning_and_nothing_is_printed(
    ended: StashUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = es.runs("r000000")[0].directory
    unread = es.runs("r000001")[0]._record
    records.write(put(unread, metrics=None))
    (directory / "run.json").write_text("{")
    with pytest.warns(es.StashWarning, match="run.json") as told:
        runs = es.runs()
    assert len(runs) == 3 and [each.filename for each in told] == [__file__]
    with pytest.warns(es.StashWarning, match="nobody has read the numbers of 1 run yet") as told:
        runs.to_pandas()
    with pytest.warns(es.StashWarning, match="nobody has read the numbers of r000001 yet") as more:
        assert runs[-1].metrics == {}
    assert [each.filename for each in (*told, *more)] == [__file__] * 2
    assert capfd.readouterr() == ("", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        es.runs("r000003", "r000002").to_pandas()


def test_records_are_read_anew(ended: StashUnderTest) -> None:
    run = es.runs("r000000")[0]
    os.unlink(run.directory / "run.json")
    with pytest.raises(es.StashError):
        run.refresh()
