"""`experimentstash compare`: which runs count, what is left out and said, what is asked for in other words."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.record.run import State
from experimentstash.report.metrics import Metric, declared
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import Better
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest

# Writes numbers that its seed and its method make.
TOOL = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--method")
parser.add_argument("--out")
given = parser.parse_args()
score = {"a": 0.8, "b": 0.9}[given.method] + given.seed * 0.01 + (given.seed == 2) * 0.003
with open(f"{given.out}/metrics.json", "w") as stream:
    json.dump({"trustworthiness": score, "seed": given.seed, "k": 10}, stream)
"""


@pytest.fixture
def ended(stash: StashUnderTest) -> StashUnderTest:
    """A stash with runs of two experiments of different tools; one has failed, one has no numbers."""
    for number, (exp, seed) in enumerate([("fig/a", 1), ("fig/a", 2), ("fig/b", 1), ("fig/b", 2), ("fig/b", 3)]):
        finished(
            stash.root,
            f"r{number:06}",
            {"seed": seed, "n-samples": 5},
            None if (exp, seed) == ("fig/b", 3) else {"acc": (number + 1) / 10 + seed * 0.01, "seconds": 3.5 - number},
            exp=exp,
            tool=exp[-1],
            second=number,
        )
    finished(stash.root, "failed1", {"seed": 3}, {"acc": 9}, exp="fig/a", tool="a", state=State.FAILED, second=50)
    return stash


def test_a_table_of_all_that_has_completed_and_what_has_not_is_said(
    ended: StashUnderTest, in_process: InProcess
) -> None:
    done = in_process(ended, "compare")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["experiment", "acc", "seconds"]
    assert lines == [
        "fig/a       0.165 ± 0.078 (2)  3.00 ± 0.71 (2)",
        "fig/b       0.365 ± 0.078 (2)  1.00 ± 0.71 (2)",
        "Mean ± standard deviation of the sample (n − 1) over seed (number of runs).",
        "! left out: 1 run failed: failed1",
        "! without acc: 1 of 5 runs (r000004)",
        "! without seconds: 1 of 5 runs (r000004)",
    ]


def test_runs_are_chosen_by_name_glob_and_condition(ended: StashUnderTest, in_process: InProcess) -> None:
    def groups(*words: str) -> dict[str, int]:
        done = in_process(ended, "compare", *words, "--json")
        assert done.returncode == 0, done.stderr
        return {each["group"]["experiment"]: len(each["runs"]) for each in json.loads(done.stdout)["groups"]}

    assert groups("r000000", "r000002") == {"fig/a": 1, "fig/b": 1}
    assert groups("--exp", "*/b") == {"fig/b": 3}
    assert groups("--where", "params.n_samples == 5 and metrics.acc > 0.2") == {"fig/a": 1, "fig/b": 2}
    done = in_process(ended, "compare", "--where", "metrics.acc > 0.2")
    assert "! left out: 1 run for which --where can't be told, for they have no metrics.acc: r000004" in done.stdout
    assert "failed1" in done.stdout
    assert "failed1" not in in_process(ended, "compare", "--where", "params.seed < 3").stdout


def test_numbers_are_shown_as_the_stash_says(ended: StashUnderTest, in_process: InProcess) -> None:
    config = ended.root / "conf" / "config.yaml"
    config.write_text(
        "defaults: [experimentstash]\nmetrics:\n  seconds: {better: lower}\n  acc: {better: higher, label: A}\n"
    )
    lines = in_process(ended, "compare").stdout.splitlines()
    assert re.split("  +", lines[0].strip()) == ["experiment", "seconds ↓", "A ↑"]
    assert re.split("  +", lines[2].strip()) == ["fig/b", "1.00 ± 0.71 (2)*", "0.365 ± 0.078 (2)*"]
    config.write_text("defaults: [experimentstash]\nmetrics: {acc: {better: higher}, other: }\n")
    done = in_process(ended, "compare")
    assert "! not shown, because `metrics` doesn't name them: seconds (--metrics)" in done.stdout
    assert "! none of these runs has other, which `metrics` names" in done.stdout
    assert in_process(ended, "compare", "--metrics", "seconds,acc", "--csv").stdout.startswith("experiment,seconds.n,")
    ended.add_experiment("fig/a", "a", "metrics: {acc: {better: lower}}\n")
    assert "acc ↓" in in_process(ended, "compare").stdout
    ended.add_experiment("fig/b", "b", "metrics: {acc: {better: higher}}\n")
    done = in_process(ended, "compare")
    assert done.returncode == 2
    assert "conf/exp/fig/a.yaml and conf/exp/fig/b.yaml say different things of the metric 'acc'" in done.stderr


