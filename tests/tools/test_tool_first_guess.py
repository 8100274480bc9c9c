"""What `tool add` makes of command lines, subcommands and languages that leave something to guess: right, or asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from experimentstash.freeze.declared.option import Declared
from experimentstash.stash.schema import CallStyle
from experimentstash.tools import adding, entrypoint_choice
from experimentstash.tools.detect import candidates, configurator
from experimentstash.tools.detect.candidate import Candidate, Rank
from tests.testing.stash import TOOLS, StashUnderTest
from tests.testing.terminals import Terminal, program
from tests.testing.tool_support import as_stash, no_report, repository

# As nanoGPT has it: the program executes a file that sets the program's own variables.
CONFIGURED = """
out_dir = 'out'
steps = 3
compile = True
exec(open('configurator.py').read())
import os
os.makedirs(out_dir, exist_ok=True)
open(os.path.join(out_dir, 'seen'), 'w').write(f'{steps!r} {compile!r}')
"""
CONFIGURATOR = """
import sys
from ast import literal_eval
for arg in sys.argv[1:]:
    if '=' not in arg:
        exec(open(arg).read())
    else:
        assert arg.startswith('--')
        key, val = arg.split('=')
        key = key[2:]
        try:
            value = literal_eval(val)
        except (SyntaxError, ValueError):
            value = val
        assert type(value) == type(globals()[key])
        globals()[key] = value
"""
BARE = """
import sys
lr = 0.1
for word in sys.argv[1:]:
    key, _, value = word.partition('=')
    globals()[key] = value
"""
SUBCOMMANDS = """
import argparse, sys
if __name__ == '__main__':
    commands = argparse.ArgumentParser().add_subparsers(required=True)
    commands.add_parser('prune').add_argument('--rate', type=int)
    commands.add_parser('merge').add_argument('--rate', type=int)
    print(sys.argv[1])
