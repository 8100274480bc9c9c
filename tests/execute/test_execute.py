"""A frozen run executed: its true final state, record and log, whatever the tool, the disk or the terminal do."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.record import records
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash
from tests.testing.faults import EXECUTE, INT, KILL, TERM, freeze, is_alive, marked, python, record, running
from tests.testing.run_parts import put
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until

# Shows the tool's output, as the application does.
SHOW = (
    "-c",
    "import sys; from pathlib import Path; from experimentstash.execute import execute\n"
    "from experimentstash.record import records\n"
    "executed = execute.execute(records.read(Path(sys.argv[1])), show_output=True)\n"
    "sys.exit(executed.run.attempt.exit_code)",
)


def odd(stash: Stash, *arguments: str | float, **fields: Any) -> Run:
    """Freeze a run of the odd tool; READY and GO stand for files in the run's directory."""
    run = freeze(stash, [], **fields)
    named = {"READY": run.path / "ready", "GO": run.path / "go"}
    put(run, argv=python("odd", *(named.get(str(word), word) for word in arguments)))
    records.write(run)
    return run


def steady(stash: Stash, *options: str | float, **fields: Any) -> Run:
    run = freeze(stash, [], **fields)
    put(run, argv=python("steady", "--ready", run.path / "ready", *options))
    records.write(run)
    return run


def is_ready(run: Run) -> bool:
    return (run.path / "ready").exists() and record(run)["attempt"]["process"] is not None


# --- final states ----------------------------------------------------------------------------------------------------


def test_completed(here: Stash) -> None:
    run = steady(here, "--lines", 3)
    with running(run) as one:
        data = one.end()
    assert (one.process.returncode, one.stdout, one.stderr) == (0, "", "")
    assert (
        data["attempt"]["state"],
        data["attempt"]["exit_code"],
        data["attempt"]["signal"],
        data["attempt"]["reason"],
    ) == ("completed", 0, None, None)
    assert (
        data["created"] <= data["attempt"]["started"] <= data["attempt"]["ended"]
        and data["attempt"]["advice"] is None
        and data["attempt"]["notes"] == []
    )
    assert (
        data["attempt"]["supervisor"]["pid"] == one.process.pid
        and data["attempt"]["supervisor"]["host"] == data["attempt"]["host"]
    )
    assert one.log == b"0\n1\n2\n"
    assert {path.name for path in run.path.iterdir()} == {"run.json", "output.log", "supervisor.log", "ready"}
    accounts = one.account.splitlines()
    assert f"started process {data['attempt']['process']['pid']}: {shlex.quote(sys.executable)} " in accounts[0]
    assert accounts[-1].endswith(" completed, exit code 0")


@pytest.mark.parametrize(
    ("arguments", "state", "code", "number", "reason"),
    [
        (["segfault"], "failed", 139, "SIGSEGV", "a segmentation fault"),
        (["abort"], "failed", 134, "SIGABRT", "a failed assertion in compiled code"),
        (["kill_self", "SIGKILL"], "killed", 137, "SIGKILL", "ended by SIGKILL from outside: by hand, or by something"),
        (["kill_self", "SIGTERM"], "killed", 143, "SIGTERM", "ended by SIGTERM from outside"),
        (["kill_self", "SIGFPE"], "failed", 136, "SIGFPE", "an arithmetic error"),
    ],
)
def test_ended_by_a_signal(here: Stash, arguments: list[str], state: str, code: int, number: str, reason: str) -> None:
    with running(odd(here, *arguments), preexec_fn=_no_core_files) as one:
        data = one.end()
    assert one.process.returncode == code
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["signal"]) == (state, code, number)
    assert reason in data["attempt"]["reason"]


def _no_core_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_failed_and_out_of_its_own_memory(here: Stash) -> None:
    with running(odd(here, "memory_error")) as one:
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["signal"]) == ("failed", 1, None)
    assert data["attempt"]["reason"] == "the tool ended with exit code 1"
    assert "it ran out of memory" in data["attempt"]["advice"] and "give it more" in data["attempt"]["advice"]


