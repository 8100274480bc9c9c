"""`report --watch`: the page follows the runs until Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.report.page.test_report import data_of
from tests.testing.faults import new_stash
from tests.testing.finished import finished
from tests.testing.stash import wait_until
from tests.testing.terminals import Terminal, program


def test_the_page_is_made_anew_when_there_is_a_new_run(tmp_path: Path) -> None:
    root = new_stash(tmp_path / "stash").root
    finished(root, "22222aa", {"lr": 1}, {"loss": 0.5})
    page = root / "report.html"
    with Terminal(program("report", "--watch", "0.1"), cwd=root) as terminal:
        terminal.until(lambda seen: "until Ctrl-C" in seen.text)
        finished(root, "22222ab", {"lr": 2}, {"loss": 0.4}, second=1)
        wait_until(lambda: data_of(page)["runs"]["ids"] == ["22222ab", "22222aa"])
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    assert b"error" not in terminal.raw
