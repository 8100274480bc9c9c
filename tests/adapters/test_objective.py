"""What a run is optimised for: which objectives make sense, and what is found of them in what tools write."""

from __future__ import annotations

import json
import math
import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.numbers import text_pattern
from experimentstash.adapters.numbers.objective import Result, check, read, words
from experimentstash.adapters.numbers.place import Place
from experimentstash.base.errors import StashError
from tests.testing.stash import StashUnderTest

LOG = "output.2.log"
PARABOLA = "entrypoint: main.py\ncall: {style: options, output: --out}\n"


def result(directory: Path, objective: Any, offset: int = 0) -> Result:
    found, notes = read(check(objective, directory), Place(directory, LOG, offset))
    assert notes == [] and found is not None
    return found


def missing(directory: Path, objective: Any) -> str:
    found, notes = read(check(objective, directory), Place(directory, LOG))
    assert found is None
    (note,) = notes
    return note


# --- what makes sense ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "spec"),
    [
        ("accuracy", {"key": "accuracy", "file": "metrics.json"}),
        ({"key": "a.b", "file": "./out/../all.json"}, {"key": "a.b", "file": "all.json"}),
        ({"column": "loss"}, {"column": "loss", "file": "metrics.csv", "take": "last"}),
        ({"pattern": "loss=(.*)", "take": "min"}, {"pattern": "loss=(.*)", "file": None, "take": "min"}),
        (["a", {"key": "b"}], [{"key": "a", "file": "metrics.json"}, {"key": "b", "file": "metrics.json"}]),
    ],
)
def test_what_a_record_keeps(tmp_path: Path, objective: Any, spec: Any) -> None:
    assert check(objective, tmp_path) == spec
    kept = json.loads(json.dumps(spec))
    assert check(kept, tmp_path) == spec
    assert words(kept)


def test_a_file_may_be_named_by_its_whole_path(tmp_path: Path) -> None:
    assert check({"key": "a", "file": str(tmp_path / "x" / "m.json")}, tmp_path) == {"key": "a", "file": "x/m.json"}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (5, "5 names no number"),
        ("", "names no number"),
        ([], "the list is empty"),
        ([["a"]], "names no number"),
        ({}, "none of key, column, pattern, wandb and tensorboard"),
        ({"colum": "a"}, "unknown key 'colum'. Did you mean 'column'?\nValid: key, column, pattern"),
        ({"column": "a", "tak": "min"}, "unknown key 'tak'. Did you mean 'take'?\nValid: column, file, take"),
        ({"key": "a", "take": "min"}, "unknown key 'take'"),
        ({"key": "a", "column": "b"}, "unknown key 'column'"),
        ({"key": 5}, "key: 5 is not a text"),
        ({"column": "a", "take": "best"}, "'best' is none of last, min, max"),
        ({"pattern": "loss=("}, "'loss=(' is no regular expression: missing )"),
        ({"pattern": "(a)=(b)"}, "has 2 groups"),
        ({"key": "a", "file": "../other/metrics.json"}, "not in the run directory"),
        ({"key": "a", "file": "/etc/passwd"}, "not in the run directory"),
        ({"key": "a", "file": "."}, "not in the run directory"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, objective: Any, message: str) -> None:
    with pytest.raises(StashError) as raised:
        check(objective, tmp_path)
    assert str(raised.value).startswith("objective: ")
    assert message in str(raised.value)


# --- keys of JSON files ----------------------------------------------------------------------------------------------


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    content = {"a": 1, "test": {"acc": 0.5, "deep.er": {"x": -1e-3}}, "val/loss": 2.5, "test.acc": 0.75}
    more = '"inf": Infinity, "nan": NaN, "yes": true, "text": "1.0", "huge": 1' + 400 * "0"
    (tmp_path / "metrics.json").write_text(f"{json.dumps(content)[:-1]}, {more}}}")
    return tmp_path


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", 1.0), ("test.acc", 0.75), ("test.deep.er.x", -1e-3), ("val/loss", 2.5), ("inf", math.inf)],
)
def test_a_key(metrics: Path, key: str, value: float) -> None:
    found = result(metrics, key)
    assert found == value and isinstance(found, float)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("test.ac", "metrics.json has no 'test.ac'. Did you mean 'test.acc'? The numbers: a, test.acc, "),
        ("a.b", "has no 'a.b'"),
        ("nan", "it is NaN"),
        ("yes", "it is no number: true"),
        ("text", 'it is no number: "1.0"'),
        ("test", "it is no number: {"),
        ("huge", "too large"),
    ],
)
def test_a_key_without_a_number(metrics: Path, key: str, why: str) -> None:
    note = missing(metrics, key)
    assert note.startswith(f"no value for the objective ({key} in metrics.json): ")
    assert why in note


