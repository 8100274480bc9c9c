"""`es.run` where the launcher is SLURM's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import experimentstash as es
from tests.testing.slurm import eventually, withdraw
from tests.testing.stash import StashUnderTest


@pytest.fixture
def here(stash: StashUnderTest) -> Iterator[StashUnderTest]:
    stash.add_shell()
    script = 'echo "{\\"loss\\": $0}" > "$1/metrics.json"; [ "$0" != x ] || exit 3'
    stash.add_script("one", script, "${params.n}", "${output_dir}", more="estimated_runtime: 1m\n")
    stash.commit()
    yield stash
    withdraw(stash.root)


def test_a_run_is_submitted_and_followed_or_awaited(here: StashUnderTest) -> None:
    words = ["hydra/launcher=slurm"]
    run = es.run("one", params={"n": 3}, overrides=words, stash=here.root)
    assert run.state in ("queued", "running", "completed") and run.directory.parent.parent.parent.name == "multirun"
    with pytest.raises(es.RunFailed, match="didn't complete") as failed:
        es.run("one", params={"n": "x"}, overrides=[*words, "hydra.launcher.wait=true"], stash=here.root)
    assert failed.value.run.state == "failed" and failed.value.run.exit_code == 3
    eventually(lambda: run.refresh().is_over)
    assert run.is_completed and run.metrics == {"loss": 3}
    assert [each.id for each in es.runs(state="completed", stash=here.root)] == [run.id]
