"""What a launch comes to: whatever goes wrong with telling that never hides what has ended it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from experimentstash.compose import hydra_files
from experimentstash.launch import result
from experimentstash.launch.context import Begun, LaunchContext
from experimentstash.record import records
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until


def to_garbage(record: Path) -> None:
    record.write_text('{"id": ')


def to_a_directory(record: Path) -> None:
    record.unlink()
    record.mkdir()


def to_a_circle_of_links(record: Path) -> None:
    record.unlink()
    record.symlink_to(record.name)


def to_a_pipe(record: Path) -> None:
    record.unlink()
    os.mkfifo(record)


DAMAGES = [to_garbage, to_a_directory, to_a_circle_of_links, to_a_pipe]


@pytest.fixture
def sweeping(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose experiment says that it is there, and waits; the first run of a sweep ends at once."""
    stash.add_shell()
    there = stash.root.parent / "there"
    script = f"[ $0 = 0 ] && exit 0; touch '{there}'; exec sleep 300"
    stash.add_experiment("waits", "sh", f"params: {{n: 0}}\narguments: {json.dumps(['-c', script, '${params.n}'])}\n")
    stash.commit()
    return stash


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unreadable_record_does_not_hide_an_interruption(
    sweeping: StashUnderTest, damage: Callable[[Path], None]
) -> None:
    sweep = sweeping.start("-m", "+exp=waits", "params.n=0,1", "hydra/launcher=local", "hydra.launcher.n_jobs=1")
    wait_until((sweeping.root.parent / "there").exists)
    first = next(path for path in sweeping.run_directories() if path.name == "0")
    damage(first / records.FILE_NAME)
    sweep.send_signal(signal.SIGINT)
    stdout, stderr = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 130 and "error: interrupted" in stderr and "bug" not in stderr
    assert "✗ cancelled" in stdout and "resume" in stderr  # of the other one it is told all the same


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unreadable_record_does_not_hide_an_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    stash = Stash(tmp_path)
    runs = [freeze(stash, ["true"], directory=str(tmp_path / "sweep" / name), id=f"s-{name}") for name in "01"]
    damage(runs[0].path / records.FILE_NAME)
    error = RuntimeError("what has ended it")
    begun = Begun(hydra_files.look(tmp_path / "sweep", []), tmp_path / "sweep")
    came_to = result.of(LaunchContext(stash, begun=begun), error)
    assert came_to.error is error
    assert came_to.sweep is not None and [run.id for run in came_to.sweep.runs] == [runs[1].id]
    assert came_to.sweep.has_unread and came_to.exit_code == 1
    assert result.of(LaunchContext(stash, begun=begun), None).exit_code == 1


def test_a_reader_that_has_gone_does_not_hide_an_interruption(sweeping: StashUnderTest) -> None:
    sweep = sweeping.start("-m", "+exp=waits", "params.n=1", "hydra/launcher=local")
    assert sweep.stdout is not None and sweep.stderr is not None
    sweep.stdout.close()  # as `… | head` does it
    wait_until((sweeping.root.parent / "there").exists)
    sweep.send_signal(signal.SIGINT)
    stderr = sweep.stderr.read()
    assert sweep.wait(PATIENCE) == 130 and "error: interrupted" in stderr
