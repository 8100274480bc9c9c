"""What somebody else may have written into a record: one line, nothing outside is touched, and the others go on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.base import typed
from experimentstash.base.errors import StashError
from experimentstash.execute.account import MARKER
from experimentstash.record import records, times
from experimentstash.record.run import Apart, Process, Queued, Run, State, Supervisor
from experimentstash.runs import reconcile, whereabouts
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze
from tests.testing.stash import InProcess, StashUnderTest

DEEP = json.loads("[" * 150 + "]" * 150)
# By keys, with dots between them: what a record can't say there.
WRONG: list[tuple[str, Any]] = [
    *(("created", value) for value in (5, "yesterday", "2026-02-30T12:00:00+01:00", "2026-01-01T12:00:00", [], True)),
    ("attempt.started", {"a": 1}),
    *(("attempt.ended", value) for value in ("", "9999999-01-01T00:00:00+00:00", "2026-13-01T00:00:00+00:00")),
    *(("attempt.duration", value) for value in (math.nan, math.inf, -1, "5", True, 10**30)),
    *(("attempt.terms.timeout", value) for value in (math.nan, "1h", [])),
    *(
        ("attempt.log", value)
        for value in ("/etc/passwd", "../../secret.log", "", ".", "a/b", "a\0b", 7, None, "\x1b[2Joutput.log")
    ),
    *(("id", value) for value in (None, 5, "", "../x", "a\nb", "\x1b[31m", "a/b", [])),
    *(("spec.tool", value) for value in (None, "../../tools", "/etc", "", ["t"])),
    *(("attempt.state", value) for value in (None, 1, [], {}, "", "a\nb", "\x1b[0m")),
    *(("spec.tags", value) for value in ([[1]], "a", {"a": 1}, [None])),
    *(("spec.overrides", value) for value in ([1], "x", {})),
    *(("attempt.notes", value) for value in ("x", [5], None)),
    *(("attempt.warnings", value) for value in ({}, [[]])),
    *(("earlier", value) for value in ({}, [5], [{}], [{"number": "x"}], None)),
    *(("spec.command", value) for value in (None, [], "ls", {"argv": "ls", "cwd": "/"}, {"argv": [1], "cwd": "/"}, {})),
    *(("spec.command.environment", value) for value in ([], {"A": 1}, {"A": "a\0b"})),
    *(("attempt.supervisor", value) for value in (5, {}, {"host": "h", "pid": -1, "start_time": 1, "boot_id": "b"})),
    ("attempt.supervisor", {"host": "h", "pid": 5, "start_time": 1, "boot_id": "b", "job": "--user=x"}),
    *(
        ("attempt.supervisor", {"host": "h", "pid": 5, "start_time": 1, "boot_id": "b", "keeper": value})
        for value in (5, {}, {"pid": 0, "start_time": 1})
    ),
    *(
        ("attempt.process", value)
        for value in ({"pid": 0, "start_time": 1}, {"pid": -1, "start_time": 1}, {"pid": 1.5})
    ),
    *(("attempt.exit_code", value) for value in ("1", 1.5, True, 10**30)),
    *(("attempt.peak_memory", value) for value in ("1", 2**64)),
    *(("attempt.result", value) for value in ("1", [None], math.nan, {}, [math.nan])),
    *(
        ("attempt.metrics", value)
        for value in ([], "x", {"a": None}, {"a": "nan"}, {"a": True}, {"a": {"_float_": "x"}})
    ),
    *(("spec.objective", value) for value in (5, "x", {}, {"key": 5}, {"key": "a", "file": "/etc/passwd"}, [[]])),
    ("spec.objective", {"key": "a", "file": "../../other/metrics.json"}),
    ("spec.objective", {"key": "a", "more": "b"}),
    *(
        ("spec.metric_sources", value)
        for value in ([], {"a": 5}, {"a": {"file": "x"}}, {"a": {"wandb": "b", "file": "c"}})
    ),
    ("spec.metric_sources", {"a": {"key": "b", "file": "../c"}}),
    *(("attempt.wandb", value) for value in ({}, [5], [{"id": 5}], [{}], None)),
    *(("attempt.wandb_elsewhere", value) for value in ("/", [5], {})),
    ("spec.wandb_timeout", "x"),
    *(("spec", value) for value in (None, [], {}, {"tool": "t"})),
    *(("attempt", value) for value in (None, [], {}, 1, {"number": 1}, {"state": "failed"})),
    *(("attempt.terms", value) for value in (None, 5)),
    *(("spec.params", value) for value in ([], {"a": DEEP})),
    *(("attempt.terms.resources", value) for value in ([], "x")),
    *(
        ("spec.code", value)
        for value in (5, {}, {"path": 5}, {"path": "/x", "patch": "/etc/passwd"}, {"path": "/x", "dirty": 1})
    ),
    *(("spec.environment", value) for value in (5, {}, {"kind": 5})),
    *(
        ("attempt.queued", value)
        for value in (5, {"array": 5, "task": 0}, {"array": "/x", "task": "0"}, {"array": "a\0", "task": 0})
    ),
    *(("spec.apart", value) for value in ({}, {"source": 1, "path": "/x", "live": "/y"})),
    *(("sweep", value) for value in (5, "", "a\0b", "\ud800")),
    *(("spec.collect", value) for value in ("/", [5], ["\0"])),
    *(("attempt.number", value) for value in ("1", 1.5, None)),
    *(("format", value) for value in ("1", None)),
    *(("attempt.job_end", value) for value in ({}, {"state": 5, "reason": "x", "is_known": True})),
]
# What may stand where a record must.
CONTENT: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a number": b"5",
    "NaN": b"NaN",
    "a text": b'"run"',
    "an empty mapping": b"{}",
    "half": b'{"id": "abcdefg", "dir',
    "no text": b"\xff\xfe\x00\xd8\xff",
    "zeros": bytes(4096),
    "endless depth": b"[" * 100_000,
    "endless depth of mappings": b'{"a":' * 100_000,
    "a number without end": b'{"created": ' + b"9" * 1_000_000 + b"}",
}


def command_line(stash: Stash) -> StashUnderTest:
    return StashUnderTest(stash.root)


def ended(stash: Stash, **fields: Any) -> Run:
    given = {"state": State.COMPLETED, "exit_code": 0, "ended": times.now(), "duration": 1.5, **fields}
    run = freeze(stash, ["true"], **given)
    (run.path / run.attempt.log).write_text(f"log of {run.id}\n")
    return run


def change(run: Run, keys: str, value: Any) -> None:
    path = run.path / "run.json"
    data = json.loads(path.read_text())
    *before, last = keys.split(".")
    place = data
    for key in before:
        place = place[key]
    place[last] = value
    path.write_text(json.dumps(data))


def test_a_wrong_value_is_one_line_with_its_place(here: Stash) -> None:
    run = ended(here)
    before = (run.path / "run.json").read_bytes()
    for keys, value in WRONG:
        change(run, keys, value)
        with pytest.raises(StashError) as caught:
            records.read(run.path)
        said = str(caught.value)
        assert keys in said and "\n" not in said and len(said) < 400, (keys, value)
        assert said.isprintable(), (keys, value)
        (run.path / "run.json").write_bytes(before)
    assert records.read(run.path) == run


@pytest.mark.parametrize("what", [*CONTENT, "a directory", "a FIFO", "a link", "500 MB", "nobody may read it"])
def test_every_verb_goes_on_with_the_others(what: str, here: Stash, tmp_path: Path, in_process: InProcess) -> None:
    good, broken = ended(here), ended(here)
    record = broken.path / "run.json"
    spoil(record, what, tmp_path)
    stash = command_line(here)
    listed = in_process(stash, "runs", "--json")
    assert [each["id"] for each in json.loads(listed.stdout)] == [good.id]
    (line,) = listed.stderr.splitlines()
    assert str(record) in line and listed.returncode == 0
    for words, code in (
        (["runs"], 0),
        (["show", good.id], 0),
        (["show"], 0),
        (["show", str(broken.path)], 2),
        (["logs", good.id], 0),
        (["logs", broken.id], 2),
        (["cancel", good.id], 0),
        (["cancel", "--all"], 1),  # that one may go on
        (["resume", broken.id], 2),
        (["sync", "--all"], 1),
    ):
        done = in_process(stash, *words)
        assert bool(done.returncode) == bool(code), (words, done.stdout, done.stderr)
        assert "bug" not in done.stderr and "Traceback" not in done.stderr, (words, done.stderr)


def spoil(record: Path, what: str, folder: Path) -> None:
    if what in CONTENT:
        record.write_bytes(CONTENT[what])
        return
    valid = record.read_bytes()
    record.unlink()
    if what == "a directory":
        record.mkdir()
    elif what == "a FIFO":
        os.mkfifo(record)
    elif what == "a link":
        (folder / "outside.json").write_bytes(valid)
        record.symlink_to(folder / "outside.json")
    elif what == "500 MB":
        with record.open("wb") as stream:
            stream.write(valid)
            stream.truncate(500 << 20)
    elif os.getuid() == 0:
        pytest.skip("root may read everything")
    else:
        record.write_bytes(valid)
        record.chmod(0)


@pytest.mark.parametrize("place", ["outputs", "outputs/2026-01-31"])
def test_what_is_called_like_a_record_hides_no_runs(place: str, here: Stash, in_process: InProcess) -> None:
    run = ended(here)
    (here.root / place).mkdir(exist_ok=True)
    (here.root / place / "run.json").mkdir()
    assert [each["id"] for each in json.loads(in_process(command_line(here), "runs", "--json").stdout)] == [run.id]


def test_a_record_of_the_whole_folder_hides_no_runs(here: Stash, in_process: InProcess) -> None:
    run = ended(here)
    (here.root / "outputs" / "run.json").write_text("{}")
    assert [each["id"] for each in json.loads(in_process(command_line(here), "runs", "--json").stdout)] == [run.id]


def test_a_sweep_is_summed_up_without_a_broken_record(here: Stash, capsys: pytest.CaptureFixture[str]) -> None:
    good, broken = ended(here), ended(here)
    change(broken, "created", 5)
    assert records.read_all(here.root / "outputs") == [good]
    assert f"{broken.path / 'run.json'} is not a run's record: created: 5 is not a time" in capsys.readouterr().err


# --- nothing outside ------------------------------------------------------------------------------------------------


@pytest.fixture
def bystander() -> Iterator[Process]:
    """A process of somebody's that has nothing to do with a stash."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        found = procfs.identity(process.pid)
        assert found is not None
        yield Process(found.pid, found.start_time)
        assert process.poll() is None, "it was ended"
        process.kill()


