"""Tools move on, and what is frozen can still be had; what can't is said, before and afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.testing.stash import InProcess, StashUnderTest, git
from tests.testing.tool_support import commit, repository

MAIN = """import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--out")
parser.add_argument("--table")
given = parser.parse_args()
pathlib.Path(given.out, "results.csv").write_text("x,y\\n1,2\\n")
"""
REGISTRATION = f"""path: tools/t
entrypoint: main.py
call: {{style: argparse, output: --out, nulls: omit}}
environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}
"""


class Upstream:
    """A tool's repository elsewhere, which git gets to as if by SSH."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.url = f"ssh://there{place}"

    def rewrite(self) -> str:
        """Replace its whole history by another one; return the new commit."""
        git("commit", "-q", "--amend", "-m", "another first", "--date", "2020-01-01T00:00:00Z", cwd=self.place)
        git("reflog", "expire", "--expire=now", "--all", cwd=self.place)
        git("gc", "-q", "--prune=now", cwd=self.place)
        return git("rev-parse", "HEAD", cwd=self.place).strip()


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    shell = tmp_path / "ssh"
    shell.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    shell.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(shell))
    return Upstream(repository(tmp_path / "upstream", {"main.py": MAIN, ".gitignore": "data/\n"}))


@pytest.fixture
def frozen(stash: StashUnderTest, upstream: Upstream, in_process: InProcess) -> str:
    """The commit of the tool t, a submodule of the stash, by which a run is frozen as fig."""
    git("submodule", "--quiet", "add", upstream.url, "tools/t", cwd=stash.root)
    stash.write("conf/tool/t.yaml", REGISTRATION)
    stash.add_experiment("draw", "t", "params: {table: null}\n")
    stash.commit()
    freeze(stash, "fig", in_process)
    return git("rev-parse", "HEAD", cwd=stash.root / "tools/t").strip()


def freeze(stash: StashUnderTest, name: str, in_process: InProcess, *words: str) -> None:
    assert stash.cli("+exp=draw", *words).returncode == 0
    done = in_process(stash, "freeze", name, str(stash.record(stash.run_directories()[-1])["id"]))
    assert done.returncode == 0, done.stderr


def bundle(stash: StashUnderTest, frozen: str) -> Path:
    return stash.root / "frozen/fig/bundles" / f"{frozen[:16]}.bundle"


def problems(stash: StashUnderTest, in_process: InProcess) -> list[str]:
    """Return what validate has to say of what is frozen."""
    done = in_process(stash, "validate", "--quick", "--json")
    return [each["what"] for each in json.loads(done.stdout) if each["check"] == "frozen"]


def pins(place: Path) -> list[str]:
    return git("for-each-ref", "--format=%(objectname)", "refs/experimentstash-frozen", cwd=place).split()


@pytest.mark.slow
def test_an_update_says_what_is_frozen_with_other_commits(
    stash: StashUnderTest, upstream: Upstream, frozen: str, in_process: InProcess
) -> None:
    tool, digest = stash.root / "tools/t", (stash.root / "frozen/fig/frozen.json").read_bytes()
    assert pins(tool) == [frozen] and problems(stash, in_process) == []
    newer = commit(upstream.place, {"more.txt": "x\n"})
    done = in_process(stash, "tool", "update", "t")
    assert done.returncode == 0, done.stderr
    assert f"frozen with other commits than {newer[:12]}, and they stay so: fig ({frozen[:12]})" in done.stderr
    assert "only on this machine" not in done.stderr and problems(stash, in_process) == []
    done = in_process(stash, "validate", "--quick")
    assert f"note: frozen with other commits than the tools have now: fig (t {frozen[:12]})" in done.stdout
    stash.commit()
    # The remote forgets it: nobody else has it then, and it says so before it moves on.
    git("reset", "-q", "--hard", "HEAD~", cwd=upstream.place)
    last = upstream.rewrite()
    done = in_process(stash, "tool", "update", "t")
    assert done.returncode == 0, done.stderr
    assert f"fig is frozen with its commit {frozen[:12]}, which the remote doesn't have" in done.stderr
    assert git("rev-parse", "HEAD", cwd=tool).strip() == last
    git("reflog", "expire", "--expire=now", "--all", cwd=tool)
    git("gc", "-q", "--prune=now", cwd=tool)
    assert git("cat-file", "-t", frozen, cwd=tool) == "commit\n"
    (what,) = problems(stash, in_process)
    assert what == f"as far as is known only this machine has commit {frozen[:12]} of the tool t"
    # A removal keeps it for everybody. What git ignores in the checkout is in the backup alone.
    stash.commit()
    stash.write("tools/t/data/table.csv", "1\n")
    freeze(stash, "reads", in_process, f'params.table="{stash.root}/tools/t/data/table.csv"')
    done = in_process(stash, "tool", "remove", "t", "--yes", "--force")  # the branch is still what it was
    assert done.returncode == 0, done.stderr
    kept = bundle(stash, frozen)
    assert f"which no remote has: frozen/fig/bundles/{kept.name} keeps it" in done.stdout
    assert "reads reads tools/t/data/table.csv: only the backup has that then" in done.stdout
    assert f"reads is frozen with its commit {last[:12]}: reproduce gets that from {upstream.url}" in done.stdout
    assert kept.is_file() and (stash.root / "frozen/fig/frozen.json").read_bytes() == digest
    assert problems(stash, in_process) == ["its input tools/t/data/table.csv isn't here"]


