"""Runs that are killed at random moments: none is lost.

The long version is ``python tests/testing/faults.py --kills 300``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.record.run import State
from experimentstash.runs import reconcile
from tests.testing import faults
from tests.testing.run_parts import put


@pytest.mark.parametrize(
    "kills", [pytest.param(16, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.exhaustive)]
)
def test_no_run_is_lost(tmp_path: Path, kills: int) -> None:
    seed = random.randrange(10**6)
    cases = faults.run_all(faults.plan(kills, seed), tmp_path, parallel=4)
    wrong = [str(case) for case in cases if case.problems]
    assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
    assert len(cases) == kills and all(case.sent for case in cases)
    # More than one thing can come of it, and all kinds of tools were there.
    assert len({case.state for case in cases}) > 1
    assert {case.kind.name for case in cases} == {kind.name for kind in faults.KINDS}


def test_a_lost_run_would_be_noticed(tmp_path: Path) -> None:
    """The injector itself: a run that nobody closed, with processes left and lines missing, has problems."""
    stash = faults.new_stash(tmp_path / "stash")
    run = faults.freeze(stash, [], grace=0.3)
    put(run, argv=faults.python("steady", "--ignore", "--flushed", run.path / "flushed", "--pause", 60))
    faults.records.write(run)
    case = faults.Case(0, faults.KINDS[0], [])
    with faults.running(run) as one:
        flushed = run.path / "flushed"
        faults.wait_for(lambda: flushed.exists() and flushed.read_text() == "000000000")
        keeper = faults.record(run)["attempt"]["supervisor"]["keeper"]["pid"]
        seen = {process for process in faults.below(one.process.pid) if process.pid != keeper}
        assert len(seen) == 1
        os.kill(keeper, signal.SIGSTOP)  # it would end it before we look
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        assert faults.marked(run) == [process.pid for process in seen]
        flushed.write_text("7")
        received = {"supervisor": [signal.SIGKILL], "keeper": [], "tool": [], "wandb-core": []}
        found = faults.problems(case, run, faults.record(run), received, one.process.returncode)
        assert [problem.partition(":")[0].partition(",")[0] for problem in found] == [
            "running",
            "not closed",
            "running with exit code None and the reason None",
            "the log ends at line 0 of 7",
        ]
        os.kill(keeper, signal.SIGKILL)
        assert reconcile.load_reconciled(stash, run.path).attempt.state is State.LOST


def test_the_one_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, faults.__file__, "--kills", "2", "--seed", "1", "--verbose"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("seed 1: 2 runs, ")
    assert "wrong: 0" in done.stdout and "→ " in done.stdout
