"""What a supervisor does to its tool: how it is told to stop, what it gets to save, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters import procfs
from experimentstash.record import records
from experimentstash.record.run import Run
from experimentstash.stash.layout import Stash
from tests.testing.faults import (
    HUP,
    INT,
    KILL,
    TERM,
    TOOLS,
    Supervised,
    freeze,
    is_alive,
    looking_away,
    python,
    ready,
    record,
    running,
)
from tests.testing.run_parts import put
from tests.testing.stash import PATIENCE, wait_until

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
QUIT, ALRM, USR1, USR2 = signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2
CODES = {TERM: 143, INT: 130, HUP: 129, QUIT: 131, ALRM: 142, USR1: 138, USR2: 140, None: 124}


def steady(stash: Stash, *options: str | float, **fields: Any) -> Run:
    """Freeze a run of the steady tool that says in files of its directory that it is ready, and what it saved."""
    run = freeze(stash, [], **fields)
    own = ["--ready", run.path / "ready", "--saved", run.path / "saved", "--flushed", run.path / "flushed"]
    put(run, argv=python("steady", *own, *options))
    records.write(run)
    return run


def lasted(data: dict[str, Any]) -> float:
    """Return the seconds from a run's start to its end, what its tool left behind included."""
    started, ended = (datetime.datetime.fromisoformat(data["attempt"][name]) for name in ("started", "ended"))
    return (ended - started).total_seconds()


def odd(stash: Stash, *arguments: str | float, **fields: Any) -> Run:
    run = freeze(stash, [], **fields)
    put(run, argv=python("odd", *(word if word != "READY" else run.path / "ready" for word in arguments)))
    records.write(run)
    return run


def limits(seconds: float) -> Iterator[float]:
    """Yield a limit, and longer ones: on a busy machine a tool may not be ready within the first."""
    while seconds < PATIENCE:
        yield seconds
        seconds *= 4


def was_ready(one: Supervised) -> bool:
    return (one.run.path / "ready").exists()


def sent(one: Supervised) -> list[tuple[str, int]]:
    """Return the signals to single processes, as the supervisor has noted them."""
    found = re.findall(rf"^{TIME} sent (\w+) to process (\d+) \(.+\)$", one.account, re.MULTILINE)
    return [(name, int(pid)) for name, pid in found]


def saved(one: Supervised) -> list[str]:
    path = one.run.path / "saved"
    return path.read_text().split() if path.exists() else []


def descendants(pid: int, count: int) -> list[int]:
    """Return the processes below one, once there are so many."""
    found: list[int] = wait_until(lambda: len(now := procfs.descendants(pid)) == count and now)
    return found


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def in_own_group() -> dict[str, Any]:
    """Options for a supervisor in the foreground of a shell with job control, where Ctrl-Z works."""
    return {"start_new_session": False, "preexec_fn": os.setpgrp}


# --- told to stop ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "told"), [(["--catch"], "SIGTERM"), ([], "SIGINT")], ids=["catches", "python"])
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name if number else "timeout")
def test_it_is_told_in_the_way_that_lets_it_save(
    here: Stash, number: signal.Signals | None, options: list[str], told: str
) -> None:
    for limit in limits(1.5):
        run = steady(here, *options, "--saving-takes", 0.3, grace=20.0, timeout=limit if number is None else None)
        with running(run) as one:
            if number is not None:
                ready(one)
                one.process.send_signal(number)
            data = one.end()
        if was_ready(one):
            break
    pid = int((run.path / "ready").read_text())
    assert saved(one) == [told]
    assert sent(one) == [(told, pid)]
    assert one.process.returncode == data["attempt"]["exit_code"] == CODES[number]
    assert data["attempt"]["state"] == ("timed_out" if number is None else "cancelled")
    assert data["attempt"]["reason"].startswith(f"timeout of {limit:g} s" if number is None else "asked to stop by")
    assert data["attempt"]["reason"].endswith("the tool ended by itself with exit code 0")
    if number is not None:
        assert number.name in data["attempt"]["reason"]
        assert "the tool has 20 s to save its work" in one.stderr
    assert all(re.match(rf"{TIME} .", line) for line in one.account.splitlines())
    assert data["attempt"]["duration"] >= 0.3


