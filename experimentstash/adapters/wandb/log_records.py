"""The few records of W&B's transaction log that end a run or say what it is, read and written by hand.

A record is a protobuf message ``Record``; the field numbers are those of wandb/proto/wandb_internal.proto, unchanged
since wandb 0.9. Importing wandb for them would cost each job more than a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from experimentstash.base.dataclass_light import dataclass

# Fields of Record: its number, a mark of ours, and the kinds of record.
NUMBER = 1
UUID = 19  # wandb leaves it empty in its logs
HISTORY, SUMMARY, STATS, RUN, EXIT, PREEMPTING = 2, 3, 7, 17, 18, 23
KINDS = frozenset({*range(2, 14), *range(17, 19), *range(20, 28), 100})

OURS = b"experimentstash"

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class RunPath:
    """Where a run is on the server; None: the server's default."""

    id: str
    entity: str | None
    project: str | None


def kind_and_body(payload: bytes) -> tuple[int, bytes]:
    """Return the kind of a record and its content; kind 0 if it is none that we know."""
    for number, value in _fields(payload):
        if number in KINDS and isinstance(value, bytes):
            return number, value
    return 0, b""


def record_number(payload: bytes) -> int:
    """Return the running number of a record."""
    return next((value for number, value in _fields(payload) if number == NUMBER and isinstance(value, int)), 0)


def exit_record(number: int, exit_code: int) -> bytes:
    """Return the record that ends a run."""
    body = _encode(1, exit_code) if exit_code else b""
    return _encode(NUMBER, number) + _encode(EXIT, body) + _encode(UUID, OURS)


def is_ours(payload: bytes) -> bool:
    """Return whether a record was written by us, not by wandb."""
    return any(number == UUID and value == OURS for number, value in _fields(payload))


def preempting_record(number: int) -> bytes:
    """Return the record that says that the machine is being taken away."""
    return _encode(NUMBER, number) + _encode(UUID, OURS) + _encode(PREEMPTING, b"")


def exit_code(body: bytes) -> int:
    """Return the exit code in the content of an exit record."""
    value = _first_number(body, 1) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def run_path(body: bytes) -> RunPath:
    """Return the path in the content of a run record."""
    texts = {
        number: value.decode("utf-8", "replace")
        for number, value in _fields(body)
        if number <= 3 and isinstance(value, bytes)
    }
    return RunPath(texts.get(1, ""), texts.get(2) or None, texts.get(3) or None)


def history_step(body: bytes) -> int | None:
    """Return the step in the content of a history record, None if it has none."""
    for number, value in _fields(body):
        if number == 2 and isinstance(value, bytes):
            return _first_number(value, 1)
    for number, value in _fields(body):
        if number == 1 and isinstance(value, bytes):
            parts = {field: part for field, part in _fields(value) if isinstance(part, bytes)}
            if b"_step" in (parts.get(1), parts.get(2)):
                return int(json.loads(parts[16]))
    return None


def history_items(body: bytes) -> Iterator[tuple[list[str], str]]:
    """Yield the keys, from the outermost to its own, and the values as JSON that a history record has."""
    for number, value in _fields(body):
        if number == 1 and isinstance(value, bytes):
            yield _item(value)


def summary_items(body: bytes) -> tuple[list[tuple[list[str], str]], list[list[str]]]:
    """Return what a summary record changes, as `history_items` does, and the keys of what it takes away."""
    parts = [(number, value) for number, value in _fields(body) if isinstance(value, bytes)]
    changed = [_item(value) for number, value in parts if number == 1]
    return changed, [_item(value)[0] for number, value in parts if number == 2]


def _item(message: bytes) -> tuple[list[str], str]:
    keys: list[str] = []
    text = ""
    for number, value in _fields(message):
        if isinstance(value, bytes):
            if number == 16:
                text = value.decode("utf-8", "replace")
            elif number in (1, 2):  # a key of its own, or those that lead to it
                keys.append(value.decode("utf-8", "replace"))
    return keys, text


def stats_time(body: bytes) -> float:
    """Return the time in the content of a record of system metrics, in seconds since 1970."""
    for number, value in _fields(body):
        if number == 2 and isinstance(value, bytes):
            return _first_number(value, 1) + _first_number(value, 2) / 1e9
    return 0.0


def _first_number(message: bytes, wanted: int) -> int:
    return next((value for number, value in _fields(message) if number == wanted and isinstance(value, int)), 0)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protobuf message; a message that makes no sense just ends."""
    position = 0
    size = len(message)
    while position < size:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == BYTES:
            length, position = _varint(message, position)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            return
        if position + length > size:
            return
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, position


def _encode(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return _encode_varint(number << 3 | BYTES) + _encode_varint(len(value)) + value
    return _encode_varint(number << 3 | VARINT) + _encode_varint(value & 0xFFFFFFFFFFFFFFFF)


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
