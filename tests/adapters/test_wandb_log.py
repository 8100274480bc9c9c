"""The transaction log and its records: against any damage, and against the real wandb."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import log_records as wandb_records
from experimentstash.adapters.wandb import runs as wandb_runs
from experimentstash.adapters.wandb.runs import WandbRun
from tests.testing.stash import PATIENCE

BLOCK = wandb_log.BLOCK
# Sizes around the edges of a block are where mistakes would be.
SIZES = st.one_of(
    st.integers(0, 300),
    st.integers(BLOCK - 40, BLOCK + 40),
    st.integers(2 * BLOCK - 40, 2 * BLOCK + 40),
)
PAYLOADS = st.lists(st.builds(lambda size, fill: bytes([fill]) * size, SIZES, st.integers(0, 255)), max_size=8)


def log_of(payloads: list[bytes]) -> bytes:
    return wandb_log.FILE_HEADER + wandb_log.encode(payloads, len(wandb_log.FILE_HEADER))


def read(content: bytes) -> list[bytes]:
    return [record.payload for record in wandb_log.records(io.BytesIO(content))]


@given(PAYLOADS)
def test_what_is_written_is_read(payloads: list[bytes]) -> None:
    content = log_of(payloads)
    assert read(content) == payloads
    assert not wandb_log.is_damaged(io.BytesIO(content))


@given(PAYLOADS, st.data())
def test_a_cut_costs_only_what_it_cuts(payloads: list[bytes], data: st.DataObject) -> None:
    content = log_of(payloads)
    cut = data.draw(st.integers(0, len(content)))
    whole = [record.payload for record in wandb_log.records(io.BytesIO(content)) if record.end <= cut]
    assert read(content[:cut]) == whole


@pytest.mark.slow
@given(PAYLOADS, PAYLOADS, st.data())
@settings(max_examples=60, deadline=None)
def test_appending_to_a_torn_log_keeps_every_whole_record(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], more: list[bytes], data: st.DataObject
) -> None:
    content = log_of(payloads)
    torn = content[: data.draw(st.integers(0, len(content)))] + data.draw(st.binary(max_size=20))
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    path.write_bytes(torn)
    survivors = read(torn)
    if torn[:7] != wandb_log.FILE_HEADER[: len(torn)]:
        with pytest.raises(ValueError), wandb_log.opened(path) as stream:
            wandb_log.append(stream, more)
        assert path.read_bytes() == torn
        return
    with wandb_log.opened(path) as stream:
        wandb_log.append(stream, more)
    assert read(path.read_bytes()) == survivors + more
    # Killed in the middle of that: the next call fixes it.
    appended = path.read_bytes()
    kept = len(appended) - data.draw(st.integers(0, len(wandb_log.encode(more, len(appended)))))
    path.write_bytes(appended[: max(kept, 0)])
    with wandb_log.opened(path) as stream:
        wandb_log.append(stream, [b"end"])
    assert read(path.read_bytes())[: len(survivors)] == survivors
    assert read(path.read_bytes())[-1] == b"end"


@given(st.lists(st.binary(min_size=1, max_size=9000), min_size=8, max_size=20), st.data())
@settings(deadline=None)
def test_damage_in_the_middle_costs_its_block_and_no_later_one(payloads: list[bytes], data: st.DataObject) -> None:
    content = bytearray(log_of(payloads))
    position = data.draw(st.integers(len(wandb_log.FILE_HEADER), len(content) - 1))
    content[position] ^= 0xFF
    block = position // BLOCK
    untouched = {
        record
        for record in wandb_log.records(io.BytesIO(log_of(payloads)))
        if record.end <= position or record.start // BLOCK > block
    }
    assert untouched <= set(wandb_log.records(io.BytesIO(bytes(content))))


@given(PAYLOADS, st.data())
@settings(max_examples=40, deadline=None)
def test_inserting_keeps_everything_and_its_order(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    path.write_bytes(log_of([*payloads, b"last"]))
    with open(path, "rb") as stream:
        found = list(wandb_log.records(stream))
    position = data.draw(st.integers(0, len(found) - 1))
    wandb_log.insert(path, found[position], [b"new"])
    expected = [*payloads, b"last"]
    expected.insert(position, b"new")
    assert read(path.read_bytes()) == expected
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@given(PAYLOADS)
@settings(max_examples=30, deadline=None)
def test_a_new_log_is_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    wandb_log.write(path, payloads)
    assert path.read_bytes() == log_of(payloads)


def bytes_read() -> int:
    """Return how much this process has read so far; see proc(5)."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how much was read")
def test_the_end_of_a_large_log_is_found_without_reading_it_all(tmp_path: Path) -> None:
    run = run_of(tmp_path, [])
    line = b"\x12" + bytes([100]) + b"x" * 100
    with wandb_log.opened(run.log) as stream:
        wandb_log.append(stream, [line] * 300_000)  # 32 MB
    before = bytes_read()
    assert wandb_runs.complete(run, 7, preempted=False)
    assert wandb_runs.ending(run).exit_code == 7
    assert bytes_read() - before < 4_000_000