def test_failed_as_a_shell_says_it(here: Stash) -> None:
    with running(freeze(here, ["sh", "-c", "kill -9 $$ & wait; exit 139"])) as one:
        killed = one.end()
    with running(freeze(here, ["sh", "-c", "exit 139"])) as one:
        failed = one.end()
    assert (killed["attempt"]["state"], killed["attempt"]["exit_code"]) == ("killed", 137)
    assert (failed["attempt"]["state"], failed["attempt"]["exit_code"], failed["attempt"]["signal"]) == (
        "failed",
        139,
        None,
    )
    assert failed["attempt"]["reason"] == "the tool ended with exit code 139 (as a shell reports SIGSEGV)"


def test_killed_by_others_during_its_grace(here: Stash) -> None:
    with running(steady(here, "--ignore", grace=60.0)) as one:
        wait_until(lambda: is_ready(one.run))
        one.process.send_signal(TERM)
        wait_until(lambda: " sent SIGTERM" in one.account or " sent SIGINT" in one.account)
        os.kill(record(one.run)["attempt"]["process"]["pid"], KILL)
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["signal"]) == (
        "cancelled",
        143,
        "SIGKILL",
    )
    assert data["attempt"]["reason"].endswith("the tool ended by SIGKILL")  # and not by us


def test_a_grace_is_not_begun_anew_by_each_signal(here: Stash) -> None:
    def asked_again() -> bool:
        one.process.send_signal(TERM)
        return one.process.poll() is not None

    with running(steady(here, "--ignore", grace=1.0)) as one:
        wait_until(lambda: is_ready(one.run))
        wait_until(asked_again)
        data = one.end()
    attempt = data["attempt"]
    assert attempt["state"] == "cancelled" and "did not end within its grace and was killed" in attempt["reason"]


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """The file that takes a process into a control group with 200 MB of memory."""
    name = f"experimentstash-test-{os.getpid()}"
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    is_first = (first / "memory.limit_in_bytes").exists()
    group = (first if is_first else second) / name
    try:
        group.mkdir()
        try:
            limit = "memory.limit_in_bytes" if is_first else "memory.max"
            (group / limit).write_text(str(200 << 20))
            (group / "cgroup.procs").stat()
        except OSError:
            group.rmdir()
            raise
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    with contextlib.suppress(OSError):
        (group / ("memory.memsw.limit_in_bytes" if is_first else "memory.swap.max")).write_text(
            str(200 << 20) if is_first else "0"
        )
    yield group / "cgroup.procs"
    wait_until(lambda: (group / "cgroup.procs").read_text() == "")
    group.rmdir()


@pytest.mark.parametrize("through_shell", [False, True])
def test_out_of_memory(here: Stash, memory_group: Path, through_shell: bool) -> None:
    run = odd(here, "eat")
    if through_shell:
        put(run, argv=["sh", "-c", '"$@"; exit $?', "sh", *run.spec.command.argv])
        records.write(run)
    with running(run, preexec_fn=lambda: memory_group.write_text(str(os.getpid()))) as one:
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("out_of_memory", 137), data["attempt"]["reason"]
    assert data["attempt"]["signal"] == (None if through_shell else "SIGKILL")
    assert data["attempt"]["reason"].startswith("out of memory: peak 0.")
    assert through_shell or 100e6 < data["attempt"]["peak_memory"] < 250e6


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_that_was_killed_for_memory_is_said(here: Stash, memory_group: Path, code: int) -> None:
    with running(odd(here, "lose_worker", code), preexec_fn=lambda: memory_group.write_text(str(os.getpid()))) as one:
        data = one.end()
    killed = "the kernel killed a process in its control group for lack of memory"
    if code:
        assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["warnings"]) == (
            "failed",
            3,
            [],
        )
        assert data["attempt"]["reason"] == f"the tool ended with exit code 3; {killed}"
        return
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["reason"]) == ("completed", 0, None)
    (warning,) = data["attempt"]["warnings"]
    assert warning.startswith(f"{killed}; what it computed may be incomplete")


