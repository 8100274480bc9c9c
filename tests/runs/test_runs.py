"""Looking at runs and acting on them; the records of those whose supervisor is gone are closed on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.base.errors import StashError
from experimentstash.execute.account import SUPERVISOR_LOG
from experimentstash.launch.resume import reopen
from experimentstash.record import records, times
from experimentstash.record.run import Code, Command, Run, State, Supervisor
from experimentstash.runs import left_behind, listing, reconcile
from experimentstash.runs.summary import ending_line, sweep_table, with_warnings
from experimentstash.stash.layout import Stash
from tests.testing.faults import (
    INT,
    KILL,
    TERM,
    freeze,
    is_alive,
    marked,
    ready,
    record,
    running,
    steady,
)
from tests.testing.run_parts import put, run_with
from tests.testing.stash import PATIENCE, InProcess, StashUnderTest, wait_until


def command_line(stash: Stash) -> StashUnderTest:
    return StashUnderTest(stash.root)


def ended(stash: Stash, state: State, **fields: Any) -> Run:
    """Write the record of a run that has ended."""
    code = 0 if state is State.COMPLETED else 1
    given: dict[str, Any] = {"state": state, "exit_code": code, "ended": times.now(), "duration": 1.5, **fields}
    run = freeze(stash, ["true"], **given)
    (run.path / run.attempt.log).write_text(f"log of {run.id}\n")
    return run


def alone(state: State, run: Run, **changes: Any) -> None:
    """Give a run a supervisor: this very process, but for some changes."""
    own = procfs.identity(os.getpid())
    assert own is not None
    given = {"host": procfs.hostname(), "pid": own.pid, "start_time": own.start_time, "boot_id": procfs.boot_id()}
    run.attempt.supervisor = Supervisor(**{**given, **changes})
    run.attempt.state = state
    run.attempt.started = times.now()
    records.write(run)


# --- records whose supervisor is gone --------------------------------------------------------------------------------


def test_a_killed_supervisor_is_noticed_by_the_next_look(here: Stash) -> None:
    run = steady(here)
    with running(run) as one:
        ready(one)
        supervisor = one.process.pid
        one.process.send_signal(KILL)
        killed_at = time.time()
        one.process.wait()
        assert record(run)["attempt"]["state"] == "running"
        found = reconcile.load_reconciled(here, run.path)
    assert (found.attempt.state, found.attempt.exit_code) == (State.LOST, 137)
    assert f"its supervisor (process {supervisor} on {socket.gethostname()}) left no word" in str(found.attempt.reason)
    assert "it was killed, or its machine went down" in str(found.attempt.reason)
    assert str(found.attempt.started) <= str(found.attempt.ended) <= times.as_text(killed_at + 1)
    assert len(found.attempt.notes) == 1 and re.fullmatch(
        r"closed at \S+ because its supervisor was gone", found.attempt.notes[0]
    )
    before = (run.path / "run.json").read_bytes()
    assert reconcile.load_reconciled(here, run.path) == reconcile.reconcile(here, found) == found
    assert (run.path / "run.json").read_bytes() == before


@pytest.mark.slow
def test_what_it_was_asked_before_is_not_forgotten(here: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "KILL_PATIENCE", 1.0)
    run = steady(here, "--ignore", grace=60.0)
    with running(run) as one:
        ready(one)
        one.process.send_signal(TERM)
        wait_until(lambda: record(run)["attempt"]["reason"])
        one.process.send_signal(KILL)
        one.process.wait()
        written = records.read(run.path)
        records.write(put(written, grace=0.2))  # nobody wants to wait for a minute
        found = reconcile.load_reconciled(here, run.path)
    assert found.attempt.state is State.CANCELLED
    assert found.attempt.reason == "asked to stop by SIGTERM; its supervisor was killed before the tool had ended"


def test_two_that_look_at_once(here: Stash) -> None:
    run = steady(here, "--ignore", "--children", 1, grace=0.5)
    with running(run) as one:
        pid = ready(one)
        one.process.send_signal(KILL)
        one.process.wait()
        assert is_alive(pid)  # it ignores that its supervisor is gone
        lookers = [command_line(here).start("runs", "--json") for _ in range(2)]
        seen = [looker.communicate(timeout=PATIENCE)[0] for looker in lookers]
        assert [looker.returncode for looker in lookers] == [0, 0]
        assert not is_alive(pid) and marked(run) == []
    (first,), (second,) = map(json.loads, seen)
    assert first == second == record(run)
    assert first["attempt"]["state"] == "lost" and len(first["attempt"]["notes"]) == 1


def test_a_tool_that_was_suspended_can_still_save(here: Stash) -> None:
    run = steady(here, "--catch", grace=20.0)
    with running(run, start_new_session=False, preexec_fn=os.setpgrp) as one:
        pid = ready(one)
        one.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        one.process.send_signal(KILL)
        one.process.wait()
        assert is_alive(pid)
        found = reconcile.load_reconciled(here, run.path)
    assert found.attempt.state is State.LOST and (run.path / "saved").read_text() == "SIGTERM\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start_time": 1}, "it was killed, or its machine went down"),
        ({"boot_id": "another"}, "the machine was restarted"),
        ({"pid": 2**22 + 1}, "it was killed, or its machine went down"),
    ],
    ids=["reused pid", "another boot", "no such pid"],
)
def test_another_process_is_not_taken_for_the_supervisor(here: Stash, changes: dict[str, Any], reason: str) -> None:
    run = freeze(here, ["true"])
    alone(State.RUNNING, run, **changes)
    found = reconcile.load_reconciled(here, run.path)
    assert (found.attempt.state, found.attempt.exit_code) == (State.LOST, 137) and reason in str(found.attempt.reason)


def test_a_run_that_was_never_started(here: Stash) -> None:
    run = freeze(here, ["true"])
    before = (run.path / "run.json").read_bytes()
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.FROZEN  # nobody has taken it on
    assert (run.path / "run.json").read_bytes() == before
    alone(State.FROZEN, run, start_time=1)
    found = reconcile.load_reconciled(here, run.path)
    assert found.attempt.state is State.LOST and "gone before it started; run it again" in str(found.attempt.reason)


@pytest.mark.parametrize("state", [State.FROZEN, State.RUNNING])
def test_a_living_supervisor_is_left_alone(here: Stash, state: State) -> None:
    run = freeze(here, ["true"])
    alone(state, run)
    before = (run.path / "run.json").read_bytes()
    assert [each.attempt.state for each in listing.all_runs(here)] == [state]
    assert (run.path / "run.json").read_bytes() == before


def test_a_supervisor_elsewhere_is_judged_by_its_heartbeat(here: Stash) -> None:
    run = freeze(here, ["true"])
    alone(State.RUNNING, run, host="elsewhere", boot_id="its own", pid=1)
    heart = run.path / SUPERVISOR_LOG
    heart.touch()
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.RUNNING
    os.utime(heart, (time.time() - 540,) * 2)
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.RUNNING
    last = time.time() - 700
    os.utime(heart, (last, last))
    found = reconcile.load_reconciled(here, run.path)
    assert found.attempt.state is State.LOST and "process 1 on elsewhere" in str(found.attempt.reason)
    assert found.attempt.ended == times.as_text(last)


def test_records_that_cannot_be_read_hide_no_others(here: Stash, in_process: InProcess) -> None:
    good = ended(here, State.COMPLETED)
    broken = ended(here, State.COMPLETED)
    text = (broken.path / "run.json").read_text()
    (broken.path / "run.json").write_text(text[: len(text) // 2])
    strange = ended(here, State.COMPLETED)
    (strange.path / "run.json").write_text('{"state": "no such state"}')
    done = in_process(command_line(here), "runs", "--json")
    assert done.returncode == 0
    assert [each["id"] for each in json.loads(done.stdout)] == [good.id]
    for run in (broken, strange):
        assert f"{run.path / 'run.json'} is not a run's record" in done.stderr
    assert "Traceback" not in done.stderr
    shown = in_process(command_line(here), "show", broken.id)
    assert shown.returncode == 2 and "is not a run's record" in shown.stderr


def test_a_copy_of_a_run_says_that_it_is_one(here: Stash, tmp_path: Path, in_process: InProcess) -> None:
    """Neither closed, nor are the processes that its record names taken for its own."""
    run = steady(here, grace=20.0)
    with running(run) as one:
        ready(one)
        shutil.copytree(here.root, tmp_path / "copy")
        stash = Stash(tmp_path / "copy")
        copy = stash.root / run.path.relative_to(here.root)
        before = (copy / "run.json").read_bytes()
        why = (
            f"this is a copy of a run that was running on {socket.gethostname()} in {run.path}:"
            " what has become of it can't be known from here"
        )
        table = in_process(command_line(stash), "runs")
        assert f"! {run.id}: {why}" in table.stdout and "▶ running !" in table.stdout
        cancelled = in_process(command_line(stash), "cancel", run.id)
        assert f"{run.id} can't be cancelled: {why}" in cancelled.stderr
        assert f"can't be resumed: {why}" in in_process(command_line(stash), "resume", run.id).stderr
        assert one.process.poll() is None and (copy / "run.json").read_bytes() == before
        one.process.send_signal(TERM)
        assert one.end()["attempt"]["state"] == "cancelled"
    assert (
        reconcile.load_reconciled(stash, copy).attempt.state is State.RUNNING
        and (copy / "run.json").read_bytes() == before
    )


@pytest.mark.parametrize("changes", [{"attempt": {"state": "resting"}}, {"format": 99}])
def test_what_another_version_has_written_is_left_as_it_is(
    here: Stash, in_process: InProcess, changes: dict[str, Any]
) -> None:
    run = freeze(here, ["true"])
    alone(State.RUNNING, run, pid=2**22 - 3, start_time=1)
    path = run.path / "run.json"
    data = json.loads(path.read_text())
    data["attempt"] |= changes.get("attempt", {})
    path.write_text(json.dumps({**changes, **data, "novelty": 1, "format": changes.get("format", 2)}))
    before = path.read_bytes()
    table = in_process(command_line(here), "runs").stdout
    assert data["attempt"]["state"] in table and "another version of ExperimentStash" in table
    for verb in ("show", "cancel", "resume"):
        done = in_process(command_line(here), verb, run.id)
        assert "another version of ExperimentStash" in done.stdout + done.stderr, verb
    assert path.read_bytes() == before


def test_another_machine_of_the_same_name_may_still_be_at_it(here: Stash) -> None:
    run = freeze(here, ["true"])
    alone(State.RUNNING, run, boot_id="of another machine")
    log = run.path / SUPERVISOR_LOG
    log.touch()
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.RUNNING
    os.utime(log, (time.time(), procfs.boot_time() - 5))
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST
    assert "the machine was restarted" in str(record(run)["attempt"]["reason"])


# --- runs, show ------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(here: Stash) -> list[Run]:
    """Three runs that have ended, oldest first."""
    return [
        ended(here, State.COMPLETED, organizer="figure1/one", created="2026-01-31T12:00:00.000+00:00"),
        ended(here, State.FAILED, organizer="figure1/two", created="2026-01-31T12:00:01.000+00:00", reason="it broke"),
        ended(here, State.TIMED_OUT, organizer="figure2/one", created="2026-01-31T12:00:02.000+00:00"),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [2, 1, 0]),
        (["--state", "failed"], [1]),
        (["--state", "timed out"], [2]),
        (["--exp", "figure1/*"], [1, 0]),
        (["--exp", "figure1/*", "--state", "completed"], [0]),
        (["-n", "2"], [2, 1]),
        (["--exp", "figure2/*", "--state", "failed"], []),
    ],
)
def test_runs_are_listed_newest_first_and_filtered(
    here: Stash, three: list[Run], in_process: InProcess, arguments: list[str], expected: list[int]
) -> None:
    table = in_process(command_line(here), "runs", *arguments)
    assert table.returncode == 0
    ids = [three[number].id for number in expected]
    assert [line.split()[0] for line in table.stdout.splitlines()[1:]] == ids
    assert ("there are no such runs" in table.stderr) is not expected or expected
    listed = in_process(command_line(here), "runs", "--json", *arguments)
    data = json.loads(listed.stdout)
    assert [each["id"] for each in data] == ids
    assert data == [record(three[number]) for number in expected]


def test_a_state_that_does_not_exist(here: Stash, in_process: InProcess) -> None:
    done = in_process(command_line(here), "runs", "--state", "complete")
    assert done.returncode == 2
    assert "Did you mean 'completed'?" in done.stderr and "timed_out" in done.stderr
    nothing = in_process(command_line(here), "runs")
    assert (nothing.returncode, nothing.stdout) == (0, "") and "there are no runs yet" in nothing.stderr


def test_ways_of_naming_a_run(here: Stash, three: list[Run], in_process: InProcess) -> None:
    stash = command_line(here)
    one = three[0]
    names = [one.id, one.directory, os.path.relpath(one.directory, here.root), f"{one.directory}/run.json"]
    unique = next(one.id[:n] for n in range(1, 8) if [r.id for r in three if r.id.startswith(one.id[:n])] == [one.id])
    for name in (*names, unique):
        done = in_process(stash, "show", name, "--json")
        assert (done.returncode, json.loads(done.stdout)["id"]) == (0, one.id), name
    for arguments in ([], ["latest"]):
        assert json.loads(in_process(stash, "show", *arguments, "--json").stdout)["id"] == three[-1].id
    unknown = in_process(stash, "show", "nosuchrun")
    assert unknown.returncode == 2 and "There is no run 'nosuchrun'" in unknown.stderr


def test_a_prefix_of_several_names_none(here: Stash, in_process: InProcess) -> None:
    for token in ("aaaaaa2", "aaaaaa3"):
        run = freeze(here, ["true"])
        new = run.path.rename(run.path.with_name(f"12-00-00-{token}"))
        record = json.loads((new / "run.json").read_text())
        (new / "run.json").write_text(json.dumps({**record, "id": token, "directory": str(new)}))
    done = in_process(command_line(here), "show", "aaaa")
    assert done.returncode == 2
    assert "'aaaa' may be any of 2 runs: aaaaaa2, aaaaaa3." in done.stderr and "give more of the id" in done.stderr
    assert in_process(command_line(here), "show", "aaaaaa2").returncode == 0


def test_latest_of_none(here: Stash, in_process: InProcess) -> None:
    done = in_process(command_line(here), "show")
    assert done.returncode == 2 and "There are no runs yet." in done.stderr


def test_show_tells_what_is_known(here: Stash, in_process: InProcess) -> None:
    run = ended(here, State.FAILED, reason="it broke", advice="fix it", tags=["a", "b"], peak_memory=2_000_000_000)
    records.write(put(run, code=Code(path="tools/steady", commit="0123456789abcdef", branch="main", dirty=True)))
    done = in_process(command_line(here), "show", run.id)
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert (rows["state"], rows["why"], rows["advice"], rows["tags"]) == ("failed", "it broke", "fix it", "a, b")
    assert rows["used"] == "1.9 GiB" and rows["exit code"] == "1"
    assert rows["code"] == "0123456789ab (main), with changes"
    assert "SLURM job" not in rows and "signal" not in rows
    assert (here.root / rows["log"]).read_text() == f"log of {run.id}\n"


def test_a_warning_is_seen_wherever_the_run_is(here: Stash, in_process: InProcess) -> None:
    run = ended(here, State.COMPLETED, warnings=["look at this"], notes=["a detail"])
    ended(here, State.COMPLETED)
    table = in_process(command_line(here), "runs").stdout
    assert [line.split("  ")[1] for line in table.splitlines() if line.startswith(run.id)] == ["✓ completed !"]
    assert table.endswith(f"\n! {run.id}: look at this\n") and table.count("!") == 2
    assert json.loads(in_process(command_line(here), "show", run.id, "--json").stdout)["attempt"]["warnings"] == [
        "look at this"
    ]
    assert re.search(r"(?m)^warning +look at this$", in_process(command_line(here), "show", run.id).stdout)
    remarks = "  warning: look at this\n  note: a detail"
    assert ending_line(here, run) == f"✓ completed ! in 1.5s  {here.relative(run.path)}\n{remarks}"
    assert sweep_table(here, [run]).endswith(f"\n! {run.id}: look at this\n1 run: 1 completed")
    assert with_warnings([run, *[run] * 7]).startswith(f"8 of 8 runs with a warning: look at {run.id}, ")
    many = [ended(here, State.COMPLETED) for _ in range(51)]
    assert [line.split()[0] for line in sweep_table(here, [*many, run]).splitlines()] == ["run", run.id, "!", "52"]
    assert with_warnings(many) is None


# --- logs ------------------------------------------------------------------------------------------------------------


def test_logs_are_written_as_they_are(here: Stash) -> None:
    run = ended(here, State.COMPLETED)
    content = b"a\r 10%\xff\0\xfe\n" * 3 + b"no end"
    (run.path / run.attempt.log).write_bytes(content)
    argv = [sys.executable, "-m", "experimentstash", "logs", run.id]
    for more in ([], ["--follow"], ["--attempt", "1"]):
        done = subprocess.run([*argv, *more], cwd=here.root, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, content, b"")


def test_logs_that_are_not_there(here: Stash, in_process: InProcess) -> None:
    run = freeze(here, ["true"])
    done = in_process(command_line(here), "logs", run.id)
    assert done.returncode == 2 and f"The run {run.id} has no log yet (frozen)." in done.stderr
    (run.path / run.attempt.log).touch()
    done = in_process(command_line(here), "logs", run.id, "--attempt", "2")
    assert done.returncode == 2 and "has had 1 attempts, not 2" in done.stderr


def test_following_a_log_ends_with_the_run_and_misses_nothing(here: Stash) -> None:
    run = steady(here, "--catch", "--saving-takes", 0.2, grace=20.0)
    with running(run) as one:
        ready(one)
        follower = command_line(here).start("logs", run.id, "--follow")
        assert follower.stdout is not None
        first = follower.stdout.readline()  # it shows what there is while the run goes on
        assert record(run)["attempt"]["state"] == "running"
        one.process.send_signal(TERM)
        one.end()
        rest = follower.stdout.read()
        assert follower.wait(PATIENCE) == 0
    follower.communicate()
    assert first + rest == one.log.decode()


@pytest.mark.parametrize("what", ["moved", "without its record"])
def test_a_run_that_is_taken_away_while_it_is_followed(here: Stash, what: str) -> None:
    run = steady(here)
    with running(run) as one:
        ready(one)
        follower = command_line(here).start("logs", run.id, "-f")
        assert follower.stdout is not None
        follower.stdout.readline()
        if what == "moved":
            elsewhere = run.path.with_name("elsewhere")
            run.path.rename(elsewhere)
        else:
            (run.path / "run.json").rename(run.path / "kept")
        _, stderr = follower.communicate(timeout=PATIENCE)
        assert follower.returncode == 2
        assert f"The run {run.id} is no longer in" in stderr and "moved or removed" in stderr
        assert "Traceback" not in stderr
        if what == "moved":
            elsewhere.rename(run.path)
        else:
            (run.path / "kept").rename(run.path / "run.json")
        one.process.send_signal(TERM)
        one.end()


def test_ctrl_c_ends_the_following_and_nothing_else(here: Stash) -> None:
    run = steady(here, "--catch")
    with running(run) as one:
        ready(one)
        follower = command_line(here).start("logs", run.id, "-f")
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.send_signal(INT)
        assert follower.wait(PATIENCE) == 130
        assert "Traceback" not in follower.communicate()[1]
        assert record(run)["attempt"]["state"] == "running"
        one.process.send_signal(TERM)
        one.end()


def test_following_says_how_a_run_ended(here: Stash) -> None:
    run = steady(here, "--catch")
    follower = command_line(here).start("logs", run.id, "-f")  # before it begins
    assert follower.stderr is not None and follower.stdout is not None
    assert f"{run.id} is not started yet; waiting" in follower.stderr.readline()
    with running(run) as one:
        ready(one)
        follower.stdout.readline()
        one.process.send_signal(TERM)
        one.end()
    _, stderr = follower.communicate(timeout=PATIENCE)
    assert follower.returncode == 0
    assert f"{run.id}: cancelled: asked to stop by SIGTERM" in stderr


def test_following_ends_when_the_reader_goes_away_or_the_supervisor_is_lost(here: Stash) -> None:
    run = steady(here)
    with running(run) as one:
        ready(one)
        reader, other = (command_line(here).start("logs", run.id, "-f") for _ in range(2))
        assert reader.stdout is not None and other.stdout is not None
        for follower in (reader, other):
            assert follower.stdout is not None
            follower.stdout.readline()
        reader.stdout.close()
        assert reader.wait(PATIENCE) == 0
        assert record(run)["attempt"]["state"] == "running"
        one.process.send_signal(KILL)
        one.process.wait()
        assert other.wait(PATIENCE) == 0
        assert record(run)["attempt"]["state"] == "lost"
        for follower in (reader, other):
            assert follower.stderr is not None and "Traceback" not in follower.stderr.read()
        other.stdout.close()


# --- cancel ----------------------------------------------------------------------------------------------------------


def test_cancel_lets_the_tool_save(here: Stash) -> None:
    run = steady(here, "--catch", "--saving-takes", 0.3, grace=20.0)
    with running(run) as one:
        ready(one)
        done = command_line(here).cli("cancel", run.id[:6])
        assert one.process.poll() is not None or one.process.wait(PATIENCE) is not None
        data = one.end()
    assert done.returncode == 0, done.stderr
    assert "asked 1 run to stop; waiting for the end" in done.stderr and f"{run.id}: ✗ cancelled" in done.stderr
    assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("cancelled", 143)
    assert (run.path / "saved").read_text() == "SIGTERM\n"
    again = command_line(here).cli("cancel", run.id)
    assert again.returncode == 0 and f"{run.id} has ended already: cancelled" in again.stderr


def test_cancel_reaches_a_suspended_run(here: Stash) -> None:
    run = steady(here, "--catch", grace=20.0)
    with running(run, start_new_session=False, preexec_fn=os.setpgrp) as one:
        ready(one)
        one.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        done = command_line(here).cli("cancel", run.id)
        assert done.returncode == 0 and one.end()["attempt"]["state"] == "cancelled"
    assert (run.path / "saved").read_text() == "SIGTERM\n"


def test_cancel_a_sweep_and_then_all(here: Stash, in_process: InProcess) -> None:
    sweep = here.root / "outputs" / "2026-01-31"
    first, second, other = (steady(here, grace=20.0, sweep=str(sweep) if number < 2 else None) for number in range(3))
    with running(first) as one, running(second) as two, running(other) as three:
        for each in (one, two, three):
            ready(each)
        stash = command_line(here)
        which = in_process(stash, "cancel")
        assert which.returncode == 2 and "Which runs?" in which.stderr
        wrong = in_process(stash, "cancel", "--sweep", str(here.root))
        assert wrong.returncode == 2 and "is not the directory of a sweep with runs" in wrong.stderr
        done = in_process(stash, "cancel", "--sweep", "outputs/2026-01-31")
        assert done.returncode == 0 and "asked 2 runs to stop" in done.stderr
        assert [record(run)["attempt"]["state"] for run in (first, second, other)] == [
            "cancelled",
            "cancelled",
            "running",
        ]
        everything = in_process(stash, "cancel", "--all")
        assert everything.returncode == 0 and "asked 1 run to stop" in everything.stderr
        for each in (one, two, three):
            assert each.end()["attempt"]["state"] == "cancelled"


def test_cancel_from_another_machine_is_not_possible(here: Stash, in_process: InProcess) -> None:
    run = freeze(here, ["true"])
    alone(State.RUNNING, run, host="elsewhere", boot_id="its own")
    (run.path / SUPERVISOR_LOG).touch()
    done = in_process(command_line(here), "cancel", run.id)
    assert f"{run.id} runs on elsewhere: cancel it from there" in done.stderr
    assert record(run)["attempt"]["state"] == "running"


# --- resume ----------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_in_its_directory(here: Stash) -> None:
    run = steady(here, grace=20.0, resume=["--resumed", "--lines", "2"])
    with running(run) as one:
        ready(one)
        one.process.send_signal(TERM)
        first = one.end()
    log = one.log
    done = command_line(here).cli("resume", run.id)
    assert (done.returncode, done.stdout) == (0, "resumed\n0\n1\n"), done.stderr
    assert "attempt 2 at figure/some" in done.stderr and "✓ completed" in done.stderr
    data = record(run)
    assert (
        data["attempt"]["state"],
        data["attempt"]["exit_code"],
        data["attempt"]["number"],
        data["attempt"]["log"],
    ) == ("completed", 0, 2, "output.2.log")
    assert (
        data["attempt"]["reason"] is None
        and data["id"] == run.id
        and data["spec"]["command"]["argv"] == run.spec.command.argv
    )
    assert (run.path / "output.log").read_bytes() == log
    assert (run.path / "output.2.log").read_text() == "resumed\n0\n1\n"
    (earlier,) = data["earlier"]
    assert earlier == first["attempt"] and (earlier["number"], earlier["log"]) == (1, "output.log")
    assert earlier.keys() > {
        "started",
        "ended",
        "state",
        "exit_code",
        "reason",
        "signal",
        "cpu_time",
        "peak_memory",
        "notes",
    }
    shown = command_line(here).cli("logs", run.id, "--attempt", "1")
    assert shown.stdout.encode() == log
    assert "attempt 1: cancelled, output.log" in command_line(here).cli("show", run.id).stdout
    again = command_line(here).cli("resume", run.id)
    assert again.returncode == 2 and "has completed; there is nothing to resume" in again.stderr
    assert record(run) == data


@pytest.mark.parametrize(
    ("state", "fields", "message"),
    [
        (State.FROZEN, {"resume": []}, "has not ended"),
        (State.COMPLETED, {"resume": []}, "has completed; there is nothing to resume"),
        (State.FAILED, {}, "doesn't say how it resumes"),
        (State.FAILED, {"resume": [], "reason": "a typing mistake"}, "never started: a typing mistake"),
    ],
)
def test_what_cannot_be_resumed(here: Stash, state: State, fields: dict[str, Any], message: str) -> None:
    run = freeze(
        here, [] if "never" in message else ["true"], state=state, registration="conf/tool/steady.yaml", **fields
    )
    before = (run.path / "run.json").read_bytes()
    with pytest.raises(StashError, match=message) as caught:
        reopen(here, run)
    if not fields:
        assert "write `resume: [--its, --arguments]` (or `resume: []`) in conf/tool/steady.yaml" in str(caught.value)
    assert (run.path / "run.json").read_bytes() == before


def test_two_cannot_resume_the_same_run(here: Stash) -> None:
    run = ended(here, State.LOST, resume=[])
    assert reopen(here, run).attempt.number == 2
    with pytest.raises(StashError, match="has not ended"):
        reopen(here, run)
    assert record(run)["attempt"]["number"] == 2


# --- sweeps as names -------------------------------------------------------------------------------------------------


def sweep_of(
    here: Stash, token: str, *states: State, place: str = "multirun/2026-01-31/12-00-00-", **fields: Any
) -> Path:
    """Write the records of a sweep's runs."""
    sweep = here.root / f"{place}{token}"
    for number, state in enumerate(states):
        directory = sweep / str(number)
        directory.mkdir(parents=True)
        run = run_with(
            f"{token}-{number}",
            directory,
            organizer="figure/some",
            tool="steady",
            command=Command(argv=["true"], cwd=str(here.root)),
            overrides=[f"params.n={number}"],
            created=times.now(),
            sweep=str(sweep),
            state=state,
        )
        put(run, **{"ended": times.now(), "duration": 1.5, "exit_code": 0, **fields})
        records.claim(run)
        (directory / "output.log").write_text(f"log of {run.id}")
    (sweep / records.SWEEP_FILE).write_text("hydra: {}\n")
    return sweep


