"""Named pipes where files are read: nobody waits for whoever might write into them, and signals end what is at work."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.launch.test_launch_local import Scripts, scripts
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until

__all__ = ["scripts"]

LOG = "wandb/offline-run-20260101_000000-abcdefgh/run-abcdefgh.wandb"
WORK = "touch $here/at; until [ -e $here/go ]; do sleep 0.01; done"
MAKES_LOG = f'cd "$WANDB_DIR"; mkdir -p "$(dirname {LOG})"; mkfifo {LOG}; {WORK}'
BOTH = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
VERBS = (["runs"], ["show"], ["list"], ["validate"], ["sync", "--all"], ["cancel", "--all"], ["run", "other"])


def at_work(stash: Scripts, script: str) -> subprocess.Popen[str]:
    """Start a run, and return when its tool is at work."""
    stash.script(script)
    process = stash.start("run", "script")
    wait_until(lambda: (stash.here / "at").exists())
    return process


def put_pipes(stash: StashUnderTest, directory: Path) -> None:
    for path in (directory / "run.json", stash.root / "conf/exp/other.yaml", stash.root / "conf/tool/other.yaml"):
        path.unlink(missing_ok=True)
        os.mkfifo(path)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, stderr = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert "Traceback" not in stderr and "this is a bug" not in stderr, stderr
    return process.returncode, stderr


@BOTH
def test_a_run_whose_wandb_log_is_a_pipe_ends_at_a_signal(scripts: Scripts, number: signal.Signals, code: int) -> None:
    process = at_work(scripts, MAKES_LOG)
    process.send_signal(number)
    assert ended(process)[0] == code
    assert scripts.record()["attempt"]["state"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_follows_a_run_whose_record_becomes_a_pipe_ends_at_a_signal(
    scripts: Scripts, number: signal.Signals
) -> None:
    process = at_work(scripts, f"echo begun; {WORK}")
    try:
        (directory,) = scripts.run_directories()
        follower = scripts.start("logs", "-f", str(directory))
        assert follower.stdout is not None and follower.stdout.readline() == "begun\n"
        put_pipes(scripts, directory)
        follower.send_signal(number)
        assert ended(follower)[0] in (-number, 128 + number, 2)  # 2: it has found before that the record is none
    finally:
        (scripts.here / "go").touch()
        code, _ = ended(process)
    assert (
        code == 0 and scripts.record(directory)["attempt"]["state"] == "completed"
    )  # its supervisor has put the record back


@pytest.mark.slow
def test_every_verb_comes_to_its_end_or_ends_at_a_signal(scripts: Scripts) -> None:
    process = at_work(scripts, MAKES_LOG)
    (scripts.here / "go").touch()
    assert ended(process)[0] == 0
    (directory,) = scripts.run_directories()
    put_pipes(scripts, directory)
    at_once = [scripts.start(*verb) for verb in VERBS]
    # Not Ctrl-C, before which Python is to be at our lines.
    told = [scripts.start(*verb) for verb in VERBS]
    for other in told:
        other.terminate()
    for other in at_once:
        assert ended(other)[0] in (0, 1, 2)
    for other in told:  # before we look at signals it ends a process by itself
        assert ended(other)[0] in (0, 1, 2, 143, -signal.SIGTERM)
