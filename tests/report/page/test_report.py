"""`experimentstash report`: what is in the page's data."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.cli.commands import report
from experimentstash.record.run import State
from experimentstash.report.page.model import as_data
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest


def data_of(page: Path) -> dict[str, Any]:
    """Return the data of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="report-data" data-encoding="(\w*)">([^<]*)</script>', text)
    assert found is not None
    data = gzip.decompress(base64.b64decode(found[2])).decode() if found[1] == "gzip" else found[2]
    return json.loads(data)


@pytest.fixture
def ended(stash: StashUnderTest) -> StashUnderTest:
    """A stash with two experiments of two tools, over three seeds, and a run that has failed."""
    for number in range(6):
        exp = "ab"[number % 2]
        finished(
            stash.root,
            f"22222{'abcdef'[number]}",
            {"lr": 0.1, "seed": number // 2},
            {"acc": 0.7 + number / 100, "loss": math.inf if number == 5 else 1.0},
            exp=f"fig/{exp}",
            tool=f"tool_{exp}",
            second=number,
        )
    finished(stash.root, "22222z", {"lr": "</script><b>", "seed": 9}, state=State.FAILED, second=9)
    return stash


def test_the_page_has_the_runs_and_comparisons_of_them(ended: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(ended, "report", "--title", "A & <b>")
    assert done.returncode == 0, done
    data = data_of(ended.root / "report.html")
    assert data["title"] == "A & <b>" and data["format"] == 1
    assert data["command"] == "experimentstash report --title 'A & <b>'"
    assert data["runs"]["ids"] == ["22222z", *(f"22222{letter}" for letter in "fedcba")]
    columns = {column["key"]: column for column in data["runs"]["columns"]}
    assert columns["state"]["values"][:2] == ["failed", "completed"]
    assert columns["metrics.loss"]["values"][:3] == [None, "Infinity", 1.0]
    assert columns["params.lr"]["values"][:2] == ["</script><b>", 0.1] and columns["params.lr"]["varies"]
    tables = {table["name"]: table for table in data["tables"]}
    assert list(tables) == ["all that differs", "tool"]
    assert all(any("1 run failed: 22222z" in remark for remark in table["remarks"]) for table in tables.values())
    table = tables["tool"]
    assert [row["values"] for row in table["rows"]] == [["tool_a"], ["tool_b"]]
    assert table["rows"][0]["cells"][0] == {
        "text": "0.720 ± 0.020",
        "n": 3,
        "middle": pytest.approx(0.72),
        "rank": None,
    }
    assert [data["runs"]["ids"][each] for each in table["rows"][0]["runs"]] == ["22222e", "22222c", "22222a"]
    assert any("1 run failed: 22222z" in remark for remark in data["tables"][0]["remarks"])


def test_runs_of_several_figures_are_compared_by_figure_and_all_of_them_last(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    for number in range(8):
        figure = ("fig10", "fig2")[number % 2]
        metrics = {"acc": number / 10} if figure == "fig2" else {"loss": number / 10}
        exp = f"{figure}/{'ab'[number // 4]}"
        run = finished(stash.root, f"22222{'abcdefgh'[number]}", {"seed": number // 2}, metrics, exp=exp, second=number)
        (run.path / "history.csv").write_text(f"step,score\n1,{number}\n2,{number}\n", encoding="utf-8")
    finished(stash.root, "22222y", {}, exp="fig10/a", state=State.FAILED, second=10)
    finished(stash.root, "22222z", {}, exp="fig3/none", second=11)
    assert in_process(stash, "report").returncode == 0
    data = data_of(stash.root / "report.html")
    tables = data["tables"]
    shown = [(table["figure"], table["name"], [metric["name"] for metric in table["metrics"]]) for table in tables]
    assert shown == [
        ("fig2", "all that differs", ["acc"]),
        ("fig10", "all that differs", ["loss"]),
        (None, "all that differs", ["acc", "loss"]),
    ]
    assert [row["values"] for row in tables[0]["rows"]] == [["fig2/a"], ["fig2/b"]]
    assert [row["cells"][0]["text"] for row in tables[0]["rows"]] == ["0.20 ± 0.14", "0.60 ± 0.14"]
    assert ["22222y" in str(table["remarks"]) for table in tables[:3]] == [False, True, True]
    assert data["remarks"] == ["no comparison of fig3: None of these runs has numbers."]
    rows = [row["runs"] for table in tables[:2] for row in table["rows"]]
    names = [[data["runs"]["ids"][run] for run in rows[band["row"]]] for band in data["bands"]]
    assert names == [["22222d", "22222b"], ["22222h", "22222f"], ["22222c", "22222a"], ["22222g", "22222e"]]

    assert in_process(stash, "report", "--by", "seed", "--metrics", "acc", "-o", "p.html").returncode == 0
    data = data_of(stash.root / "p.html")
    assert [(table["figure"], table["name"]) for table in data["tables"]][:2] == [("fig2", "seed"), ("fig2", "exp")]
    assert {metric["name"] for table in data["tables"] for metric in table["metrics"]} == {"acc"}
    assert data["remarks"][1] == "no comparison of fig10: None of these runs has a metric 'acc'. There are: loss"


def test_all_times_are_those_of_a_clock_here_and_the_page_names_the_zone(
    ended: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        assert in_process(ended, "report").returncode == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    data = data_of(ended.root / "report.html")
    assert data["zone"] == "PST/PDT" and data["made"][-6:] in ("-08:00", "-07:00")
    columns = {column["key"]: column["values"] for column in data["runs"]["columns"]}
    assert columns["created"][-1] == columns["started"][-1] == "2026-01-31T04:00:00-08:00"
    assert ["started", "2026-01-31 04:00:00 PST"] in data["details"][-1]["used"]


def test_nothing_but_the_pages_own_scripts_and_styles_is_let_in(ended: StashUnderTest, in_process: InProcess) -> None:
    assert in_process(ended, "report", "--exp", "fig/*", "-o", "p.html").returncode == 0
    text = (ended.root / "p.html").read_text(encoding="utf-8").replace("&#39;", "'")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None and "default-src 'none'" in policy[1]
    for kind, tag in (("script", "<script>"), ("style", "<style>")):
        content = text.split(tag)[1].split(f"</{kind}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]


def test_experiments_that_disagree_on_a_metric_have_a_page_that_says_so(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    for number, better in enumerate(("lower", "higher")):
        (stash.root / "conf/exp/fig").mkdir(parents=True, exist_ok=True)
        (stash.root / f"conf/exp/fig/{better}.yaml").write_text(f"metrics: {{loss: {{better: {better}}}}}\n")
        finished(stash.root, f"22222{'ab'[number]}", {}, {"loss": number}, exp=f"fig/{better}", second=number)
    assert in_process(stash, "report").returncode == 0
    data = data_of(stash.root / "report.html")
    assert data["tables"][0]["metrics"] == [{"name": "loss", "label": "loss", "better": None}]
    assert "say different things of the metric 'loss'" in data["remarks"][0]


def test_a_tag_with_a_comma_is_one(stash: StashUnderTest, in_process: InProcess) -> None:
    finished(stash.root, "22222a", tags=["a,b", "c"])
    finished(stash.root, "22222b", second=1)
    assert in_process(stash, "report").returncode == 0
    (column,) = [each for each in data_of(stash.root / "report.html")["runs"]["columns"] if each["key"] == "tags"]
    assert (column["values"], column["several"]) == ([None, "a,b, c"], [[], ["a,b", "c"]])


def test_values_that_differ_look_different_and_null_is_not_nothing(
    stash: StashUnderTest, in_process: InProcess
) -> None:
    values = [16, "16", True, "true", None, "null", "–", "'16'", "plain", 0.5]
    for number, value in enumerate(values):
        finished(stash.root, f"22222{'abcdefghijk'[number]}", {"x": value, "y": "16"}, {"loss": 1}, second=number)
    finished(stash.root, "22222z", {"y": "a"}, {"loss": 1}, second=20)
    assert in_process(stash, "report", "--by", "x").returncode == 0
    data = data_of(stash.root / "report.html")
    of = {column["key"]: column["values"][::-1] for column in data["runs"]["columns"]}
    shown = [16, "'16'", True, "'true'", "null", "'null'", "'–'", "'''16'''", "plain", 0.5]
    assert of["params.x"] == [*shown, None]
    assert of["params.y"] == ["16"] * 10 + ["a"]
    rows = {row["values"][0] for row in data["tables"][0]["rows"]}
    assert rows == {*(str(each) for each in shown if each is not True), "true", "–"}


def test_watching_sees_what_a_running_tool_changes_in_its_place(stash: StashUnderTest) -> None:
    run = finished(stash.root, "22222a", {}, state=State.RUNNING)
    (run.path / "figs").mkdir()
    (run.path / "history.csv").write_text("step,loss\n1,1\n")
    parser = argparse.ArgumentParser()
    report.configure(parser)
    given = parser.parse_args([])
    seen = [report._seen(Stash(stash.root), given)]
    with (run.path / "history.csv").open("a") as stream:
        stream.write("2,1\n")
    seen.append(report._seen(Stash(stash.root), given))
    (run.path / "figs/new.png").write_bytes(b"")
    seen.append(report._seen(Stash(stash.root), given))
    assert len({*seen, report._seen(Stash(stash.root), given)}) == 3


def test_a_page_isnt_written_over_what_is_no_file(ended: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(ended, "report", "-o", "conf")
    assert done.returncode == 2 and "conf" in done.stderr


def test_a_number_that_a_browser_would_show_as_another_is_written_as_text() -> None:
    assert as_data([2**53, 2**53 + 1, -(2**60), True]) == [2**53, "9007199254740993", "-1152921504606846976", True]