@pytest.fixture
def two_sweeps(here: Stash) -> list[Path]:
    return [sweep_of(here, "aaaaaa2", State.COMPLETED, State.FAILED), sweep_of(here, "aaaaaa3", State.COMPLETED)]


def test_a_sweep_is_a_name_for_every_verb(here: Stash, two_sweeps: list[Path], in_process: InProcess) -> None:
    stash, alone = command_line(here), ended(here, State.COMPLETED)
    names = ("aaaaaa2", str(two_sweeps[0]), os.path.relpath(two_sweeps[0], here.root))
    for name in names:
        shown = in_process(stash, "show", name)
        assert shown.returncode == 0 and re.search(r"(?m)^sweep +aaaaaa2$", shown.stdout), shown
        assert shown.stdout.endswith("2 runs: 1 completed, 1 failed\n")
        assert re.search(r"(?m)^can't go on +.*multirun.yaml, which says what was to be done", shown.stdout)
        assert [each["id"] for each in json.loads(in_process(stash, "show", name, "--json").stdout)] == [
            "aaaaaa2-0",
            "aaaaaa2-1",
        ]
        listed = in_process(stash, "runs", name).stdout.splitlines()
        assert [line.split()[0] for line in listed[1:]] == ["aaaaaa2-1", "aaaaaa2-0"]
        written = in_process(stash, "logs", name).stdout
        assert written == (
            "==> aaaaaa2-0  figure/some params.n=0 <==\nlog of aaaaaa2-0\n"
            "==> aaaaaa2-1  figure/some params.n=1 <==\nlog of aaaaaa2-1"
        )
        assert "2 runs have ended already" in in_process(stash, "cancel", name).stderr
        assert "none of these runs has used W&B" in in_process(stash, "sync", name).stderr
        assert "multirun.yaml, which says what was to be done" in in_process(stash, "resume", name).stderr
    both = in_process(stash, "runs", "aaaaaa3", alone.id, "aaaaaa3-0").stdout.splitlines()
    assert {line.split()[0] for line in both[1:]} == {"aaaaaa3-0", alone.id} and len(both) == 3
    assert in_process(stash, "show", "aaaaaa3").stdout.count("go on") == 0


