"""What SLURM runs is what was submitted: the tool's code and configs included, whatever is edited afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.code.test_snapshots import FILE_PROTOCOL
from tests.slurm.test_launcher import slurm, submit
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import commit, repository

HOLD = "+resources.extra.hold=true"
MAIN = """\
import json, os, sys
import package.part, inner.deep
result = {{"main": {0!r}, "part": package.part.VALUE, "deep": inner.deep.VALUE, "argv": sys.argv, "cwd": os.getcwd()}}
result["data"] = open("data/values").read()
for option in ("--config-dir",):
    if option in sys.argv:
        folder = sys.argv[sys.argv.index(option) + 1]
        result["config"] = open(os.path.join(folder, "experiment.yaml")).read()
with open(os.path.join(os.environ["EXPERIMENTSTASH_RUN_DIR"], "result.json"), "w") as stream:
    json.dump(result, stream)
"""


def files(word: str) -> dict[str, str]:
    return {"package/main.py": MAIN.format(word), "package/part.py": f"VALUE = {word!r}\n"}


@pytest.fixture
def sub(stash: StashUnderTest, tmp_path: Path) -> StashUnderTest:
    """A stash with a submodule that has two branches and a submodule, data of its own, and configs in the stash."""
    inner = repository(tmp_path / "inner", {"deep.py": "VALUE = 'submitted'\n"})
    upstream = repository(tmp_path / "upstream", {**files("submitted"), ".gitignore": "data/\n"})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "inner", cwd=upstream)
    commit(upstream, {})
    git("checkout", "-qb", "other", cwd=upstream)
    commit(upstream, files("of another branch"))
    git("checkout", "-q", "main", cwd=upstream)
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(upstream), "tools/sub", cwd=stash.root)
    git(*FILE_PROTOCOL, "submodule", "update", "-q", "--init", "--recursive", cwd=stash.root)
    git("fetch", "-q", "origin", "other:other", cwd=stash.root / "tools" / "sub")
    stash.write("tools/sub/data/values", "shared")
    stash.add_tool(
        "sub",
        None,
        "entrypoint: -m package.main\nshared: [data]\ncall: {style: hydra, config_dir: conf/inner}\n",
    )
    stash.write("conf/inner/experiment.yaml", "value: submitted\n")
    stash.add_experiment("one", "sub", "experiment: experiment\nparams: {x: 1}\n")
    stash.commit()
    return stash


def edit_everything(stash: StashUnderTest) -> None:
    tool = stash.root / "tools" / "sub"
    git("checkout", "-qf", "other", cwd=tool)
    stash.write("tools/sub/package/part.py", "VALUE = 'edited'\n")
    stash.write("tools/sub/inner/deep.py", "VALUE = 'edited'\n")
    stash.write("conf/inner/experiment.yaml", "value: edited\n")
    stash.write("conf/exp/one.yaml", "this: [is no longer YAML")
    stash.write("conf/tool/sub.yaml", "path: elsewhere\nentrypoint: nothing.py\n")


def test_what_runs_is_what_was_submitted(sub: StashUnderTest) -> None:
    part = sub.write("tools/sub/package/part.py", "VALUE = 'submitted, not committed'\n")
    sub.write("tools/sub/inner/deep.py", "VALUE = 'likewise'\n")
    sweep = submit(sub, "+exp=one", "params.x=1,2,3", HOLD)
    assert sweep.done.stderr.count("Freezing the code of 'sub'") == 1
    edit_everything(sub)
    slurm("scontrol", "release", sweep.jobs[0])
    runs = sweep.ended()
    assert [one["attempt"]["state"] for one in runs] == ["completed"] * 3
    for one in runs:
        seen = json.loads((Path(one["directory"]) / "result.json").read_text())
        assert (seen["main"], seen["part"]) == ("submitted", "submitted, not committed")
        assert (seen["deep"], seen["config"], seen["data"]) == ("likewise", "value: submitted\n", "shared")
        assert seen["cwd"] == one["spec"]["code"]["path"] != str(sub.root / "tools" / "sub")
        assert one["spec"]["code"] == runs[0]["spec"]["code"]
        patch = (Path(one["directory"]) / "tool.patch").read_text()
        assert "+VALUE = 'submitted, not committed'" in patch and "+++ b/inner/deep.py" in patch
    assert part.read_text() == "VALUE = 'edited'\n"


def test_live_code_sees_the_edit(sub: StashUnderTest) -> None:
    sweep = submit(sub, "+exp=one", "code=live", HOLD)
    edit_everything(sub)
    slurm("scontrol", "release", sweep.jobs[0])
    (one,) = sweep.ended()
    assert one["attempt"]["state"] == "completed"
    seen = json.loads((sweep.directory / "0" / "result.json").read_text())
    assert (seen["main"], seen["part"], seen["deep"]) == ("of another branch", "edited", "edited")
    assert seen["config"] == "value: edited\n" and one["spec"]["code"]["snapshot"] is None


def test_a_commit_that_is_asked_for_is_what_runs(sub: StashUnderTest) -> None:
    tool = sub.root / "tools" / "sub"
    commits = {name: git("rev-parse", name, cwd=tool).strip() for name in ("main", "other")}
    sub.write("tools/sub/package/part.py", "VALUE = 'not committed'\n")
    sweep = submit(sub, "+exp=one", "tool.commit=main,other", HOLD)
    assert "package/part.py" in sweep.done.stderr
    edit_everything(sub)
    slurm("scontrol", "release", sweep.jobs[0])
    runs = {one["spec"]["code"]["pin"]: one for one in sweep.ended()}
    for name, words in (("main", "submitted"), ("other", "of another branch")):
        seen = json.loads((Path(runs[name]["directory"]) / "result.json").read_text())
        assert (seen["main"], seen["part"], seen["deep"]) == (words, words, "submitted")
        assert runs[name]["spec"]["code"]["commit"] == commits[name] and runs[name]["spec"]["code"]["dirty"] is False


def test_a_pinned_run_of_live_code_does_not_start_in_another_checkout(sub: StashUnderTest) -> None:
    sweep = submit(sub, "+exp=one", "code=live", "tool.commit=main", HOLD)
    git("checkout", "-q", "other", cwd=sub.root / "tools" / "sub")
    slurm("scontrol", "release", sweep.jobs[0])
    (one,) = sweep.ended()
    assert one["attempt"]["state"] == "failed" and "since this run was submitted" in one["attempt"]["reason"]
    assert not (sweep.directory / "0" / "result.json").exists()


def test_an_environment_of_its_own_and_an_edited_package(
    stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool in the stash's own repository, a package that is installed into its environment in editable mode."""
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    stash.add_tool("own", None, "entrypoint: scripts/run.py\nenvironment: {kind: auto}")
    stash.write(
        "tools/own/pyproject.toml",
        f'[project]\nname = "own"\nversion = "1"\nrequires-python = ">={sys.version_info[0]}.{sys.version_info[1]}"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
    )
    stash.write("tools/own/src/own/__init__.py", "VALUE = 'submitted'\n")
    stash.write("tools/own/scripts/run.py", "import own\nprint(own.VALUE, own.__file__)\n")
    stash.add_experiment("one", "own")
    stash.commit()
    first = submit(stash, "+exp=one", HOLD)
    stash.write("tools/own/src/own/__init__.py", "VALUE = 'edited'\n")
    second = submit(stash, "+exp=one", HOLD)
    places = stash.root / ".experimentstash" / "code" / "own"
    assert len(list(places.iterdir())) == 2  # the queued run needs the first
    stash.write("tools/own/src/own/__init__.py", "VALUE = 'edited once more'\n")
    for sweep, expected in ((first, "submitted"), (second, "edited")):
        slurm("scontrol", "release", sweep.jobs[0])
        (one,) = sweep.ended()
        said = (sweep.directory / "0" / "output.log").read_text()
        assert said.startswith(f"{expected} {one['spec']['code']['path']}/src/own/"), said
    # Both have ended, and the next submission finds the two of no use.
    third = submit(stash, "+exp=one", "hydra.launcher.wait=true")
    assert [path.name for path in places.iterdir()] == [
        Path(third.records()[0]["spec"]["code"]["path"]).parents[2].name
    ]
    assert git("worktree", "list", cwd=stash.root).count("\n") == 2


