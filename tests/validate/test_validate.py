"""Every kind of problem that `experimentstash validate` finds, with its file and what fixes it; and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.base.output import Paper
from experimentstash.cli.commands.validate import describe
from experimentstash.stash.layout import Stash
from experimentstash.validate.engine import Report, validate
from experimentstash.validate.problem import Problem, Severity, found_by
from tests.testing.made_once import made_once, same_place
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import refresh

HYDRA_TOOL = "entrypoint: main.py\ncall: {style: hydra, configs: configs}"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def sound(stash: StashUnderTest) -> StashUnderTest:
    """A stash in which everything is in order: a Hydra tool, another one, and an experiment of each."""

    def make() -> None:
        stash.add_tool("hydra_tool", "hydra_tool", HYDRA_TOOL)
        stash.add_tool("plain", "plain", "entrypoint: main.py")
        more = "experiment: tuned\nparams: {seed: 3}\nestimated_runtime: 5m\n"
        stash.add_experiment("fig/tuned", "hydra_tool", more)
        stash.add_experiment("fig/plain", "plain", "params: {say: [hello]}\ntimeout: 2h\n")
        stash.commit()

    made_once([stash.root], make)
    refresh(stash.root)
    return stash


def check(stash: StashUnderTest, **options: str | bool | float) -> list[Problem]:
    return list(report(stash, **options).problems)


def report(stash: StashUnderTest, **options: str | bool | float) -> Report:
    return validate(Stash(stash.root), **options)  # type: ignore[arg-type]


def only(problems: list[Problem], check: str, where: str, *said: str, severity: Severity = Severity.error) -> Problem:
    """Return the only problem, which must be this one."""
    assert len(problems) == 1, problems
    (problem,) = problems
    assert (problem.check, problem.where, problem.severity) == (check, where, severity), problem
    for text in said:
        assert text in f"line {problem.line}: {problem.what}\n→ {problem.hint}", problem
    return problem


def test_nothing_is_wrong_with_a_sound_stash(sound: StashUnderTest) -> None:
    before = git("status", "--porcelain", "--ignored", cwd=sound.root)
    found = report(sound)
    assert found.problems == () and (found.tools, found.experiments) == (2, 2)
    assert describe(found) == f"{len(found.checks)} checks of 2 tools and 2 experiments: no problems"
    assert git("status", "--porcelain", "--ignored", cwd=sound.root) == before


def test_a_new_stash_is_in_order(stash: StashUnderTest) -> None:
    assert check(stash) == []


# --- layout and git --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults: [_self_, tool: null]\n", "don't begin with `experimentstash`"),
        ("defaults:\n  - experimentstash\n", "have no `tool`"),
        ("description: x\n", "don't begin with `experimentstash`"),
        ("defaults: [\n", "not YAML"),
    ],
)
def test_a_root_config_that_is_none(sound: StashUnderTest, text: str, said: str) -> None:
    sound.write("conf/config.yaml", text)
    problems = check(sound)
    assert any(each.where == "conf/config.yaml" and said in each.what for each in problems), problems
    assert report(sound).errors


def test_a_root_config_with_a_misspelt_key(sound: StashUnderTest) -> None:
    path = sound.root / "conf" / "config.yaml"
    path.write_text(path.read_text() + "tagz: [a]\n")
    only(check(sound), "composition", "conf/config.yaml", "unknown key 'tagz'. Did you mean 'tags'?", "\nValid: tool,")


def test_a_missing_directory(sound: StashUnderTest) -> None:
    shutil.rmtree(sound.root / "conf" / "exp")
    only(check(sound), "layout", "conf/exp", "missing", "mkdir conf/exp")


def test_a_file_that_hydra_does_not_read(sound: StashUnderTest) -> None:
    sound.write("conf/exp/fig/other.yml", "a: 1\n")
    only(
        check(sound),
        "layout",
        "conf/exp/fig/other.yml",
        "only *.yaml",
        "mv conf/exp/fig/other.yml conf/exp/fig/other.yaml",
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            StashError("conf/tool/a.yaml: path: is odd.", "look there"),
            ("conf/tool/a.yaml", "path: is odd.", "look there"),
        ),
        (PermissionError(13, "Permission denied", "x"), ("conf", "PermissionError: [Errno 13] Permission denied: 'x'")),
    ],
)
def test_what_a_check_stumbles_over_is_a_problem(error: Exception, told: tuple[str, ...]) -> None:
    def stumble(said: Exception) -> list[Problem]:
        raise said

    (problem,) = found_by("layout", "conf", stumble, error)
    assert (problem.where, problem.what, problem.hint)[: len(told)] == told


def test_outputs_that_git_does_not_ignore(sound: StashUnderTest) -> None:
    sound.write(".gitignore", "/outputs/*\n/.experimentstash/\n")
    sound.commit()
    hint = "echo /multirun/ >> .gitignore"
    only(check(sound), "git", "multirun/", "doesn't ignore it", hint, severity=Severity.warning)


def test_no_repository_and_no_commit(sound: StashUnderTest) -> None:
    shutil.rmtree(sound.root / ".git")
    only(check(sound), "git", ".", "no git repository", "git init", severity=Severity.warning)
    git("init", "-q", cwd=sound.root)
    only(check(sound), "git", ".", "nothing is committed yet", "git commit", severity=Severity.warning)


def test_untracked_files(sound: StashUnderTest) -> None:
    sound.add_experiment("new one", "plain")
    hint = "git add 'conf/exp/new one.yaml'"
    only(check(sound), "git", "conf/exp/new one.yaml", "track", hint, severity=Severity.warning)
    for number in range(9):
        sound.add_experiment(f"new{number}", "plain", f"params: {{fail: {number}}}\n")
    only(check(sound), "git", "conf", "10 files", severity=Severity.warning)


# --- registrations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registration", "said"),
    [
        ("path: tools/plain\nentrypoint: main.py\nentrypiont: a\n", ["unknown key", "Did you mean 'entrypoint'?"]),
        ("path: tools/plain\nentrypoint: main.py\ncall: {stile: hydra}\n", ["Did you mean 'style'?"]),
        ("path: tools/plain\nentrypoint: main.py\ncall: {style: hydro}\n", ["[hydra, options, argparse, click, "]),
        ("path: tools/plain\nentrypoint: main.py\ndependencies: numpy\n", ["dependencies"]),
        ("path: tools/plain\n", ["entrypoint", "must be given"]),
        ("entrypoint: main.py\n", ["neither a `path:` nor"]),
        ("path: tools/plian\nentrypoint: main.py\n", ["directory tools/plian does not exist"]),
        ("path: tools/../../x\nentrypoint: main.py\n", ["'tools/../../x' is not below the stash"]),
        ("path: /usr\nentrypoint: main.py\n", ["'/usr' is not below the stash"]),
        ("path: .\nentrypoint: main.py\n", ["'.' is not below the stash"]),
        ("path: tools/out\nentrypoint: main.py\n", ["symbolic link that leads out of the stash"]),
        ("path: tools/plain\nentrypoint: mian.py\n", ["the entrypoint mian.py does not exist"]),
        (
            "path: tools/plain\nentrypoint: main.py\ncall: {style: hydra, configs: cfg}\n",
            ["no directory cfg in tools/plain"],
        ),
        (
            "path: tools/plain\nentrypoint: main.py\ncall: {style: hydra, config_dir: cfg}\n",
            ["no directory cfg in the stash"],
        ),
        ("path: tools/plain\nentrypoint: main.py\nshared: [data]\n", ["shared: data does not exist in tools/plain"]),
        ("path: tools/plain\nentrypoint: main.py\nshared: [main.py]\n", ["shared: main.py is code"]),
        ("path: [a\n", ["not YAML"]),
        (
            "path: tools/plain\nentrypoint: main.py\nmetrics: {loss: {colum: a}}\n",
            ["unknown key 'tool.metrics.loss.colum'. Did you mean 'column'?"],
        ),
        (
            "path: tools/plain\nentrypoint: main.py\nmetrics: {loss: {column: a, take: best}}\n",
            ["metrics.loss: take: 'best' is none of last, min, max, mean"],
        ),
    ],
)
def test_a_registration(sound: StashUnderTest, registration: str, said: list[str]) -> None:
    (sound.root / "tools" / "out").symlink_to("/usr/share")
    sound.write("conf/tool/bad.yaml", registration)
    sound.commit()
    only(check(sound, tool="bad"), "registration", "conf/tool/bad.yaml", *said)


def test_what_many_experiments_suffer_from_is_said_once(sound: StashUnderTest) -> None:
    sound.write("conf/tool/bad.yaml", "path: tools/plain\nentrypoint: mian.py\n")
    for number in range(3):
        sound.add_experiment(f"e{number}", "bad", f"params: {{fail: {number}}}\n")
    sound.commit()
    only(check(sound), "registration", "conf/tool/bad.yaml", "mian.py")


def test_an_absolute_path_is_a_warning(sound: StashUnderTest) -> None:
    path = sound.root / "conf" / "tool" / "plain.yaml"
    path.write_text(
        path.read_text().replace("path: tools/plain", f"path: {json.dumps(str(sound.root / 'tools/plain'))}")
    )
    sound.commit()
    only(
        check(sound), "registration", "conf/tool/plain.yaml", "absolute", "path: tools/plain", severity=Severity.warning
    )


@pytest.mark.parametrize(
    ("entrypoint", "is_found"),
    [
        ("-m pack.inner", True),
        ("-m pack", True),
        ("-m single", True),
        ("-m spread.part", True),
        ("-m json.tool", True),
        ("-m http.server", True),
        ("-m pack.nothing", False),
        ("-m pack.empty", False),
        ("-m nowhere.at_all", False),
        ("-m json.nothing", False),
        ("-m only_in_src", False),
        ("python", True),
        ("no-such-program", False),
    ],
)
def test_an_entrypoint_is_looked_for_without_importing_the_tool(
    sound: StashUnderTest, entrypoint: str, is_found: bool
) -> None:
    directory = sound.add_tool("modules", None, f"entrypoint: {entrypoint}\n")
    bang = "raise SystemExit('imported')\n"
    for name in (
        "pack/__init__",
        "pack/inner",
        "pack/__main__",
        "pack/empty/__init__",
        "single",
        "spread/part",
        "src/only_in_src",
    ):
        sound.write(f"tools/modules/{name}.py", bang)
    sound.commit()
    problems = check(sound, tool="modules")
    if is_found:
        assert problems == []
    else:
        only(problems, "entrypoint", "conf/tool/modules.yaml", entrypoint.split()[-1])
    assert not list(directory.rglob("__pycache__"))


def test_an_environment_that_is_not_made(sound: StashUnderTest) -> None:
    sound.add_tool("fresh", "source_layout", "entrypoint: -m train\nenvironment: {kind: auto}\n")
    sound.write("tools/fresh/requirements.txt", "numpy\n")
    sound.commit()
    problem = only(check(sound), "environment", "conf/tool/fresh.yaml", "not made yet", severity=Severity.warning)
    assert problem.hint == "experimentstash tool sync fresh"
    made = sound.root / ".experimentstash" / "environments" / "fresh" / "0123456789abcdef"
    made.mkdir(parents=True)
    (made / "experimentstash.json").write_text("{}")
    only(check(sound), "environment", "conf/tool/fresh.yaml", "made from another", severity=Severity.warning)


# --- submodules ------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_submodule(sound: StashUnderTest, tmp_path: Path) -> StashUnderTest:
    upstream = tmp_path / "upstream"

    def make() -> None:
        upstream.mkdir()
        git("init", "-q", "-b", "main", cwd=upstream)
        (upstream / "main.py").write_text("print('hello')\n")
        git("add", "-A", cwd=upstream)
        git("commit", "-q", "-m", "one", cwd=upstream)
        git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(upstream), "tools/sub", cwd=sound.root)
        interpreter = f"environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
        sound.write("conf/tool/sub.yaml", f"path: tools/sub\nentrypoint: main.py\n{interpreter}")
        sound.commit()
        assert check(sound) == []

    made_once([sound.root, upstream], make)
    refresh(sound.root, sound.root / "tools" / "sub")
    return sound


def test_a_submodule_that_is_not_checked_out(with_submodule: StashUnderTest) -> None:
    git("submodule", "deinit", "-q", "-f", "tools/sub", cwd=with_submodule.root)
    problems = check(with_submodule)
    hint = "git submodule update --init tools/sub"
    assert {each.where for each in problems} == {"conf/tool/sub.yaml", "tools/sub"}
    assert all(hint.removesuffix("tools/sub") in str(each.hint) for each in problems), problems


def test_a_submodule_at_another_commit(with_submodule: StashUnderTest) -> None:
    tool = with_submodule.root / "tools" / "sub"
    pinned = git("rev-parse", "HEAD", cwd=tool).strip()
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=tool)
    now = git("rev-parse", "HEAD", cwd=tool).strip()
    only(check(with_submodule), "submodule", "tools/sub", now[:12], pinned[:12], "git add tools/sub")
    path = with_submodule.root / "conf" / "tool" / "sub.yaml"
    path.write_text(path.read_text() + f"commit: {pinned[:10]}\n")
    with_submodule.commit()
    only(check(with_submodule), "registration", "conf/tool/sub.yaml", pinned[:10], now[:12])


def test_a_submodule_with_changes(with_submodule: StashUnderTest) -> None:
    with_submodule.write("tools/sub/new.py", "")
    what = "uncommitted changes (1 file)"
    only(check(with_submodule), "submodule", "tools/sub", what, severity=Severity.warning)


@pytest.mark.slow
def test_a_submodule_of_no_tool(with_submodule: StashUnderTest) -> None:
    (with_submodule.root / "conf" / "tool" / "sub.yaml").unlink()
    with_submodule.commit()
    only(check(with_submodule), "submodule", "tools/sub", "no tool is registered", severity=Severity.warning)
    assert check(with_submodule, tool="plain") == []


def test_half_a_submodule(with_submodule: StashUnderTest) -> None:
    git("rm", "-q", "--cached", "tools/sub", cwd=with_submodule.root)
    only(check(with_submodule, tool="sub"), "submodule", "tools/sub", "not in git's index", "git submodule add")
    git("add", "tools/sub", cwd=with_submodule.root)
    (with_submodule.root / ".gitmodules").unlink()
    only(check(with_submodule, tool="sub"), "submodule", "tools/sub", ".gitmodules doesn't say where it comes from")


def test_a_repository_that_is_no_submodule(sound: StashUnderTest) -> None:
    git("init", "-q", cwd=sound.root / "tools" / "plain")
    git("add", "-A", cwd=sound.root / "tools" / "plain")
    git("commit", "-q", "-m", "one", cwd=sound.root / "tools" / "plain")
    only(check(sound, tool="plain"), "submodule", "tools/plain", "no submodule", severity=Severity.warning)


# --- experiments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "check_name", "said"),
    [
        ("parms: {a: 1}\n", "composition", ["unknown key 'parms'. Did you mean 'params'?"]),
        ("tags: solo\n", "composition", ["tags: "]),
        ("params: {a: '${nokey}'}\n", "composition", ["params.a: Interpolation key 'nokey' not found"]),
        ("params: {a: [1\n", "composition", ["line 5: this is not YAML"]),
        ("timeout: soon\n", "composition", ["timeout: 'soon' is not a duration"]),
        ("estimated_runtime: long\n", "composition", ["'long' is not a duration"]),
        ("params: {'a b': 1}\n", "composition", ["params.a b can't be an option"]),
        (
            "metrics: {loss: {beter: lower}}\n",
            "composition",
            ["unknown key 'metrics.loss.beter'. Did you mean 'better'?"],
        ),
        ("metrics: {loss: {pattern: '('}}\n", "composition", ["metrics.loss: pattern: '(' is no regular expression"]),
    ],
)
def test_an_organizer(sound: StashUnderTest, text: str, check_name: str, said: list[str]) -> None:
    sound.add_experiment("m", "plain", text)
    sound.commit()
    only(check(sound), check_name, "conf/exp/m.yaml", *said)


def test_an_organizer_of_no_tool(sound: StashUnderTest) -> None:
    sound.add_experiment("m", "plian")
    sound.commit()
    said = [
        "chooses the tool 'plian', but there is no conf/tool/plian.yaml. Did you mean 'plain'?",
        "Tools: hydra_tool, plain",
    ]
    only(check(sound), "composition", "conf/exp/m.yaml", *said)
    quick = only(
        check(sound, is_quick=True), "organizer", "conf/exp/m.yaml", "there is no tool 'plian'. Did you mean 'plain'?"
    )
    assert quick.hint == "experimentstash tool add plian URL"
    sound.write("conf/exp/m.yaml", "# @package _global_\nparams: {a: 1}\n")
    only(check(sound), "composition", "conf/exp/m.yaml", "Nothing says which tool to run")


def test_an_experiment_that_the_tool_does_not_have(sound: StashUnderTest) -> None:
    sound.add_experiment("m", "hydra_tool", "experiment: tunde\n")
    sound.commit()
    said = ["has no 'tunde' in tools/hydra_tool/configs/experiment. Did you mean 'tuned'?", "valid: tuned"]
    only(check(sound), "experiment", "conf/exp/m.yaml", *said)


@pytest.mark.slow
def test_experiments_that_the_stash_keeps_for_a_tool(sound: StashUnderTest) -> None:
    sound.write("conf/for_tool/mine.yaml", "seed: 3\n")
    sound.add_tool(
        "given", "hydra_tool", "entrypoint: main.py\ncall: {style: hydra, configs: configs, config_dir: conf/for_tool}"
    )
    sound.add_experiment("good", "given", "experiment: mine\n")
    sound.commit()
    assert check(sound) == []
    sound.add_experiment("bad", "given", "experiment: yours\n")
    sound.commit()
    only(check(sound), "experiment", "conf/exp/bad.yaml", "has no 'yours' in conf/for_tool or ", "mine")


def test_duplicates(sound: StashUnderTest) -> None:
    sound.add_experiment("fig/again", "plain", "timeout: 2h\nparams: {say: [hello]}\ndescription: the same\n")
    sound.write("conf/exp/fig/again.yaml", (sound.root / "conf/exp/fig/plain.yaml").read_text() + "tags: [a]\n")
    sound.add_experiment("fig/Tuned", "plain", "params: {say: [bye]}\n")
    sound.commit()
    same, case = sorted(check(sound), key=lambda problem: problem.severity.value, reverse=True)
    only([same], "duplicates", "conf/exp/fig/plain.yaml", "the same as 'fig/again'", severity=Severity.warning)
    only([case], "duplicates", "conf/exp/fig/tuned.yaml", "differs from 'fig/Tuned' in upper and lower case only")


def test_a_name_that_the_command_line_carries_only_in_quotes(sound: StashUnderTest) -> None:
    sound.add_experiment("a,b", "plain", "params: {say: [comma]}\n")
    sound.commit()
    assert check(sound) == []


# --- deep ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_deep_finds_what_only_the_tool_knows(sound: StashUnderTest) -> None:
    assert check(sound, is_deep=True) == []
    sound.add_experiment("typo", "hydra_tool", "experiment: tuned\nparams: {sede: 3}\ndebug: true\n")
    sound.add_experiment("group", "hydra_tool", "params: {model: huge}\n")
    sound.commit()
    assert check(sound) == []
    before = git("status", "--porcelain", "--ignored", cwd=sound.root)
    group, typo = check(sound, is_deep=True)
    only([typo], "deep", "conf/exp/typo.yaml", "hydra_tool can't compose it", "Could not override 'sede'")
    only([group], "deep", "conf/exp/group.yaml", "Could not find 'model/huge'", "large", "small")
    assert "HYDRA_FULL_ERROR" not in typo.what and "Traceback" not in typo.what
    assert git("status", "--porcelain", "--ignored", cwd=sound.root) == before


def test_deep_waits_only_so_long(sound: StashUnderTest) -> None:
    sound.write("tools/hydra_tool/main.py", "import time\ntime.sleep(600)\n")
    (problem,) = [each for each in check(sound, is_deep=True, patience=0.5) if each.check == "deep"]
    assert "no answer within 0.5 s" in problem.what


def test_deep_needs_the_environment(sound: StashUnderTest) -> None:
    sound.add_tool("fresh", "hydra_tool", f"{HYDRA_TOOL}\nenvironment: {{kind: requirements}}\n")
    sound.write("tools/fresh/requirements.txt", "hydra-core\n")
    sound.add_experiment("fresh", "fresh", "experiment: tuned\n")
    sound.commit()
    problems = check(sound, is_deep=True)
    assert {each.check for each in problems} == {"environment", "deep"}
    assert {each.severity for each in problems} == {Severity.warning}


# --- choices and output ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_only_a_tool_or_some_experiments(sound: StashUnderTest) -> None:
    sound.add_experiment("bad", "plain", "parms: {}\n")
    sound.write("conf/tool/broken.yaml", "path: nowhere\nentrypoint: x\n")
    sound.commit()
    assert len(check(sound)) == 2
    assert check(sound, tool="hydra_tool") == []
    assert check(sound, experiments="fig/*") == []
    found = report(sound, tool="plain")
    assert (found.tools, found.experiments, found.errors) == (1, 2, 1)
    with pytest.raises(StashError, match=r"There is no tool 'plian'. Did you mean 'plain'\?"):
        check(sound, tool="plian")
    with pytest.raises(StashError, match="No experiment matches"):
        check(sound, experiments="nothing*")


def test_quick_leaves_out_composing(sound: StashUnderTest) -> None:
    sound.add_experiment("misspelt", "plain", "parms: {}\n")
    sound.add_experiment("toolless", "nope")
    sound.commit()
    only(check(sound, is_quick=True), "organizer", "conf/exp/toolless.yaml", "no tool 'nope'")


@pytest.mark.slow
def test_the_command_line(sound: StashUnderTest) -> None:
    fine = sound.cli("validate")
    assert (fine.returncode, fine.stderr) == (0, "") and fine.stdout.endswith(
        "2 tools and 2 experiments: no problems\n"
    )
    sound.add_experiment("bad", "plain", "parms: {}\n")
    said = sound.cli("validate")
    assert said.returncode == 1
    assert (
        "conf/exp/bad.yaml\n  error: line 4: unknown key 'parms'. Did you mean 'params'?\n    Valid: tool,"
        in said.stdout
    )
    assert "  warning: git doesn't track it yet\n    → git add conf/exp/bad.yaml\n" in said.stdout
    assert said.stdout.endswith("2 tools and 3 experiments: 1 error, 1 warning\n")
    data = json.loads(sound.cli("validate", "--json").stdout)
    assert {(each["check"], each["where"], each["severity"]) for each in data} == {
        ("composition", "conf/exp/bad.yaml", "error"),
        ("git", "conf/exp/bad.yaml", "warning"),
    }
    (sound.root / "conf/exp/bad.yaml").unlink()
    sound.add_experiment("new", "plain", "params: {say: [new]}\n")
    assert sound.cli("validate").returncode == 0  # what is only warned of can run
    assert sound.cli("validate", "--strict").returncode == 1
    (sound.root / "conf/exp/new.yaml").unlink()
    debug = sound.cli("validate", "--debug", "--exp", "fig/*", cwd=sound.root / "conf")
    assert debug.returncode == 0 and "stash: composition  fig/tuned: ok\n" in debug.stderr
    assert sound.cli("validate", "--tool", "nope").returncode == 2


def test_what_is_valid_is_broken_between_words() -> None:
    what = f"unknown key 'x'.\nValid: {', '.join(['estimated_runtime'] * 20)}"
    report = Report((Problem("composition", what, "conf/exp/bad.yaml", line=3),), ("composition",), 1, 1)
    lines = describe(report, Paper(50)).splitlines()
    assert max(map(len, lines)) <= 50 and sum(line.count("estimated_runtime") for line in lines) == 20
    assert f"    Valid: {', '.join(['estimated_runtime'] * 20)}" in describe(report)  # a file has room


@pytest.mark.parametrize(
    ("where", "text", "line"),
    [
        ("conf/exp/m.yaml", "tags: []\nparms: {}\n", 5),
        ("conf/exp/m.yaml", "grace:\n  # a remark\n  second: 3\n", 6),
        ("conf/exp/m.yaml", "debug: false\nwandb:\n  mode: onlin\n", 6),
        ("conf/exp/m.yaml", "params:\n  say: ['${nokey}']\n", 5),
        ("conf/exp/m.yaml", "params:\n  say:\n  - a\n  - ${nokey}\n", 7),
        ("conf/exp/m.yaml", "timeout: 1h\nestimated_runtime: soon\n", 5),
        ("conf/exp/m.yaml", "params: {say: [x]}\n\nexperiment: tuned\n", 6),
        ("conf/exp/m.yaml", "params: {a: [1\n", 5),
        ("conf/exp/m.yaml", "params:\n  sya: [hello]\n", 5),
        ("conf/tool/plain.yaml", "call:\n  style: option\n", 4),
        ("conf/tool/plain.yaml", "environment:\n  kind: none\nentry: 3\n", 5),
        ("conf/tool/plain.yaml", "working_directory: home\n", 3),
    ],
)
def test_the_line_of_a_problem(sound: StashUnderTest, where: str, text: str, line: int) -> None:
    if "exp" in where:
        sound.add_experiment("m", "plain", text)
    else:
        sound.write(where, f"path: tools/plain\nentrypoint: main.py\n{text}")
    problems = [each for each in check(sound) if each.where == where and each.check != "git"]
    assert line in [each.line for each in problems], problems


def test_the_line_that_chooses_a_tool(sound: StashUnderTest) -> None:
    sound.write("conf/exp/m.yaml", "# @package _global_\ndefaults:\n  - _self_\n\n  - override /tool: palin\n")
    problems = [each for each in check(sound) if each.check != "git"]
    assert [each.line for each in problems] == [5], problems


def test_validate_and_run_say_the_same(sound: StashUnderTest) -> None:
    sound.add_experiment("bad", "plain", "grace: {second: 3}\n")
    (problem,) = [each for each in check(sound) if each.check == "composition"]
    said = sound.cli("+exp=bad").stderr
    assert said == f"error: {problem.where}: {problem.what}\n"


def test_it_works_inside_a_larger_repository(sound: StashUnderTest, tmp_path: Path) -> None:
    outer = tmp_path / "paper"
    outer.mkdir()
    shutil.rmtree(sound.root / ".git")
    os.rename(sound.root, outer / "stash")
    git("init", "-q", cwd=outer)
    git("add", "-A", cwd=outer)
    git("commit", "-q", "-m", "all", cwd=outer)
    moved = StashUnderTest(outer / "stash")
    assert check(moved) == []
    moved.add_experiment("new", "plain", "params: {say: [x]}\n")
    only(check(moved), "git", "conf/exp/new.yaml", "git add conf/exp/new.yaml", severity=Severity.warning)
