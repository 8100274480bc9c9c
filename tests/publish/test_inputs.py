"""What a run reads is told by the words that it was given."""

from __future__ import annotations

from experimentstash.publish.inputs import Inputs
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished


def test_a_directory_around_everything_is_no_input(here: Stash) -> None:
    run = finished(here.root, "aaaaaaa", {"root": "/."}, commit="1" * 40)
    assert Inputs(here).of(run, [], []) == []
