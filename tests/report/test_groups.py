"""Runs stand in groups by what differs, and what differs by a seed alone is one group; nothing is dropped unsaid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.report import groups
from experimentstash.report.groups import Grouped, title
from experimentstash.runs.differing import plain
from experimentstash.runs.facts import Facts
from tests.testing.finished import finished

Runs = Callable[..., list[Facts]]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    numbers = itertools.count(1)

    def make(*each: dict[str, Any], **fields: Any) -> list[Facts]:
        """Return a run for each of these parameters, one a second."""
        return [
            Facts(finished(tmp_path, f"r{number:06}", params, second=number, **fields))
            for params in each
            for number in [next(numbers)]
        ]

    return make


def group(runs: Sequence[Facts], by: Sequence[str] = (), over: Sequence[str] = ()) -> Grouped:
    """Return runs in groups, by the settings that they have."""
    return groups.group(runs, by, over, groups.settings_by_directory(runs))


def shown(found: Grouped) -> dict[tuple[Any, ...], list[str]]:
    return {
        tuple(map(plain, each.values)): sorted(facts.run.id[-1] for facts in each.runs.values())
        for each in found.groups
    }


def headings(found: Grouped) -> list[str]:
    return [column.heading for column in found.columns]


def test_what_differs_makes_groups_and_seeds_dont(runs: Runs) -> None:
    found = group(runs({"lr": 0.1, "seed": 1, "n": 5}, {"lr": 0.1, "seed": 2, "n": 5}, {"lr": 0.01, "seed": 1, "n": 5}))
    assert headings(found) == ["lr"] and found.over == ("params.seed",) and found.remarks == ()
    assert shown(found) == {(0.01,): ["3"], (0.1,): ["1", "2"]}


@pytest.mark.parametrize(
    "name", ["seed", "random_state", "random-seed", "model.seed", "data_seed", "seed_everything", "RANDOM_STATE", "rng"]
)
def test_seeds_are_found_by_their_names(runs: Runs, name: str) -> None:
    assert len(group(runs({name: 1}, {name: 2})).groups) == 1


@pytest.mark.parametrize("name", ["seedling", "speed", "seed.size", "fold"])
def test_other_names_are_no_seeds(runs: Runs, name: str) -> None:
    assert len(group(runs({name: 1}, {name: 2})).groups) == 2


def test_runs_of_different_tools_stand_side_by_side(runs: Runs) -> None:
    every = runs({"seed": 1, "n_samples": 5}, {"seed": 2, "n_samples": 5}, exp="fig/pca", tool="a", experiment="x")
    every += runs({"seed": 1, "n-samples": 5, "min-dist": 0.1}, exp="fig/umap", tool="b", experiment="y")
    assert headings(group(every)) == ["experiment"]  # which says the tool, and what has one value tells nothing
    every += runs({"seed": 1, "n-samples": 7, "min-dist": 0.1}, exp="fig/umap", tool="b", experiment="y")
    found = group(every)
    assert headings(found) == ["experiment", "n_samples"]
    assert shown(found) == {("fig/pca", 5): ["1", "2"], ("fig/umap", 5): ["3"], ("fig/umap", 7): ["4"]}
    every += runs({"seed": 1, "n-samples": 7, "min-dist": 0.1}, exp="fig/umap", tool="c", experiment="y")
    assert headings(group(every)) == ["experiment", "tool", "n_samples"]


def test_what_only_some_runs_of_an_experiment_have_differs(runs: Runs) -> None:
    found = group(runs({"seed": 1}, {"seed": 1, "extra": 1}))
    assert headings(found) == ["extra"] and shown(found) == {(None,): ["1"], (1,): ["2"]}
    assert [title(each.values) for each in found.groups] == ["-", "1"]


@pytest.mark.parametrize(
    ("one", "other", "count"), [(1, 1.0, 1), (1, True, 2), (1, "1", 2), ([1], [1], 1), (None, 0, 2)]
)
def test_equal_values_are_one(runs: Runs, one: Any, other: Any, count: int) -> None:
    assert len(group(runs({"x": one, "seed": 1}, {"x": other, "seed": 2})).groups) == count


def test_the_newest_of_the_same_run_counts_and_that_is_said(runs: Runs) -> None:
    found = group(runs({"seed": 1}, {"seed": 2}, {"seed": 1}))
    assert shown(found) == {("fig/one",): ["2", "3"]}
    assert found.remarks == ("of runs with the same parameters the newest counts: r000003 for r000001",)
    told = group([*runs({"seed": 1}, argv=["x", "--lr", "1"]), *runs({"seed": 1})]).remarks
    assert told[0].endswith("; some were called otherwise than the newest")
    unseeded = runs({"a": 1}, {"a": 1})
    assert group(unseeded).remarks[0].endswith("they have no seed: --over id averages over them all")
    (all_of_them,) = group(unseeded, over=["id"]).groups
    assert len(all_of_them.runs) == 2


def test_names_may_be_given(runs: Runs) -> None:
    every = runs(*({"method": m, "fold": f, "seed": s} for m in "ab" for f in (1, 2) for s in (1, 2)))
    assert headings(group(every)) == ["fold", "method"] or headings(group(every)) == ["method", "fold"]
    by = group(every, by=["method"])
    assert headings(by) == ["method"] and [len(each.runs) for each in by.groups] == [4, 4]
    assert by.remarks == ("averaged over fold as well: 1, 2",) and by.over == ("params.seed", "params.fold")
    over = group(every, by=["params.method"], over=["seed", "fold"])
    assert [len(each.runs) for each in over.groups] == [4, 4] and over.remarks == ()
    assert headings(group(every, over=["fold"])) == ["method", "seed"]
    assert headings(group(every, by=["seed"])) == ["seed"]
    for names in ({"by": ["methd"]}, {"over": ["methd"]}):
        with pytest.raises(StashError, match=r"None of these runs has 'methd'\. Did you mean 'method'\?"):
            group(every, **names)


def test_experiments_that_are_averaged_over_are_told(runs: Runs) -> None:
    every = [*runs({"method": "a", "seed": 1}, exp="fig/x"), *runs({"method": "a", "seed": 1}, exp="fig/y")]
    found = group(every, by=["method"])
    assert len(found.groups[0].runs) == 2 and found.remarks == ("averaged over experiment as well: fig/x, fig/y",)


def test_what_overrides_change_besides_parameters_differs(runs: Runs) -> None:
    every = [*runs({}, overrides=["arguments=[--a]", "timeout=3"]), *runs({}, overrides=["arguments=[--b]", "tool=t"])]
    assert headings(group(every)) == ["arguments"]
    (one,) = group([*runs({}, overrides=["+vars.seed=1"]), *runs({}, overrides=["+vars.seed=2"])]).groups
    assert len(one.runs) == 2


def test_other_code_in_a_group_is_told(runs: Runs) -> None:
    every = [*runs({"seed": 1}, commit="aaaaaaaa1"), *runs({"seed": 2}, commit="bbbbbbbb2")]
    assert group(every).remarks == ("fig/one: its runs are of 2 commits of the tool's repository (bbbbbbb, aaaaaaa)",)


def test_groups_are_in_the_order_of_their_values(runs: Runs) -> None:
    found = group(runs({"x": 10}, {"x": 9}, {"x": "b"}, {"x": "a"}, {"x": None}, {}))
    assert [plain(each.values[0]) for each in found.groups] == [None, 9, 10, "a", "b", None]