def dead() -> dict[str, Any]:
    return {"host": procfs.hostname(), "pid": 2**22 - 7, "start_time": 1, "boot_id": procfs.boot_id()}


def test_no_other_process_is_ended_in_the_place_of_a_tool(here: Stash, bystander: Process) -> None:
    run = freeze(here, ["true"], state=State.RUNNING, supervisor=Supervisor(**dead()), process=bystander, grace=0.0)
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST


def test_no_other_process_is_told_to_end_in_the_place_of_a_supervisor(
    here: Stash, bystander: Process, in_process: InProcess
) -> None:
    named = Supervisor(**{**dead(), **vars(bystander)})
    run = freeze(here, ["true"], state=State.RUNNING, supervisor=named, started=times.now())
    done = in_process(command_line(here), "cancel", run.id)
    assert (
        f"{run.id} can't be cancelled: process {bystander.pid}, which its record names, is another program"
        in done.stderr
    )
    assert done.returncode == 1


def test_a_keeper_that_is_none_is_not_waited_for(here: Stash, bystander: Process) -> None:
    run = freeze(here, ["true"], state=State.RUNNING, supervisor=Supervisor(**dead(), keeper=bystander), grace=1e9)
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST


def test_another_run_s_processes_are_not_ended(here: Stash) -> None:
    other = freeze(here, ["true"], state=State.RUNNING)
    marker = {**os.environ, MARKER: other.directory}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=marker) as process:
        run = freeze(here, ["true"], state=State.RUNNING, supervisor=Supervisor(**dead()), grace=0.0)
        change(run, "spec.command.environment", {MARKER: other.directory})
        assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST
        assert process.poll() is None
        process.kill()


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _copy(outside: Path) -> dict[str, Any]:
    place = outside / ".experimentstash" / "code" / "plain" / "key" / "copies" / "another-run" / "plain"
    place.mkdir(parents=True)
    (place / "precious.txt").write_text("precious\n")
    (place.parent / ".ready").touch()
    return {"spec.apart": vars(Apart(str(outside), str(place), str(outside)))}


