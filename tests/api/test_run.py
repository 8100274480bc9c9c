"""`es.run`: one run in a process of its own, as the command line has it; interrupted, it ends as well."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import experimentstash as es
from experimentstash.api import child
from experimentstash.api.executing import _as_overrides
from tests.testing.stash import PATIENCE, StashUnderTest, wait_until

# Notes what it was told.
TOOL = """
import argparse, json, os, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--name")
parser.add_argument("--model.layers", nargs="*", type=int)
given = parser.parse_args()
out = os.environ["OUT"]
print("working", flush=True)
with open(f"{out}/metrics.json", "w") as stream:
    json.dump({"acc": given.lr}, stream)
with open(f"{out}/told.json", "w") as stream:
    json.dump({**vars(given), "environment": dict(os.environ)}, stream)
if given.name == "bad":
    raise ValueError("no such name: bad")
if given.name == "long":
    def save(number, frame):
        open(f"{out}/saved", "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    signal.signal(signal.SIGINT, save)
    open(f"{out}/ready", "w").close()
    time.sleep(100)
"""


@pytest.fixture
def here(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    stash.write("tools/t/main.py", TOOL)
    stash.add_tool("t", None, "entrypoint: main.py\nenv: {OUT: '${output_dir}'}\n")
    stash.add_experiment("fig/one", "t", "params: {lr: 0.1, name: a, model: {layers: [1]}}\n")
    monkeypatch.chdir(stash.root)
    return stash


@pytest.mark.slow
def test_a_run_with_values_of_pythons_and_nothing_of_the_notebook(
    here: StashUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", os)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("MINE", "1")
    output = io.StringIO()
    params = {"lr": np.float64(0.25), "name": "it's, a=b ${x}", "model": {"layers": np.array([2, 3])}}
    run = es.run("fig/one", params=params, overrides=["timeout=1h"], output=output)
    assert (run.state, run.experiment, run.metrics) == ("completed", "fig/one", {"acc": 0.25})
    assert run.params == {"lr": 0.25, "name": "it's, a=b ${x}", "model": {"layers": [2, 3]}}
    told = json.loads(run.path("told.json").read_text())
    assert (told["lr"], told["name"], told["model.layers"]) == (0.25, "it's, a=b ${x}", [2, 3])
    seen = told["environment"]
    assert seen["MINE"] == "1" and not {"MPLBACKEND", "JPY_PARENT_PID", "FORCE_COLOR"} & seen.keys()
    assert run.log() == "working\n" and "working\n" in output.getvalue()
    assert run.used.endswith(" of 1h00m")
    assert list(es.runs()) == [run]
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails_is_an_error(here: StashUnderTest) -> None:
    with pytest.raises(es.RunFailed, match=r"didn't complete \(failed\): ValueError: no such name") as error:
        es.run("fig/one", params={"name": "bad"})
    run = error.value.run
    assert (run.state, run.exit_code, run.error) == ("failed", 1, "ValueError: no such name: bad")
    assert isinstance(error.value, es.StashError)


def test_what_cannot_begin_is_told(here: StashUnderTest) -> None:
    with pytest.raises(es.StashError, match="has no form on a command line"):
        es.run("fig/one", params={"lr": object()})
    with pytest.raises(es.StashError, match="-m is an option"):
        es.run("fig/one", overrides=["-m"])
    with pytest.raises(es.StashError, match="lrr") as error:
        es.run("fig/one", params={"lrr": 1})
    assert error.value.hint and not isinstance(error.value, es.RunFailed)
    assert not here.run_directories()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+exp=fig/on"], "fig/one"),
        (["+exp=fig/one", "validate_only=true"], "Nothing was run."),
        (["+exp=fig/one", "params.lr=1,2", "hydra/launcher=local"], "These are several runs"),
    ],
)
def test_what_is_not_one_run(here: StashUnderTest, words: list[str], said: str) -> None:
    told = child.tell(words)
    assert said in str(told["error"]) and "directory" not in told
    assert not here.run_directories()


def test_a_run_that_has_completed_before_counts(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    stash.add_shell()
    stash.add_experiment("sh", "sh", "arguments: [-c, 'exit 0']\n")
    stash.commit()
    monkeypatch.chdir(stash.root)
    told = child.tell(["+exp=sh", "skip_completed=true"])
    assert told == {"directory": str(es.runs()[0].directory)} == child.tell(["+exp=sh", "skip_completed=true"])
    assert "Nothing was run." in str(child.tell(["+exp=sh", "skip_completed=true", "dry_run=true"]))


def test_an_interruption_lets_the_tool_save_and_is_raised_then(here: StashUnderTest) -> None:
    def interrupt() -> None:
        wait_until(lambda: is_over.is_set() or list(here.root.glob("outputs/*/*/ready")))
        os.kill(os.getpid(), signal.SIGINT)

    is_over = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        try:
            es.run("fig/one", params={"name": "long"})
        finally:
            is_over.set()
            thread.join()
    (run,) = es.runs()
    assert run.state == "cancelled" and run.path("saved").exists()
    assert "SIGINT" in (run.reason or "")


def test_a_run_ends_with_the_process_that_wanted_it(here: StashUnderTest) -> None:
    program = "import experimentstash as es; es.run('fig/one', params={'name': 'long'})"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=here.root)
    try:
        assert wait_until(lambda: process.poll() or list(here.root.glob("outputs/*/*/ready"))) != 1
    finally:
        process.kill()
        process.wait(PATIENCE)
    wait_until(lambda: es.runs()[0].is_over)
    assert es.runs()[0].state == "cancelled" and es.runs()[0].path("saved").exists()


def test_params_as_overrides() -> None:
    params = {"a": None, "b": {"c": True, "d": {}}, "e.f": [1, "x"], "+g": {"h": 1}, "~i": None, "n": float("nan")}
    assert list(_as_overrides({**params, "p": Path("/a b"), "t": "1"})) == [
        "params.a=null",
        "params.b.c=true",
        "params.b.d={}",
        "params.e.f=[1,x]",
        "+params.g.h=1",
        "~params.i",
        "params.n=nan",
        "params.p='/a b'",
        "params.t='1'",
    ]
