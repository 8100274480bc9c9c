"""What is proposed for an output that varies holds for the next runs as well; else nothing is, and that is said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from PIL import Image

from experimentstash.publish import proposing
from experimentstash.publish.comparators import choose
from experimentstash.publish.comparators.comparator import How

# Runs that are seen, and as many more for which the proposal must hold.
SEEN = 4

Write = Callable[[Path, random.Random], None]


def proposed(folder: Path, name: str, write: Write, how: How | None = None) -> proposing.Proposal:
    """Have a file written several times; return what is proposed after half of them, which must hold for all."""
    files = []
    for number in range(2 * SEEN):
        files.append(folder / str(number) / name)
        files[-1].parent.mkdir()
        write(files[-1], random.Random(number))
    found = proposing.propose(how or How(choose.usual(name)), files[:SEEN])
    if found.how is not None:
        comparator = choose.named(found.how.compare)
        assert comparator is not None
        for later in files[1:]:
            seen = comparator.compare(files[0], later, found.how)
            assert seen.difference is None, (found.how, seen)
    return found


def said(found: proposing.Proposal, name: str) -> dict[str, object]:
    assert found.how is not None, found.why
    return proposing.entry(found.how, choose.usual(name))


def rows(*columns: Callable[[int, random.Random], object], header: str, number: int = 20) -> Write:
    def write(path: Path, chance: random.Random) -> None:
        lines = [",".join(str(column(row, chance)) for column in columns) for row in range(number)]
        path.write_text("\n".join([header, *lines]) + "\n")

    return write


def noisy(value: float, chance: random.Random, by: float) -> float:
    """Return a value that is off by at least half of ``by``, and at most by all of it."""
    return value * (1 + by * chance.uniform(0.5, 1) * chance.choice([-1, 1]))


def test_the_tolerance_of_each_column_is_what_it_needs(tmp_path: Path) -> None:
    # The largest deviation is in one place, and the largest relative to its number in another.
    write = rows(
        lambda row, chance: row,
        lambda row, chance: noisy(10.0 ** (row - 12), chance, 1e-6),
        header="n,y",
    )
    assert set(said(proposed(tmp_path, "a.csv", write), "a.csv")) == {"rtol"}
    both = rows(
        lambda row, chance: noisy(1 + row, chance, 1e-9),
        lambda row, chance: noisy(1 + row, chance, 1e-2),
        lambda row, chance: row - 10 + chance.uniform(-1e-9, 1e-9),
        header="loss,accuracy,residual",
    )
    (tmp_path / "both").mkdir()
    found = said(proposed(tmp_path / "both", "b.csv", both), "b.csv")
    assert set(found) == {"columns"}
    columns = found["columns"]
    assert isinstance(columns, dict)
    assert {name: set(each) for name, each in columns.items()} == {
        "loss": {"rtol"},
        "accuracy": {"rtol"},
        "residual": {"atol"},
    }


@pytest.mark.parametrize(
    "write",
    [
        rows(lambda row, chance: chance.gauss(0, 30), lambda row, chance: chance.gauss(0, 30), header="x,y"),
        rows(lambda row, chance: row, lambda row, chance: chance.choice(["cat", "dog"]), header="n,label"),
        rows(lambda row, chance: row, lambda row, chance: chance.choice([1.0, "nan"]), header="n,loss"),
        rows(lambda row, chance: chance.random(), header="seconds"),  # nothing else is there
    ],
)
def test_what_varies_without_a_bound_has_no_tolerance(tmp_path: Path, write: Write) -> None:
    found = proposed(tmp_path, "a.csv", write)
    assert found.how is None and "no tolerance is sensible for" in found.why


def test_other_shapes_are_named(tmp_path: Path) -> None:
    def longer(path: Path, chance: random.Random) -> None:
        path.write_text("x\n" + "1\n" * chance.randint(1, 99))

    def other(path: Path, chance: random.Random) -> None:
        path.write_text(json.dumps({f"run-{chance.random()}": 1}))

    assert "how much there is in it varies" in proposed(tmp_path, "a.csv", longer).why
    (tmp_path / "b").mkdir()
    assert "other names each time" in proposed(tmp_path / "b", "b.json", other).why


def test_rows_in_another_order_find_each_other_by_a_key(tmp_path: Path) -> None:
    def shuffled(path: Path, chance: random.Random) -> None:
        lines = [f"{seed},{name},{noisy(seed + 1, chance, 1e-9)}" for seed in range(5) for name in "ab"]
        path.write_text("\n".join(["seed,name,loss", *chance.sample(lines, len(lines))]) + "\n")

    def alike(path: Path, chance: random.Random) -> None:
        path.write_text("\n".join(["x", *chance.sample(["1", "1", "2", "3", "4"], 5)]) + "\n")

    found = said(proposed(tmp_path, "a.csv", shuffled), "a.csv")
    assert found["key"] == ["seed", "name"] and set(found) == {"key", "rtol"}
    (tmp_path / "b").mkdir()
    assert "another order each time" in proposed(tmp_path / "b", "b.csv", alike).why


def test_moments_and_durations_are_left_out(tmp_path: Path) -> None:
    def metrics(path: Path, chance: random.Random) -> None:
        when = f"2026-01-02T03:04:{chance.randint(10, 59)}Z"
        history = [{"loss": noisy(1 + epoch, chance, 1e-8), "started": chance.random()} for epoch in range(3)]
        said = {"fit_seconds": chance.random(), "made": when, "history": history, "accuracy": 0.5}
        path.write_text(json.dumps(said))

    def text(path: Path, chance: random.Random) -> None:
        when = f"2026-01-02 03:04:{chance.randint(10, 59)}"
        path.write_text(f"begun {when}\naccuracy 0.91\ntook {chance.randint(1, 999)} ms\n")

    found = said(proposed(tmp_path, "m.json", metrics), "m.json")
    assert set(found) == {"ignore", "rtol"} and set(found["ignore"]) == {"fit_seconds", "made", "history.*.started"}  # type: ignore[call-overload]
    (tmp_path / "t").mkdir()
    assert len(said(proposed(tmp_path / "t", "t.txt", text), "t.txt")["ignore"]) == 2  # type: ignore[arg-type]
    (tmp_path / "u").mkdir()
    loose = proposed(
        tmp_path / "u", "u.txt", lambda path, chance: (path.write_text(f"loss {chance.random()}\n"), None)[1]
    )
    assert loose.how is None and "its lines vary" in loose.why


@pytest.mark.parametrize(
    ("up_to", "name"), [("sign", "e.csv"), ("sign", "e.npy"), ("rotation", "e.csv"), ("rotation", "e.npy")]
)
def test_embeddings_are_the_same_up_to_signs_or_a_rotation(tmp_path: Path, up_to: str, name: str) -> None:
    points = numpy.random.default_rng(0).normal(size=(30, 2)) * [5, 2]

    def write(path: Path, chance: random.Random) -> None:
        angle = chance.uniform(0.5, 2.5)
        turn = numpy.array([[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]])
        flip = numpy.diag([chance.choice([-1, 1]), chance.choice([-1, 1])])
        found = points @ (flip if up_to == "sign" else turn)
        found += numpy.array([[chance.uniform(-1e-10, 1e-10) for _ in range(2)] for _ in range(30)])
        if name.endswith(".npy"):
            numpy.save(path, found)
        else:
            lines = [f"{row},{x},{y}" for row, (x, y) in enumerate(found.tolist())]
            path.write_text("\n".join(["n,x,y", *lines]) + "\n")

    found = said(proposed(tmp_path, name, write), name)
    assert found["up_to"] == up_to and float(str(found["atol"])) < 1e-8
    assert name.endswith(".npy") or found["coordinates"] == ["x", "y"]


def test_pictures_may_differ_by_little_or_in_few_pixels(tmp_path: Path) -> None:
    def shade(path: Path, chance: random.Random) -> None:
        Image.new("L", (50, 50), 100 + chance.randint(0, 1)).save(path)

    def dots(path: Path, chance: random.Random) -> None:
        picture = Image.new("L", (100, 100), 255)
        picture.putpixel((chance.randint(0, 99), chance.randint(0, 99)), 0)
        picture.save(path)

    def another(path: Path, chance: random.Random) -> None:
        Image.effect_noise((50, 50), 100).save(path)

    assert said(proposed(tmp_path, "a.png", shade), "a.png") == {"atol": "2"}
    for name, write in (("dots", dots), ("another", another)):
        (tmp_path / name).mkdir()
        found = proposed(tmp_path / name, "a.png", write)
        assert (found.how is None) == (write is another), found
    assert "another picture each time" in found.why


def test_what_is_declared_stays_in_the_proposal_and_bytes_have_none(tmp_path: Path) -> None:
    write = rows(lambda row, chance: chance.random(), lambda row, chance: noisy(1 + row, chance, 1e-9), header="note,y")
    how = How("numbers", ignore=["note"])
    assert set(said(proposed(tmp_path, "a.csv", write, how), "a.csv")) == {"ignore", "rtol"}
    (tmp_path / "b").mkdir()
    found = proposed(tmp_path / "b", "b.bin", write)
    assert found.how is None and "only its bytes are compared" in found.why
