from __future__ import annotations

import datetime

import pytest

from experimentstash.base.errors import StashError
from experimentstash.base.moments import parse

NOW = datetime.datetime(2026, 11, 26, 13, 30).astimezone()


def local(*parts: int) -> float:
    return datetime.datetime(*parts).astimezone().timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2d", NOW.timestamp() - 172800, NOW.timestamp() - 172800),
        ("90m ago", NOW.timestamp() - 5400, NOW.timestamp() - 5400),
        ("today", local(2026, 11, 26), local(2026, 11, 27)),
        ("Yesterday", local(2026, 11, 25), local(2026, 11, 26)),
        ("2026-10-31", local(2026, 10, 31), local(2026, 11, 1)),
        ("2026-11-20 14:30", local(2026, 11, 20, 14, 30), local(2026, 11, 20, 14, 30)),
        ("2026-11-20T14:30:05+00:00", 1795185005.0, 1795185005.0),
        ("2026-11-20T14:30:05Z", 1795185005.0, 1795185005.0),
    ],
)
def test_what_people_write(text: str, begin: float, end: float) -> None:
    assert parse(text, "--since", now=NOW) == begin
    assert parse(text, "--until", is_end=True, now=NOW) == end


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "2026",
        "tomorrow",
        "2026-13-01",
        "2026-11-2x",
        "9999999999d",
        "11/20",
        "²d",
        "14:30",
        "2026-11",
        "2-12:00",
    ],
)
def test_anything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(StashError, match=r"--since: .* is no time"):
        parse(text, "--since", now=NOW)
