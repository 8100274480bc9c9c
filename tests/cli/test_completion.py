"""Tab completion: what we complete ourselves, and what is left to Hydra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import experimentstash
from experimentstash.cli.completion import candidates
from experimentstash.cli.verbs import VERBS
from experimentstash.record import archives, records
from experimentstash.record.run import State
from experimentstash.runs import ids
from experimentstash.stash import present_parameters
from experimentstash.stash.layout import Stash
from tests.testing.stash import StashUnderTest

EXPERIMENTS = ["fig/one", "fig/two", "many", "other"]
MANY = "params: {seed: 0, rate: 1e-3, name: two words, model: {n: 3, open: true}, sizes: [1, 2], data: '???', x: null}"


@pytest.fixture
def filled(stash: StashUnderTest) -> Stash:
    for name in EXPERIMENTS:
        stash.add_experiment(name, "t", "params: {seed: 7}\n" if name == "fig/two" else "")
    for place in (
        "outputs/2026-01-31/12-00-00-aaaaaa2",
        *(f"multirun/2026-01-31/12-00-00-aaaaaa3/{n}" for n in (0, 11)),
    ):
        stash.write(f"{place}/run.json", "{}")
    stash.add_experiment("many", "t", MANY)
    stash.write("conf/tool/alpha.yaml", "")
    stash.write("conf/tool/beta.yaml", "")
    stash.write("frozen/figure1/frozen.json", "{}")
    stash.write("frozen/figure1/runs/bbbbbb2/record.json", "{}")
    stash.write("frozen/.figure2.part/frozen.json", "{}")
    stash.write("backups/.gitignore", "*\n")
    stash.write("backups/beta-20260131-120000-k3f9a2b/tool.json", "{}")
    return Stash(stash.root)


FILTERS = ["--exp", "--since", "--state", "--sweep", "--tag", "--tool", "--until", "--where"]
OF_RUNS = sorted(
    [
        *FILTERS,
        *["--all", "--columns", "--csv", "--help", "--json", "--jsonl", "--most", "--sort", "--watch", "-h", "-n"],
    ]
)
FIRST_WORDS = list(dict.fromkeys(verb.partition(" ")[0] for verb in VERBS))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("experimentstash ", [*FIRST_WORDS, "+exp=fig/one", "+exp=fig/two", "+exp=many", "+exp=other"]),
        ("experimentstash r", [word for word in FIRST_WORDS if word.startswith("r")]),
        ("experimentstash --h", ["--help", "--hydra-help"]),
        ("experimentstash +exp=", ["+exp=fig/one", "+exp=fig/two", "+exp=many", "+exp=other"]),
        ("experimentstash +exp=fig/t", ["+exp=fig/two"]),
        ("experimentstash exp=o", ["exp=other"]),
        ("experimentstash -m +exp=fig/one,f", ["+exp=fig/one,fig/one", "+exp=fig/one,fig/two"]),
        ("experimentstash -m debug=true +exp=o", ["+exp=other"]),
        ("experimentstash +exp=other tool=b", ["tool=beta"]),
        ("experimentstash run ", EXPERIMENTS),
        ("experimentstash run fig/", ["fig/one", "fig/two"]),
        ("experimentstash run fig/one o", ["other"]),
        ("experimentstash run other tool=", ["tool=alpha", "tool=beta"]),
        ("experimentstash run -m f", ["fig/one", "fig/two"]),
        ("experimentstash run --cfg ", ["job", "hydra", "all"]),
        ("experimentstash show ", ["latest", "aaaaaa3", "aaaaaa2"]),
        ("experimentstash cancel aaaaaa2 aaaaaa3", ["aaaaaa3", "aaaaaa3-0", "aaaaaa3-11"]),
        ("experimentstash logs aaaaaa3-1", ["aaaaaa3-11"]),
        ("experimentstash resume l", ["latest"]),
        ("experimentstash sync bb", []),
        ("experimentstash path aaaaaa2 ", []),
        ("experimentstash reproduce ", ["figure1", "latest", "aaaaaa3", "aaaaaa2"]),
        ("experimentstash reproduce figure1 --run ", ["bbbbbb2"]),
        ("experimentstash reproduce figure1 a", ["arguments="]),
        ("experimentstash reproduce figure1 hydra/launcher=sl", ["hydra/launcher=slurm"]),
        ("experimentstash freeze ", ["figure1"]),
        ("experimentstash export ", ["figure1"]),
        ("experimentstash export figure1 --in", ["--inputs"]),
        ("experimentstash freeze figure2 a", ["aaaaaa3", "aaaaaa2"]),
        ("experimentstash tool add f", []),
        ("experimentstash run many params.s", ["params.seed=", "params.sizes="]),
        ("experimentstash run many params.model", ["params.model.n=", "params.model.open="]),
        ("experimentstash run many params.model.open=", ["params.model.open=true"]),
        ("experimentstash run many params.rate=", ["params.rate=0.001"]),
        ("experimentstash run many params.name=", ["params.name='two words'"]),
        ("experimentstash run many params.sizes=", ["params.sizes="]),
        ("experimentstash run many params.x=n", ["params.x=null"]),
        ("experimentstash run many params.nothing=", None),
        ("experimentstash run other fig/two p", ["params.seed=", "permissions="]),
        ("experimentstash -m +exp=fig/two,many params.seed=", ["params.seed=7"]),
        ("python -m experimentstash +exp=many params.ra", ["params.rate="]),
        ("experimentstash run nothing params.", None),
        ("experimentstash runs --st", ["--state"]),
        ("experimentstash runs --state f", ["frozen", "failed"]),
        ("experimentstash runs --exp fig/o", ["fig/one"]),
        ("experimentstash runs --all l", ["latest"]),
        ("experimentstash runs -", OF_RUNS),
        ("experimentstash cancel --sweep aaaaaa", ["aaaaaa3"]),
        ("experimentstash list --tool ", ["alpha", "beta"]),
        ("experimentstash validate ", []),
        ("experimentstash validate --qu", ["--quick"]),
        ("experimentstash tool ", ["add", "list", "show", "update", "sync", "remove", "restore"]),
        ("experimentstash tool s", ["show", "sync"]),
        ("experimentstash tool show ", ["alpha", "beta"]),
        ("experimentstash tool update --all-in-checkout b", ["beta"]),
        ("experimentstash tool add --no-s", ["--no-submodules", "--no-sync"]),
        ("experimentstash tool restore ", ["beta-20260131-120000-k3f9a2b"]),
        ("experimentstash tool nonsense ", []),
        ("experimentstash runs --exp=fig", ["--exp=fig/one", "--exp=fig/two"]),
        ("experimentstash nonsense a", []),
        ("experimentstash run other debug=", ["debug=true", "debug=false"]),
        ("experimentstash resume latest timeout=", []),  # anything may stand there
        ("experimentstash run other resources.m", ["resources.mem="]),
        ("experimentstash +exp=other hydra.launcher.max_r", ["hydra.launcher.max_requeues="]),
        ("experimentstash +exp=other hydra.launcher.max_requeues=", ["hydra.launcher.max_requeues=3"]),
        ("experimentstash run other tool.call.mappings=d", ["tool.call.mappings=dotted"]),
        ("experimentstash hydra/launcher=sub", ["hydra/launcher=submitit_local", "hydra/launcher=submitit_slurm"]),
        ("experimentstash run other hydra/sweeper=z", ["hydra/sweeper=zip"]),
        ("experimentstash run 'fig/*' params.s", ["params.seed="]),
        ("experimentstash explain tool.call.st", ["tool.call.style"]),
        ("python -m experimentstash path aaaaaa3-1", ["aaaaaa3-11"]),
        ("/some/where/python3.11 -m experimentstash unt", []),
        # The rest is Hydra's.
        ("experimentstash", None),  # the program's own name, just before the space
        ("experimentstash run other hydra.verb", None),
        ("experimentstash run other hydra/job_logging=", None),
        ("experimentstash +exp=other not_ours.x", None),
        ("experimentstash +exp=nothing", None),
    ],
)
def test_candidates(filled: Stash, line: str, expected: list[str] | None) -> None:
    found = candidates(line, str(filled.root))
    listed = None if found is None else [*found]
    assert (sorted(listed) if listed and line.endswith("-") else listed) == expected


def test_what_runs_are_told_by_is_called_as_elsewhere() -> None:
    assert (ids.RECORD, ids.ARCHIVE) == (records.FILE_NAME, archives.SUFFIX)
    assert set(ids.FINAL) == {state.value for state in State if state.is_final}


IMPORTED = """
import sys
from experimentstash.cli import completion
for line in sys.argv[2:]:
    assert completion.candidates(line, sys.argv[1]), line
