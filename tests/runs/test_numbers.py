"""A run's numbers are what its tool has left, NaN and infinities among them; what can't be read is said."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from experimentstash.runs.facts import Facts
from experimentstash.runs.numbers import numbers_of
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
    assert numbers_of(several) == {"loss": 3.0}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ('{"a": 1' + "0" * 50 + "}", "a number of 51 digits"),
        ('{"a": ' * 200 + "1" + "}" * 200, "more than 100 levels"),
        ("[" * 100_000, "too deeply nested"),
        (" " * (1 << 20) + "{}", "larger than 1 MB"),
        (json.dumps({str(number): number for number in range(10_001)}), "more than 10,000 of them"),
        ("\udcff", "utf-8"),
    ],
    ids=lambda text: text[:10],
)
def test_what_cant_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str) -> None:
    run = finished(tmp_path, "aaaaaaa")
    (run.path / "metrics.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert numbers_of(run) == {}
    said = capsys.readouterr().err
    assert said.startswith("stash: aaaaaaa: there are no numbers from its metrics.json: ") and why in said


def test_none_are_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert numbers_of(finished(tmp_path, "aaaaaaa")) == {}
    assert numbers_of(finished(tmp_path, "aaaaaab", metrics="3")) == {}
    assert capsys.readouterr().err == ""
    odd = finished(tmp_path, "aaaaaac")
    (odd.path / "metrics.json").symlink_to("/dev/zero")
    assert numbers_of(odd) == {}
    assert "it is a symbolic link" in capsys.readouterr().err


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
