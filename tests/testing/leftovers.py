"""End what tests have started: with each test what it has left, and with pytest, however it ends, all the rest.

Processes are known by their environment, which those below them have, too. What has emptied it, and what SLURM starts
on its own, is not known here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

OURS = "PROCESSES_OF_THESE_TESTS"


class Leftovers:
    """The processes of one pytest process, and a guard that survives it."""

    def __init__(self) -> None:
        self._mark = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._others: set[str] = set()
        self._guard = subprocess.Popen(
            [sys.executable, __file__, self._mark], stdin=subprocess.PIPE, start_new_session=True
        )
        os.environ[OURS] = self._mark

    def end_those_of(self, test: str) -> None:
        """Kill what a test has started, but for what its fixtures have."""
        pids = {name for name in os.listdir("/proc") if name.isdecimal()} if sys.platform == "linux" else set()
        self._others &= pids
        for pid in pids - self._others:
            variables = _environment(pid)
            if f"{OURS}={self._mark}".encode() not in variables:
                # One that is just becoming another program shows no environment: it is looked at again.
                self._others |= {pid} if any(variables) else set()
            elif f"PYTEST_CURRENT_TEST={test} (call)".encode() in variables:
                _kill(pid)

    def close(self) -> None:
        """End all of them."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


def _environment(pid: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return stream.read().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []


def _kill(pid: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGKILL)


def _guard(mark: str) -> None:
    """Wait until nobody holds our input any more, then kill all until there are no more."""
    sys.stdin.read()
    own = str(os.getpid())
    clear = 0  # how often in a row none was seen: one that is just becoming another program shows no environment
    while clear < 2:
        pids = [name for name in os.listdir("/proc") if name.isdecimal() and name != own]
        found = [pid for pid in pids if f"{OURS}={mark}".encode() in _environment(pid)]
        for pid in found:
            _kill(pid)
        clear = 0 if found else clear + 1
        time.sleep(0.02)


if __name__ == "__main__" and sys.platform == "linux":
    _guard(sys.argv[1])