heavy = {"collections", "dataclasses", "hydra", "json", "omegaconf", "pathlib", "re", "typing", "yaml"}
print(*heavy & sys.modules.keys())
"""


def test_next_to_nothing_is_imported_for_it(stash: StashUnderTest) -> None:
    stash.add_experiment("fig/one", "t", "params:\n  seed: 7  # of all\n  model:\n    depth: 3\n  names: [a, b]\n")
    stash.write("conf/tool/t.yaml", "")
    lines = ["", "run f", "run fig/one params.", "run fig/one params.seed=", "+exp=", "runs --st", "run fig/one debug="]
    lines += ["run fig/one hydra/launcher=", "explain tool", "list --tool "]
    argv = [sys.executable, "-S", "-c", IMPORTED, str(stash.root), *(f"experimentstash {line}" for line in lines)]
    environment = {**os.environ, "PYTHONPATH": str(Path(experimentstash.__file__).parent.parent)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params:\n  a: 1\n  b:\n    c: 0.5\n    d: [1, 2]\n  e: x/y.txt\n", ["1", "0.5", "", "x/y.txt"]),
        ("params:\n- a\n", []),
        ("params:\n  a:\n  - 1\n  - b: 2\n  c: no\n", ["", "false"]),
        ("params: {a: 1, b: {c: null}}\n", ["1", "null"]),
        ("params:\n  a: &x 5\n  b: *x\n", ["5", "5"]),
        ("params:\n  a: |\n    b: 1\n  c: 010\n  d: 1_000\n", ["'b: 1\n'", "8", "1000"]),
        ("params:\n  a: 'null'\n  b: \"x # y\"\n  c: '???'\n  d: ${vars.x}\n", ["'null'", "'x # y'", "", ""]),
        ("params:\n  a: 1e-3\n  b: .5\n  c: -2\n  d: 2026-01-02\n", ["0.001", "0.5", "-2", None]),
        ("params:\n  a: ~\n  b: Null\n  c:\n  d: True\n  e: 'it''s'\n", ["null", "null", "null", "true", None]),
        ("params:\n  a.b: 1\n  'c': 2\n  ? d\n  : 3\n", ["1", "2", "3"]),
        ("params: 3\n", []),
        ("params: [\n", []),
    ],
)
def test_values_are_those_that_hydra_reads(stash: StashUnderTest, text: str, expected: list[str | None]) -> None:
    stash.add_experiment("it", "t", text)
    found = [*present_parameters.of(str(stash.root), "it").values()]
    assert len(found) == len(expected), found
    assert [value for value, told in zip(found, expected, strict=True) if told is not None] == [
        told for told in expected if told is not None
    ]


def test_parameters_of_what_an_organizer_builds_on(stash: StashUnderTest) -> None:
    stash.write("conf/exp/fig/base.yaml", "# @package _global_\nparams:\n  rate: 0.5\n  seed: 1\n")
    text = "# @package _global_\ndefaults:\n  - /exp/fig/base\n  - override /tool: t\n  - _self_\nparams:\n  seed: 7\n"
    stash.write("conf/exp/fig/it.yaml", text)
    assert present_parameters.of(str(stash.root), "fig/it") == {"seed": "7", "rate": "0.5"}
    stash.write("conf/exp/fig/it.yaml", "defaults: ['', _self_, base@_global_, /tool/t]\nparams: {seed: 7}\n")
    assert present_parameters.of(str(stash.root), "fig/it") == {"seed": "7", "rate": "0.5"}


def test_runs_wherever_they_are_called_otherwise(filled: Stash) -> None:
    place = filled.root / "outputs" / "of my own" / "12-00-00-aaaaaa4"
    place.mkdir(parents=True)
    (place / "run.json").write_text("{}")
    assert {"aaaaaa2", "aaaaaa3", "aaaaaa4"} < {*(candidates("experimentstash show ", str(filled.root)) or ())}


def test_a_file_of_a_configuration_in_a_circle_of_links(stash: StashUnderTest) -> None:
    stash.add_experiment("fig/one", "t", "")
    (stash.root / "conf" / "exp" / "fig" / "round").symlink_to("..")
    (stash.root / "conf" / "exp" / "beside").symlink_to("fig")
    assert candidates("experimentstash run ", str(stash.root)) == {"beside/one": "", "fig/one": ""}
