"""The first screen: every verb is known in one place, and each tells what it is given, what it does, and how."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.cli import overview, parsing, verbs
from experimentstash.cli.verbs import FAMILIES, GROUPS, VERBS
from tests.testing.stash import InProcess, StashUnderTest

COMMANDS = Path(parsing.__file__).parent / "commands"


def test_all_verbs_are_listed_in_groups_in_a_stash_and_elsewhere(
    stash: StashUnderTest, tmp_path: Path, in_process: InProcess
) -> None:
    told = in_process(stash, "--help")
    assert told.returncode == 0
    for name, group in GROUPS.items():
        listed = told.stdout.partition(f"\n{name}\n")[2].partition("\n\n")[0].splitlines()
        assert [re.split("  +", line.strip())[0] for line in listed] == [
            f"{verb} {given}".strip() for verb, (given, _) in group.items()
        ]
        assert all(line.endswith(about) for line, (_, about) in zip(listed, group.values(), strict=True))
    assert "--hydra-help" in told.stdout and "+exp=NAME" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    for asking in (["-h"], ["help"], ["-m", "--help"], ["--help", "--cfg"], ["-m", "", "-h"]):
        assert in_process(stash, *asking, cwd=tmp_path).stdout == told.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_tells_what_it_is_given_and_shows_examples(
    stash: StashUnderTest, in_process: InProcess, verb: str
) -> None:
    told = in_process(stash, *verb.split(), "-h")
    assert told.returncode == 0 and told.stdout.startswith(f"usage: experimentstash {verb} [-h]")
    assert max(map(len, told.stdout.splitlines())) <= 80
    for asking in (["help", *verb.split()], [*verb.split(), "word", "--help"], ["--help", *verb.split()]):
        assert in_process(stash, *asking).stdout == told.stdout
    given, about = VERBS[verb]
    assert about[1:] in told.stdout
    usage = told.stdout.partition("\n\n")[0]
    for name in re.findall("[A-Z]+", given):
        assert name in usage
    said = re.findall("^  ([A-Z|]+)", told.stdout, re.MULTILINE)
    assert {name for each in said for name in each.split("|")} == set(re.findall("[A-Z]+", given))
    examples = parsing.command(verb).EXAMPLES
    assert examples
    for words, what in examples:
        first, rest = verbs.split(shlex.split(words))
        assert first == verb and f"experimentstash {words}" in told.stdout and what in told.stdout
        if verb != "run":  # which Hydra reads
            parsing.read(verb, rest)


def test_every_file_is_a_verb() -> None:
    files = {path.relative_to(COMMANDS).with_suffix("") for path in COMMANDS.rglob("*.py")}
    with_examples = {path for path in files if "\nEXAMPLES = " in (COMMANDS / path).with_suffix(".py").read_text()}
    assert {" ".join(path.parts).replace("_", "-") for path in with_examples} == set(VERBS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vallidate"], "There is no verb 'vallidate'. Did you mean 'validate'?\n  → experimentstash --help"),
        (["help", "vallidate"], "Did you mean 'validate'?"),
        (["tols"], "Did you mean 'tool'?"),
        (
            ["figure1/pca"],
            "There is no verb 'figure1/pca'.\n  → experimentstash --help lists them; an experiment runs by",
        ),
        (["tool"], "Which verb?\nVerbs: add, list, "),
        (["tool", "updat", "x"], "There is no verb `tool updat`. Did you mean 'update'?"),
        (["runs", "--stat", "x", "--jsn"], "runs: unrecognized arguments: --jsn. Did you mean '--json'?"),
        (["runs", "-n", "none"], "runs: argument -n/--most: 'none' is no number of runs"),
        (
            ["tool", "show"],
            "tool show: the following arguments are required: TOOL.\n  → experimentstash tool show --help",
        ),
    ],
)
def test_what_is_no_verb_or_option_is_told_with_what_was_meant(
    stash: StashUnderTest, tmp_path: Path, in_process: InProcess, words: list[str], said: str
) -> None:
    for place in (stash.root, tmp_path):
        done = in_process(stash, *words, cwd=place)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ") and said in done.stderr


@pytest.mark.parametrize("words", [["+exp=a"], ["-m", "+exp=a,b"], ["--cfg", "job"], ["~tool"], ["exp=a", "runs"]])
def test_what_begins_otherwise_is_for_hydra(words: list[str]) -> None:
    assert verbs.split(words) == (None, words)
    assert overview.asked([*words, "x=1", "--help"]) is None


def test_a_dash_in_a_word_of_its_own_ends_the_options() -> None:
    assert overview.asked(["runs", "--", "--help"]) is None
    assert {"metrics", "new", "tool"} == FAMILIES
    with pytest.raises(StashError):
        overview.asked(["nonsense", "-h"])


def test_help_and_versions_need_nothing_of_hydra() -> None:
    program = (
        "import sys; from experimentstash.cli.main import main; from experimentstash.cli.verbs import VERBS\n"
        "for words in (['--version'], ['-h'], ['tool', '-h'], *([*verb.split(), '-h'] for verb in VERBS)):\n"
        "    main(words)\n"
        "sys.exit(bool({'hydra', 'omegaconf', 'yaml', 'click'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0