@pytest.mark.slow
def test_what_a_removed_tool_was_frozen_with_is_reproduced_here_and_in_a_clone(
    stash: StashUnderTest, upstream: Upstream, frozen: str, tmp_path: Path
) -> None:
    upstream.rewrite()
    refused = stash.cli("tool", "remove", "t")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert f"frozen/fig/bundles/{frozen[:16]}.bundle keeps it" in refused.stderr
    assert not bundle(stash, frozen).exists()
    done = stash.cli("tool", "remove", "t", "--yes")
    assert done.returncode == 0 and "git add " in done.stdout
    (backup,) = (stash.root / "backups").glob("t-*")
    assert stash.cli("reproduce", "fig", "--check").returncode == 0  # whatever is committed yet
    stash.commit()
    clone = StashUnderTest(tmp_path / "clone")
    git("clone", "-q", str(stash.root), str(clone.root), cwd=tmp_path)
    done = clone.cli("reproduce", "fig")
    assert done.returncode == 0 and "results.csv: identical" in done.stdout, done.stdout + done.stderr
    assert f"Fetching commit {frozen[:12]} from frozen/fig/bundles/" in done.stderr
    # Back here, and nothing of that is undone.
    done = stash.cli("tool", "restore", backup.name)
    assert done.returncode == 0, done.stderr
    assert pins(stash.root / "tools/t") == [frozen] and bundle(stash, frozen).is_file()
    assert stash.cli("reproduce", "fig").returncode == 0


@pytest.mark.slow
def test_a_tool_that_is_a_directory_comes_back_with_its_whole_checkout_and_submodules(
    stash: StashUnderTest, upstream: Upstream, in_process: InProcess, tmp_path: Path
) -> None:
    library = Upstream(repository(tmp_path / "library", {"library.py": "HERE = True\n"}))
    git("submodule", "--quiet", "add", library.url, "lib", cwd=upstream.place)
    commit(
        upstream.place,
        {"inner/main.py": MAIN + "assert (pathlib.Path(__file__).parents[1] / 'lib/library.py').exists()"},
    )
    git("submodule", "--quiet", "add", upstream.url, "tools/t", cwd=stash.root)
    git("submodule", "--quiet", "update", "--init", "--recursive", cwd=stash.root)
    stash.write("conf/tool/t.yaml", REGISTRATION.replace("path: tools/t", "path: tools/t/inner"))
    stash.add_experiment("draw", "t", "params: {table: null}\n")
    stash.commit()
    freeze(stash, "fig", in_process)
    lost = git("rev-parse", "HEAD", cwd=stash.root / "tools/t/lib").strip()
    library.rewrite()
    done = in_process(stash, "tool", "remove", "t", "--yes")
    assert done.returncode == 0 and not (stash.root / "tools/t").exists(), done.stderr
    assert f"fig is frozen with commit {lost[:12]} of tools/t/lib, which no remote has" in done.stdout
    assert bundle(stash, lost).is_file() and len([*bundle(stash, lost).parent.iterdir()]) == 1
    done = stash.cli("reproduce", "fig")
    assert done.returncode == 0 and "results.csv: identical" in done.stdout, done.stdout + done.stderr
    assert (stash.root / "tools/t/.git").is_dir() and not (stash.root / "tools/t/inner/.git").exists()
