"""Which runs filters stand for: they narrow, and a name that there isn't is said with the nearest that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.record import records
from experimentstash.record.run import State
from experimentstash.runs.selection import Selection, choose, of_words
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.run_parts import run_with

SWEEP = "multirun/2026-01-31/12-00-00-sweep22"


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    """A stash with four runs, oldest first a, b, c, d; b and c are of a sweep; c has no accuracy."""
    sweep = tmp_path / SWEEP
    given: list[dict[str, Any]] = [
        {"exp": "fig1/a", "tags": ["x", "y"], "metrics": {"acc": 0.5}, "params": {"seed": 1}},
        {"exp": "fig1/b", "tags": ["x"], "metrics": {"acc": 0.9}, "sweep": str(sweep), "state": State.FAILED},
        {"exp": "fig2/b", "tool": "other", "sweep": str(sweep), "state": State.TIMED_OUT},
        {"exp": None, "tool": "other", "metrics": {"acc": 0.7}},
    ]
    for second, fields in enumerate(given):
        finished(tmp_path, f"abcdefg{'abcd'[second]}"[1:], second=second * 60, **fields)
    sweep.mkdir(parents=True)
    return Stash(tmp_path)


def found(stash: Stash, *names: str, **words: Any) -> str:
    return "".join(facts.run.id[-1] for facts in choose(stash, of_words(names, **words)).found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "dcba"),
        ({"states": ["failed"]}, "b"),
        ({"states": ["Timed out,failed"]}, "cb"),
        ({"states": ["completed", "failed"]}, "dba"),
        ({"experiments": ["fig1/*"]}, "ba"),
        ({"experiments": ["*/a", "other"]}, "da"),
        ({"tools": ["other"]}, "dc"),
        ({"tools": ["other"], "states": ["completed"]}, "d"),
        ({"tags": ["x"]}, "ba"),
        ({"tags": ["x,y"]}, "a"),
        ({"sweeps": [SWEEP]}, "cb"),
        ({"since": "2026-01-31T12:01:00+00:00"}, "dcb"),
        ({"until": "2026-01-31T12:01:00+00:00"}, "a"),
        ({"since": "2026-01-31T12:01:00Z", "until": "2026-01-31T12:03:00Z"}, "cb"),
        ({"since": "2d"}, ""),
        ({"where": "metrics.acc > 0.6"}, "db"),
        ({"where": "metrics.acc > 0.6", "tools": ["t"]}, "b"),
        ({"experiments": ["fig1/*"], "states": ["lost"], "where": "metrics.acc > 0.6"}, ""),
    ],
)
def test_filters_narrow(here: Stash, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any], expected: str) -> None:
    monkeypatch.chdir(here.root)
    assert found(here, **words) == expected


def test_names_are_narrowed_too(here: Stash) -> None:
    assert found(here, "bcdefga", "bcdefgd") == "da"
    assert found(here, "bcdefga", "bcdefgd", tools=["t"]) == "a"
    assert found(here, "latest") == "d"


def test_who_acts_gives_enough_of_an_id(here: Stash) -> None:
    run = run_with("sweep22-10", here.root / SWEEP / "10", state=State.COMPLETED, sweep=str(here.root / SWEEP))
    records.claim(run)
    for name in ("s", "swe"):
        assert len(choose(here, of_words([name])).found) == 3
        for words in (of_words([name]), of_words(sweeps=[name])):
            with pytest.raises(StashError, match=r"too little of an id to act on.*: the sweep sweep22"):
                choose(here, words, acts=True)
    assert len(choose(here, of_words(["swee"]), acts=True).found) == 3
    assert len(choose(here, of_words(["latest"]), acts=True).found) == 1
    with pytest.raises(StashError, match="no run 'x'"):
        choose(here, of_words(["x"]), acts=True)


def test_the_number_of_a_job_is_never_cut_short(here: Stash) -> None:
    run = run_with("sweep22-10", here.root / SWEEP / "10", state=State.COMPLETED, sweep=str(here.root / SWEEP))
    records.claim(run)
    assert choose(here, of_words(["sweep22-10"])).found[0].id == "sweep22-10"
    with pytest.raises(StashError, match="no run 'sweep22-1'"):
        choose(here, of_words(["sweep22-1"]))


def test_what_cant_be_told_is_apart(here: Stash) -> None:
    selected = choose(here, of_words(where="metrics.acc > 0.6"))
    assert [facts.run.id[-1] for facts in selected.untold] == ["c"] and selected.unread == []
    broken = here.root / "outputs/2026-01-31/12-00-00-bcdefga/run.json"
    broken.write_text("{")
    assert choose(here, Selection()).unread == [broken.parent]


def test_whether_all_is_meant_can_be_asked() -> None:
    assert Selection().is_empty and of_words().is_empty and not of_words().has_filters
    assert not of_words(["a"]).is_empty and not of_words(["a"]).has_filters
    assert not of_words(since="2d").is_empty and of_words(["a"], tags=["x"]).has_filters


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"states": ["complete"]}, "no state 'complete'. Did you mean 'completed'?"),
        ({"tools": ["othr"]}, "has the tool 'othr'. Did you mean 'other'?"),
        ({"tags": ["z"]}, "has the tag 'z'.\nTags that there are: x, y"),
        ({"tags": ["x,"]}, "--tag: a value is empty"),
        ({"states": [""]}, "--state: a value is empty"),
        ({"experiments": [""]}, "--exp: a value is empty"),
        (
            {"experiments": ["nothing*"], "where": "metrics.acc > 0.6"},
            "is of an experiment 'nothing*'.\n",
        ),
        ({"experiments": ["fig1/*", "figg2/*"]}, "is of an experiment 'figg2/*'. Did you mean 'fig2/*'?"),
        ({"experiments": ["fig1/c"]}, "is of an experiment 'fig1/c'. Did you mean 'fig1/"),
        ({"sweeps": ["nosuch"]}, "no sweep of that name"),
        ({"since": "soon"}, "--since: 'soon' is no time"),
        ({"where": "metrics.ac > 1"}, "has 'metrics.ac'. Did you mean 'acc'?"),
    ],
)
def test_what_there_isnt_is_told(here: Stash, words: dict[str, Any], said: str) -> None:
    with pytest.raises(StashError) as caught:
        found(here, **words)
    assert said in str(caught.value)


def test_a_tool_that_has_not_run_yet_is_no_mistake(here: Stash) -> None:
    (here.conf / "tool").mkdir(parents=True)
    (here.conf / "tool" / "new.yaml").write_text("path: tools/new\n")
    assert found(here, tools=["new"]) == ""


def test_an_experiment_that_has_not_run_yet_is_no_mistake(here: Stash) -> None:
    (here.conf / "exp" / "fig3").mkdir(parents=True)
    (here.conf / "exp" / "fig3" / "new.yaml").write_text("tool: t\n")
    selected = choose(here, of_words(experiments=["fig3/*", "fig1/*"], states=["failed"]))
    assert selected.unbegun == ["fig3/*"] and len(selected.found) == 1
    assert choose(here, of_words(["bcdefga"], experiments=["fig3/new"])).unbegun == ["fig3/new"]


def test_in_an_empty_stash_nothing_is_unknown(tmp_path: Path) -> None:
    assert found(Stash(tmp_path), tools=["any"], tags=["any"], experiments=["any"], where="metrics.any > 1") == ""
