"""What the tests of frozen runs have in common."""

from __future__ import annotations

import pytest

from tests.testing.drawing import ORGANIZER, REGISTRATION
from tests.testing.stash import StashUnderTest


@pytest.fixture
def drawing(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a run that has drawn something, committed beforehand; `frozen` are its ids."""
    stash.add_tool("drawer", "drawer", REGISTRATION)
    stash.add_experiment("draw", "drawer", ORGANIZER)
    stash.write("data/numbers.txt", "1\n2\n3.25\n")
    stash.commit()
    done = stash.cli("+exp=draw")
    assert done.returncode == 0, done.stderr
    return stash