def test_the_beginning_of_a_sweeps_id(here: Stash, two_sweeps: list[Path], in_process: InProcess) -> None:
    stash = command_line(here)
    several = in_process(stash, "show", "aaaa")
    assert several.returncode == 2
    assert "'aaaa' may be any of 2 sweeps: the sweep aaaaaa2, the sweep aaaaaa3." in several.stderr
    assert "run        aaaaaa2-1" in re.sub(
        r"run +a", "run        a", in_process(stash, "show", "aaaaaa2-").stdout
    ) or ("may be any of 2 runs: aaaaaa2-0, aaaaaa2-1" in in_process(stash, "show", "aaaaaa2-").stderr)
    assert json.loads(in_process(stash, "show", "aaaaaa2-1", "--json").stdout)["id"] == "aaaaaa2-1"
    shutil.rmtree(two_sweeps[1])
    assert "aaaaaa2" in in_process(stash, "show", "aaaa").stdout


def test_a_sweep_whose_runs_have_names_of_their_own(here: Stash, in_process: InProcess) -> None:
    sweep = sweep_of(here, "aaaaaa4", State.COMPLETED, State.COMPLETED)
    for number in (0, 1):
        (sweep / str(number)).rename(sweep / f"params.n={number}")
    elsewhere = ended(here, State.COMPLETED, sweep=str(sweep))
    stash = command_line(here)
    shown = json.loads(in_process(stash, "show", "aaaaaa4", "--json").stdout)
    assert {each["id"] for each in shown} == {"aaaaaa4-0", "aaaaaa4-1", elsewhere.id}


