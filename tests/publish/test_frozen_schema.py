"""The schema of frozen.json is the one in docs/; what is frozen in other tests is valid by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.publish import frozen, frozen_schema
from experimentstash.stash.layout import Stash

FILE = Path(frozen.__file__).resolve().parents[2] / "docs" / "frozen.schema.json"


def test_the_one_in_the_docs_is_made_from_the_types() -> None:
    assert FILE.read_text() == frozen_schema.text()  # else: python -m experimentstash.publish.frozen_schema > that file


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "", ".", "a/.", "a\nb"])
def test_a_path_leads_to_nothing_outside(path: str) -> None:
    assert not frozen.is_inside(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".hidden", "a b", "a..b", "x.lock", "é" * 3, "a" * 101])
def test_a_name_is_that_of_a_directory_and_of_a_tag(here: Stash, name: str) -> None:
    with pytest.raises(Exception, match="can't be the name of something frozen"):
        frozen.folder_of(here, name)
