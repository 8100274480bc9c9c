"""`es.compare`: the engine of the verb, with its table as a frame and in all forms."""

from __future__ import annotations

import math

import pytest

import experimentstash as es
from experimentstash.record.run import State
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest


@pytest.fixture
def ended(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    for number, (exp, seed) in enumerate([("fig/a", 1), ("fig/a", 2), ("fig/b", 1), ("fig/b", 2)]):
        finished(stash.root, f"r{number:06}", {"seed": seed}, {"acc": number / 10, "b&c": seed}, exp=exp, second=number)
    finished(stash.root, "failed1", {"seed": 3}, exp="fig/a", state=State.FAILED, second=9)
    monkeypatch.chdir(stash.root)
    return stash


def test_it_is_what_the_verb_prints(ended: StashUnderTest, in_process: InProcess) -> None:
    compared = es.compare(exp="fig/*")
    for form in ("latex", "markdown", "html", "csv", "json"):
        printed = in_process(ended, "compare", "--exp", "fig/*", f"--{form}").stdout
        assert f"{getattr(compared, f'to_{form}')()}\n" == printed
    assert f"{compared!r}\n" == in_process(ended, "compare", "--exp", "fig/*").stdout
    assert compared._repr_html_() == compared.to_html() and "<caption>" in compared.to_html()
    assert compared.remarks == ["left out: 1 run failed: failed1"]


def test_its_table_as_a_frame(ended: StashUnderTest) -> None:
    frame = es.compare(metrics="acc").to_pandas().set_index("experiment")
    assert list(frame.columns) == ["acc.n", "acc.mean", "acc.std"]
    assert frame.loc["fig/b"].tolist() == [2, pytest.approx(0.25), pytest.approx(0.1 / math.sqrt(2))]
    assert str(frame["acc.n"].dtype) == "int64"
    rows = es.compare(by="seed", metrics=["acc", "b&c"], spread="quartiles").to_polars()
    assert rows.columns[:4] == ["seed", "acc.n", "acc.median", "acc.low"]
    assert rows["seed"].to_list() == [1, 2]


def test_runs_that_one_has(ended: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = es.runs()
    monkeypatch.chdir("/")  # they know their stash
    assert es.compare(runs[1:4], runs[4]).to_pandas()["acc.n"].tolist() == [2, 2]
    assert es.compare("r000000", "r000002", stash=ended.root).to_pandas()["acc.n"].tolist() == [1, 1]
    with pytest.raises(es.StashError, match="There are no runs to compare"):
        es.compare([])
    with pytest.raises(es.StashError, match="There are no completed runs to compare"):
        es.compare(runs[:1])


def test_mistakes(ended: StashUnderTest) -> None:
    with pytest.raises(es.StashError, match=r"spread: 'sdt' is none of std, .*Did you mean 'std'"):
        es.compare(spread="sdt")  # type: ignore[arg-type]
    with pytest.raises(es.StashError, match="test: 'anova' is none of"):
        es.compare(test="anova")  # type: ignore[arg-type]
    with pytest.raises(es.StashError, match="None of these runs has a metric 'ac'"):
        es.compare(metrics="ac")