def test_one_record_larger_than_the_tail_is_still_followed_by_the_end(tmp_path: Path) -> None:
    run = run_of(tmp_path, [b"\x12" + b"\x80\x80\x80\x01" + bytes(wandb_log.TAIL * 4)])
    assert wandb_runs.complete(run, 3, preempted=False)
    assert wandb_runs.ending(run).exit_code == 3


def run_of(directory: Path, payloads: list[bytes]) -> WandbRun:
    log = directory / "wandb" / "offline-run-20260101_000000-x" / "run-x.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(log_of(payloads))
    return WandbRun(log, online=False)


@pytest.mark.parametrize("content", [b"", b":W", wandb_log.FILE_HEADER])
def test_a_log_that_was_only_begun_can_be_completed(tmp_path: Path, content: bytes) -> None:
    run = run_of(tmp_path, [])
    run.log.write_bytes(content)
    assert wandb_runs.identify(run) is None
    assert wandb_runs.complete(run, 137, preempted=False)
    assert not wandb_runs.complete(run, 1, preempted=False)  # the first exit record stays
    assert wandb_runs.ending(run) == wandb_runs.Ending(137, preempting=False, is_ours=True)


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path, [])
    run.log.write_bytes(b"something else entirely")
    with pytest.raises(ValueError):
        wandb_runs.complete(run, 1, preempted=False)
    assert run.log.read_bytes() == b"something else entirely"


def test_a_preempted_run_gets_its_mark_before_an_exit_record_that_is_there_already(tmp_path: Path) -> None:
    run = run_of(tmp_path, [])
    assert wandb_runs.complete(run, 143, preempted=False)
    assert wandb_runs.complete(run, 0, preempted=True)
    assert not wandb_runs.complete(run, 0, preempted=True)
    assert wandb_runs.ending(run) == wandb_runs.Ending(143, preempting=True, is_ours=True)


EXIT_CODES = [0, 1, 3, 127, 128, 137, 255, 256, -1, -9, 2**31 - 1, -(2**31)]

# Real protobuf, in a process of its own: importing wandb there costs a second once.
PROTOBUF = """
import sys
from wandb.proto.wandb_internal_pb2 import Record
from experimentstash.adapters.wandb import log_records as ours

for code in eval(sys.argv[1]):
    for number in (0, 1, 127, 128, 2**40):
        record = Record.FromString(ours.exit_record(number, code))
        assert record.WhichOneof("record_type") == "exit" and record.exit.exit_code == code and record.num == number
        assert ours.is_ours(record.SerializeToString())
        theirs = Record(num=number)
        theirs.exit.exit_code = code
        theirs.exit.runtime = 12
        theirs.control.mailbox_slot = "slot"
        theirs._info.stream_id = "stream"
        payload = theirs.SerializeToString()
        kind, body = ours.kind_and_body(payload)
        assert kind == ours.EXIT and ours.exit_code(body) == code and ours.record_number(payload) == number
        assert not ours.is_ours(payload)

record = Record.FromString(ours.preempting_record(5))
assert record.WhichOneof("record_type") == "preempting" and record.num == 5

record = Record()
record.run.run_id, record.run.entity, record.run.project = "an id ü", "entity", "project"
record.run.settings.item.add(key="x", value_json="1")
assert ours.run_path(ours.kind_and_body(record.SerializeToString())[1]) == ours.RunPath("an id ü", "entity", "project")
record = Record()
record.run.run_id = "x"
assert ours.run_path(ours.kind_and_body(record.SerializeToString())[1]) == ours.RunPath("x", None, None)

record = Record()
record.history.step.num = 41
assert ours.history_step(ours.kind_and_body(record.SerializeToString())[1]) == 41
for name in ("key", "nested_key"):
    record = Record()
    item = record.history.item.add(value_json="42")
    if name == "key":
        item.key = "_step"
    else:
        item.nested_key.append("_step")
    assert ours.history_step(ours.kind_and_body(record.SerializeToString())[1]) == 42
record = Record()
record.stats.timestamp.FromNanoseconds(1_700_000_000_250_000_000)
assert ours.stats_time(ours.kind_and_body(record.SerializeToString())[1]) == 1_700_000_000.25

kinds = {field.number for field in Record.DESCRIPTOR.oneofs_by_name["record_type"].fields}
assert kinds <= ours.KINDS, kinds - ours.KINDS
print("agreed")
"""


@pytest.mark.slow
def test_real_protobuf_agrees_in_both_directions() -> None:
    command = [sys.executable, "-c", PROTOBUF, repr(EXIT_CODES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.strip() == "agreed", done.stderr


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_decoder(payload: bytes) -> None:
    _, body = wandb_records.kind_and_body(payload)
    wandb_records.record_number(payload)
    wandb_records.is_ours(payload)
    for message in (payload, body):
        wandb_records.exit_code(message)
        wandb_records.run_path(message)
        wandb_records.stats_time(message)
