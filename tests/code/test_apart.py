"""Parallel runs of a tool that writes into its checkout are kept apart: none writes over another's results."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.launch.test_launch_local import WAIT
from tests.testing.stash import PATIENCE, SHELL, StashUnderTest, git, wait_until
from tests.testing.tool_support import repository

TWO = ("-m", "+exp=one", "params.n=1,2", "hydra/launcher=local", "hydra.launcher.n_jobs=2")
# A trainer, as in pytorch/examples: data beside its directory, a model and TensorBoard's folders in it.
TRAINER = """
import os, sys, time
n, here = sys.argv[1], sys.argv[2]
from helpers import lib
os.makedirs("../data", exist_ok=True)
if not os.path.exists("../data/set"):
    open("../data/set", "w").close()
os.makedirs(f"runs/{n}", exist_ok=True)
open(f"runs/{n}/events", "w").write(n)
open("mnist_cnn.pt", "w").write(n)
open(f"{here}/at-{n}", "w").close()
while not all(os.path.exists(f"{here}/at-{each}") for each in (1, 2)):
    time.sleep(0.01)
print(open("mnist_cnn.pt").read(), lib.NAME, os.path.exists("cache/weights"))
"""


@pytest.fixture
def trainer(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose tool is one of several projects in a submodule."""
    upstream = repository(
        stash.root.parent / "upstream",
        {
            "mnist/main.py": TRAINER,
            "mnist/helpers/lib.py": "NAME = 'committed'\n",
            "mnist/params.yaml": "a: 1\n",
            ".gitignore": "data/\ncache/\n",
        },
    )
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(upstream), "tools/examples", cwd=stash.root)
    python = json.dumps(sys.executable)
    stash.write(
        "conf/tool/mnist.yaml",
        "path: tools/examples/mnist\nentrypoint: main.py\ncall: {style: arguments}\n"
        f"environment: {{kind: interpreter, interpreter: {python}}}\n",
    )
    (stash.root.parent / "here").mkdir()
    arguments = json.dumps(["${params.n}", str(stash.root.parent / "here")])
    stash.add_experiment("one", "mnist", f"params: {{n: 1}}\narguments: {arguments}\n")
    (stash.root / "tools/examples/mnist/cache").mkdir()
    (stash.root / "tools/examples/mnist/cache/weights").touch()
    stash.commit()
    return stash


def two(stash: StashUnderTest, *words: str) -> list[dict[str, Any]]:
    done = stash.cli(*TWO, *words)
    assert done.returncode == 0, done.stderr + done.stdout
    latest = max(stash.run_directories(), key=lambda path: path.stat().st_mtime).parent
    return [stash.record(latest / number) for number in ("0", "1")]


def with_registration(stash: StashUnderTest, text: str) -> None:
    path = stash.root / "conf/tool/mnist.yaml"
    path.write_text(path.read_text() + text)
    stash.commit()


def content(directory: str) -> dict[str, str]:
    root = Path(directory)
    ours = ("run.json", "supervisor.log", "output.log", ".hydra")
    return {
        name: path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not (name := path.relative_to(root).as_posix()).startswith(ours)
    }


@pytest.mark.parametrize("code", ["auto", "frozen"])
def test_what_the_registration_says(trainer: StashUnderTest, code: str) -> None:
    with_registration(trainer, "collect: [runs, mnist_cnn.pt]\n")
    checkout = trainer.root / "tools/examples"
    for n, run in enumerate(two(trainer, f"code={code}"), 1):
        found = content(run["directory"])
        assert found.pop("collected/data/set", "") == ""
        assert found == {"mnist_cnn.pt": str(n), f"runs/{n}/events": str(n)}
        assert (Path(run["directory"]) / run["attempt"]["log"]).read_text() == f"{n} committed True\n"
        assert run["spec"]["code"]["commit"] == git("rev-parse", "HEAD", cwd=checkout).strip()
        assert (run["spec"]["code"]["dirty"], run["attempt"]["warnings"]) == (False, [])
        assert not Path(run["spec"]["apart"]["path"]).parent.exists()
    assert git("status", "--porcelain", "--ignored", cwd=checkout).split() == ["!!", "mnist/cache/"]
    # And nothing is left but the frozen code.
    assert not list((trainer.root / ".experimentstash/code").rglob("copies"))


def test_what_was_seen_before(trainer: StashUnderTest) -> None:
    here = trainer.root.parent / "here"
    (here / "at-2").touch()
    assert trainer.cli("run", "one").returncode == 0
    single = trainer.record()
    assert single["attempt"]["wrote"] == ["../data/set", "mnist_cnn.pt", "runs/1/events"]
    (here / "at-1").unlink()
    (here / "at-2").unlink()
    for n, run in enumerate(two(trainer), 1):
        assert (run["spec"]["code"]["dirty"], run["spec"]["stash"]["dirty"], run["attempt"]["warnings"]) == (
            False,
            False,
            [],
        )
        found = content(run["directory"])
        # The data were there, and are read where they are; what runs leave is each one's own.
        assert found == {"mnist_cnn.pt": str(n), f"runs/{n}/events": str(n)}
    assert (trainer.root / "tools/examples/mnist/mnist_cnn.pt").read_text() == "1"


def test_code_that_is_changed_is_what_runs(trainer: StashUnderTest) -> None:
    with_registration(trainer, "collect: [runs, mnist_cnn.pt]\n")
    trainer.write("tools/examples/mnist/helpers/lib.py", "NAME = 'changed'\n")
    for n, run in enumerate(two(trainer), 1):
        assert (Path(run["directory"]) / run["attempt"]["log"]).read_text() == f"{n} changed True\n"
        assert run["spec"]["code"]["dirty"] is True
        assert "+NAME = 'changed'" in (Path(run["directory"]) / "tool.patch").read_text()