@pytest.mark.slow
def test_a_sweep_tells_of_workers_that_were_killed(stash: StashUnderTest, memory_group: Path) -> None:
    """By how its tool ends, a run whose main process was killed has taken one of the kernel's kills for itself."""
    stash.add_tool("odd", "odd", "entrypoint: main.py\ncall: {style: arguments}")
    stash.add_experiment("loses", "odd", "arguments: [lose_worker, '0']")
    stash.add_experiment("dies", "odd", "arguments: [eat]")
    stash.add_experiment("burns", "odd", "arguments: [burn, '3']")
    two_at_once = ("hydra/launcher=local", "hydra.launcher.n_jobs=2")
    join = f'echo $$ > {memory_group}; exec "$@"'
    for experiments, expected, marks in (
        ("loses", {"loses": "completed"}, 1),
        ("dies,burns", {"dies": "out_of_memory", "burns": "completed"}, 0),
    ):
        started = subprocess.run(
            [
                "sh",
                "-c",
                join,
                "sh",
                sys.executable,
                "-m",
                "experimentstash",
                "-m",
                f"+exp={experiments}",
                *two_at_once,
            ],
            cwd=stash.root,
            capture_output=True,
            text=True,
        )
        found = [stash.record(path) for path in stash.run_directories()]
        assert {run["spec"]["organizer"]: run["attempt"]["state"] for run in found} == expected
        warned = [run for run in found if run["attempt"]["warnings"]]
        assert len(warned) == marks and started.stdout.count("✓ completed !") == marks
        assert f"stash: {marks} of 1 run with a warning: look at" in started.stderr or not marks
        assert not started.returncode or "dies" in experiments
        shutil.rmtree(stash.root / "multirun")


@pytest.mark.slow
def test_what_was_still_computing_when_the_tool_ended_is_said(here: Stash) -> None:
    with running(odd(here, "leave_at_work")) as one:
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["notes"]) == (
        "completed",
        ["the tool left 1 processes behind; they were ended"],
    )
    assert data["attempt"]["warnings"] == [
        "the tool ended while processes of it went on; one of them was still computing and had to be ended"
    ]


# --- what can't be started -------------------------------------------------------------------------------------------


def test_an_executable_that_is_not_there(here: Stash) -> None:
    for argv in (["no-such-program-anywhere"], ["/no/such/program"]):
        with running(freeze(here, argv)) as one:
            data = one.end()
        assert one.process.returncode == data["attempt"]["exit_code"] == 127
        assert data["attempt"]["state"] == "failed" and data["attempt"]["ended"]
        assert data["attempt"]["reason"] == f"{argv[0]} could not be started: No such file or directory"


def test_a_file_that_cannot_be_executed(here: Stash) -> None:
    program = here.root / "program"
    program.write_text("#!/bin/sh\n")
    with running(freeze(here, [program])) as one:
        data = one.end()
    assert one.process.returncode == data["attempt"]["exit_code"] == 126
    assert (data["attempt"]["state"], data["attempt"]["reason"]) == (
        "failed",
        f"{program} could not be started: Permission denied",
    )


def test_an_interpreter_that_is_not_there(here: Stash) -> None:
    program = here.root / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with running(freeze(here, [program])) as one:
        data = one.end()
    assert (data["attempt"]["state"], one.process.returncode) == ("failed", 127)
    assert data["attempt"]["reason"]


def test_a_directory_that_is_not_there(here: Stash) -> None:
    run = freeze(here, ["true"])
    put(run, cwd=str(here.root / "gone"))
    records.write(run)
    with running(run) as one:
        data = one.end()
    assert data["attempt"]["state"] == "failed" and data["attempt"]["exit_code"] == 127
    assert f"{here.root / 'gone'}, where it should start" in data["attempt"]["reason"]


