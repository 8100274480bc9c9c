"""A sweep says how large it is before it starts, if that may surprise."""

from __future__ import annotations

import pytest

from tests.testing.stash import InProcess, StashUnderTest


@pytest.fixture
def tooled(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("first", "plain", "entrypoint: main.py\n")
    stash.add_experiment("one", "first", "params: {a: 0, b: 0}\n")
    return stash


@pytest.mark.parametrize(
    ("empty", "why"),
    [
        ("params.a=range(3,3)", "params.a=range(3,3) stands for nothing: the sweep has no runs."),
        ("tool=glob(zz*)", "No tool matches 'zz*'.\nTools: first"),
    ],
)
def test_nothing_to_run_is_an_error_that_says_why(
    tooled: StashUnderTest, in_process: InProcess, empty: str, why: str
) -> None:
    done = in_process(tooled, "-m", "+exp=one", empty)
    assert done.returncode == 2 and why in done.stderr
    assert not list(tooled.root.glob("multirun/*/*"))


@pytest.mark.slow
def test_a_product_is_spelled_out(tooled: StashUnderTest, in_process: InProcess) -> None:
    words = ["+exp=one", "params.a=range(25)", "params.b=choice(1,2,3,4)", "params.b=range(8)"]
    done = in_process(tooled, "-m", *words, "validate_only=true")
    assert done.returncode == 0, done.stderr
    assert "this sweep has 200 runs (25 params.a × 8 params.b)" in done.stderr
    assert len(done.stdout.splitlines()) == 200


def test_an_ordinary_sweep_goes_without_saying(tooled: StashUnderTest, in_process: InProcess) -> None:
    done = in_process(tooled, "-m", "+exp=one", "params.a=1,2,3", "validate_only=true")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3 and "this sweep has" not in done.stderr
