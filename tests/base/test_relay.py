"""A growing file appears elsewhere, byte for byte, and a reader that stops or goes away holds nobody up."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.base.tail import Relay
from tests.testing.stash import PATIENCE, wait_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(descriptor)


def read(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size and (chunk := os.read(descriptor, size - len(found))):
        found += chunk
    return found


def test_bytes_appear_as_they_are_written(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    path = tmp_path / "log"
    path.write_bytes(b"an earlier attempt\n")
    with path.open("ab", buffering=0) as log:
        relay = Relay(path, log.tell(), writer)
        relay.start()
        for piece in (b"first\n", b"\r 10%", b"\r 20%\xff\x00", b"no line end"):
            log.write(piece)
            assert read(reader, len(piece)) == piece  # before anything more is written, and before the end
        log.write(b"last")
    relay.finish()
    os.close(writer)
    assert read(reader, 100) == b"last"


def test_everything_is_shown_however_slow_the_reader(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    path = tmp_path / "log"
    content = os.urandom(3_000_000)  # many times what a pipe holds
    path.write_bytes(content)
    relay = Relay(path, 0, writer)
    relay.start()
    found: list[bytes] = []
    consumer = threading.Thread(target=lambda: found.append(read(reader, len(content))))
    consumer.start()
    relay.finish()
    consumer.join(PATIENCE)
    assert found == [content]


def test_a_reader_that_stops_does_not_stop_the_writer(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    path = tmp_path / "log"
    path.touch()
    relay = Relay(path, 0, writer)
    relay.start()
    with path.open("ab", buffering=0) as log:  # nobody reads: a tool that wrote to the pipe would hang here
        log.write(b"x" * 1_000_000)
    assert path.stat().st_size == 1_000_000 and not relay.is_broken
    consumer = threading.Thread(target=read, args=(reader, 1_000_000))
    consumer.start()
    relay.finish()
    consumer.join(PATIENCE)
    assert not consumer.is_alive()


def test_a_reader_that_goes_away_ends_the_relay_alone(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    path = tmp_path / "log"
    path.touch()
    relay = Relay(path, 0, writer)
    relay.start()
    os.close(reader)
    assert not relay.is_broken
    path.write_bytes(b"for nobody")
    wait_until(lambda: relay.is_broken)
    relay.finish()


def test_a_file_that_is_gone(tmp_path: Path, pipe: tuple[int, int]) -> None:
    relay = Relay(tmp_path / "nothing", 0, pipe[1])
    relay.start()
    relay.finish()
    os.close(pipe[1])
    assert read(pipe[0], 10) == b""
