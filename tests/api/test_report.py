"""`es.report`: the page of the verb, from Python."""

from __future__ import annotations

import pytest

import experimentstash as es
from tests.report.page.test_report import data_of
from tests.testing.finished import finished
from tests.testing.stash import StashUnderTest


def test_a_page_is_written_where_it_is_asked_for(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        finished(stash.root, f"22222{number}", {"seed": number}, {"acc": number}, exp="fig/a", second=number)
    monkeypatch.chdir(stash.root)
    assert callable(es.report)  # though a folder is called so
    path = es.report(es.runs(where="params.seed > 0"), title="Ours", by="seed", output=stash.root / "page.html")
    data = data_of(path)
    assert data["title"] == "Ours" and data["runs"]["count"] == 2
    assert data["tables"][0]["columns"] == ["seed"]
    assert es.report(output="site") == es.report(output="site").resolve().relative_to(stash.root)
    with pytest.raises(es.StashError, match="There are no runs to report"):
        es.report([])