def test_without_a_handler_for_either_it_gets_sigterm(here: Stash) -> None:
    run = freeze(here, ["sleep", "100"], grace=20.0)
    with running(run) as one:
        wait_until(
            lambda: (
                record(run)["attempt"]["process"]
                and procfs.command_name(record(run)["attempt"]["process"]["pid"]) == "sleep"
            )
        )
        one.process.send_signal(INT)
        data = one.end()
    assert [name for name, _ in sent(one)] == ["SIGTERM"]
    assert (data["attempt"]["state"], data["attempt"]["signal"], data["attempt"]["exit_code"]) == (
        "cancelled",
        "SIGTERM",
        130,
    )
    assert data["attempt"]["reason"].endswith("the tool ended by SIGTERM")


def test_a_shell_script_is_told_through_its_shell(here: Stash) -> None:
    run = steady(here, "--saving-takes", 0.5, grace=20.0)
    put(run, argv=[str(TOOLS / "steady" / "run.sh"), *run.spec.command.argv[2:]])
    put(run, variables={**run.spec.command.environment, "PYTHON": python("steady")[0]})
    records.write(run)
    with running(run) as one:
        inner = ready(one)
        shell = record(run)["attempt"]["process"]["pid"]
        one.process.send_signal(TERM)
        data = one.end()
    assert sent(one) == [("SIGINT", inner), ("SIGTERM", shell)]
    assert saved(one) == ["SIGINT"]  # though its shell was gone by then
    assert data["attempt"]["state"] == "cancelled" and b"the script goes on" not in one.log


@pytest.mark.slow
def test_only_the_main_process_is_told(here: Stash) -> None:
    for grace in limits(1.5):
        run = steady(here, "--catch", "--children", 2, "--saving-takes", 0.5, grace=grace)
        with running(run) as one:
            pid = ready(one)
            workers = descendants(pid, 4)
            one.process.send_signal(TERM)
            wait_until(lambda one=one: sent(one))
            assert all(is_alive(worker) for worker in workers)
            data = one.end()
        if saved(one):
            break
    assert sent(one) == [("SIGTERM", pid)] and saved(one) == ["SIGTERM"]
    assert data["attempt"]["notes"] == ["the tool left 4 processes behind; they were ended"]
    assert not any(is_alive(worker) for worker in workers)
    assert data["attempt"]["duration"] + 1 < lasted(data)  # the tool's own, without what it left


def test_the_grace_is_waited_out_and_then_everything_is_killed(here: Stash) -> None:
    run = steady(here, "--ignore", "--children", 1, "--stubborn-children", "--hide", grace=1.0)
    put(run, argv=[*run.spec.command.argv, "--daemon", str(run.path / "daemon")])
    records.write(run)
    with running(run) as one:
        pid = ready(one)
        daemon = int((run.path / "daemon").read_text())
        family = {pid, daemon, *descendants(pid, 2)}
        assert os.getsid(daemon) not in (os.getsid(pid), os.getsid(one.process.pid))
        wait_until(lambda: Path(f"/proc/{daemon}/environ").read_bytes() == b"")
        told_at = time.monotonic()
        one.process.send_signal(TERM)
        data = one.end()
        took = time.monotonic() - told_at
    assert took >= 1.0
    assert not any(is_alive(member) for member in family)
    assert (data["attempt"]["state"], data["attempt"]["signal"], data["attempt"]["exit_code"]) == (
        "cancelled",
        "SIGKILL",
        143,
    )
    assert data["attempt"]["reason"].endswith("the tool did not end within its grace and was killed")
    assert re.search(rf"^{TIME} the grace is over: SIGKILL to everything that is left$", one.account, re.MULTILINE)


