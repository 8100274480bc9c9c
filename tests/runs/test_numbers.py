"""A run's numbers are what its tool has left, NaN and infinities among them; what can't be read is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from experimentstash.adapters.numbers.metrics import measure
from experimentstash.adapters.numbers.place import Place
from experimentstash.record.run import Attempt, Run, State
from experimentstash.runs import told
from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import is_unread, numbers_of
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished


def test_numbers_are_read_by_dotted_names_and_nothing_else_is(tmp_path: Path) -> None:
    content = {
        "acc": 0.5,
        "val": {"loss": 1, "per class": {"a": -2}},
        "a.b": 3,
        "name": "pca",
        "none": None,
        "flag": True,
        "list": [1, 2],
        "nan": math.nan,
        "inf": math.inf,
    }
    found = numbers_of(finished(tmp_path, "aaaaaaa", metrics=content))
    assert math.isnan(found["nan"])
    assert {**found, "nan": 0} == {
        "acc": 0.5,
        "val.loss": 1.0,
        "val.per class.a": -2.0,
        "a.b": 3.0,
        "nan": 0,
        "inf": math.inf,
    }


def test_what_is_optimised_is_one_of_them(tmp_path: Path) -> None:
    one = finished(tmp_path, "aaaaaaa", objective={"key": "acc", "file": "all.json"}, result=0.25)
    assert numbers_of(one) == {"acc": 0.25}
    sources = [{"column": "loss", "file": "x.csv", "take": "last"}, {"pattern": "a=(.)", "file": None, "take": "last"}]
    several = finished(tmp_path, "aaaaaab", metrics={"loss": 3}, objective=sources, result=[1.0, 2.0])
    assert numbers_of(several) == {"loss": 3.0, "objective.2": 2.0}
    pattern = finished(tmp_path, "aaaaaac", objective=sources[1], result=math.inf)
    assert numbers_of(pattern) == {"objective": math.inf}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ('{"a": 1' + "0" * 5000 + "}", "4300 digits"),
        ('{"a": ' * 20_000 + "1" + "}" * 20_000, "recursion"),
        ("[" * 100_000, "recursion"),
        (" " * (1 << 20) + "{}", "more than 1 MB"),
        ('{"a' + "b" * 600_000 + '": {"a": 1, "b": 2}}', "the names in it have more than 1 MB"),
        ("\udcff", "utf-8"),
    ],
    ids=lambda text: text[:10],
)
def test_what_cant_be_read_is_said(tmp_path: Path, text: str, why: str) -> None:
    run = finished(tmp_path, "aaaaaaa", metrics={"old": 1})
    (run.path / "metrics.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (said,) = measure(run, Place(run.path, run.attempt.log))
    assert said.startswith("there are no numbers: ") and why in said
    assert numbers_of(run) == {}


def test_none_are_no_fault(tmp_path: Path) -> None:
    for name, content in (("aaaaaaa", None), ("aaaaaab", "3")):
        run = finished(tmp_path, name, metrics=content)
        assert (numbers_of(run), run.attempt.notes) == ({}, [])
    (run.path / "metrics.json").unlink()
    (run.path / "metrics.json").symlink_to("/dev/zero")
    assert measure(run, Place(run.path, run.attempt.log)) == ["there are no numbers: metrics.json is not a file"]


def test_too_many_are_none(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa", metrics={str(number): number for number in range(10_001)})
    assert run.attempt.notes == ["there are no numbers: there are 10,001, or their names are very long"]
    assert numbers_of(run) == {}


def test_what_was_there_before_the_attempt_is_not_its_own(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa", metrics={"loss": 1})
    later = Place(run.path, run.attempt.log, since=(run.path / "run.json").stat().st_mtime_ns + 1)
    (said,) = measure(run, later)
    assert said.endswith("no numbers: metrics.json is from before this attempt, which has not written it")
    assert numbers_of(run) == {}
    (run.path / "metrics.json").chmod(0o600)  # as what was brought here with its own date has been touched
    assert measure(run, Place(run.path, run.attempt.log, since=(run.path / "metrics.json").stat().st_ctime_ns)) == []
    assert numbers_of(run) == {"loss": 1.0}


def test_names_hold_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hf_Zx81KqPwLm20vTgYbNc7")
    run = finished(tmp_path, "aaaaaaa", metrics={"with hf_Zx81KqPwLm20vTgYbNc7": 1, "b": 2})
    assert sorted(numbers_of(run).values()) == [1, 2]
    assert "hf_Zx81" not in (run.path / "run.json").read_text()


def test_a_record_does_not_grow_with_each_attempt(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa", metrics={str(number): number for number in range(6000)})
    run.earlier = [Attempt(number, State.PREEMPTED, metrics=run.attempt.metrics) for number in (1, 2)]
    assert measure(run, Place(run.path, run.attempt.log)) == [
        "the numbers of attempt 1 are left out of the record: there are too many"
    ]
    assert [None if each.metrics is None else len(each.metrics) for each in run.every_attempt] == [None, 6000, 6000]


def test_numbers_that_nobody_has_read_are_not_none(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa", metrics={"loss": 1}, is_read=False)
    assert is_unread(run) and numbers_of(run) == {}
    assert not is_unread(finished(tmp_path, "aaaaaab"))


def test_a_run_is_looked_up_by_names(tmp_path: Path) -> None:
    run = finished(
        tmp_path,
        "aaaaaaa",
        {"n-samples": 5, "model": {"lr": 0.1, "layers": [1]}, "none": None},
        {"val-loss": 2},
        exp="fig/a",
        tags=["x"],
        commit="c0ffee1234",
        sweep="/s/multirun/2026-01-31/12-00-00-abcdefg",
    )
    found = Facts(run)
    expected = {
        ("params", "n_samples"): 5,
        ("params", "model.lr"): 0.1,
        ("params", "model"): {"model.lr": 0.1, "model.layers": [1]},
        ("params", "none"): None,
        ("params", "mod"): None,
        ("metrics", "val_loss"): 2.0,
        ("exp", ""): "fig/a",
        ("state", ""): "completed",
        ("tags", ""): ["x"],
        ("commit", ""): "c0ffee1234",
        ("sweep", ""): "abcdefg",
        ("duration", ""): None,
    }
    assert {name: found.look_up(*name) for name in expected} == expected


def test_show_lists_them(tmp_path: Path) -> None:
    def shown(run: Run) -> list[tuple[str, str]]:
        return [row for row in told.of_run(Stash(tmp_path), run) if row[0].startswith("metric")]

    content = {"loss": 1 / 3, "nan": math.nan}
    assert shown(finished(tmp_path, "aaaaaaa", metrics=content)) == [
        ("metric", "loss = 0.333333"),
        ("metric", "nan = nan"),
    ]
    assert shown(finished(tmp_path, "aaaaaab")) == []
    many = shown(finished(tmp_path, "aaaaaac", metrics={str(number): number for number in range(1040)}))
    assert len(many) == 31 and many[-1] == ("metrics", "1,010 more, with --json")
    unread = shown(finished(tmp_path, "aaaaaad", is_read=False))
    assert unread == [("metrics", "nobody has read them: experimentstash metrics refresh aaaaaad")]