def test_a_queued_run_keeps_its_tool(sub: StashUnderTest) -> None:
    sweep = submit(sub, "+exp=one", "params.x=1,2", HOLD)
    refused = sub.cli("tool", "remove", "sub", "--yes")
    assert refused.returncode == 2 and "2 runs need it" in refused.stderr and "experimentstash cancel" in refused.stderr
    assert sub.cli("cancel", "--all").returncode == 0
    assert [one["attempt"]["state"] for one in sweep.records()] == ["cancelled"] * 2
    removed = sub.cli("tool", "remove", "sub", "--yes", "--force")
    assert removed.returncode == 0, removed.stderr
    assert not (sub.root / ".experimentstash" / "code" / "sub").exists()
    assert not (sub.root / ".git" / "modules" / "tools" / "sub").exists()


def test_without_git_it_is_used_live_and_that_is_said_once(stash: StashUnderTest) -> None:
    stash.write(".gitignore", "/tools/\n/outputs/\n/multirun/\n/.experimentstash/\n")
    stash.add_tool("plain", "plain", "entrypoint: main.py\ncall: {output: --out}")
    stash.add_experiment("one", "plain")
    sweep = submit(stash, "+exp=one", "+params.fail=0,0")
    assert sweep.done.stderr.count("its code is used live") == 1
    assert [one["spec"]["code"]["snapshot"] for one in sweep.ended()] == [None, None]
