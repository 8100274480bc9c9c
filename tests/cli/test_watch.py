"""`runs --watch`: a screen that follows the runs, and a terminal that is as it was when it ends."""

from __future__ import annotations

import fcntl
import signal
import struct
import termios
from pathlib import Path

import pytest

from experimentstash.stash.layout import Stash
from tests.testing.faults import new_stash
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.terminals import Terminal, program

BACK = b"\x1b[?25h\x1b[?1049l"


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    stash = new_stash(tmp_path / "stash")
    finished(stash.root, "22222aa", {"lr": 1}, {"loss": 0.5})
    return stash


def test_a_new_run_is_seen_and_ctrl_c_brings_the_terminal_back(here: Stash) -> None:
    with Terminal(program("runs", "--watch", "0.1"), cwd=here.root, rows=8) as terminal:
        terminal.until(lambda seen: "1 run: 1 completed" in seen.text and "22222aa" in seen.text)
        for number in range(10):
            finished(here.root, f"22222b{number}", {"lr": number}, second=number + 1)
        terminal.until(lambda seen: "11 runs: 11 completed" in seen.text and "22222b9" in seen.text)
        assert len(terminal.lines) <= 8 and terminal.raw.startswith(b"\x1b[?1049h")
        assert "22222b9" in terminal.lines[2]  # the newest first: what doesn't fit is old
        terminal.type("\x03")
        assert terminal.end() == 0
    assert terminal.raw.endswith(BACK) and b"error" not in terminal.raw


def test_a_screen_of_another_size_is_drawn_at_once(here: Stash) -> None:
    with Terminal(program("runs", "--watch", "3600"), cwd=here.root, columns=80, rows=10) as terminal:
        terminal.until(lambda seen: "22222aa" in seen.text)
        drawn = terminal.raw.count(b"22222aa")
        fcntl.ioctl(terminal._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 30, 0, 0))
        terminal.until(lambda seen: seen.raw.count(b"22222aa") > drawn)
        assert max(len(line) for line in terminal.raw.split(b"\x1b[H")[-1].decode().split("\x1b[K")) <= 60
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
    assert terminal.raw.endswith(BACK)


def test_ctrl_z_leaves_the_screen_and_fg_draws_it_again(here: Stash) -> None:
    # In a shell with job control: what has none isn't stopped by Ctrl-Z.
    shell = ["bash", "-mc", '"$@"; read -r; fg >/dev/null', "bash", *program("runs", "--watch", "3600")]
    with Terminal(shell, cwd=here.root, rows=10) as terminal:
        terminal.until(lambda seen: "22222aa" in seen.text)
        terminal.type("\x1a")
        terminal.until(lambda seen: BACK in seen.raw and b"Stopped" in seen.raw.rpartition(BACK)[2])
        drawn = terminal.raw.count(b"22222aa")
        terminal.type("\n")
        terminal.until(lambda seen: seen.raw.count(b"22222aa") > drawn)
        terminal.type("\x03")
        assert terminal.end() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--watch"], "--watch needs a terminal."),
        (["--watch", "22222aa"], "'22222aa' is no number of seconds; name runs before it"),
        (["--watch", "0"], "is no number of seconds"),
        (["--watch", "--json"], "not allowed with argument"),
    ],
)
def test_what_cant_be_watched_is_told(here: Stash, in_process: InProcess, words: list[str], said: str) -> None:
    done = in_process(StashUnderTest(here.root), "runs", *words)
    assert done.returncode == 2 and said in done.stderr and done.stdout == ""
