"""hydra/sweeper=zip: parameters that vary together."""

from __future__ import annotations

import shlex
import subprocess
from itertools import product

import pytest

from experimentstash.base.errors import StashError
from experimentstash.compose.zip_sweep import jobs
from tests.testing.stash import InProcess, StashUnderTest

LETTERS, DIGITS = ["+k=a", "+k=b", "+k=c"], ["n=1", "n=2", "n=3"]


# --- which jobs ------------------------------------------------------------------------------------------------------


def test_all_together() -> None:
    found = jobs({"+k": LETTERS, "x": ["x=0"], "n": DIGITS}, None)
    assert found == [["+k=a", "x=0", "n=1"], ["+k=b", "x=0", "n=2"], ["+k=c", "x=0", "n=3"]]
    assert jobs({"x": ["x=0"]}, None) == [["x=0"]]
    assert jobs({"x": []}, None) == []


def test_groups_and_a_product() -> None:
    others = {"p": ["p=0", "p=1"], "q": ["q=0", "q=1"]}
    found = jobs({"+k": LETTERS, **others, "n": DIGITS}, [["n", "k"], ["+q"]])
    pairs = zip(LETTERS, DIGITS, strict=True)
    assert found == [[k, p, q, n] for (k, n), p, q in product(pairs, others["p"], others["q"])]
    assert jobs({"+k": LETTERS, "n": DIGITS}, []) == [[k, n] for k, n in product(LETTERS, DIGITS)]


@pytest.mark.parametrize(
    ("together", "message"),
    [
        (None, "equally many values: k has 3, n has 3, p has 2."),
        ([["k", "p"]], "k has 3, p has 2."),
        ([["k", "x"]], "k has 3, x has 1."),
        ([["k", "m"]], "names 'm', which is not swept.\nSwept: k, n, p"),
        ([["k", "n"], ["p", "+k"]], "names 'k' twice"),
        ([["k", "k"]], "names 'k' twice"),
    ],
)
def test_what_cannot_vary_together(together: list[list[str]] | None, message: str) -> None:
    with pytest.raises(StashError) as raised:
        jobs({"+k": LETTERS, "n": DIGITS, "x": ["x=0"], "p": ["p=0", "p=1"]}, together)
    assert message in str(raised.value)


# --- on the command line ---------------------------------------------------------------------------------------------

ZIP = ("-m", "hydra/sweeper=zip")


@pytest.fixture
def plain(stash: StashUnderTest) -> StashUnderTest:
    stash.add_tool("plain", "plain", "entrypoint: main.py\n")
    for name in ("fig/one", "fig/two"):
        stash.add_experiment(name, "plain", "params: {say: [], sleep: 0, fail: 0}\n")
    stash.commit()
    return stash


def swept(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """Return the tool's arguments in the commands that `validate_only=true` has printed."""
    assert done.returncode == 0, done.stderr
    return [shlex.split(line)[2:] for line in done.stdout.splitlines() if "main.py" in line]


def test_it_runs(plain: StashUnderTest) -> None:
    done = plain.cli(*ZIP, "+exp=fig/one", "params.fail=0,5,0", "params.sleep=0.1,0.2,0.3")
    assert done.returncode == 1  # and the others go on
    records = [plain.record(directory) for directory in plain.run_directories()]
    assert [record["spec"]["overrides"] for record in records] == [
        ["+exp=fig/one", f"params.fail={code}", f"params.sleep={seconds}"]
        for code, seconds in ((0, 0.1), (5, 0.2), (0, 0.3))
    ]
    assert [record["attempt"]["state"] for record in records] == ["completed", "failed", "completed"]


def test_in_batches_and_side_by_side(plain: StashUnderTest) -> None:
    given = ("hydra.sweeper.max_batch_size=2", "hydra/launcher=local", "params.sleep=0.1,0.2,0.3")
    done = plain.cli(*ZIP, "+exp=fig/one", "params.fail=0,0,5", *given)
    assert done.returncode == 1
    assert "(2 of 2)" in done.stderr and "(1 of 1, 1 failed)" in done.stderr
    assert sorted(plain.record(path)["id"].rpartition("-")[2] for path in plain.run_directories()) == ["0", "1", "2"]


def test_every_way_to_sweep(plain: StashUnderTest, in_process: InProcess) -> None:
    given = ("validate_only=true", "+exp=glob(fig/*)", "params.fail=choice(1,2)", "params.sleep=range(3,5)")
    expected = [["--say", "--sleep", "3", "--fail", "1"], ["--say", "--sleep", "4", "--fail", "2"]]
    assert swept(in_process(plain, *ZIP, *given)) == expected
    # One value for all of them; where the experiment is swept, it reaches the sweeper as a choice of one.
    assert [words[2] for words in swept(in_process(plain, *ZIP, *given[:2], "params.sleep=7"))] == ["7", "7"]


def test_sweeps_in_the_configuration(plain: StashUnderTest, in_process: InProcess) -> None:
    file = "# @package _global_\nhydra:\n  sweeper:\n    params: {params.fail: '1,2', params.sleep: '3,4'}\n"
    plain.write("conf/study/s.yaml", file)
    done = in_process(plain, *ZIP, "+study=s", "+exp=fig/one", "validate_only=true", "+params.touch=x,y")
    assert [words[2::2] for words in swept(done)] == [["3", "1", "x"], ["4", "2", "y"]]


def test_a_group_and_the_rest(plain: StashUnderTest, in_process: InProcess) -> None:
    together = "hydra.sweeper.together=[[params.fail,params.touch]]"
    given = (together, "params.fail=1,2", "params.sleep=0,9", "+params.touch=x,y", "+exp=fig/one", "validate_only=true")
    found = [words[2::2] for words in swept(in_process(plain, *ZIP, *given))]
    assert found == [["0", "1", "x"], ["9", "1", "x"], ["0", "2", "y"], ["9", "2", "y"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["params.sleep=1,2,3"],
            "What varies together needs equally many values: params.fail has 2, params.sleep has 3.",
        ),
        (
            ["hydra.sweeper.together=[[params.fail,params.fial]]"],
            "names 'params.fial', which is not swept. Did you mean",
        ),
        (
            ["hydra.sweeper.together=[[params.fail,params.say]]"],
            "names 'params.say', which is not swept.",
        ),
        (["params.sleep=interval(0,1)"], "params.sleep=interval(0,1) has no end of values."),
        (["hydra.sweeper.together=[params.fail]"], "hydra.sweeper.together"),
    ],
)
def test_mistakes(plain: StashUnderTest, in_process: InProcess, arguments: list[str], message: str) -> None:
    done = in_process(plain, *ZIP, "+exp=fig/one", "params.fail=0,1", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("error:") == 1
    assert not list(plain.root.glob("multirun/*"))
