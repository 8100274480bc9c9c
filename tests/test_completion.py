"""Tab completion: what we complete ourselves, and what is left to Hydra."""

from __future__ import annotations

import pytest

from experimentstash.cli.completion import candidates
from experimentstash.stash.layout import Stash
from tests.conftest import StashUnderTest

EXPERIMENTS = ["fig/one", "fig/two", "other"]


@pytest.fixture
def filled(stash: StashUnderTest) -> Stash:
    for name in EXPERIMENTS:
        stash.add_experiment(name, "t")
    for place in (
        "outputs/2026-01-31/12-00-00-aaaaaa2",
        *(f"multirun/2026-01-31/12-00-00-aaaaaa3/{n}" for n in (0, 11)),
    ):
        stash.write(f"{place}/run.json", "{}")
    stash.write("conf/tool/alpha.yaml", "")
    stash.write("conf/tool/beta.yaml", "")
    return Stash(stash.root)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("experimentstash ", ["run", "show", "+exp=fig/one", "+exp=fig/two", "+exp=other"]),
        ("experimentstash r", ["run"]),
        ("experimentstash +exp=", ["+exp=fig/one", "+exp=fig/two", "+exp=other"]),
        ("experimentstash +exp=fig/t", ["+exp=fig/two"]),
        ("experimentstash exp=o", ["exp=other"]),
        ("experimentstash -m +exp=fig/one,f", ["+exp=fig/one,fig/one", "+exp=fig/one,fig/two"]),
        ("experimentstash -m debug=true +exp=o", ["+exp=other"]),
        ("experimentstash +exp=other tool=b", ["tool=beta"]),
        ("experimentstash run ", EXPERIMENTS),
        ("experimentstash run fig/", ["fig/one", "fig/two"]),
        ("experimentstash run fig/one o", ["other"]),
        ("experimentstash run other tool=", ["tool=alpha", "tool=beta"]),
        ("experimentstash", ["run", "show", "+exp=fig/one", "+exp=fig/two", "+exp=other"]),
        ("experimentstash show ", ["aaaaaa2", "aaaaaa3", "latest"]),
        ("experimentstash cancel aaaaaa2 aaaaaa3", ["aaaaaa3", "aaaaaa3-0", "aaaaaa3-11"]),
        ("experimentstash logs aaaaaa3-1", ["aaaaaa3-11"]),
        ("experimentstash resume l", ["latest"]),
        ("experimentstash sync bb", None),
        ("experimentstash runs --st", None),
        # The rest is Hydra's.
        ("experimentstash +exp=other params.", None),
        ("experimentstash run other debug=", None),
        ("experimentstash +exp=other ", None),
        ("experimentstash +exp=nothing", None),
        ("experimentstash hydra/launcher=sub", None),
    ],
)
def test_candidates(filled: Stash, line: str, expected: list[str] | None) -> None:
    if line == "experimentstash":  # the program's own name, just before the space
        expected = None
    assert candidates(line, filled, ("run", "show")) == expected
