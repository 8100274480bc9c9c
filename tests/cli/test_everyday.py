"""The everyday questions of the README's table: each is answered by the command that stands beside it."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.testing.stash import PATIENCE, REPOSITORY, InProcess, StashUnderTest, wait_until

TOOL = """\
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--output-dir")
parser.add_argument("--rate", type=float)
parser.add_argument("--seed", type=int)
parser.add_argument("--stay", action="store_true")
given = parser.parse_args()
if given.stay:
    open(os.path.join(given.output_dir, "ready"), "w").close()
    time.sleep(3600)
if given.rate > 1:
    raise ValueError("the rate is too large")
with open(os.path.join(given.output_dir, "metrics.json"), "w") as stream:
    json.dump({"accuracy": given.rate + given.seed / 100}, stream)
"""

Answer = Callable[..., str]


def commands() -> dict[str, str]:
    """Return the table's commands, by what one wants to know."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    rows = text.partition("| to know, or to do | |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    return {
        question.strip(): re.findall("`([^`]+)`", row)[0] for row in rows for question, row in [row[1:].split("|", 1)]
    }


@pytest.fixture
def answer(stash: StashUnderTest, in_process: InProcess) -> Answer:
    """Answers a question with what its command prints."""

    def told(question: str, code: int = 0, also: tuple[str, ...] = (), **names: str) -> str:
        words = shlex.split(commands()[question].partition(" > ")[0])
        assert words.pop(0) == "experimentstash"
        done = in_process(stash, *(names.get(word, word) for word in words), *also)
        assert done.returncode == code, done.stderr
        return done.stdout

    return told


@pytest.fixture
def at_work(stash: StashUnderTest) -> Iterator[None]:
    """Five runs that have ended, one of them with an exception, and one that is at work."""
    stash.add_tool(
        "t", registration="entrypoint: main.py\ncall: {style: argparse, output: --output-dir, booleans: flag}\n"
    )
    stash.write("tools/t/main.py", TOOL)
    for name in ("slow", "quick"):
        rate = "params: {rate: 0.1, seed: 0}\n" if name == "slow" else "params: {rate: 0.9, seed: 0}\n"
        stash.add_experiment(f"figure1/{name}", "t", f"tags: [{name}]\n{rate}")
    stash.commit()
    done = stash.cli("-m", "+exp=figure1/slow,figure1/quick", "params.seed=1,2")
    assert done.returncode == 0, done.stderr
    assert stash.cli("+exp=figure1/quick", "params.rate=2").returncode == 1
    running = stash.start("+exp=figure1/slow", "+params.stay=true")
    wait_until(lambda: [*stash.root.glob("outputs/*/*/ready")])
    yield
    running.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.communicate(timeout=PATIENCE)


@pytest.mark.slow
def test_each_is_answered_by_its_command(stash: StashUnderTest, at_work: None, answer: Answer) -> None:
    records = {str(each): stash.record(each) for each in stash.run_directories()}
    ids = {directory: str(record["id"]) for directory, record in records.items()}
    (failed,) = (each for each, record in records.items() if record["attempt"]["state"] == "failed")
    (running,) = (each for each, record in records.items() if record["attempt"]["state"] == "running")
    best = max(
        (each for each, record in records.items() if record["attempt"]["metrics"]),
        key=lambda each: float(records[each]["attempt"]["metrics"]["accuracy"]),
    )

    assert all(each in answer("what has run since yesterday") for each in ids.values())
    said = answer("what failed")
    assert ids[failed] in said and not any(each in said for each in ids.values() if each != ids[failed])
    assert "ValueError: the rate is too large" in answer("why, and all else of a run", RUN=ids[failed])
    said = answer("why, and all else of a run", RUN=ids[best])
    assert "accuracy" in said and "0.92" in said and "seed=2" in said
    assert answer("its files", RUN=ids[best]).strip() == best
    assert answer("the best by a number").splitlines()[1].split()[0] == ids[best]
    said = answer("means over seeds, of whatever tools")
    assert "0.9150 ± 0.0071 (2)" in said or "0.915 ± 0.007 (2)" in said, said
    answer("all of it, to look at")
    page = (stash.root / "report.html").read_text(encoding="utf-8")
    assert "ValueError: the rate is too large" in page and all(each in page for each in ids.values())
    said = answer("what is running, and when it will end")
    assert ids[running] in said and not any(each in said for each in ids.values() if each != ids[running])
    rows = list(csv.DictReader(io.StringIO(answer("into a spreadsheet"))))
    assert {row["id"] for row in rows} == {*ids.values()}
    assert answer("once more, exactly that one", RUN=ids[best]) == ""
    (again,) = {str(each) for each in stash.run_directories()} - {*records}
    assert stash.record(Path(again))["attempt"]["metrics"] == records[best]["attempt"]["metrics"]
    answer("away with what failed", also=("--yes",))
    assert not Path(failed).exists() and Path(running).exists() and Path(best).exists()
