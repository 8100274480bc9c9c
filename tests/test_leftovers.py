"""What a test starts ends with it, and with pytest, even if that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.testing.faults import is_alive
from tests.testing.leftovers import Leftovers
from tests.testing.stash import PATIENCE, REPOSITORY, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are known by what /proc tells of them")
# The shell becomes a program that ends by nothing but a signal: it must not be done as soon as what it started is.
HIDDEN = "setsid sleep 600 & echo $!; exec sleep 600"


def test_what_a_test_leaves_ends_and_what_its_fixtures_need_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSES_OF_THESE_TESTS", "other")  # so that it is put back
    leftovers = Leftovers()
    processes = []
    for phase in ("call", "setup"):
        monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/test_x.py::test_y[z] ({phase})")
        processes.append(subprocess.Popen(["sh", "-c", HIDDEN], stdout=subprocess.PIPE, text=True))
    hidden = [int(process.stdout.readline()) for process in processes if process.stdout]
    leftovers.end_those_of("tests/test_x.py::test_other")
    assert [process.poll() for process in processes] == [None, None]
    leftovers.end_those_of("tests/test_x.py::test_y[z]")
    assert processes[0].wait(PATIENCE) == -signal.SIGKILL
    wait_until(lambda: not is_alive(hidden[0]))
    assert processes[1].poll() is None and is_alive(hidden[1])
    leftovers.close()
    assert processes[1].wait(PATIENCE) == -signal.SIGKILL
    wait_until(lambda: not is_alive(hidden[1]))
    for process in processes:
        assert process.stdout
        process.stdout.close()


def test_what_is_left_by_a_pytest_that_was_killed_ends() -> None:
    program = (
        "import os, signal, subprocess; from tests.testing.leftovers import Leftovers; Leftovers();"
        f"process = subprocess.Popen(['sh', '-c', {HIDDEN!r}], stdout=subprocess.PIPE, text=True);"
        "print(process.pid, process.stdout.readline(), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    shell, hidden = map(int, done.stdout.split())
    wait_until(lambda: not is_alive(shell) and not is_alive(hidden))
