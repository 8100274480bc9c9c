"""Our dataclasses do what those of the standard library do, as far as we use them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle

import pytest

from experimentstash.base.dataclass_light import dataclass, field, replace


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
    names: tuple[str, ...] = ()

    @functools.cached_property
    def norm(self) -> int:
        return self.x + self.y


@dataclass
class Open:
    x: int
    found: list[int] = field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Theirs:
    x: int
    y: int = 0


def test_they_are_made_compared_hashed_and_shown() -> None:
    assert Point(1, 2) == Point(x=1, y=2) != Point(1)
    assert hash(Point(1, 2)) == hash(Point(1, 2, ()))
    assert repr(Point(1)) == "Point(x=1, y=0, names=())"
    assert Open(1).found is not Open(1).found
    for wrong in ({}, {"x": 1, "z": 2}):
        with pytest.raises(TypeError):
            Point(**wrong)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]


def test_what_is_worked_out_later_counts_for_nothing() -> None:
    one, other = Point(1, 2), Point(1, 2)
    before = hash(one)
    assert one.norm == 3
    assert one == other and hash(one) == before and repr(one) == repr(other)


def test_a_copy_may_differ() -> None:
    one = Point(1, 2, ("a",))
    assert one.norm == 3
    other = replace(one, y=5)
    assert other == Point(1, 5, ("a",)) and other.norm == 6
    assert replace(Theirs(1), y=2) == Theirs(1, 2)
    with pytest.raises(TypeError):
        replace(one, z=1)
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert again == one