def test_live_code_takes_turns(trainer: StashUnderTest) -> None:
    """Whoever asks for the checkout itself gets it."""
    with_registration(trainer, "collect: [runs, mnist_cnn.pt]\n")
    for name in ("at-1", "at-2"):
        (trainer.root.parent / "here" / name).touch()
    for n, run in enumerate(two(trainer, "code=live"), 1):
        assert run["spec"]["apart"] is None
        assert sorted(run["attempt"]["collected"]) == ["mnist_cnn.pt", f"runs/{n}/events"]


@pytest.fixture
def shell(stash: StashUnderTest) -> StashUnderTest:
    """A stash whose tool is a plain directory of its own repository."""
    stash.add_tool("sh", registration=SHELL + "collect: [out]\n")
    stash.write("tools/sh/params.yaml", "a: 1\n")
    stash.write("tools/sh/sub/deep.txt", "deep\n")
    stash.commit()
    return stash


def script(stash: StashUnderTest, text: str, more: str = "") -> None:
    here = stash.root.parent / "here"
    here.mkdir(exist_ok=True)
    stash.add_script("one", f"n=$1; here='{here}'; {WAIT}{text}", "sh", "${params.n}", more=more)
    stash.commit()


def test_all_that_a_run_changes_is_kept(shell: StashUnderTest) -> None:
    script(
        shell,
        "mkdir -p out/a __pycache__; echo $n > out/a/x; echo $n > params.yaml; echo $n > sub/new; echo $n > run.json;"
        " touch __pycache__/x.pyc; ln -s nowhere link; rm sub/deep.txt; echo $n > ../beside;"
        " touch -d 2001-01-01 sub/new",
    )
    for n, run in enumerate(two(shell), 1):
        found = content(run["directory"])
        assert found == {
            "out/a/x": f"{n}\n",
            "params.yaml": f"{n}\n",
            "sub/new": f"{n}\n",
            "collected/run.json": f"{n}\n",
            "collected/beside": f"{n}\n",
        }
        assert os.readlink(Path(run["directory"]) / "link") == "nowhere"
    assert git("status", "--porcelain", "--ignored", "tools", cwd=shell.root) == ""


def test_a_tool_that_git_does_not_know_takes_turns(shell: StashUnderTest) -> None:
    shell.write(".gitignore", "/tools/\n/outputs/\n/multirun/\n/.experimentstash/\n")
    git("rm", "-rq", "--cached", "tools", cwd=shell.root)
    script(shell, "mkdir busy || exit 9; mkdir -p out; echo $n > out/x; sleep 0.1; rmdir busy")
    for n, run in enumerate(two(shell), 1):
        assert run["spec"]["apart"] is None and run["attempt"]["collected"] == ["out/x"]
        assert (Path(run["directory"]) / "out/x").read_text() == f"{n}\n"


def test_a_run_that_goes_on_finds_what_it_left(shell: StashUnderTest) -> None:
    registration = shell.root / "conf/tool/sh.yaml"
    registration.write_text(registration.read_text() + "resume: [again]\n")
    text = 'mkdir -p out; echo $n $2 >> out/log; [ "$2" = again ] || { touch $here/at-$n; sleep 600; }'
    script(shell, text, "grace: {seconds: 1}\n")
    process = shell.start(*TWO)
    for n in (1, 2):
        wait_until((shell.root.parent / f"here/at-{n}").exists)
    assert shell.cli("cancel", "--all").returncode == 0
    assert process.wait(PATIENCE) == 143
    first = shell.record(shell.run_directories()[0])
    assert first["attempt"]["state"] == "cancelled" and first["attempt"]["collected"] == ["out/log"]
    assert Path(first["spec"]["apart"]["path"]).is_dir()
    log = Path(first["directory"]) / "out/log"
    before = log.read_text()
    assert shell.cli("resume", first["id"]).returncode == 0
    assert log.read_text() == before + f"{before.strip()} again\n"
    again = shell.record(Path(first["directory"]))
    assert again["attempt"]["collected"] == ["out/log"] and not Path(first["spec"]["apart"]["path"]).exists()


@pytest.mark.slow
def test_what_a_lost_run_wrote_is_not_lost(shell: StashUnderTest) -> None:
    script(shell, "mkdir -p out; echo $n > out/x; touch $here/at-$n; sleep 600")
    process = shell.start(*TWO)
    here = shell.root.parent / "here"
    wait_until(lambda: (here / "at-1").exists() and (here / "at-2").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert shell.cli("runs").returncode == 0
    for n, path in enumerate(sorted(shell.run_directories(), key=lambda path: path.name), 1):
        run = shell.record(path)
        assert (run["attempt"]["state"], run["attempt"]["collected"]) == ("lost", ["out/x"])
        assert (path / "out/x").read_text() == f"{n}\n"
        assert not Path(run["spec"]["apart"]["path"]).exists()


def test_one_after_the_other_needs_no_copies(shell: StashUnderTest) -> None:
    script(shell, "mkdir -p out; echo $n > out/x; pwd")
    for words in (("+exp=one",), ("-m", "+exp=one", "params.n=1,2"), (*TWO[:4], "hydra.launcher.n_jobs=1")):
        assert shell.cli(*words).returncode == 0
    assert [shell.record(path)["spec"]["apart"] for path in shell.run_directories()] == [None] * 5