@pytest.mark.slow
def test_a_second_ctrl_c_shortens_the_grace(here: Stash) -> None:
    for limit in limits(0.5):
        told = steady(here, "--ignore", grace=2 * PATIENCE)
        timed_out = steady(here, "--ignore", grace=2 * PATIENCE, timeout=limit)
        with running(told) as one, running(timed_out) as two:
            ready(one)
            one.process.send_signal(INT)
            for each in (one, two):
                wait_until(lambda each=each: sent(each))
                each.process.send_signal(INT)
            data = [each.end() for each in (one, two)]
        if was_ready(two):
            break
    for each, found, state, code in ((one, data[0], "cancelled", 130), (two, data[1], "timed_out", 124)):
        assert (found["attempt"]["state"], found["attempt"]["exit_code"], found["attempt"]["signal"]) == (
            state,
            code,
            "SIGKILL",
        )
        assert each.account.count("asked again: 2 s left") == 1
        assert found["attempt"]["reason"].startswith(
            {"cancelled": "asked to stop by Ctrl-C", "timed_out": "timeout"}[state]
        )


@pytest.mark.slow
def test_ctrl_c_while_leftovers_are_awaited(here: Stash) -> None:
    run = steady(here, "--lines", 1, "--children", 1)
    with running(run) as one:
        pid = ready(one)
        wait_until(lambda: not is_alive(pid))
        one.process.send_signal(INT)
        data = one.end()
    # The tool had ended by itself: that stays true.
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["reason"]) == ("completed", 0, None)
    assert data["attempt"]["notes"] == ["the tool left 2 processes behind; they were ended"]


ENDS_WHEN_TOLD = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("code", [0, 5])
@pytest.mark.parametrize("number", [INT, TERM])
def test_asked_to_stop_together_with_the_tools_own_end(here: Stash, number: signal.Signals, code: int) -> None:
    run = freeze(here, [])
    go = run.path / "go"
    put(run, argv=[sys.executable, "-c", ENDS_WHEN_TOLD, str(go), str(code)])
    records.write(run)
    with running(run) as one:
        pid = wait_until(lambda: record(run)["attempt"]["process"])["pid"]
        with looking_away(one.process.pid):
            go.touch()
            wait_until(lambda: not is_alive(pid))
            one.process.send_signal(number)
        data = one.end()
    assert sent(one) == []
    assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("failed" if code else "completed", code)
    assert "asked" not in (data["attempt"]["reason"] or "")


def test_a_tool_that_died_of_the_signal_that_we_got_too(here: Stash) -> None:
    run = freeze(here, ["sleep", "100"])
    with running(run) as one:
        pid = wait_until(lambda: record(run)["attempt"]["process"])["pid"]
        with looking_away(one.process.pid):
            os.kill(pid, TERM)
            wait_until(lambda: not is_alive(pid))
            one.process.send_signal(TERM)
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["exit_code"], data["attempt"]["signal"]) == (
        "cancelled",
        143,
        "SIGTERM",
    )
    assert data["attempt"]["reason"].startswith("asked to stop by SIGTERM") and sent(one) == []


# The supervisor of a step. For what it may be told late it waits longer than usual, so that a machine may be slow.
IN_STEP = (
    "import sys\n"
    "from experimentstash.execute import execute, pool\n"
    "pool._TOLD_LATE *= 5\n"
    "sys.exit(execute.main(sys.argv[1:]))"
)


