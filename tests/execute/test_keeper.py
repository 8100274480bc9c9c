"""The process between a supervisor and its tools ends what is left when the supervisor is killed, even what hides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.adapters import procfs
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile
from experimentstash.stash.layout import Stash
from tests.testing.faults import KILL, Supervised, below, freeze, is_alive, new_stash, record, running, steady
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    return new_stash(tmp_path / "stash")


def ready(one: Supervised) -> set[procfs.Identity]:
    """Wait until the tool is set up; return all processes below its supervisor."""
    wait_until((one.run.path / "ready").exists)
    wait_until(lambda: record(one.run)["attempt"]["process"])
    return below(one.process.pid)


def keeper_of(run: Run) -> int:
    keeper = record(run)["attempt"]["supervisor"]["keeper"]["pid"]
    assert isinstance(keeper, int)
    return keeper


def left(family: set[procfs.Identity]) -> list[int]:
    return [each.pid for each in family if procfs.is_alive(each)]


def test_what_hides_is_ended_with_the_supervisor(here: Stash) -> None:
    run = steady(here, "--hidden-child", "--hide", "--daemon", here.root / "daemon", grace=20.0)
    stranger = subprocess.Popen(["sleep", "100"], env={}, start_new_session=True)
    with running(run) as one:
        family = ready(one)
        assert len(family) == 4 and keeper_of(run) in {each.pid for each in family}
        one.process.send_signal(KILL)
        one.process.wait()
        wait_until(lambda: not left(family))
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST


@pytest.mark.slow
def test_a_look_waits_for_it(here: Stash) -> None:
    run = steady(here, "--hidden-child", "--catch", "--saving-takes", 1.0, grace=20.0)
    with running(run) as one:
        family = ready(one)
        one.process.send_signal(KILL)
        one.process.wait()
        assert reconcile.load_reconciled(here, run.path).attempt.state is State.LOST
        assert not left(family)
    assert (run.path / "saved").read_text() == "SIGTERM\n"  # once, and with the time that it needed


def test_a_tool_that_ignores_it_is_killed_after_its_grace(here: Stash) -> None:
    run = steady(here, "--ignore", "--hidden-child", grace=0.3)
    with running(run) as one:
        family = ready(one)
        one.process.send_signal(KILL)
        one.process.wait()
        wait_until(lambda: not left(family))


def test_one_that_was_stopped_is_ended_too(here: Stash) -> None:
    run = steady(here, "--hidden-child", "--catch", grace=20.0)
    with running(run) as one:
        family = ready(one)
        for each in family - {process for process in family if process.pid == keeper_of(run)}:
            os.kill(each.pid, signal.SIGSTOP)
        one.process.send_signal(KILL)
        one.process.wait()
        wait_until(lambda: not left(family))
    assert (run.path / "saved").read_text() == "SIGTERM\n"


@pytest.mark.slow
def test_if_the_keeper_is_killed_all_falls_to_the_supervisor(here: Stash) -> None:
    run = steady(here, "--hidden-child", "--catch", "--fail", 3, grace=20.0)
    with running(run) as one:
        family = ready(one)
        os.kill(keeper_of(run), KILL)
        data = one.end()
        assert not left(family)
    # The kernel has told the tool, which saved and ended in its own way.
    assert (data["attempt"]["state"], data["attempt"]["exit_code"]) == ("failed", 3)
    assert (run.path / "saved").read_text() == "SIGTERM\n"


def test_if_both_are_killed_the_kernel_tells_the_tool(here: Stash) -> None:
    run = steady(here, "--catch", grace=20.0)
    with running(run) as one:
        family = ready(one)
        one.process.send_signal(signal.SIGSTOP)  # it is to do nothing any more
        os.kill(keeper_of(run), KILL)
        one.process.send_signal(KILL)
        one.process.wait()
        wait_until(lambda: not left(family))
    assert (run.path / "saved").read_text() == "SIGTERM\n"


def test_each_tool_is_told_once_by_the_kernel(tmp_path: Path) -> None:
    """Not again when another one ends, which was started by the same process."""
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.touch()
    waits = "while :; do sleep 0.05; done"
    outlives = "while [ -z $told ] || [ -e /proc/$0/exe ]; do sleep 0.05; done"
    program = (
        "from experimentstash.execute.start import start\n"
        "def tool(script, other, output):\n"
        "    return start('/bin/sh', ['sh', '-c', script, other], '/', {}, output, None)\n"
        f"other = tool('trap exit TERM; echo ready; {waits}', '', {str(first)!r})\n"
        f"script = 'trap \"told=1; echo told\" TERM; echo ready; {outlives}; echo over'\n"
        f"one = tool(script, str(other), {str(second)!r})\n"
        "print(other, one, flush=True); input()\n"
    )
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    tools = [procfs.identity(int(pid)) for pid in process.stdout.readline().split()]
    try:
        wait_until(lambda: first.read_text() == second.read_text() == "ready\n")
        process.kill()
        process.communicate()
        wait_until(lambda: second.read_text().endswith("over\n"))
    finally:
        for each in tools:
            if each is not None:
                procfs.send(each, KILL)
    assert second.read_text() == "ready\ntold\nover\n"


def test_more_tools_than_descriptors(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.touch()
    program = (
        "import os, resource; from experimentstash.execute import start\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
        f"words = ('/bin/sleep', ['sleep', '100'], '/', {{}}, {str(output)!r}, None)\n"
        "tools = []\n"
        "try:\n"
        "    for _ in range(60): tools.append(start.start(*words))\n"
        "finally:\n"
        "    for each in tools: os.kill(each, 9)\n"
        "print(len(tools))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("60\n", "")


def test_it_goes_with_the_supervisor_and_costs_the_tool_nothing(here: Stash) -> None:
    run = freeze(here, ["sh", "-c", "echo $PPID; cat /proc/$PPID/stat; ls -l /proc/$$/fd; exit 7"])
    with running(run, pass_fds=[1]) as one:
        data = one.end()
    keeper = data["attempt"]["supervisor"]["keeper"]["pid"]
    assert one.process.returncode == 7 and data["attempt"]["exit_code"] == 7
    assert one.log.split()[0] == str(keeper).encode() and not is_alive(keeper)
    held = {line.split()[-3]: line.split()[-1] for line in one.log.decode().splitlines()[-4:]}
    # Of ours it holds only that by which the kernel tells it if we end.
    (tie,) = held.keys() - {"0", "1", "2"}
    assert held["0"] == os.devnull and held["1"] == held["2"] == str(run.path / run.attempt.log)
    assert held[tie].startswith("pipe:")


def test_what_the_program_around_has_started_is_left_alone(here: Stash) -> None:
    program = (
        "import subprocess, sys; from pathlib import Path; from experimentstash.execute import execute\n"
        "from experimentstash.record import records\n"
        "own = subprocess.Popen(['sleep', '100'], start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "Path(sys.argv[1], 'own').write_text(str(own.pid))\n"
        "execute.execute(records.read(Path(sys.argv[1])), show_output=False)\n"
    )
    run = steady(here, "--hidden-child")
    run.attempt.supervisor = None
    with running(run, program=("-c", program), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
        family = ready(one)
        own = int((run.path / "own").read_text())
        one.process.send_signal(KILL)
        one.process.wait()
        wait_until(lambda: left(family) == [own])
        os.kill(own, KILL)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", None, "basic", "submitit_local"])
def test_under_every_launcher(stash: StashUnderTest, launcher: str | None) -> None:
    stash.add_tool("steady", "steady", "entrypoint: main.py")
    sign = stash.root.parent / "ready"
    stash.add_experiment("one", "steady", f"params: {{hidden-child: true, ready: {sign}}}\n")
    sweep = [] if launcher is None else ["-m", f"hydra/launcher={launcher}"]
    process = stash.start(*sweep, "+exp=one", "grace.seconds=20")
    try:
        wait_until(sign.exists)
        (directory,) = stash.run_directories()
        supervisor = stash.record(directory)["attempt"]["supervisor"]
        tool = int(sign.read_text())
        family = below(supervisor["pid"])
        assert {tool, supervisor["keeper"]["pid"]} < {each.pid for each in family} and len(family) == 3
        os.kill(supervisor["pid"], KILL)
        wait_until(lambda: not left(family))
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert "lost" in stash.cli("runs").stdout


def test_a_signal_to_the_whole_group_is_one(here: Stash) -> None:
    run = steady(here, "--catch", "--saving-takes", 0.5)
    with running(run) as one:
        ready(one)
        os.killpg(one.process.pid, signal.SIGINT)
        data = one.end()
    assert data["attempt"]["state"] == "cancelled" and "asked again" not in one.account
    assert (run.path / "saved").read_text() == "SIGTERM\n"


def test_without_a_further_process_it_goes_on_alone(here: Stash) -> None:
    program = (
        "import os, sys; from experimentstash.execute import keeper\n"
        "def refuse(): raise BlockingIOError(11, 'no more')\n"
        "os.fork = refuse\n"
        "from experimentstash.execute import execute; sys.exit(execute.main(sys.argv[1:]))\n"
    )
    run = freeze(here, ["true"])
    with running(run, program=("-c", program)) as one:
        data = one.end()
    assert (data["attempt"]["state"], data["attempt"]["supervisor"]["keeper"]) == ("completed", None)


def test_only_what_may_execute_a_run_begins_with_one() -> None:
    from experimentstash.cli.main import executes

    for words in ("", "runs", "show latest", "+exp=a --help", "cancel x"):
        assert not executes(words.split())
    for words in ("+exp=a", "run a", "-m +exp=a,b", "resume x"):
        assert executes(words.split())


# A keeper that begins what it is asked for, and is killed before it can tell.
DIES_UNTOLD = """
import os, signal, sys, time
from experimentstash.adapters import procfs
from experimentstash.execute import keeper, start
from experimentstash.execute.supervisor import Siblings, SupervisedTool

