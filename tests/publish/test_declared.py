"""How outputs are compared is said in experiments, registrations and the root config, and in this order it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.publish import declared, idle
from experimentstash.publish.comparators.comparator import How, Tolerance
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers


def of(stash: Stash, experiment: str = "", registration: str = "", root: str = "") -> declared.Declared:
    (stash.root / "conf/exp/e.yaml").write_text(experiment)
    (stash.root / "conf/tool/t.yaml").write_text(registration)
    (stash.root / "conf/config.yaml").write_text(f"defaults: [experimentstash]\n{root}")
    return declared.outputs(Organizers(stash), "e", "t")


@pytest.mark.parametrize(
    ("path", "compare"),
    [
        ("a.csv", "numbers"),
        ("deep/a.JSON", "numbers"),
        ("a.npz", "numbers"),
        ("a.png", "picture"),
        ("a.svg", "picture"),
        ("a.txt", "text"),
        ("a.pt", "hash"),
        ("Makefile", "hash"),
        ("a.log", None),
        ("wandb/run/x.csv", None),
        (".cache/x.csv", None),
        ("x/__pycache__/y.pyc", None),
        ("events.out.tfevents.1", None),
    ],
)
def test_what_nothing_is_said_of(here: Stash, path: str, compare: str | None) -> None:
    how = of(here).how(path)
    assert (None if how is None else how.compare) == compare


def test_who_counts_before_whom(here: Stash) -> None:
    said = of(
        here,
        "outputs: {'*.csv': {rtol: 1e-3}, a.log: {compare: text}, skip.csv: {compare: nothing}}",
        "outputs: {t.csv: {atol: 2}, '*.csv': {rtol: 5}, e.npy: {up_to: sign}}",
        "outputs: {m.json: {ignore: [seconds], columns: {x: {rtol: 1.0e-6}}}}",
    )
    assert said.how("a.csv") == How("numbers", rtol=1e-3) == said.how("inner/a.csv")
    assert said.how("t.csv") == How("numbers", atol=2)
    assert said.how("skip.csv") is None and said.how("a.log") == How("text")
    assert said.how("e.npy") == How("embedding", up_to="sign")
    assert said.how("m.json") == How("numbers", ignore=["seconds"], columns={"x": Tolerance(rtol=1e-6)})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("outputs: [a.csv]", "outputs is no mapping"),
        ("outputs: {a.csv: 1}", "is no mapping"),
        ("outputs: {a.csv: {rtoll: 1}}", "Did you mean 'rtol'?"),
        ("outputs: {a.csv: {rtol: -1}}", "no number from 0 on"),
        ("outputs: {a.csv: {rtol: .nan}}", "no number from 0 on"),
        ("outputs: {a.csv: {rtol: true}}", "no number from 0 on"),
        ("outputs: {a.csv: {compare: number}}", "Did you mean 'numbers'?"),
        ("outputs: {a.csv: {up_to: scale}}", "none of sign, rotation"),
        ("outputs: {a.csv: {key: id}}", "no list of texts"),
        ("outputs: {a.csv: {columns: [x]}}", "no mapping of names"),
        ("outputs: {a.csv: {share: 2}}", "is no share"),
    ],
)
def test_what_makes_no_sense_is_refused(here: Stash, said: str, why: str) -> None:
    with pytest.raises(StashError, match=why.replace("?", r"\?")) as refused:
        of(here, said)
    assert "conf/exp/e.yaml" in str(refused.value)


@pytest.mark.parametrize(("said", "found"), [("inputs: [a, b/c]", ["a", "b/c"]), ("inputs: null", []), ("", [])])
def test_inputs(here: Stash, said: str, found: Any) -> None:
    of(here, said)
    assert declared.inputs(Organizers(here), "e") == found


@pytest.mark.parametrize(("said", "why"), [("inputs: a", "no list of paths"), ("inputs: ['${x}']", "can't be frozen")])
def test_inputs_that_make_no_sense(here: Stash, said: str, why: str) -> None:
    of(here, said)
    with pytest.raises(StashError, match=why):
        declared.inputs(Organizers(here), "e")


def test_what_does_nothing_is_said(tmp_path: Path) -> None:
    for name, text in (
        ("env.txt", "x"),
        ("r.csv", "a,b\n1,2\n"),
        ("m.json", '{"loss": {"train": 1}}'),
        ("deep/s.csv", "a\n1\n"),
        ("p.svg", "<svg/>"),
        ("output.log", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    said = {
        "env.txt": How("text", rtol=5),
        "r.csv": How("numbers", columns={"vv": Tolerance(1.0), "a": Tolerance(1.0)}, coordinates=["a"], ignore=["b*"]),
        "r.cvs": How("numbers"),
        "m.json": How("numbers", ignore=["loss", "acc"], key=["x"]),
        "s.csv": How("numbers", key=["a"]),
        "p.svg": How("picture", atol=1),
        "output.log": How("text"),
        "*.csv": How("numbers", share=0.5),
    }
    results = {name: how for name, how in said.items() if name not in ("r.cvs", "s.csv", "*.csv")}
    results |= {"deep/s.csv": said["s.csv"]}
    given = declared.Declared([*said.items()], own=(*said,), near=(*said,))
    assert idle.notes(given, results, tmp_path) == [
        "outputs: it has written no r.cvs",
        "outputs: env.txt: rtol does nothing, for it is compared by text",
        "outputs: r.csv: coordinates does nothing, for it is compared by numbers",
        "outputs: r.csv: there is no vv in it",
        "outputs: m.json: key does nothing, for it is compared by numbers",
        "outputs: m.json: there is no acc in it",
        "outputs: p.svg: atol does nothing, for it is compared by picture",
    ]
    assert (
        idle.notes(declared.Declared([*said.items()]), results, tmp_path) == []
    )  # of the root config: it is about all
