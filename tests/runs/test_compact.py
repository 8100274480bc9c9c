"""What is kept of very many runs at once is small, and the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.report.groups import settings_by_directory
from experimentstash.runs.compact import Compactor
from experimentstash.runs.differing import settings_of
from experimentstash.runs.selection import Selection, choose
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "id"]), values), max_size=6))
def test_compact_mappings_are_the_same(several: list[dict[str, Any]]) -> None:
    compactor = Compactor(unlike="id")
    for content in several:
        found = compactor.compact(content)
        assert list(found) == list(content) and len(found) == len(content)
        for name in ("a", "b", "id"):
            assert (name in found) is (name in content)
            assert repr(found.get(name, "nothing")) == repr(content.get(name, "nothing"))  # 1, 1.0 and true, 0 and -0.0


def test_texts_are_given_up_once_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stash = Stash(tmp_path / "stash")
    for number in range(3):
        run = finished(stash.root, f"22222a{number}", {"lr": number, "deep": {"x": "y"}}, {"loss": number / 2})
        os.utime(run.path / "run.json", (1_700_000_000, 1_700_000_000))  # old enough to be kept
    choose(stash, Selection())
    known = choose(stash, Selection()).found
    expected = {facts.directory: (settings_of(facts), dict(facts.numbers), facts.command) for facts in known}
    found = choose(stash, Selection()).found
    settings = settings_by_directory(found)
    assert all(set(vars(facts)) & {"_texts", "_said", "params"} == set() for facts in found)
    assert {
        facts.directory: (dict(settings[facts.directory]), dict(facts.numbers), facts.command) for facts in found
    } == expected
