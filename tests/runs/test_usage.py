"""What a run has used of what it asked for; and what it said last, where it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experimentstash.record.run import Queued, Run, State
from experimentstash.runs import last_words, usage
from tests.testing.finished import finished
from tests.testing.run_parts import put, run_with
from tests.testing.stash import InProcess, StashUnderTest

GIB = 1 << 30


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"resources": {"cpus": 4, "mem": "16G", "time": 7200.0}, "timeout": 90_000.0},
            "1.3 of 4 CPUs, 2.1 of 16 GiB, 18m02s of 2h00m",
        ),
        ({"resources": {"cpus": "1", "mem": "4096", "time": "1-00:00"}}, "1.3 of 1 CPU, 2.1 of 4 GiB, 18m02s of 1d00h"),
        ({"resources": {"cpus": 4}, "timeout": 3600.0}, "1.3 of 4 CPUs, 2.1 GiB, 18m02s of 1h00m"),
        # Of several tasks we see one; all memory is no amount; no word of another version's is taken for a number.
        ({"resources": {"cpus": 4, "nodes": 2, "mem": "0", "time": "long"}}, "1.3 CPUs, 2.1 GiB"),
        ({"resources": {"cpus": 4, "extra": {"ntasks-per-node": 2}, "mem": "lots"}}, "1.3 CPUs, 2.1 GiB"),
        ({"resources": {"mem": "1T"}, "peak_memory": 85 << 20, "cpu_time": None}, "0.1 of 1024 GiB"),
        ({"resources": {}, "peak_memory": 85 << 20, "duration": 0.0}, "85.0 MiB"),
        ({"duration": None, "cpu_time": None, "peak_memory": None, "timeout": 3.0}, ""),
    ],
)
def test_what_a_submitted_run_has_used_of_what_it_asked_for(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    took = {"duration": 1082.0, "cpu_time": 1406.6, "peak_memory": int(2.1 * GIB), "queued": Queued("/a.json", 0)}
    assert usage.of_run(run_with("aaaaaaa", tmp_path, **{**took, **fields})).words == words


def test_what_is_asked_of_slurm_says_nothing_of_a_run_here(tmp_path: Path) -> None:
    took = {"duration": 60.0, "cpu_time": 30.0, "peak_memory": GIB}
    run = run_with("aaaaaaa", tmp_path, resources={"cpus": 4, "mem": "16G", "time": 60}, timeout=7200.0, **took)
    assert usage.of_run(run).words == "0.5 CPUs, 1.0 GiB, 1m00s of 2h00m"


def failed(root: Path, log: str | bytes, exit_code: int = 1) -> Run:
    run = finished(root, "aaaaaaa", state=State.FAILED, exit_code=exit_code)
    (run.path / run.attempt.log).write_bytes(log.encode() if isinstance(log, str) else log)
    return run


TRACEBACK = 'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    f()\n    ~^^\n'


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (f"epoch 1\n{TRACEBACK}ValueError: no such method: tsnee\n", "ValueError: no such method: tsnee"),
        (f"{TRACEBACK}KeyError: 'a'\n\nDuring handling …:\n\n{TRACEBACK}a.b.Wrong: it\n", "a.b.Wrong: it"),
        (f"{TRACEBACK}KeyboardInterrupt\n", "KeyboardInterrupt"),
        (f"{TRACEBACK}__main__.f.<locals>.Mine: x\nwandb: View run a at: b\n", "__main__.f.<locals>.Mine: x"),
        (f"{TRACEBACK}RuntimeError: in loading state_dict for A:\n\tsize mismatch\n", None),
        (f"{TRACEBACK}omegaconf.errors.Bad: \nfull_key: a\n", "omegaconf.errors.Bad: full_key: a"),
        ("".join(f"[rank1]: {line}\n" for line in f"{TRACEBACK}OSError: no".split("\n")), "OSError: no"),
        (f"\x1b[31m{TRACEBACK}ValueError\x1b[0m: red\r\n", "ValueError: red"),
        (f"  2%|x\r 99%|x\r\n{TRACEBACK}ValueError: after a bar", "ValueError: after a bar"),
        ("x" * (1 << 16) + f"\n{TRACEBACK}ValueError: {'y' * 2000}\n", f"ValueError: {'y' * 988}"),
        (b"\xff\xfe\n" + TRACEBACK.encode() + b"ValueError: \xff\n", "ValueError: \ufffd"),
    ],
)
def test_the_line_of_the_last_exception(tmp_path: Path, log: str | bytes, text: str | None) -> None:
    said = last_words.of_run(failed(tmp_path, log))
    assert said == last_words.LastWords(text or "RuntimeError: in loading state_dict for A: size mismatch", True)


def test_the_exceptions_that_python_itself_tells(tmp_path: Path) -> None:
    program = """
import sys
def deep(n):
    if n: deep(n - 1)
    raise ValueError("inner") from KeyError("cause")
try:
    deep(5)
except ValueError as error:
    raise error if sys.version_info < (3, 11) else ExceptionGroup("several", [OSError("never raised"), error])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    said = last_words.of_run(failed(tmp_path, done.stderr, done.returncode))
    assert said == last_words.LastWords("ValueError: inner", True)


def test_a_tool_without_exceptions_has_a_last_line(tmp_path: Path) -> None:
    usage_error = "usage: main.py [-h]\nmain.py: error: unrecognized arguments: --x\n\n"
    logged = f"{TRACEBACK}OSError: tried again\n{usage_error}"  # and gone over
    said = last_words.LastWords("main.py: error: unrecognized arguments: --x", False)
    run = failed(tmp_path, usage_error, 2)
    assert last_words.of_run(run) == said
    (run.path / run.attempt.log).write_text(logged)
    assert last_words.of_run(run) == said
    (run.path / run.attempt.log).write_text("\n \n")
    assert last_words.of_run(run) is None
    (run.path / run.attempt.log).unlink()
    (run.path / run.attempt.log).symlink_to(__file__)
    assert last_words.of_run(run) is None
    assert last_words.of_run(put(run, state=State.COMPLETED)) is None


def test_show_tells_them_without_secrets(
    stash: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    run = failed(stash.root, f"{TRACEBACK}ValueError: 0123456789abcdef0123456789abcdef01234567 is refused\n")
    done = in_process(stash, "show", run.id)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("exception")]
    assert line.split(maxsplit=1)[1] == f"ValueError: {'*' * 40} is refused"