def test_a_sweep_is_followed_run_by_run(here: Stash) -> None:
    sweep_of(here, "aaaaaa5", State.COMPLETED, State.COMPLETED)
    done = command_line(here).cli("logs", "-f", "aaaaaa5")
    assert done.returncode == 0 and done.stdout.count("log of aaaaaa5-") == 2


def test_an_attempt_is_not_a_sweeps(here: Stash, two_sweeps: list[Path], in_process: InProcess) -> None:
    done = in_process(command_line(here), "logs", "aaaaaa2", "--attempt", "1")
    assert done.returncode == 2 and "aaaaaa2 is a sweep" in done.stderr


def test_a_sweep_by_its_id_and_a_run_of_another_one(here: Stash, in_process: InProcess) -> None:
    """Who is named alone is cancelled alone: the others of its sweep, which share its supervisor, go on."""
    stash = command_line(here)
    runs_of_sweep = [steady(here, grace=20.0, sweep=str(here.root / "multirun" / f"s-aaaaaa{n}")) for n in (6, 7)]
    with running(runs_of_sweep[0]) as one, running(runs_of_sweep[1]) as two:
        ready(one), ready(two)
        done = in_process(stash, "cancel", "--sweep", "multirun/s-aaaaaa6")
        assert done.returncode == 2 and "no sweep of that name" in done.stderr
        (here.root / "multirun/s-aaaaaa6").mkdir(parents=True)
        done = in_process(stash, "cancel", "--sweep", "multirun/s-aaaaaa6")
        assert done.returncode == 0 and "asked 1 run to stop" in done.stderr
        assert one.end()["attempt"]["state"] == "cancelled" and two.process.poll() is None
        assert in_process(stash, "cancel", runs_of_sweep[1].id).returncode == 0
        assert two.end()["attempt"]["state"] == "cancelled"


def test_a_log_is_named_only_if_it_is_there(stash: StashUnderTest) -> None:
    tool = stash.add_tool(
        "echo", registration="entrypoint: echo\ncall: {style: arguments}\nenvironment: {kind: none}\n"
    )
    (tool / "readme").touch()
    stash.add_experiment("fine", "echo")
    stash.add_experiment("broken", "echo", "timeout: [1]\n")
    done = stash.cli("-m", "hydra/launcher=local", "+exp=fine,broken")
    fine, broken = sorted(stash.root.glob("multirun/*/*/[01]"))
    assert f"{fine.name}/output.log" in done.stdout and f"{broken.name}/output.log" not in done.stdout + done.stderr
    assert (
        "output.log" in stash.cli("show", str(fine)).stdout
        and "output.log" not in stash.cli("show", str(broken)).stdout
    )