"""


def add(stash: StashUnderTest, upstream: Path, **given: str) -> adding.Added:
    settings = {"interpreter": Path(sys.executable), "report": no_report, **given}
    return adding.add(as_stash(stash), "x", str(upstream), **settings)  # type: ignore[arg-type]


def registered(stash: StashUnderTest) -> dict[str, object]:
    found = yaml.safe_load((stash.root / "conf/tool/x.yaml").read_text())["call"]
    assert isinstance(found, dict)
    return found


def test_a_program_that_reads_its_words_itself(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"train.py": CONFIGURED, "configurator.py": CONFIGURATOR})
    add(stash, upstream)
    assert registered(stash) == {"style": "options", "output": "--out_dir", "joined": True, "booleans": "python"}
    assert (
        "collect" not in (stash.root / "conf/tool/x.yaml").read_text()
    )  # the run's directory takes the place of `out`
    done = stash.cli("run", "x/example", "+params.steps=5", "+params.compile=false")
    assert done.returncode == 0, done.stderr
    (directory,) = stash.run_directories()
    assert (directory / "seen").read_text() == "5 False"


def test_one_that_reads_words_without_dashes(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BARE)
    found = configurator.read(tmp_path, "train.py")
    assert found is not None and not found.has_dashes and not found.evaluates
    assert [each.name for each in found.variables] == ["lr"]
    plain = Candidate("train.py", Rank.MAIN_FILE, "train.py", CallStyle.options)
    assert candidates.with_declared(plain, tmp_path).style is CallStyle.key_value


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nprint(sys.argv[1].split('='))\n",
        "import sys\nfor name in sys.argv[1:]:\n    print(open(name).read())\n",
        "for pair in ['a=b']:\n    print(pair.split('='))\n",
        "exec(open('/etc/passwd.py').read())\nexec(open('../other.py').read())\n",
    ],
)
def test_what_reads_no_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.py").write_text(text)
    assert configurator.read(tmp_path, "train.py") is None


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("fit", "validate", "test"), "fit"),
        (("serve",), "serve"),
        (("eval", "export"), None),
        (("train", "run", "eval"), None),
    ],
)
def test_which_subcommand_is_clear(tmp_path: Path, names: tuple[str, ...], taken: str | None) -> None:
    declared = Declared(subcommands=names, needs_subcommand=True)
    chosen = Candidate("main.py", Rank.MAIN_FILE, "main.py", CallStyle.argparse, declared=declared)
    if taken is None:
        with pytest.raises(entrypoint_choice.Unclear, match="nothing tells which one is meant") as refused:
            entrypoint_choice.with_subcommand(chosen, tmp_path, None, None, "add it --subcommand")
        assert f"add it --subcommand {names[0]}" in str(refused.value)
        answered = entrypoint_choice.with_subcommand(chosen, tmp_path, None, lambda known: known[1], "")
        assert answered.subcommand == names[1]
    else:
        assert entrypoint_choice.with_subcommand(chosen, tmp_path, None, None, "").subcommand == taken
    assert entrypoint_choice.with_subcommand(chosen, tmp_path, names[-1], None, "").subcommand == names[-1]
    with pytest.raises(entrypoint_choice.Unclear, match=f"no subcommand {'x' + names[0]!r}. Did you mean"):
        entrypoint_choice.with_subcommand(chosen, tmp_path, "x" + names[0], None, "")
    said = Candidate(f"main.py {names[0]}", Rank.MAIN_FILE, "main.py", CallStyle.argparse, declared=declared)
    assert entrypoint_choice.with_subcommand(said, tmp_path, None, None, "").subcommand is None


@pytest.mark.slow
def test_a_subcommand_is_asked_for_and_its_run_has_it(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "u", {"main.py": SUBCOMMANDS})
    words = ["tool", "add", "x", str(upstream), "--interpreter", sys.executable]
    refused = stash.cli(*words, "--yes")
    assert refused.returncode == 2 and "--entrypoint main.py --subcommand prune" in refused.stderr, refused.stderr
    assert not (stash.root / "conf/tool/x.yaml").exists()
    with Terminal(program(*words), cwd=stash.root, columns=100) as terminal:
        terminal.until(lambda seen: "Which one are its runs for" in seen.text)
        terminal.type("3\n")
        terminal.until(lambda seen: "There is no subcommand 3" in seen.text)
        terminal.type("2\n")
        assert terminal.end() == 0, terminal.text
    assert registered(stash)["subcommand"] == "merge"
    done = stash.cli("run", "x/example")
    assert done.returncode == 0 and "merge" in done.stdout, done.stderr


def test_a_repository_without_python_says_what_it_has(stash: StashUnderTest, tmp_path: Path) -> None:
    files = {
        "scripts/fit it.R": "1\n",
        "scripts/go.sh": 'echo "went $*"\n',
        "a b.ipynb": "{}",
        "readme": "x\n",
    }
    upstream = repository(tmp_path / "u", files)
    with pytest.raises(entrypoint_choice.Unclear) as refused:
        add(stash, upstream)
    told = str(refused.value)
    assert "  bash scripts/go.sh" in told and "  Rscript 'scripts/fit it.R'" in told and "readme" not in told
    assert "  a b.ipynb" in told
    assert "--entrypoint " in told and "call: {style: arguments}" in told
    add(stash, upstream, entrypoint="bash scripts/go.sh")
    done = stash.cli("run", "x/example", "+params.size=3")
    assert done.returncode == 0 and "went --size 3" in done.stdout, done.stderr


def test_a_repository_of_notebooks(stash: StashUnderTest, tmp_path: Path) -> None:
    tagged = (TOOLS / "notebook" / "area.ipynb").read_text()
    plain = tagged.replace('"parameters"', '"other"')
    with pytest.raises(entrypoint_choice.Unclear, match="which of them is meant") as refused:
        add(stash, repository(tmp_path / "u", {"b.ipynb": plain, "a.ipynb": plain}))
    assert "  a.ipynb  a notebook\n  b.ipynb  a notebook" in str(refused.value)
    # One that takes parameters is made to be run.
    add(stash, repository(tmp_path / "v", {"b.ipynb": tagged, "a.ipynb": plain}))
    registration = (stash.root / "conf" / "tool" / "x.yaml").read_text()
    assert "entrypoint: b.ipynb\n" in registration and "style: notebook" in registration
