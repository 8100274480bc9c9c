"""Odd inputs for every door, by a fixed seed: see `fuzz`; with -m exhaustive for FUZZ_SECONDS, by a new seed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.testing import fuzz
from tests.testing.fuzz import DOORS, Place, put_through

SEED = 20261126


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with fuzz.surroundings():
        yield fuzz.make_place(tmp_path_factory.mktemp("fuzz"))


def test_there_are_enough() -> None:
    assert sum(DOORS.values()) >= 3000


@pytest.mark.parametrize("is_sample", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["a tenth", "the rest"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_nothing_odd_brings_it_down(
    door: Callable[[random.Random, Place], None], place: Place, is_sample: bool
) -> None:
    tenth = DOORS[door] // 10
    numbers = range(tenth) if is_sample else range(tenth, DOORS[door])
    faults = [wrong for number in numbers if (wrong := put_through(door, SEED, number, place)) is not None]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:5])


@pytest.mark.exhaustive
def test_nothing_odd_brings_it_down_for_long(place: Place) -> None:
    seed, faults, number = random.randrange(1 << 30), [], 0
    until = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "600"))
    while time.monotonic() < until:
        faults += [wrong for door in DOORS if (wrong := put_through(door, seed, number, place)) is not None]
        number += 1
    assert not faults, f"seed {seed}, {len(faults)} faults:\n" + "\n".join(faults[:20])
