"""The example figures are frozen and reproduced from a clean clone, and from an archive by who has nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.testing import reviewer
from tests.testing.stash import REPOSITORY, StashUnderTest, git

# A machine that reaches nobody, and has what uv has kept.
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
NO_NETWORK |= {"no_proxy": "", "NO_PROXY": "", "UV_HTTP_RETRIES": "0"}
EXPERIMENTS = ("figure1/pca_swissroll", "figure2/pca_digits")


@pytest.mark.exhaustive
def test_the_examples_are_reproduced_from_a_clean_clone_and_from_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(os.path.realpath(sys.executable)) + os.pathsep + os.environ["PATH"])
    first, second = (StashUnderTest(tmp_path / name) for name in ("first", "second"))
    git("clone", "-q", "--no-hardlinks", str(REPOSITORY), str(first.root), cwd=tmp_path)
    done = first.cli("run", *EXPERIMENTS)
    assert done.returncode == 0, done.stdout + done.stderr
    done = first.cli("freeze", "figures", "--exp", "figure*", "--tag")
    assert done.returncode == 0, done.stderr
    done = first.cli("reproduce", "figures", "--check")  # and uv's cache has what the indexes say
    assert done.returncode == 0, done.stdout + done.stderr
    git("clone", "-q", str(first.root), str(second.root), cwd=tmp_path)
    done = first.cli("export", "figures", "-o", str(tmp_path / "figures.zip"))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(first.root)
    report = tmp_path / "report.json"
    done = second.cli("reproduce", "figures", "--check", **NO_NETWORK)
    assert done.returncode == 0 and done.stdout.count(": can be run again") == 2, done.stdout + done.stderr
    done = second.cli("reproduce", "figures", "-o", str(report), **NO_NETWORK)
    assert done.returncode == 0, done.stdout + done.stderr
    (runs,) = json.loads(report.read_text())["tries"]
    assert sorted(run["experiment"] for run in runs) == [*EXPERIMENTS]
    found = {(run["experiment"], each["output"]): each["verdict"] for run in runs for each in run["outputs"]}
    assert set(found.values()) == {"identical"} and len(found) == 3 * len(EXPERIMENTS)
    # A lock file that was changed since is none that a run could have had.
    for lock in sorted((second.root / "frozen/figures").glob("runs/*/uv.lock")):
        lock.write_text(lock.read_text().replace("version = 1", "version = 2", 1))
        done = second.cli("reproduce", "figures", "--run", lock.parent.name, **NO_NETWORK)
        assert done.returncode == 1 and done.stdout.count("uv.lock isn't what was frozen") == 1, done.stdout
        assert done.stdout.count("not run, for the same reason") == 2, done.stdout
    shutil.rmtree(second.root)
    for done in reviewer.follow(reviewer.unpack(tmp_path / "figures.zip", tmp_path / "reviewer")):
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"reproduced: {3 * len(EXPERIMENTS)} outputs, {3 * len(EXPERIMENTS)} identical" in done.stdout