def test_a_long_list_of_keys_is_cut(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({f"k{number}": number for number in range(50)}))
    assert missing(tmp_path, "other").endswith("k19 and 30 more")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' * 5000 + "1" + "}" * 5000, "\x00", "1" * 5000])
def test_what_is_no_metrics(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    assert missing(tmp_path, "loss")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert missing(tmp_path, "a").endswith("no metrics.json. There are no files of this kind.")
    (tmp_path / "run.json").touch()
    (tmp_path / "metric.json").touch()
    note = missing(tmp_path, "a")
    assert note.endswith("no metrics.json. Did you mean 'metric.json'? The files of this kind: metric.json")
    os.mkfifo(tmp_path / "metrics.json")  # reading it would wait for ever
    assert missing(tmp_path, "a").endswith("metrics.json is not a file")


# --- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("take", "value"), [("last", 0.5), ("min", 0.25), ("max", 3.0)])
def test_a_column(tmp_path: Path, take: str, value: float) -> None:
    # Steps without a value, a row that is cut, the header once more after the run was continued, NaN, a quoted cell.
    text = '\ufeffstep, loss ,note\n0,3.0,\n1,,\n2\n3,nan,"a\nb"\nstep,loss,note\n4,"0.25",\n5, 0.5 ,\n6,,'
    (tmp_path / "history.csv").write_text(text)
    assert result(tmp_path, {"column": "loss", "file": "history.csv", "take": take}) == value


@pytest.mark.parametrize(
    ("text", "take", "why"),
    [
        ("", "last", "has no column 'loss'. There are no columns."),
        ("step,los\n1,2\n", "last", "has no column 'loss'. Did you mean 'los'? The columns: step, los"),
        ("step,loss\n1,\n", "min", "there is none"),
        ("loss\n1\nnan\n", "last", "it is NaN"),
        ("loss\nnan\n", "max", "there is none"),
        ("loss\n1\nbad\n2\n", "min", "it is no number: 'bad'"),
        ("loss\n1\n" + "2" * 200_000, "last", "is no CSV (line 3): field larger"),
        ("loss\n1\n" + "2," * 600_000, "last", "is no CSV (line 2): an endless line"),
    ],
)
def test_a_column_without_a_number(tmp_path: Path, text: str, take: str, why: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    assert why in missing(tmp_path, {"column": "loss", "take": take})


def test_a_file_whose_folder_differs_from_run_to_run(tmp_path: Path) -> None:
    (tmp_path / "runs" / "7").mkdir(parents=True)
    (tmp_path / "runs" / "7" / "m.json").write_text('{"a": 1}')
    assert result(tmp_path, {"key": "a", "file": "runs/*/m.json"}) == 1.0
    assert "There is runs/7/m.json: give `file:`, with * for a folder." in missing(
        tmp_path, {"key": "a", "file": "m.json"}
    )
    assert "no file matches runs/*/n.json" in missing(tmp_path, {"key": "a", "file": "runs/*/n.json"})
    (tmp_path / "runs" / "8").mkdir()
    (tmp_path / "runs" / "8" / "m.json").write_text('{"a": 2}')
    assert "2 files in the run directory match runs/*/m.json: runs/7/m.json, runs/8/m.json" in missing(
        tmp_path, {"key": "a", "file": "runs/*/m.json"}
    )


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("take", "value"), [("last", 1e-3), ("min", -2.0), ("max", 4.0)])
def test_a_pattern(tmp_path: Path, take: str, value: float) -> None:
    (tmp_path / LOG).write_bytes(b"loss=4\r\n\xff loss=-2e0\nloss=1e-3 \xe2\x82\xac\nend")
    assert result(tmp_path, {"pattern": r"loss=([-+.\deE]+)", "take": take}) == value


@pytest.mark.parametrize("take", ["last", "min", "max"])
@pytest.mark.parametrize(
    "log",
    [
        "acc=0.93\x1b[0m",
        "\x1b[1;32macc=\x1b[38;2;10;20;30m0.93\x1b[m\x1b[K done",
        "acc=0.\x1b[1m93\x1b[22m\n",
        "\x1b]0;a title: acc=5\x07acc=0.93\n",
        "\x1b]8;;https://w.ai/acc=7\x1b\\acc=0.93\x1b]8;;\x1b\\\n",
        "\x1b(Bacc=0.93\x1b(B\x1b7\n",
        "acc=0.93\x1b[3",  # cut off
        "acc=0.93\r\n",
        "  0%|    | acc=0.1\r 50%|##  | acc=1\r100%|####| acc=0.93\n",  # tqdm: what a bar shows on its way is no result
        "  0%|    | acc=0.1\r100%|####| acc=0.93\r            \rdone\n",  # one that is taken away at its end
        "1/2 acc=0.1\b\b\b\b\b\b\b\b\b\b\b\r2/2 acc=0.93\n",  # Keras
        "\x1b[32macc=1\x1b[0m\r\x1b[2K\x1b[32macc=0.93\x1b[0m\r\n",
    ],
)
def test_a_pattern_meets_what_a_terminal_would_show(tmp_path: Path, log: str, take: str) -> None:
    (tmp_path / LOG).write_bytes(log.encode())
    assert result(tmp_path, {"pattern": r"acc=(\S+)", "take": take}) == 0.93


def test_each_line_of_a_progress_bar_has_its_last_state(tmp_path: Path) -> None:
    epochs = [(0.1, 0.5), (0.2, 0.7), (0.9, 0.6)]
    text = "".join(f"\r 10% loss=9 acc={early}\r100% loss=3 acc={late}\n" for early, late in epochs)
    (tmp_path / LOG).write_bytes(text.encode())
    taken = {take: result(tmp_path, {"pattern": r"acc=(\S+)$", "take": take}) for take in ("last", "min", "max")}
    assert taken == {"last": 0.6, "min": 0.5, "max": 0.7}


@pytest.mark.slow
def test_an_endless_progress_bar(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("".join(f"\r{step:8} loss={1000000 - step}" for step in range(300_000)))
    assert result(tmp_path, {"pattern": r"loss=(\d+)", "take": "last"}) == 700_001


@pytest.mark.parametrize(
    ("text", "value"), [("\N{MINUS SIGN}0.5", -0.5), ("1_000", 1000.0), ("1e\N{MINUS SIGN}3", 1e-3), ("+.5", 0.5)]
)
def test_what_is_surely_a_number(tmp_path: Path, text: str, value: float) -> None:
    (tmp_path / LOG).write_text(f"loss={text}\n", encoding="utf-8")
    assert result(tmp_path, {"pattern": r"loss=(\S+)"}) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,234", "no number: '1,234': its comma may stand for thousands, or for the decimal point"),
        ("1,234.5", "its comma may stand for thousands, or for the decimal point"),
        ("0.93,", "no number: '0.93,'; have the pattern's group end with the number"),
        ("93%", "have the pattern's group end with the number"),
        ("1.2.3", "no number: '1.2.3'"),
    ],
)
def test_what_is_not_surely_a_number_is_none(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / LOG).write_text(f"loss={text}\n")
    assert why in missing(tmp_path, {"pattern": r"loss=(\S+)"})