def test_a_secret_that_is_not_there(here: Stash) -> None:
    run = freeze(here, ["true"])
    put(run, secrets=["SOME_TOKEN"])
    records.write(run)
    with running(run) as one:
        data = one.end()
    assert one.process.returncode == 2 and "export SOME_TOKEN=…" in one.stderr and "Traceback" not in one.stderr
    assert data["attempt"]["state"] == "failed" and "SOME_TOKEN" in data["attempt"]["reason"]


def test_a_run_is_executed_once(here: Stash) -> None:
    run = steady(here, "--lines", 1)
    with running(run) as one:
        before = one.end()
    again = subprocess.run([sys.executable, *EXECUTE, run.directory], capture_output=True, text=True)
    assert again.returncode == 2 and "has been started already (completed)" in again.stderr
    assert record(run) == before
    for arguments in ([], [str(here.root)]):
        wrong = subprocess.run([sys.executable, *EXECUTE, *arguments], capture_output=True, text=True)
        assert wrong.returncode == 2 and wrong.stderr.startswith(("error: usage:", f"error: {here.root} holds no run"))


# --- the tool's output -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes", [200, pytest.param(1024, marks=pytest.mark.exhaustive)])
def test_much_output_is_complete(here: Stash, megabytes: int) -> None:
    with running(odd(here, "flood", megabytes)) as one:
        data = one.end(120)
    path = one.run.path / "output.log"
    assert data["attempt"]["state"] == "completed"
    assert path.stat().st_size == megabytes * (1 << 20) + len(b"the last line")
    with path.open("rb") as stream:
        stream.seek(-(1 << 20) - len(b"the last line"), os.SEEK_END)
        lines = stream.read().split(b"\n")
    assert lines[-1] == b"the last line"
    assert [int(line[-8:]) for line in lines[:-1]] == list(range(1024))
    assert data["attempt"]["peak_memory"] < 100e6
    path.unlink()


def test_binary_output_is_kept_and_shown_as_it_is(here: Stash) -> None:
    expected = bytes(range(256)) * 16 + b"\xff\xfe\0no end of line"
    shown = here.root / "shown"
    with shown.open("wb") as stream, running(odd(here, "binary"), program=SHOW, stdout=stream) as one:
        data = one.end()
    assert (data["attempt"]["state"], one.log, shown.read_bytes()) == ("completed", expected, expected)


def test_a_tool_that_closes_its_output_goes_on(here: Stash) -> None:
    run = odd(here, "close_output", "READY", "GO")
    with running(run) as one:
        wait_until(lambda: is_ready(run))
        assert record(run)["attempt"]["state"] == "running" and one.process.poll() is None
        (run.path / "go").touch()
        data = one.end()
    assert (data["attempt"]["state"], one.log) == ("completed", b"before\n")


def test_a_supervisor_that_cannot_go_on_leaves_nothing_unwatched(here: Stash) -> None:
    """A handler of the program around it raises something, as those of schedulers' libraries may."""
    program = (
        "import signal, sys; from pathlib import Path; from experimentstash.execute import execute\n"
        "from experimentstash.record import records\n"
        "def give_up(number, frame): raise RuntimeError('the program around it gives up')\n"
        "signal.signal(signal.SIGPROF, give_up)\n"
        "execute.execute(records.read(Path(sys.argv[1])), show_output=False)"
    )
    run = steady(here, "--ignore", "--children", 1, "--stubborn-children", grace=2 * PATIENCE)
    with running(run, program=("-c", program)) as one:
        wait_until(lambda: is_ready(run))
        tree = wait_until(lambda: len(found := procfs.descendants(one.process.pid)) == 4 and found)
        one.process.send_signal(signal.SIGPROF)
        data = one.end()
    assert not any(is_alive(pid) for pid in tree)
    assert one.process.returncode == 1 and one.stderr.endswith("RuntimeError: the program around it gives up\n")
    assert (data["attempt"]["state"], data["attempt"]["reason"]) == ("failed", "the program around it gives up")


# --- our own output --------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_changes_nothing(here: Stash) -> None:
    run = steady(here, "--lines", 50)
    with running(run, program=SHOW) as one:
        assert one.process.stdout is not None
        os.read(one.process.stdout.fileno(), 1)
        one.process.stdout.close()
        one.process.stdout = None
        data = one.end()
    assert data["attempt"]["state"] == "completed" and one.process.returncode == 0
    assert one.log.endswith(b"\n49\n") and "Traceback" not in one.stderr