directory, company = sys.argv[1], Siblings() if sys.argv[2] == "side by side" else None
procfs.adopt_orphans()
requests, reports = os.pipe(), os.pipe()
if (child := os.fork()) == 0:
    os.setsid()
    what, ignored, grace = keeper._receive_one(requests[0])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the tool inherits: it goes on when the kernel tells it
    start.start(*what)
    os.kill(os.getpid(), signal.SIGKILL)
os.close(requests[0])
os.close(reports[1])
keeper._present[:] = [keeper.Keeper(procfs.identity(child), requests[1], reports[0])]
marker = f"EXPERIMENTSTASH_RUN_DIR={directory}"
tool = SupervisedTool(marker=marker, timeout=None, log=lambda text: None, siblings=company)
environment = {"PATH": os.environ["PATH"], "EXPERIMENTSTASH_RUN_DIR": directory}
argv = ["sh", "-c", f"echo begun >> begun; {sys.argv[3]}"]
tool.start(argv, cwd=directory, environment=environment, output=f"{directory}/log", grace=5.0)
while not tool.is_over:
    time.sleep(min(0.05, tool.tick(5.0)))
print(tool.ending().returncode)
"""


@pytest.mark.parametrize("company", ["alone", "side by side"])
@pytest.mark.parametrize("script", ["sleep 0.3; exit 7", "exit 7"])
def test_what_it_could_not_tell_of_is_not_begun_again(tmp_path: Path, company: str, script: str) -> None:
    (tmp_path / "log").touch()
    argv = [sys.executable, "-c", DIES_UNTOLD, tmp_path, company, script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert (tmp_path / "begun").read_text() == "begun\n", done.stderr
    assert done.stdout == "7\n", done.stderr


def test_it_is_small() -> None:
    """Begun before anything is imported, it holds what Python holds, and much of that is shared."""
    program = "from experimentstash.execute import keeper; print(keeper.ensure().identity.pid, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    process.communicate("\n")
    share = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert share < 12_000  # kB
