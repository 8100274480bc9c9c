"""What the kernel says about processes, compared with processes of which we know it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.adapters import procfs
from experimentstash.adapters.procfs import Identity
from tests.testing.stash import wait_until

MARKER = "EXPERIMENTSTASH_RUN_DIR=/a stäsh's/run"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    name, _, value = MARKER.partition("=")
    process = subprocess.Popen(["sleep", "100"], env={name: value}, start_new_session=True)
    wait_until(lambda: procfs.command_name(process.pid) == "sleep")
    yield process
    process.kill()
    process.wait()


def test_an_identity_tells_a_reused_pid_apart(sleeper: subprocess.Popen[bytes]) -> None:
    process = procfs.identity(sleeper.pid)
    assert process is not None and process.start_time > 0
    assert procfs.is_alive(process)
    later = Identity(process.pid, process.start_time + 1)
    assert not procfs.is_alive(later)
    assert not procfs.send(later, signal.SIGKILL)
    assert sleeper.poll() is None
    assert procfs.send(process, signal.SIGKILL)
    wait_until(lambda: not procfs.is_alive(process))  # a zombie: nobody has waited for it yet
    assert sleeper.returncode is None and procfs.command_name(sleeper.pid) == "sleep"
    assert not procfs.send(process, signal.SIGKILL)
    sleeper.wait()
    assert procfs.identity(sleeper.pid) is None and procfs.command_name(sleeper.pid) == ""


def test_start_times_are_those_of_this_boot(sleeper: subprocess.Popen[bytes]) -> None:
    process = procfs.identity(sleeper.pid)
    assert process is not None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_time / os.sysconf("SC_CLK_TCK")
    assert -0.1 < age < 20


def test_names_may_have_parentheses_and_spaces(tmp_path: Path) -> None:
    odd = tmp_path / "a ) (b) S 1"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([odd, "100"])
    try:
        wait_until(lambda: procfs.command_name(process.pid) == odd.name)
        assert procfs.executable_name(process.pid) == (tmp_path / "a ) (b) S 1").resolve().name
        assert procfs.identity(process.pid) is not None
        assert process.pid in procfs.descendants(os.getpid())
    finally:
        process.kill()
        process.wait()


def test_a_script_is_known_by_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\nsleep 100\nexit\n")
    script.chmod(0o755)
    process = subprocess.Popen([script])
    try:
        wait_until(lambda: procfs.command_name(process.pid) == "train.sh")
        assert procfs.executable_name(process.pid) == Path("/bin/sh").resolve().name
        (child,) = wait_until(lambda: procfs.children(process.pid))
        os.kill(child, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("", {signal.SIGINT}),  # Python's KeyboardInterrupt
        ("signal.signal(signal.SIGTERM, print)", {signal.SIGINT, signal.SIGTERM}),
        ("signal.signal(signal.SIGINT, signal.SIG_IGN)", set()),
        ("signal.signal(signal.SIGINT, signal.SIG_DFL); signal.signal(signal.SIGHUP, print)", {signal.SIGHUP}),
    ],
)
def test_which_signals_a_process_catches(code: str, caught: set[signal.Signals]) -> None:
    program = f"import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{code}\n"
    program += "print(flush=True); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        assert {number for number in asked if procfs.catches(process.pid, number)} == caught
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not procfs.catches(process.pid, signal.SIGINT)


def test_members_are_found_by_marker_session_and_descent(sleeper: subprocess.Popen[bytes]) -> None:
    shell = subprocess.Popen(["sh", "-c", "sleep 100; exit"], env={"PATH": os.defpath}, start_new_session=True)
    name, _, value = MARKER.partition("=")
    hiding = "import os, sys\nif os.fork() == 0: os.setsid()\nos.execve('/bin/sleep', ['sleep', '100'], {})"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hiding!r}])"],
        env={name: value},
    )
    try:
        inside = wait_until(lambda: procfs.children(shell.pid))
        below = wait_until(lambda: len(found := procfs.descendants(parent.pid)) == 2 and found)
        wait_until(lambda: {procfs.command_name(pid) for pid in below} == {"sleep"})
        assert not any(Path(f"/proc/{pid}/environ").read_bytes() for pid in below)
        pids = {member.pid for member in procfs.members(MARKER)}
        assert pids == {sleeper.pid, parent.pid, *below}
        assert all(procfs.is_alive(member) for member in procfs.members(MARKER))
        among = procfs.members(MARKER, [sleeper.pid, shell.pid, *inside], session=shell.pid)
        assert {member.pid for member in among} == {sleeper.pid, shell.pid, *inside}
        assert procfs.members(MARKER[:-1]) == procfs.members(MARKER + "/2") == set()
    finally:
        for pid in {*procfs.descendants(shell.pid), *procfs.descendants(parent.pid)}:
            os.kill(pid, signal.SIGKILL)
        for process in (shell, parent):
            process.kill()
            process.wait()


def test_we_are_never_a_member_of_ourselves() -> None:
    own = Path("/proc/self/environ").read_bytes().split(b"\0")[0].decode(errors="surrogateescape")
    assert os.getpid() not in {member.pid for member in procfs.members(own)}


def test_children_of_every_thread_are_children() -> None:
    program = (
        "import subprocess, threading, time\n"
        "threading.Thread(target=lambda: (subprocess.Popen(['sleep', '100']), time.sleep(100)), daemon=True).start()\n"
        "time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        (child,) = wait_until(lambda: procfs.children(process.pid))
        os.kill(child, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()


def test_memory_of_one_and_of_several(sleeper: subprocess.Popen[bytes]) -> None:
    own = procfs.memory([os.getpid()])
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 0.9 * resident <= own <= 1.1 * resident
    assert 0 < procfs.memory([sleeper.pid]) < 20e6
    assert procfs.memory([os.getpid(), sleeper.pid]) < own + 20e6
    sleeper.kill()
    sleeper.wait()
    assert procfs.memory([sleeper.pid]) == procfs.memory([]) == 0


def test_the_boot_has_an_id() -> None:
    assert procfs.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip() != ""
    assert procfs.oom_kills() >= 0
