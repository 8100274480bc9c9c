"""`experimentstash runs`: what stands in the table, in which order, and what other programs get."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest

from experimentstash.base.output import Paper
from experimentstash.record.run import State
from experimentstash.report import run_fields, runs_table
from experimentstash.report.metrics import Metric
from experimentstash.runs.facts import Facts
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest


@pytest.fixture
def ended(stash: StashUnderTest) -> StashUnderTest:
    """A stash with five runs, a to e; one has failed without numbers, one has come to NaN."""
    given = [
        ("fig/a", {"lr": 0.1, "n-jobs": 2, "data": "x"}, {"acc": 0.75, "seconds": 3}),
        ("fig/a", {"lr": 0.01, "n-jobs": 2, "data": "x"}, {"acc": 0.1 + 0.2, "seconds": 3}),
        ("fig/b", {"lr": 0.1, "n-jobs": 2, "data": "x"}, {"acc": math.nan}),
        ("fig/b", {"lr": 1, "n-jobs": 2, "data": "x"}, None),
        ("fig/b", {"lr": 0.1, "n-jobs": 2, "data": "x", "k": [1, 2]}, {"acc": 0.9}),
    ]
    for second, (exp, params, numbers) in enumerate(given):
        finished(
            stash.root,
            f"22222{'abcde'[second]}",
            params,
            numbers,
            exp=exp,
            tool=f"tool_{exp[-1]}",
            second=second,
            state=State.FAILED if numbers is None else State.COMPLETED,
        )
    return stash


def listed(stash: StashUnderTest, in_process: InProcess, *words: str) -> list[list[str]]:
    done = in_process(stash, "runs", *words)
    assert done.returncode == 0, done
    return [line.split() for line in done.stdout.splitlines()]


def test_the_table_has_what_runs_differ_by_and_what_they_have_come_to(
    ended: StashUnderTest, in_process: InProcess
) -> None:
    heading, *rows = listed(ended, in_process)
    assert heading == ["run", "state", "experiment", "tool", "lr", "k", "acc", "seconds", "when", "time", "directory"]
    assert rows[0][4:] == ["tool_b", "0.1", "[1,", "2]", "0.9", "-", "2026-01-31", "12:00", "-", rows[0][-1]]
    assert rows[1][1:3] == ["✗", "failed"] and rows[1][5:9] == ["1", "-", "-", "-"]
    assert "0.30000000000000004" in rows[3]  # a file has all digits
    heading, *_ = listed(ended, in_process, "--exp", "fig/a")
    assert heading[4:7] == ["lr", "acc", "seconds"]
    assert listed(ended, in_process, "22222a")[0][3:6] == ["tool", "acc", "seconds"]  # of one nothing differs


def test_numbers_are_shown_as_the_stash_says(ended: StashUnderTest, in_process: InProcess) -> None:
    config = ended.root / "conf" / "config.yaml"
    config.write_text("defaults: [experimentstash]\nmetrics:\n  seconds: {label: s}\n  other: {better: lower}\n")
    assert listed(ended, in_process)[0][4:7] == ["lr", "k", "s"]
    config.write_text("defaults: [experimentstash]\nmetrics: {acc: {beter: lower}}\n")
    done = in_process(ended, "runs")
    assert done.returncode == 0 and "unknown key 'beter'" in done.stderr and " acc " in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sort", "acc"], "baedc"),
        (["--sort", "-acc"], "eabdc"),
        (["--sort=-metrics.acc", "-n", "2"], "ea"),
        (["--sort", "lr"], "becad"),
        (["--sort", "params.lr", "--state", "completed"], "beca"),
        (["--sort", "started"], "abcde"),
        (["--sort", "-exp"], "edcba"),
        (["--sort", "k"], "edcba"),
        (["--sort", "n-jobs", "-n", "1"], "e"),
    ],
)
def test_order_is_by_anything_and_what_is_missing_comes_last(
    ended: StashUnderTest, in_process: InProcess, words: list[str], expected: str
) -> None:
    rows = listed(ended, in_process, *words)[1:]
    assert "".join(row[0][-1] for row in rows) == expected


def test_columns_are_those_that_are_named(ended: StashUnderTest, in_process: InProcess) -> None:
    rows = listed(ended, in_process, "--columns", "id,n-jobs", "--columns", "acc", "-n", "2")
    assert rows == [["id", "params.n_jobs", "metrics.acc"], ["22222e", "2", "0.9"], ["22222d", "2", "-"]]
    done = in_process(ended, "runs", "--columns", "ac")
    assert done.returncode == 2 and "None of these runs has 'ac'. Did you mean 'acc'?" in done.stderr
    done = in_process(ended, "runs", "--columns", "id,acc", "--sort", "acc", "--where", "metrics.acc is None")
    assert done.returncode == 0 and [line.split() for line in done.stdout.splitlines()][1:] == [["22222d", "-"]]
    done = in_process(ended, "runs", "--columns", "")
    assert done.returncode == 2 and "--columns: a value is empty." in done.stderr
    assert in_process(ended, "runs", "--columns", "ac", "--until", "2020-01-01").returncode == 0


def test_csv_has_all_of_each_run_and_nothing_else(ended: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(ended, "runs", "--csv", "--where", "metrics.acc > 0.2")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"][-1] for row in rows] == ["e", "b", "a"]
    assert {row["params.n_jobs"] for row in rows} == {"2"} and rows[0]["params.k"] == "[1, 2]"
    assert [row["metrics.acc"] for row in rows] == ["0.9", "0.30000000000000004", "0.75"]
    assert rows[0]["metrics.seconds"] == "" and rows[0]["state"] == "completed" and rows[0]["exp"] == "fig/b"
    assert rows[0]["directory"] == str(ended.root / "outputs/2026-01-31/12-00-00-22222e")
    assert "left out: 1 run for which --where can't be told, for they have no metrics.acc: 22222d" in done.stderr
    assert in_process(ended, "runs", "--csv", "--columns", "id", "-n", "1").stdout == "id\n22222e\n"


def test_json_has_records_or_the_columns(ended: StashUnderTest, in_process: InProcess) -> None:
    records = json.loads(in_process(ended, "runs", "--json").stdout)
    lines = in_process(ended, "runs", "--jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == records and len(records) == 5
    some = json.loads(in_process(ended, "runs", "--json", "--columns", "id,acc,tags", "-n", "3").stdout)
    assert some[0] == {"id": "22222e", "metrics.acc": 0.9, "tags": []} and some[1]["metrics.acc"] is None
    assert some[2]["metrics.acc"] == {"_float_": "nan"}
    assert in_process(ended, "runs", "--json", "--until", "2020-01-01").stdout == "[]\n"
    assert in_process(ended, "runs", "--jsonl", "--until", "2020-01-01").stdout == ""


def test_columns_are_plain_json_whatever_is_in_them(stash: StashUnderTest, in_process: InProcess) -> None:
    finished(stash.root, "22222a", {"k": [1, {"_float_": "nan"}]})
    line = in_process(stash, "runs", "--jsonl", "--columns", "k").stdout
    assert json.loads(line, parse_constant=pytest.fail) == {"params.k": [1, {"_float_": "nan"}]}


def test_a_name_that_would_break_the_table_is_written_as_an_escape(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    finished(stash.root, "22222a", {}, {"a\nb": 1, "\x1b[31mred": 2})
    lines = in_process(stash, "runs").stdout.splitlines()
    assert (len(lines), lines[0].split()[-5:-3]) == (2, ["a\\nb", "\\x1b[31mred"])
    assert "metrics.a\\nb, metrics.\\x1b[31mred" in in_process(stash, "runs", "--columns", "zzz").stderr


def test_numbers_that_nobody_has_read_are_said_where_they_matter(ended: StashUnderTest, in_process: InProcess) -> None:
    finished(ended.root, "22222f", {"lr": 5}, {"acc": 1}, is_read=False, second=9)
    assert "experimentstash metrics refresh" in in_process(ended, "runs", "--sort", "-acc").stderr
    assert in_process(ended, "runs").stderr == ""


def test_a_terminal_keeps_what_tells_most(tmp_path: Path) -> None:
    runs = [
        Facts(finished(tmp_path, f"22222{seed}", {"seed": seed, "k": seed}, {"loss": seed / 3}, exp="figure1/pca_roll"))
        for seed in (3, 2)
    ]
    stash = Stash(tmp_path)
    declared = {"loss": Metric("loss", "Loss")}
    heads = {
        width: runs_table.usual(stash, runs, declared, Paper(width)).splitlines()[0].split() for width in (80, 64, 46)
    }
    assert heads[80] == ["run", "state", "experiment", "tool", "seed", "k", "Loss", "when", "time"]
    assert heads[64] == ["run", "state", "experiment", "seed", "k", "Loss"]
    assert heads[46] == ["run", "state", "experiment", "seed"]
    assert "  0.667" in runs_table.usual(stash, runs, declared, Paper(80))
    names = [field.name for field in run_fields.every(runs)]
    assert names[-3:] == ["params.seed", "params.k", "metrics.loss"]
