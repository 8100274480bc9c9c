"""run.json: whole or absent, read back as it was written, by older and newer programs and in other places."""

from __future__ import annotations

import datetime
import json
import math
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.record import records, times
from experimentstash.record.encoding import as_json
from experimentstash.record.run import Attempt, Code, Command, Environment, Process, Run, State, Supervisor, Terms
from tests.testing.run_parts import put, run_with

# Claims a run where no file may hold a byte, as on a full disk.
NO_SPACE = """
import resource, signal, sys
from experimentstash.record.records import claim
from experimentstash.record.run import Attempt, Command, Run, Specification, State
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    claim(Run("a", sys.argv[1], Specification("t", Command([], "/")), Attempt(1, State.FROZEN)))
except OSError:
    sys.exit(3)
"""


def run_in(directory: Path, **values: Any) -> Run:
    argv = ["python", "a b", "$x", "ü€", "\udce9", "\n"]
    made = run_with(
        "abcdefg",
        directory,
        experiment="inner",
        organizer="fig/one",
        command=Command(argv, "/cwd", {"A": "b"}, ["C"], "/bin", "022", ["D"]),
    )
    return put(made, **values)


def full(directory: Path) -> Run:
    return run_in(
        directory,
        state=State.TIMED_OUT,
        stash=Code("/s", "c0ffee", "main", True, "stash.patch", [".env"]),
        code=Code("/s/t"),
        environment=Environment("pyproject", "/python", "3.11.7", "sha256:0", "uv.lock", "key"),
        supervisor=Supervisor("host", 1, 2, "boot"),
        process=Process(3, 4),
        earlier=[
            Attempt(
                1,
                State.PREEMPTED,
                Terms(timeout=60.0, resources={"gpus": 1}),
                started="2026-01-31T12:00:00.000+01:00",
                ended="2026-01-31T12:00:01.000+01:00",
                exit_code=143,
                reason="why",
                metrics={"loss": math.inf, "val.best": -math.inf, "n": 3.0},
            )
        ],
        number=2,
        wandb_timeout=30.0,
        wandb=[{"id": "x"}],
        resume=[],
        notes=["ä"],
    )


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = full(tmp_path / "run")
    records.claim(run)
    assert records.read(tmp_path / "run") == run
    raw = (tmp_path / "run" / "run.json").read_bytes()
    assert raw.isascii() and raw.endswith(b"}\n")
    assert json.loads(raw)["attempt"]["state"] == "timed_out"
    assert (tmp_path / "run" / "run.json").stat().st_mode & 0o777 == 0o600  # as its directory is
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_numbers_that_json_has_no_words_for(tmp_path: Path) -> None:
    run = put(run_in(tmp_path), state=State.COMPLETED, metrics={"a": math.nan, "b": 1e400, "c": 0.5}, result=-math.inf)
    records.claim(run)
    text = (tmp_path / "run.json").read_text()
    attempt = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["attempt"]
    assert attempt["metrics"] == {"a": {"_float_": "nan"}, "b": {"_float_": "inf"}, "c": 0.5}
    assert attempt["result"] == {"_float_": "-inf"} and json.loads(as_json(run))["attempt"] == attempt
    again = records.read(tmp_path).attempt
    assert again.metrics is not None and math.isnan(again.metrics.pop("a"))
    assert (again.metrics, again.result) == ({"b": math.inf, "c": 0.5}, -math.inf)
    (tmp_path / "run.json").write_text(text.replace('{"_float_": "-inf"}', "-Infinity"))  # as it was written before
    assert records.read(tmp_path).attempt.result == -math.inf


