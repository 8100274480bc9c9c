from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimentstash.base.durations import describe, parse
from experimentstash.base.errors import StashError

some = settings(deadline=None, max_examples=150, database=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[
            ("0", 0),
            ("45", 45),
            ("1.5", 1.5),
            ("90s", 90),
            ("0.5s", 0.5),
            (" 30M ", 1800),
            ("2h", 7200),
            ("1h30m", 5400),
        ],
        *[("1.5 h", 5400), ("2 hours 30 minutes", 9000), ("1hr 5mins 3sec", 3903), ("1d", 86400), ("1w2d", 777600)],
        *[("1:30", 90), ("30:00", 1800), ("2:00:00", 7200), ("100:00:00", 360000)],
        *[("1-12", 129600), ("1-12:30", 131400), ("1-12:00:00", 129600), ("0-0:0:1", 1)],
    ],
)
def test_what_people_write(text: str, seconds: float) -> None:
    assert parse(text, "timeout") == seconds


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "1 2", "2h foo", "30m\n; rm", "²", "١٢", "9999999999", "9" * 400 + "-1", "9" * 5000 + "s"],
        *[
            "abc",
            "h",
            "-1",
            "1e3",
            "inf",
            "nan",
            "1h30",
            "5ms",
            "5months",
            "1:2:3:4",
            "1:",
            ":30",
            "1-",
            "1:300",
            "1.5:00",
        ],
    ],
)
def test_anything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(StashError, match=r"^timeout: ") as caught:
        parse(text, "timeout")
    assert caught.value.hint


@some
@given(st.text(max_size=12) | st.text(alphabet="0159.:-hmsdw ", max_size=12))
def test_any_text_is_a_finite_duration_or_an_expected_error(text: str) -> None:
    with contextlib.suppress(StashError):
        assert 0 <= parse(text, "x") < 1e16


@some
@given(st.integers(0, 999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_notation_agrees(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    assert parse(f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}", "x") == total
    assert parse(f"{days}d{hours}h{minutes}m{seconds}s", "x") == total
    assert parse(f"{days * 24 + hours}:{minutes:02d}:{seconds:02d}", "x") == total
    assert parse(str(total), "x") == total


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0.0s"), (0.42, "0.4s"), (9.94, "9.9s"), (9.96, "10s"), (12.3, "12s"), (59.4, "59s"), (59.7, "1m00s")],
        *[(185, "3m05s"), (3599.6, "1h00m"), (7800, "2h10m"), (86399, "23h59m"), (86400, "1d00h"), (100800, "1d04h")],
    ],
)
def test_durations_as_a_person_would_say_them(seconds: float, text: str) -> None:
    assert describe(seconds) == text


@some
@given(st.floats(0, 1e7))
def test_what_is_described_can_be_read(seconds: float) -> None:
    step = 0.1 if seconds < 10 else 1 if seconds < 3600 else 60 if seconds < 86400 else 3600
    assert abs(parse(describe(seconds), "x") - seconds) <= step
