"""The newest of very many runs are found by names, and are those that a look at all of them finds."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import pytest

from experimentstash.record import records, run_places
from experimentstash.record.run import Run, State
from experimentstash.runs import listing, newest
from experimentstash.stash.layout import Stash
from tests.testing.run_parts import run_with

FIRST = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a few runs be many."""
    monkeypatch.setattr(newest, "_FEW", 1)


def made(directory: Path, name: str, hours: float) -> Run:
    moment = (FIRST + datetime.timedelta(hours=hours)).isoformat(timespec="milliseconds")
    # Something that is called like the time of a run, in its parameters.
    run = run_with(name, directory, state=State.COMPLETED, created=moment, params={"created": "2030-01-01"})
    directory.mkdir(parents=True)
    records.claim(run)
    return run


def named(hours: float, token: str) -> str:
    moment = (FIRST + datetime.timedelta(hours=hours)).astimezone()
    return f"{moment:%Y-%m-%d}/{moment:%H-%M-%S}-{token}"


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    """A stash with single runs and sweeps, some of whose runs were begun anew much later."""
    chance = random.Random(3)
    letters = "23456789abcdefghjkmnpqrstuvwxyz"
    for number in range(60):
        hours, token = chance.random() * 400, "".join(chance.choices(letters, k=7))
        if number % 4:
            made(tmp_path / "outputs" / named(hours, token), token, hours + chance.random() / 2)
            continue
        sweep = tmp_path / "multirun" / named(hours, token)
        for job in range(12):
            later = chance.random() * 300 if (is_anew := chance.random() < 0.1) else 0.0
            made(sweep / str(job), f"{token}-{job}", hours + job / 60 + later)
            if is_anew:
                made(sweep / records.ASIDE / str(job), f"{token}-{job}", hours + job / 60)
    return Stash(tmp_path)


@pytest.mark.parametrize("count", [1, 5, 50])
def test_they_are_the_newest_of_all(here: Stash, count: int) -> None:
    expected = [run.path for run in listing.all_runs(here)]
    assert len(expected) > 200 and newest.newest(here, count) == expected[:count]


def test_a_few_are_all_looked_at(here: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "_FEW", 1000)
    assert newest.newest(here, 5) is None


@pytest.mark.parametrize(
    "place",
    [
        "outputs/mine",
        "outputs/2026-03-01/mine",
        "outputs/2026-03-01/12-00-00-mine",
        "multirun/2026-03-01/12-00-00-abcdefg/lr=1",
        "multirun/2026-03-01/12-00-00-abcdefg",
        "outputs/2026-03-01/12-00-00-abcdefg/7",
    ],
)
def test_where_names_tell_nothing_all_are_looked_at(here: Stash, place: str) -> None:
    run = made(here.root / place, "odd", 500)
    run_places.remember(here, run.path, run.path.parent if place.endswith("/7") else None)  # as freezing does
    assert newest.newest(here, 5) is None


@pytest.mark.slow
def test_what_cant_be_read_is_left_to_a_look_at_all(here: Stash) -> None:
    (listing.all_runs(here)[0].path / "run.json").write_text("{")
    assert newest.newest(here, 5) is None


@pytest.mark.slow
def test_places_of_the_users_own_are_looked_into(here: Stash) -> None:
    (here.root / "conf").mkdir()
    (here.root / "conf" / "config.yaml").write_text("hydra:\n  run:\n    dir: outputs/${now:%H}\n")
    assert newest.newest(here, 5) is None
