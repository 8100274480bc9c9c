"""Tab in real shells, in a terminal: what they insert, and what they show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.cli.shells import scripts
from tests.testing.stash import StashUnderTest
from tests.testing.terminals import Terminal

HERE = Path(sys.executable).parent
# Each without anybody's settings, and how it evaluates what installs completion.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(experimentstash -sc install=bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'eval "$(experimentstash -sc install=zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "experimentstash -sc install=fish | source"),
}
KINDS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"no {shell}")) for shell in SHELLS
]
PARAMS = "params:\n  seed: 7\n  rate: 0.5\n  name: two words\n"


RECORD = '{"spec": {"organizer": "fig/one", "overrides": ["params.seed=3"]}, "attempt": {"state": "failed"}}'


@pytest.fixture
def filled(stash: StashUnderTest) -> StashUnderTest:
    stash.add_experiment("fig/one", "t", PARAMS)
    stash.add_experiment("fig/other", "t", PARAMS)
    for name in ("aaaaaa2", "aaaaab3"):
        stash.write(f"outputs/2026-01-31/12-00-00-{name}/run.json", RECORD)
    return stash


def surroundings(home: Path) -> dict[str, str]:
    return {"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "XDG_CONFIG_HOME": str(home)}


@pytest.mark.parametrize("shell", KINDS[:2])
def test_tab(shell: str, filled: StashUnderTest, tmp_path: Path) -> None:
    argv, installing = SHELLS[shell]
    with Terminal(argv, cwd=filled.root, columns=100, **surroundings(tmp_path), PS1="> ") as terminal:

        def see(typed: str, *shown: str) -> None:
            terminal.type(typed)
            terminal.until(lambda terminal: all(each in terminal.text for each in shown))
            terminal.type("\x05\x15")  # the line is empty again

        terminal.type(f"{installing}; echo in''stalled\n")
        terminal.until(lambda terminal: "\ninstalled" in terminal.text)
        see("experimentstash vali\t--qu\t", "experimentstash validate --quick")
        see("experimentstash run fig/on\tparams.s\t", "experimentstash run fig/one params.seed=")
        see("experimentstash +exp=fig/on\tdebug=t\t", "experimentstash +exp=fig/one debug=true")
        see("experimentstash run fig/one params.n\t\t", r"params.name=\'two\ words\'")
        see("experimentstash show aaaaa\t\t", "aaaaab3", "aaaaaa2  (fig/one params.seed=3 · failed)")


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_what_fish_knows(filled: StashUnderTest, tmp_path: Path) -> None:
    lines = {
        "experimentstash vali": "validate\tcheck the set-up, and say what to fix",
        "experimentstash run fig/one params.s": "params.seed=\tnow 7",
        "experimentstash show aaaaaa": "aaaaaa2\tfig/one params.seed=3 · failed",
        "python -m experimentstash unknown\\ verb a": "",
        "python3 -m experimentstash runs --state los": "lost",
    }
    asking = "".join(f"complete -C '{line}'\n" for line in lines)
    script = f"{SHELLS['fish'][1]}\n{asking}"
    environment = {**os.environ, **surroundings(tmp_path)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], cwd=filled.root, env=environment, capture_output=True, text=True
    )
    assert (done.stdout.splitlines(), done.stderr) == ([each for each in lines.values() if each], "")


@pytest.mark.parametrize("shell", KINDS)
def test_its_functions_are_written_without_a_mistake(shell: str, tmp_path: Path) -> None:
    for kind in ("install", "uninstall"):
        script = tmp_path / kind
        script.write_text(scripts.script(shell, kind))
        done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