def test_registrations_say_how_numbers_are_shown_too(ended: StashUnderTest, in_process: InProcess) -> None:
    ended.write("conf/tool/a.yaml", "metrics: {acc: {better: higher, label: A, column: x}, '*': {key: '*'}}\n")
    ended.write("conf/tool/b.yaml", "metrics: {acc: {column: y}, more: {key: '*', file: m.json}}\n")
    ended.add_experiment("fig/a", "a", "metrics: {acc: {key: z}}\n")
    assert declared(Stash(ended.root), ["fig/a"], ["a", "b", "gone"]) == {"acc": Metric("acc", "A", Better.higher)}
    assert in_process(ended, "compare").stdout.splitlines()[0].split() == ["experiment", "A", "↑"]
    ended.write("conf/tool/b.yaml", "metrics: {acc: {better: lower}}\n")
    with pytest.raises(StashError, match=r"conf/tool/a.yaml and conf/tool/b.yaml say different things"):
        declared(Stash(ended.root), [], ["a", "b"])
    ended.write("conf/config.yaml", "defaults: [experimentstash]\nmetrics: {acc: {better: lower}}\n")
    assert declared(Stash(ended.root), ["fig/a"], ["a", "b"]) == {"acc": Metric("acc", "A", Better.lower)}


def test_numbers_that_nobody_has_read_are_said(ended: StashUnderTest, in_process: InProcess) -> None:
    finished(ended.root, "older00", {"seed": 5}, {"acc": 1}, exp="fig/a", tool="a", is_read=False, second=9)
    said = "! nobody has read the numbers of 1 run: older00 (experimentstash metrics refresh)"
    assert said in in_process(ended, "compare").stdout.splitlines()
    done = in_process(ended, "compare", "older00")
    assert (done.returncode, "None of these runs has numbers" in done.stderr) == (2, True)
    assert "experimentstash metrics refresh" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metrics: 3", "metrics is no mapping"),
        ("metrics: {acc: 3}", "metrics.acc: 3 is no mapping"),
        ("metrics: {acc: {beter: higher}}", "unknown key 'beter'. Did you mean 'better'?"),
        ("metrics: {acc: {better: hihger}}", "'hihger' is none of higher, lower. Did you mean 'higher'?"),
        ("metrics: {acc: {better: [1]}}", "[1] is none of higher, lower"),
        ("metrics: {acc: {label: 3}}", "metrics.acc.label: 3 is no text"),
    ],
)
def test_what_is_said_wrongly_of_metrics_is_told(stash: StashUnderTest, text: str, said: str) -> None:
    stash.write("conf/config.yaml", text)
    with pytest.raises(StashError, match=re.escape(said)):
        declared(Stash(stash.root), [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "metrics.ac > 1"], "none of these runs has 'metrics.ac'. Did you mean 'acc'?"),
        (["--where", "seed > 1"], "there is no 'seed'."),
        (["--by", "sed"], "None of these runs has 'sed'. Did you mean 'seed'?"),
        (["--over", "n_sample"], "None of these runs has 'n_sample'. Did you mean 'n_samples'?"),
        (["--by", "metrics.acc"], "'metrics.acc' is a number that runs come to: runs are told apart by what goes into"),
        (["--over", "acc"], "'acc' is a number that runs come to"),
        (["--metrics", "ac"], "None of these runs has a metric 'ac'. Did you mean 'acc'?\nThere are: acc, seconds"),
        (["--exp", "figg/*"], "None of these runs is of an experiment 'figg/*'. Did you mean 'fig/*'?"),
        (["--by", ""], "--by: a value is empty."),
        (["failed1"], "There are no completed runs to compare.\nleft out: 1 run failed: failed1"),
        (["r000004"], "None of these runs has numbers."),
        (["--test", "z"], "invalid choice: 'z'"),
        (["--output", "table.txt"], "--output table.txt: its name doesn't say in which form."),
        (["--output", "no/such/table.tex"], "--output no/such/table.tex can't be written: No such file"),
        (["nosuch"], "There is no run 'nosuch'"),
    ],
)
def test_what_there_isnt_is_told(ended: StashUnderTest, in_process: InProcess, words: list[str], said: str) -> None:
    done = in_process(ended, "compare", *words)
    assert done.returncode in (1, 2) and done.stdout == "" and said in done.stderr, done


