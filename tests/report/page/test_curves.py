"""Curves of runs: thinned, and means with bands over what differs only in its seed."""

from __future__ import annotations

import base64
import random
import statistics
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from experimentstash.record import times
from experimentstash.record.run import Run
from experimentstash.report.page import curves
from experimentstash.report.page.age import OLDER
from experimentstash.report.page.fitting import Fitting, Room
from experimentstash.report.page.model import Figure, Picture, Report, Runs
from tests.testing.run_parts import run_with


def run_that_logged(directory: Path, text: str, name: str = "history.csv") -> Run:
    directory.mkdir()
    (directory / name).write_text(text, encoding="utf-8")
    return run_with("aaaaaaa", directory)


@given(some.lists(some.one_of(some.none(), some.floats(allow_nan=False)), max_size=200), some.integers(1, 40))
def test_thinning_keeps_what_is_least_and_greatest_and_both_ends(ys: list[float | None], most: int) -> None:
    kept = curves.m4(ys, most)
    if kept is None:
        assert len(ys) <= max(most, 4)
        return
    there, left = [y for y in ys if y is not None], [y for row in kept if (y := ys[row]) is not None]
    assert kept == sorted(set(kept)) and kept[0] == 0 and kept[-1] == len(ys) - 1
    assert (min(there), max(there)) == (min(left), max(left)) if there else not left
    assert (None in ys) == any(ys[row] is None for row in kept)
    assert len(kept) <= max(5, most * 5 // 4)


def test_a_long_curve_is_thinned_and_has_gaps_where_there_is_no_number(tmp_path: Path) -> None:
    chance = random.Random(0)
    values = [chance.random() for _ in range(5000)]
    values[1234], values[2345] = 7.0, float("nan")
    text = "".join(f"{step},{value!r}\n" for step, value in enumerate(values))
    (curve,) = curves.of_runs([run_that_logged(tmp_path / "a", f"step,loss\n{text}")], most=100).curves
    assert curve.is_thinned and 80 < len(curve.ys) <= 130 and len(curve.xs["step"]) == len(curve.ys)
    assert 7 in curve.ys and None in curve.ys
    assert curve.xs["step"][curve.ys.index(7)] == 1234 and curve.xs["step"][curve.ys.index(None)] == 2345
    fewer = curves.thinned(curves.Curves([curve], [], []), 20).curves[0]
    assert len(fewer.ys) < 30 and 7 in fewer.ys and None in fewer.ys


def test_a_band_is_the_mean_and_a_deviation_at_the_steps_that_all_have(tmp_path: Path) -> None:
    runs: list[Run | None] = [
        run_that_logged(tmp_path / "a", "step,epoch,loss\n0,0,1\n1,0,2\n2,1,3\n3,1,4\n"),
        run_that_logged(tmp_path / "b", "step,epoch,loss\n0,0,3\n2,1,nan\n3,1,4\n"),
        None,
        run_that_logged(tmp_path / "c", "step,loss\n7,1\n8,1\n"),
        run_that_logged(tmp_path / "d", "step,loss\n17,1\n18,1\n"),
    ]
    found = curves.of_runs(runs, [[0, 1, 2], [3, 4]])
    assert [(curve.run, curve.metric, curve.ys) for curve in found.curves] == [
        (0, "loss", [1, 2, 3, 4]),
        (1, "loss", [3, None, 4]),
        (3, "loss", [1, 1]),
        (4, "loss", [1, 1]),
    ]
    (band,) = found.bands  # the others have no step in common
    assert (band.row, band.metric, band.count) == (0, "loss", 2)
    assert band.xs == {"step": [0, 2, 3], "epoch": [0, 1, 1]}
    apart = statistics.stdev([1, 3])
    assert band.middles == [2, None, 4]
    assert band.lows == [pytest.approx(2 - apart, rel=1e-5), None, 4]
    assert band.highs == [pytest.approx(2 + apart, rel=1e-5), None, 4]


def test_a_curve_of_an_earlier_attempt_says_so_and_is_in_no_band(tmp_path: Path) -> None:
    runs = [
        run_that_logged(tmp_path / name, f"step,loss\n1,{number}\n2,{number}\n") for number, name in enumerate("abc")
    ]
    runs[0].attempt.started = times.as_text(time.time() + 3600)
    runs[1].attempt.started = times.as_text(time.time())
    found = curves.of_runs(runs, [[0, 1, 2]])
    assert [curve.note for curve in found.curves] == [OLDER, None, None]
    assert [(band.count, band.middles) for band in found.bands] == [(2, [1.5, 1.5])]
    assert found.remarks == [f"curves: those of 1 run are {OLDER}, and in no mean"]


def test_what_cannot_be_read_is_a_remark_once(tmp_path: Path) -> None:
    runs = [run_that_logged(tmp_path / name, "step,loss\n1,2\n2,1\n") for name in "ab"]
    for run in runs:
        (run.path / "log.csv").symlink_to("history.csv")
        run.spec = type(run.spec)(**{**vars(run.spec), "metric_sources": {"x": {"column": "x", "file": "log.csv"}}})
    assert curves.of_runs(runs).remarks == ["curves: log.csv: it is a symbolic link (in 2 runs)"]


def test_where_there_is_no_room_for_curves_the_means_of_rows_stay() -> None:
    chance = random.Random(0)
    xs = {"step": list(range(400))}
    lines = [curves.Curve(run, "loss", "history.csv", xs, [chance.random() for _ in range(400)]) for run in range(300)]
    band = curves.Band(0, "loss", 300, xs, lines[0].ys, lines[1].ys, lines[2].ys)
    found = Fitting(Report("t", "s", "", "", "", Runs(0, [], [])), Room(40_000))
    found.add_curves(curves.Curves(lines, [band], []))
    assert found.data["curves"] == [] and len(found.data["bands"]) == 1
    assert found.remarks == ["300 curves left out: there is no room for them, only for the means of rows"]


def test_pictures_leave_room_for_all_points_of_curves_if_they_can() -> None:
    chance = random.Random(0)
    xs = {"step": list(range(400))}
    lines = [curves.Curve(run, "loss", "history.csv", xs, [chance.random() for _ in range(400)]) for run in range(20)]
    found = Fitting(Report("t", "s", "", "", "", Runs(0, [], [])), Room(250_000))

    def make(most: int, better: int) -> tuple[list[Figure], list[str]]:
        assert better < most
        thumb = base64.b64encode(chance.randbytes(better * 3 // 4)).decode()
        return [Figure("", [Picture(0, "a.png", "png", "thumb", thumb, None, 1, 1)], [0])], []

    following = curves.Curves(lines, [], [])
    found.add_figures(make, following)
    found.add_curves(following)
    assert (len(found.data["curves"]), found.remarks) == (20, [])