def test_a_pattern_that_tries_each_of_too_many_ways_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOG).write_text(f"{'a' * 60}\nloss=1\n")
    monkeypatch.setattr(text_pattern, "_PATIENCE", 0.05)
    assert "it takes more than 0 s to match; have the pattern" in missing(tmp_path, {"pattern": r"(?:a+)+=\d"})
    monkeypatch.undo()
    assert result(tmp_path, {"pattern": r"loss=(\d)"}) == 1.0
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_colours_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(b"step,\x1b[1mloss\x1b[0m\n1,\x1b[32m0.5\x1b[0m\n")
    assert result(tmp_path, {"column": "loss"}) == 0.5


def test_a_pattern_is_looked_for_in_this_attempt(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("€ loss=1\nloss=2\n")
    (tmp_path / "other.txt").write_text("loss=7\n")
    least = {"pattern": r"^loss=(\d)$", "take": "min"}
    assert result(tmp_path, least, offset=len("€ loss=1\n".encode())) == 2.0
    assert result(tmp_path, {**least, "file": "other.txt"}, offset=3) == 7.0


def test_a_pattern_without_a_group(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("a 12 b 34")
    assert result(tmp_path, {"pattern": r"\d+"}) == 34.0


def test_a_pattern_without_a_number(tmp_path: Path) -> None:
    note = missing(tmp_path, {"pattern": "loss=(.*)"})
    assert "(the last match of 'loss=(.*)' in the output): the run directory has no output.2.log" in note
    (tmp_path / LOG).write_text("nothing")
    assert missing(tmp_path, {"pattern": "loss=(.*)"}).endswith("there is none")
    (tmp_path / LOG).write_text("loss=1\nloss=low")
    assert missing(tmp_path, {"pattern": "loss=(.*)"}).endswith("it is no number: 'low'")
    assert missing(tmp_path, {"pattern": "(x)?loss"}).endswith("there is none")


def test_half_a_number_is_none(tmp_path: Path) -> None:
    for before in range((1 << 20) - 8, (1 << 20) + 8):  # an endless line is read in pieces of twice that
        (tmp_path / LOG).write_text("loss=1\n" + "." * ((1 << 20) + before) + "loss=234567" + "." * 100)
        assert result(tmp_path, {"pattern": r"loss=(\d+)"}) in (1.0, 234567.0)


@pytest.mark.slow
def test_a_large_log_needs_little_memory(tmp_path: Path) -> None:
    with (tmp_path / LOG).open("w") as stream:
        for step in range(100_000):
            stream.write(f"step {step} of this {'long, ' * 15}long training: loss={step / 7}\n")
        stream.write("." * 20_000_000)
    tracemalloc.start()
    try:
        assert result(tmp_path, {"pattern": r"loss=(\S+)", "take": "max"}) == 99_999 / 7
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


def test_several(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"a": 1, "b": 2}')
    assert result(tmp_path, ["b", "a"]) == [2.0, 1.0]
    assert result(tmp_path, ["b"]) == [2.0]
    found, notes = read(check(["a", "c", "d"], tmp_path), Place(tmp_path, LOG))
    assert found is None and len(notes) == 2


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def parabola(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("parabola", "parabola", PARABOLA)
    stash.add_experiment("parabola", "parabola", "params: {x: 2.0, name: n}\nobjective: loss\n")
    stash.commit()
    return stash


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("loss", 0.25),
        ("test.distance", 0.5),
        ("{column: loss,take: max}", 1.25),
        ("{pattern: 'loss=(.+)'}", 0.25),
        ("[loss,{pattern: 'loss=(.+)',take: max}]", [0.25, 2.25]),
    ],
)
def test_a_result_is_recorded_and_shown(parabola: StashUnderTest, objective: str, value: Any) -> None:
    done = parabola.cli("+exp=parabola", f"objective={objective}")
    assert done.returncode == 0, done.stderr
    record = parabola.record()
    assert record["attempt"]["result"] == value and record["attempt"]["notes"] == []
    numbers = value if isinstance(value, list) else [value]
    shown = parabola.cli("show", "latest").stdout
    assert f"result       {', '.join(map(str, numbers))}\n" in shown
    assert words(record["spec"]["objective"]) in shown


def test_a_missing_result_is_noted(parabola: StashUnderTest) -> None:
    done = parabola.cli("+exp=parabola", "objective=test.name")
    assert done.returncode == 0
    record = parabola.record()
    assert (record["attempt"]["state"], record["attempt"]["result"]) == ("completed", None)
    assert record["attempt"]["notes"] == [
        'no value for the objective (test.name in metrics.json): it is no number: "n"'
    ]
    assert record["attempt"]["notes"][0] in done.stderr


def test_a_failed_run_has_none(parabola: StashUnderTest) -> None:
    parabola.cli("+exp=parabola", "+params.fail-above=1", "objective={pattern: step}")
    record = parabola.record()
    assert (record["attempt"]["state"], record["attempt"]["result"], record["attempt"]["notes"]) == ("failed", None, [])


def test_an_objective_that_makes_no_sense_is_a_mistake(parabola: StashUnderTest) -> None:
    done = parabola.cli("+exp=parabola", "objective={colum: loss}")
    assert done.returncode == 2
    assert "objective: unknown key 'colum'. Did you mean 'column'?" in done.stderr
    assert parabola.run_directories() == []


@pytest.mark.slow
def test_tables_show_results_where_there_are_any(parabola: StashUnderTest) -> None:
    done = parabola.cli("-m", "+exp=parabola", "params.x=2,3", "objective=null")
    assert "result" not in done.stdout + parabola.cli("runs").stdout
    # Hydra's basic sweeper needs none: a run without one doesn't keep the others from running.
    done = parabola.cli("-m", "+exp=parabola", "params.x=4,2,3", "+params.fail-above=3")
    assert done.returncode == 1
    heading, *rows = done.stdout.splitlines()[-5:-1]
    place = slice(heading.index("result"), heading.index("time"))
    assert [row[place].strip() for row in rows] == ["", "0.25", "2.25"]
    heading, *rows = parabola.cli("runs").stdout.splitlines()
    place = slice(heading.index("loss"), heading.index("test.distance"))
    assert [row[place].strip() for row in rows] == ["2.25", "0.25", "-", "2.25", "0.25"]