def test_it_is_written_into_files(ended: StashUnderTest, in_process: InProcess, tmp_path: Path) -> None:
    names = [str(tmp_path / f"table.{ending}") for ending in ("tex", "csv", "md", "html", "json")]
    done = in_process(ended, "compare", *(word for name in names for word in ("--output", name)))
    assert done.returncode == 0 and done.stdout == "" and done.stderr.count(" is written") == 5
    texts = {Path(name).suffix: Path(name).read_text() for name in names}
    assert r"\begin{table}" in texts[".tex"] and "<table>" in texts[".html"] and "| --- |" in texts[".md"]
    assert len(list(csv.reader(io.StringIO(texts[".csv"])))) == 3 and json.loads(texts[".json"])["over"] == ["seed"]
    assert "left out: 1 run failed: failed1" in done.stderr  # for which CSV has no place
    assert in_process(ended, "compare", "--csv", "--output", str(tmp_path / "odd.name")).returncode == 0
    assert (tmp_path / "odd.name").read_text() == texts[".csv"]
    (tmp_path / "link.csv").symlink_to("odd.name")
    (tmp_path / "odd.name").write_text("")
    assert in_process(ended, "compare", "--output", str(tmp_path / "link.csv")).returncode == 0
    assert (tmp_path / "odd.name").read_text() == texts[".csv"] and (tmp_path / "link.csv").is_symlink()
    assert in_process(ended, "compare", "--csv", "--output", "/dev/stdout").stdout == texts[".csv"]


def test_a_record_that_cant_be_read_is_said(ended: StashUnderTest, in_process: InProcess) -> None:
    (ended.root / "outputs/2026-01-31/12-00-00-r000001/run.json").write_text("{")
    done = in_process(ended, "compare")
    assert done.returncode == 1 and "! left out: 1 whose records can't be read" in done.stdout


def test_two_tools_over_three_seeds(stash: StashUnderTest) -> None:
    for tool in ("a", "b"):
        directory = stash.add_tool(
            f"tool_{tool}", None, "entrypoint: main.py\ncall: {style: argparse, output: --out}\n"
        )
        (directory / "main.py").write_text(TOOL)
        stash.add_experiment(f"fig/{tool}", f"tool_{tool}", f"params: {{method: {tool}, seed: 0}}\n")
    config = stash.root / "conf" / "config.yaml"
    config.write_text(f"{config.read_text()}metrics: {{trustworthiness: {{better: higher, label: Trust.}}}}\n")
    stash.commit()
    ran = stash.cli("-m", "+exp=fig/a,fig/b", "params.seed=1,2,3")
    assert ran.returncode == 0, ran
    told = stash.cli("compare", "--exp", "fig/*", "--by", "method")
    assert told.returncode == 0, told
    rows = [re.split("  +", line.strip()) for line in told.stdout.splitlines()[:3]]
    assert rows == [["method", "Trust. ↑"], ["a", "0.821 ± 0.010 (3)+"], ["b", "0.921 ± 0.010 (3)*"]]