def test_no_output_at_all(here: Stash) -> None:
    """Started with `>&-`: there is nothing to show anything on."""
    with running(steady(here, "--lines", 3), program=SHOW, preexec_fn=lambda: os.close(1)) as one:
        data = one.end()
    assert (data["attempt"]["state"], one.process.returncode) == ("completed", 0), one.stderr
    assert one.log == b"0\n1\n2\n"


@pytest.mark.slow
def test_a_terminal_whose_reader_has_stopped_reading(here: Stash) -> None:
    terminal, end = pty.openpty()
    run = steady(here, "--pause", 0, "--ignore", grace=0.5)
    with running(run, stdout=end, stderr=end) as one:
        os.close(end)
        wait_until(lambda: is_ready(run))
        # It is full, and the supervisor blocked in showing, when its log goes on without what it shows.
        wait_until(lambda: len(one.log) > 200_000)
        one.process.send_signal(TERM)
        data = wait_until(lambda: (found := record(run))["attempt"]["state"] != "running" and found)
        assert one.process.poll() is None  # what is missing is still to be shown
        shown = b""
        with contextlib.suppress(OSError):  # EIO: its other end was closed
            while chunk := os.read(terminal, 1 << 20):
                shown += chunk
        assert one.process.wait(PATIENCE) == 143
    os.close(terminal)
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["signal"]) == (
        "cancelled",
        143,
        "SIGKILL",
    )
    assert shown.replace(b"\r\n", b"\n") == one.log


def test_a_terminal_that_has_gone(here: Stash) -> None:
    terminal, end = pty.openpty()
    run = steady(here, "--pause", 0.005, "--catch", grace=20.0)
    with running(run, stdout=end, stderr=end) as one:
        os.close(end)
        os.read(terminal, 1)
        os.close(terminal)
        wait_until(lambda: is_ready(run))
        before = len(one.log)
        wait_until(lambda: len(one.log) > before + 20)
        one.process.send_signal(INT)
        assert one.process.wait(PATIENCE) == 130
    assert record(run)["attempt"]["state"] == "cancelled"


def test_the_terminal_is_hung_up(here: Stash) -> None:
    """As when a window is closed: the kernel sends SIGHUP to the session that has it."""
    run = steady(here, "--catch", "--saving-takes", 0.2, grace=20.0)
    put(run, argv=[*run.spec.command.argv, "--saved", str(run.path / "saved")])
    records.write(run)
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.execv(sys.executable, [sys.executable, *EXECUTE, run.directory])
        finally:
            os._exit(1)
    try:
        wait_until(lambda: is_ready(run))
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    finally:
        for pid in marked(run):
            os.kill(pid, KILL)
    assert os.waitstatus_to_exitcode(status) == 129
    assert record(run)["attempt"]["state"] == "cancelled" and "SIGHUP" in record(run)["attempt"]["reason"]
    assert (run.path / "saved").read_text() == "SIGTERM\n"


# --- the processes themselves ----------------------------------------------------------------------------------------


def test_the_record_tells_which_processes_they_are(here: Stash) -> None:
    run = steady(here)
    with running(run, preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)) as one:
        wait_until(lambda: is_ready(run))
        data = record(run)
        own = procfs.identity(one.process.pid)
        assert own is not None
        assert (data["attempt"]["supervisor"]["start_time"], data["attempt"]["supervisor"]["boot_id"]) == (
            own.start_time,
            procfs.boot_id(),
        )
        tool = procfs.identity(data["attempt"]["process"]["pid"])
        assert tool is not None and tool.start_time == data["attempt"]["process"]["start_time"]
        assert Path(f"/proc/{tool.pid}/fd/0").readlink() == Path(os.devnull)
        one.process.send_signal(INT)
        assert one.end()["attempt"]["state"] == "cancelled"
