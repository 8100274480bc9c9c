"""Commands that we run and wait for: what they leave behind, and what they get to end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from experimentstash.base.process import run


def test_what_a_command_leaves_behind_does_not_keep_us() -> None:
    """As the connection that ssh shares does, it holds stderr open."""
    done = run(["sh", "-c", "sleep 3600 > /dev/null < /dev/null & echo $!; echo said >&2"])
    left = int(done.stdout)
    os.kill(left, signal.SIGKILL)  # ProcessLookupError, if that was waited for
    assert done.stderr == "said\n"


def test_with_grace_a_command_comes_to_its_own_end(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'kill $!; echo tidied > {told}; exit' TERM; sleep 3600 & read go; kill -INT $PPID; wait"
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", script], stdin="go\n", grace=60.0)  # which it reads once it is waited for
    assert told.read_text() == "tidied\n"