def test_it_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.claim(full(tmp_path / "run"))
    shutil.move(tmp_path / "run", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    expected = full(tmp_path / "moved")
    expected.inode = (tmp_path / "moved").stat().st_ino
    assert records.read(Path("moved")) == expected


def test_other_formats(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    records.claim(full(tmp_path))
    data = json.loads(file.read_text())
    novel = {"novelty": {"a": [1]}}
    odd = {
        **data,
        **novel,
        "spec": {**data["spec"], **novel, "code": {**data["spec"]["code"], **novel}},
        "attempt": {**data["attempt"], **novel},
        "earlier": [{**data["earlier"][0], **novel}],
    }
    file.write_text(json.dumps({**odd, "format": 99}))
    newer = records.read(tmp_path)
    assert newer.format == 99 and newer.spec.tool == "t" and newer.attempt.state is State.TIMED_OUT
    with pytest.raises(StashError, match=r"another version of ExperimentStash.*with that one"):
        records.write(put(newer, version=None))
    assert json.loads(file.read_text()) == {**odd, "format": 99}
    file.write_text(json.dumps(odd))
    records.write(records.read(tmp_path))
    del odd["spec"]["code"]["novelty"]
    assert json.loads(file.read_text()) == odd  # another version's words are kept
    file.write_text(json.dumps({**data, "attempt": {**data["attempt"], "state": "resting"}}))
    resting = records.read(tmp_path).attempt.state
    assert (resting.value, resting.is_final, resting.is_known) == ("resting", True, False) and resting != State.FAILED
    short = {"id": "abcdefg", "directory": str(tmp_path), "format": 2, "attempt": {"number": 1, "state": "frozen"}}
    file.write_text(json.dumps({**short, "spec": {"tool": "t", "command": {"argv": [], "cwd": "/"}}}))
    assert records.read(tmp_path) == run_with("abcdefg", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '"text"',
        '{"id": "a"}',
        b"\xff\xfe",
        "earlier",
        "spec",
    ],
)
def test_what_is_no_record(tmp_path: Path, text: str | bytes) -> None:
    broken = {"earlier": ["x"], "spec": "x"}
    if text in broken:  # otherwise it is whole
        text = json.dumps({**vars(full(tmp_path)), text: broken[text]}, default=vars)  # type: ignore[dict-item]
    (tmp_path / "run.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(StashError, match="is not a run's record") as caught:
        records.read(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value)


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(StashError, match=r"holds no run \(no run.json\)"):
        records.read(tmp_path)
    with pytest.raises(StashError, match="holds no run"):
        records.read(tmp_path / "nowhere")


def test_only_one_claims_a_directory(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    won: list[str] = []
    refused: list[str] = []

    def claim(name: str) -> None:
        barrier.wait()
        try:
            records.claim(run_in(tmp_path / "run", id=name))
            won.append(name)
        except StashError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=claim, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    assert records.read(tmp_path / "run").id == won[0]
    assert "already holds a run" in refused[0] and "hydra.sweep.dir" in refused[0]


def test_a_claim_that_fails_leaves_no_record(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_SPACE, str(tmp_path / "run")], check=False)
    assert done.returncode == 3
    assert list((tmp_path / "run").iterdir()) == []


def test_a_write_that_fails_keeps_the_record(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    records.claim(run)
    before = (tmp_path / "run.json").read_bytes()
    run.attempt.wandb = [{"not plain": object()}]
    with pytest.raises(TypeError):
        records.write(run)
    assert (tmp_path / "run.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", ".run.json.room"}


def test_a_sweep_in_order(tmp_path: Path) -> None:
    for number in (10, 2, 0, 1):
        records.claim(run_in(tmp_path / str(number), id=f"s-{number}"))
    (tmp_path / "3").mkdir()
    assert [run.id for run in records.read_all(tmp_path)] == ["s-0", "s-1", "s-2", "s-10"]


def test_what_was_written_is_read_again_only_where_it_is_something_else(tmp_path: Path) -> None:
    written, directories = records.Written(), [tmp_path / str(number) for number in range(4)]
    runs = [run_in(directory, id=f"s-{number}") for number, directory in enumerate(directories)]
    for run in runs:
        records.claim(run)
        written.add(run, records.write(run) if run is not runs[3] else None)
    changed = records.read(directories[1])
    changed.attempt.notes.append("another process was here")
    records.write(changed)
    (directories[2] / "run.json").unlink()
    assert [written.find(directory) for directory in (*directories, tmp_path)] == [runs[0], None, None, None, None]
    assert [run.attempt.notes for run in records.readable([*directories[:2], directories[3]], written)] == [
        runs[0].attempt.notes,
        changed.attempt.notes,
        runs[3].attempt.notes,
    ]


def test_a_record_says_what_the_run_is_by_then(tmp_path: Path) -> None:
    run = run_in(tmp_path, state=State.FROZEN)
    records.claim(run)
    run.attempt.state = State.RUNNING
    records.write(run)
    assert records.read(tmp_path) == run
    run.spec = replace(run.spec, unsigned="it has changed", description="another")
    records.write(run)
    assert records.read(tmp_path) == run


def test_states_and_times() -> None:
    assert {state for state in State if not state.is_final} == {State.FROZEN, State.QUEUED, State.RUNNING}
    second = datetime.timedelta(seconds=1)
    before = datetime.datetime.now(datetime.timezone.utc)
    moment = datetime.datetime.fromisoformat(times.now())
    assert moment.utcoffset() == datetime.timedelta(0)
    assert before - second <= moment <= datetime.datetime.now(datetime.timezone.utc) + second
