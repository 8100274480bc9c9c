"""Whether a path needs quotes in an override depends on where it lies: without them it reads the same everywhere."""

from __future__ import annotations

import pytest

from experimentstash.base.quoting import without_quotes_for_paths


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.run.dir='/my runs/1'", "hydra.run.dir=/my runs/1"),
        ('hydra.run.dir="/my stash\'s/1"', "hydra.run.dir=/my stash's/1"),
        ("files=['/a b/1','/c']", "files=[/a b/1,/c]"),
        ("paths={a:'/a b',c:'x'}", "paths={a:/a b,c:'x'}"),
        ("hydra.run.dir=/runs/1", "hydra.run.dir=/runs/1"),
        ("x='1'", "x='1'"),  # a text, not a number
        ("say='it''s/x'", "say='it''s/x'"),
        ("'/a b'", "/a b"),
    ],
)
def test_paths_lose_their_quotes_and_nothing_else_does(word: str, said: str) -> None:
    assert without_quotes_for_paths(word) == said
