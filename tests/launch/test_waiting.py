"""While something takes long: whoever waits is told, and Ctrl-C ends it without a trace."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.freeze.test_environments import SLOW_SETUP
from tests.testing.stash import PATIENCE, StashUnderTest, git, wait_until

# Counts jobs until it has said something of them, and stops then.
COUNTING = """
import sys
from experimentstash.base import output
meter, said = output.Meter("frozen", 2000), []
output.say = said.append
while not said:
    meter.step()
print(said[0].partition(" of ")[2])
"""


@pytest.fixture
def slow(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool whose environment takes long to make."""
    tool = stash.add_tool("slow", "plain", "entrypoint: main.py\nenvironment: {kind: pyproject}\n")
    (tool / "setup.py").write_text(SLOW_SETUP)
    stash.add_experiment("one", "slow", "params: {sleep: 0}\n")
    stash.commit()
    return stash


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["-m", "params.sleep=0,1"], ["-m", "params.sleep=0,1", "hydra/launcher=local"]])
def test_ctrl_c_while_an_environment_is_made(slow: StashUnderTest, how: list[str]) -> None:
    process = slow.start(*how, "+exp=one")
    wait_until((slow.root / "tools/slow/started").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and stderr.endswith("error: interrupted\n")
    assert "could not be made" not in stderr and "its configuration is wrong" not in stderr
    assert not [path for root in ("outputs", "multirun") for path in slow.root.glob(f"{root}/**/*") if path.is_file()]
    assert git("status", "--short", "--", "conf", "outputs", "multirun", cwd=slow.root) == ""


@pytest.mark.slow
def test_what_takes_long_is_told_at_a_terminal(tmp_path: Path) -> None:
    reader, terminal = pty.openpty()
    done = subprocess.run([sys.executable, "-c", COUNTING], stdout=subprocess.PIPE, stderr=terminal, timeout=PATIENCE)
    os.close(terminal)
    os.close(reader)
    assert done.stdout == b"2,000 jobs are frozen \xe2\x80\xa6\n"