@pytest.mark.slow
def test_in_a_step_the_tool_may_be_told_a_moment_earlier(here: Stash, tmp_path: Path) -> None:
    """What srun tells first has saved and ended, and looks as if it had come to its end, when we are told."""
    programs = tmp_path / "programs"
    programs.mkdir()
    says = programs / "scontrol"
    says.write_text("#!/bin/sh\necho JobId=4711 JobState=CANCELLED RunTime=00:01:00 TimeLimit=01:00:00\n")
    says.chmod(0o755)
    environment = {"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "PATH": f"{programs}:{os.environ['PATH']}"}
    run = freeze(here, ["sh", "-c", "trap 'echo saved; exit 0' TERM; touch ready; while :; do sleep 0.02; done"])
    put(run, cwd=run.directory)
    records.write(run)
    with running(run, program=["-c", IN_STEP], env={**os.environ, **environment}) as one:
        wait_until((run.path / "ready").exists)
        pid = wait_until(lambda: record(run)["attempt"]["process"])["pid"]
        os.kill(pid, TERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())  # its supervisor knows of its end by then
        one.process.send_signal(signal.SIGCONT)
        one.process.send_signal(TERM)
        data = one.end()
    assert one.log == b"saved\n"
    assert data["attempt"]["state"] == "cancelled" and "its SLURM job was cancelled" in data["attempt"]["reason"]


def test_sigterm_twice_is_once(here: Stash) -> None:
    run = steady(here, "--catch", "--saving-takes", 0.5, grace=20.0)
    with running(run) as one:
        pid = ready(one)
        one.process.send_signal(TERM)
        wait_until(lambda: sent(one))
        one.process.send_signal(TERM)
        one.process.send_signal(HUP)
        data = one.end()
    assert saved(one) == ["SIGTERM"] and sent(one) == [("SIGTERM", pid)]
    assert (
        data["attempt"]["state"] == "cancelled"
        and "SIGTERM" in data["attempt"]["reason"]
        and data["attempt"]["exit_code"] == 143
    )
    assert "asked again" not in one.account


def test_a_signal_to_both_at_once(here: Stash) -> None:
    run = steady(here, "--catch", "--saving-takes", 0.5, grace=20.0)
    with running(run) as one:
        os.kill(ready(one), TERM)
        one.process.send_signal(TERM)
        data = one.end()
    assert saved(one) == ["SIGTERM"]
    assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("cancelled", 143)


def test_nohup_is_respected(here: Stash) -> None:
    run = steady(here, "--lines", 100)
    with running(run, preexec_fn=lambda: signal.signal(HUP, signal.SIG_IGN)) as one:
        pid = ready(one)
        one.process.send_signal(HUP)
        ignored = re.search(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        data = one.end()
    assert data["attempt"]["state"] == "completed" and sent(one) == []
    # The tool itself gets the defaults, with which it can be told.
    assert ignored is not None and not int(ignored[1], 16) >> (HUP - 1) & 1


def test_a_script_may_have_ignored_ctrl_c(here: Stash) -> None:
    """A shell without job control does that to what it starts with `&`; Python then has no KeyboardInterrupt."""
    run = steady(here, grace=20.0)
    with running(run, preexec_fn=lambda: signal.signal(INT, signal.SIG_IGN)) as one:
        pid = ready(one)
        one.process.send_signal(TERM)
        data = one.end()
    assert sent(one) == [("SIGINT", pid)] and saved(one) == ["SIGINT"]
    assert data["attempt"]["state"] == "cancelled"


# --- Ctrl-Z ----------------------------------------------------------------------------------------------------------


def comes_true(one: Supervised, condition: Callable[[], bool]) -> bool:
    """Wait until it does; False if the run has ended before."""

    def now() -> str | None:
        with contextlib.suppress(OSError, ValueError):
            if condition():
                return "true"
        return "ended" if one.process.poll() is not None else None

    return bool(wait_until(now) == "true")


def suspended_for(one: Supervised, seconds: float) -> bool:
    """Have a run with a child stopped as by Ctrl-Z for a while; False if it has ended before."""

    def family() -> list[int]:
        tool = int((one.run.path / "ready").read_text())
        return [tool, *procfs.descendants(tool)]

    if not comes_true(one, lambda: len(family()) == 3):
        return False
    all_of_it = family()
    one.process.send_signal(signal.SIGTSTP)
    if not comes_true(one, lambda: {state_of(each) for each in (one.process.pid, *all_of_it)} == {"T"}):
        return False
    before = one.log
    time.sleep(seconds)  # what must not count is time itself
    assert one.log == before
    one.process.send_signal(signal.SIGCONT)
    wait_until(lambda: "T" not in [state_of(each) for each in all_of_it])
    for child in all_of_it[1:]:
        os.kill(child, KILL)
    return True


@pytest.mark.slow
def test_ctrl_z_stops_both_and_the_clock(here: Stash) -> None:
    with running(steady(here, "--lines", 100)) as one:
        itself = lasted(one.end())
    for limit in limits(3 * itself):  # what it needed for itself just now, and more; the machine may be busier now
        with running(steady(here, "--lines", 100, "--children", 1, timeout=limit), **in_own_group()) as one:
            was_suspended = suspended_for(one, limit)
            data = one.end()
        if was_suspended and data["attempt"]["state"] == "completed":
            break
    assert data["attempt"]["state"] == "completed", data["attempt"]["reason"]
    assert one.log.splitlines() == [b"%d" % number for number in range(100)]


def test_told_to_stop_while_it_is_suspended(here: Stash) -> None:
    run = steady(here, "--catch", grace=20.0)
    with running(run, **in_own_group()) as one:
        pid = ready(one)
        one.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: state_of(one.process.pid) == state_of(pid) == "T")
        one.process.send_signal(TERM)
        one.process.send_signal(signal.SIGCONT)
        data = one.end()
    assert (data["attempt"]["state"], saved(one)) == ("cancelled", ["SIGTERM"])


# --- a supervisor that dies ------------------------------------------------------------------------------------------


def test_a_tool_dies_with_its_supervisor(here: Stash) -> None:
    run = steady(here, "--catch")
    with running(run) as one:
        pid = ready(one)
        one.process.send_signal(KILL)
        wait_until(lambda: not is_alive(pid))
    assert saved(one) == ["SIGTERM"]


def test_a_dead_supervisor_neither_blocks_nor_breaks_what_still_writes(here: Stash) -> None:
    run = steady(here, "--ignore", "--pause", 0.001)
    with running(run) as one:
        pid = ready(one)
        one.process.send_signal(KILL)
        one.process.wait()
        before = len(one.log)
        wait_until(lambda: len(one.log) > before + 1000)
        assert is_alive(pid)


# --- what tools leave behind -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_leftovers_are_ended_and_noted(here: Stash) -> None:
    children = steady(here, "--lines", 3, "--hide", "--children", 1)
    put(children, argv=[*children.spec.command.argv, "--daemon", str(children.path / "daemon")])
    records.write(children)
    with running(children) as one, running(odd(here, "leave", "READY")) as two:
        daemon = ready(two)
        for each, count in ((one, 3), (two, 1)):
            data = each.end()
            assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("completed", 0)
            assert data["attempt"]["notes"] == [f"the tool left {count} processes behind; they were ended"]
            assert data["attempt"]["duration"] + 1 < lasted(data)  # of the tool's main process, without what it left
            assert f"the tool has ended and left {count} processes behind: SIGTERM to {count} of them" in each.account
    assert not is_alive(daemon) and not is_alive(int((children.path / "daemon").read_text()))


@pytest.mark.slow
def test_a_tool_with_200_children(here: Stash) -> None:
    with running(odd(here, "many_children", 200, "READY", grace=0.5)) as one:
        pid = ready(one)
        workers = procfs.descendants(pid)
        assert len(workers) == 200
        one.process.send_signal(TERM)
        data = one.end()
    assert data["attempt"]["state"] == "cancelled"
    assert not any(is_alive(worker) for worker in workers)


@pytest.mark.slow
def test_a_tool_that_changes_its_session(here: Stash) -> None:
    with running(odd(here, "new_group", "READY", grace=0.5)) as one:
        inner = ready(one)
        assert os.getsid(inner) == inner != record(one.run)["attempt"]["process"]["pid"]
        one.process.send_signal(TERM)
        data = one.end()
    assert data["attempt"]["state"] == "cancelled" and not is_alive(inner)


@pytest.mark.slow
def test_what_was_there_before_is_left_alone(here: Stash) -> None:
    """A process that runs its supervision as one task among others keeps its own children."""
    program = (
        "import subprocess, sys; from pathlib import Path; from experimentstash.execute import execute\n"
        "from experimentstash.record import records\n"
        "own = subprocess.Popen(['sleep', '100'])\n"
        "execute.execute(records.read(Path(sys.argv[1])), show_output=False)\n"
        "print(own.poll()); own.kill(); own.wait()"
    )
    with running(steady(here, "--lines", 1, "--children", 1), program=("-c", program)) as one:
        data = one.end()
    assert one.stdout == "None\n", one.stderr
    assert data["attempt"]["notes"] == ["the tool left 2 processes behind; they were ended"]


# --- what it measures ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_it_measures_is_of_the_whole_tree(here: Stash) -> None:
    with (
        running(odd(here, "hold", 50, 2, 1.7)) as own,
        running(odd(here, "share", 100, 10, 1.7)) as shared,
        running(odd(here, "burn", 0.4)) as busy,
    ):
        data = [each.end() for each in (own, shared, busy)]
    assert [each["attempt"]["state"] for each in data] == ["completed"] * 3
    assert 100e6 < data[0]["attempt"]["peak_memory"] < 200e6
    # What forked workers share counts once.
    assert 100e6 < data[1]["attempt"]["peak_memory"] < 300e6
    assert 0.8 <= data[2]["attempt"]["cpu_time"] < 2.5 and data[2]["attempt"]["duration"] >= 0.4


# --- as one task in a larger process ---------------------------------------------------------------------------------

HANDLERS = """
import os, signal, sys
from pathlib import Path
from experimentstash.execute import execute
from experimentstash.record import records
from experimentstash.base.signals import WATCHED

def own(number, frame):
    print("own", signal.Signals(number).name, flush=True)

watched = [*WATCHED, signal.SIGUSR1, signal.SIGUSR2]
for number in watched:
    signal.signal(number, own)
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
descriptors = set(os.listdir("/proc/self/fd"))
executed = execute.execute(records.read(Path(sys.argv[1])), show_output=False)
assert [signal.getsignal(number) for number in watched] == [own] * len(watched)
assert signal.set_wakeup_fd(-1) == writer
assert set(os.listdir("/proc/self/fd")) == descriptors
print(executed.run.attempt.state.value, executed.interrupted_by and executed.interrupted_by.name)
os.kill(os.getpid(), signal.SIGHUP)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_handlers_are_put_back(here: Stash, is_stopped: bool) -> None:
    run = steady(here, *([] if is_stopped else ["--lines", 3]), grace=20.0)
    with running(run, program=("-c", HANDLERS)) as one:
        if is_stopped:
            ready(one)
            one.process.send_signal(INT)
        one.end()
    assert one.process.returncode == 0, one.stderr
    assert one.stdout.splitlines() == ["cancelled SIGINT" if is_stopped else "completed None", "own SIGHUP"]


THREAD = """
import sys, threading
from pathlib import Path
from experimentstash.execute import execute
from experimentstash.record import records

def task():
    execute.execute(records.read(Path(sys.argv[1])), show_output=False)

thread = threading.Thread(target=task)
thread.start()
thread.join()
"""


@pytest.mark.slow
def test_in_a_thread_it_can_hear_nothing_but_does_the_rest(here: Stash) -> None:
    for limit in limits(0.6):
        run = steady(here, "--children", 1, timeout=limit, grace=0.5)
        with running(run, program=("-c", THREAD)) as one:
            data = one.end()
        if was_ready(one):
            break
    assert one.stderr == "" and (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("timed_out", 124)
    assert data["attempt"]["notes"] == ["the tool left 2 processes behind; they were ended"]


def test_the_tool_ignores_what_schedulers_send_to_all(here: Stash) -> None:
    run = freeze(here, ["sh", "-c", 'kill -USR1 $$; kill -USR2 $$; echo "still here"'])
    with running(run) as one:
        data = one.end()
    assert (data["attempt"]["state"], one.log) == ("completed", b"still here\n")