def _wandb_log(outside: Path) -> dict[str, Any]:
    folder = outside / "wandb" / "offline-run-20260131_120000-abcd1234"
    folder.mkdir(parents=True)
    (folder / "run-abcd1234.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    return {"attempt.wandb_elsewhere": [str(folder)]}


def _array(outside: Path) -> dict[str, Any]:
    (outside / ".slurm").mkdir()
    tasks = outside / ".slurm" / "0-0.json"
    tasks.write_text(json.dumps([[str(outside / "0")]]))
    tasks.with_suffix(".job").write_text("77 \n")
    return {"attempt.state": "queued", "attempt.queued": vars(Queued(str(tasks), 0)), "sweep": str(outside)}


@pytest.mark.parametrize("lead", [_copy, _wandb_log, _array])
def test_a_record_that_leads_outside_changes_nothing_there(
    lead: Callable[[Path], dict[str, Any]], here: Stash, tmp_path: Path, in_process: InProcess
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    run = freeze(here, ["true"], state=State.RUNNING, supervisor=Supervisor(**dead()), started=times.now(), grace=0.0)
    for keys, value in lead(outside).items():
        change(run, keys, value)
    before = state_of(outside)
    for words in (["runs"], ["show", run.id], ["sync", run.id], ["cancel", run.id]):
        assert "bug" not in in_process(command_line(here), *words).stderr
    assert state_of(outside) == before


def test_another_array_s_job_is_not_a_run_s(here: Stash, tmp_path: Path) -> None:
    run = freeze(here, ["true"], state=State.QUEUED)
    (tmp_path / "sweep" / ".slurm").mkdir(parents=True)
    tasks = tmp_path / "sweep" / ".slurm" / "0-0.json"
    tasks.write_text(json.dumps([[str(tmp_path / "another")]]))
    tasks.with_suffix(".job").write_text("77\n")
    run.attempt.queued = Queued(str(tasks), 0)
    assert whereabouts.job_of(run) is None
    tasks.write_text(json.dumps([[run.directory]]))  # one whose directory isn't the sweep's
    assert whereabouts.job_of(run) is not None


def test_paths_that_another_process_wrote_in_another_locale() -> None:
    assert typed.path("/tmp/\udcc3\udca4", "x") == "/tmp/ä"
    assert typed.argument("\udce9", "x") == "\udce9"


def test_of_several_unreadable_records_the_one_that_was_named_is_told(here: Stash, in_process: InProcess) -> None:
    directories = sorted(here.root / run.directory for run in (ended(here), ended(here), ended(here)))
    for directory in directories:
        (directory / "run.json").write_text("{}")
    for directory in directories:
        done = in_process(command_line(here), "show", directory.name.rpartition("-")[2])
        assert done.returncode == 2 and f"{directory.name}/run.json" in done.stderr, done.stderr
