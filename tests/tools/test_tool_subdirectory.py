"""Tools that are directories of one repository: added, run, frozen, updated, removed and brought back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experimentstash.base.errors import StashError
from experimentstash.stash.layout import Stash
from experimentstash.tools import adding, recovery, removing, restoring, updating
from experimentstash.validate.engine import validate
from tests.code.test_snapshots import FILE_PROTOCOL
from tests.testing.made_once import made_once, same_place
from tests.testing.stash import TOOLS, StashUnderTest, git
from tests.testing.tool_support import (
    as_stash,
    commit,
    differences,
    is_healthy,
    killed_at,
    no_report,
    repository,
    snapshot,
)

MAIN = """
import argparse, json, os, sys
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import common.util

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1)
    parser.parse_args()
    print(f"{NAME} {common.util.WORD}")
"""
INTERPRETER = f"environment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"


@pytest.fixture(autouse=True)
def settings(python_first_on_path: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    yield from same_place(tmp_path)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with two projects that share code."""
    return repository(
        tmp_path / "examples",
        {
            "mnist/main.py": f"NAME = 'mnist'\n{MAIN}",
            "mnist/requirements.txt": "",
            "vae/main.py": f"NAME = 'vae'\n{MAIN}",
            "vae/requirements.txt": "",
            "common/util.py": "WORD = 'first'\n",
            "README.md": "Examples of many things that one can do.\n",
        },
    )


def done(stash: StashUnderTest, *words: str) -> str:
    result = stash.cli(*words)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def refused(stash: StashUnderTest, *words: str) -> str:
    result = stash.cli(*words)
    assert result.returncode == 2 and result.stdout == "", result.stderr + result.stdout
    return result.stderr


def add(stash: StashUnderTest, upstream: Path, name: str, directory: str | None = None, **settings: object) -> None:
    words = {"subdirectory": directory or name, "make_environment": False, "report": no_report, **settings}
    adding.add(as_stash(stash), name, str(upstream), **words)  # type: ignore[arg-type]


@pytest.fixture
def both(stash: StashUnderTest, upstream: Path) -> StashUnderTest:
    """A stash with both projects as tools, in one checkout."""

    def make() -> None:
        add(stash, upstream, "mnist")
        add(stash, upstream, "vae")
        for name in ("mnist", "vae"):
            path = stash.root / "conf" / "tool" / f"{name}.yaml"
            path.write_text(path.read_text() + INTERPRETER)
        stash.commit()

    made_once([stash.root, upstream], make)
    return stash


def whole(stash: StashUnderTest) -> dict[str, bytes | str]:
    return snapshot(stash.root, without=(".git", "backups", "outputs", "multirun"))


# --- adding ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_repository_two_tools(stash: StashUnderTest, upstream: Path) -> None:
    said = done(stash, "tool", "add", "mnist", str(upstream), "--subdirectory", "mnist/")
    assert "directory     tools/mnist/mnist" in said and "requirements (requirements.txt)" in said
    assert "path: tools/mnist/mnist\nentrypoint: main.py\n" in (stash.root / "conf/tool/mnist.yaml").read_text()
    result = stash.cli("tool", "add", "vae", str(upstream), "--subdirectory", "vae")
    assert result.returncode == 0, result.stderr
    assert "tools/mnist is a checkout of it already" in result.stderr and "--separate" in result.stderr
    assert "tools/mnist/vae, in one checkout with mnist" in result.stdout
    assert git("submodule", "status", cwd=stash.root).split()[1::3] == ["tools/mnist"]
    command = next(line for line in result.stdout.splitlines() if "git commit" in line)
    assert ".gitmodules" not in command and "conf/tool/vae.yaml" in command
    assert done(stash, "run", "mnist/example") == "mnist first\n"
    assert done(stash, "run", "vae/example") == "vae first\n"
    for each in stash.run_directories():
        code = stash.record(each)["spec"]["code"]
        assert code["commit"] == git("rev-parse", "HEAD", cwd=upstream).strip()
        assert (code["branch"], code["dirty"]) == ("main", False)
    assert validate(Stash(stash.root)).errors == 0
    shown = json.loads(done(stash, "tool", "show", "vae", "--json"))
    assert (shown["checkout"], shown["shares_with"], shown["url"]) == ("tools/mnist", ["mnist"], str(upstream))
    is_healthy(stash)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["other commit", "other branch", "separate"])
def test_a_checkout_of_its_own(stash: StashUnderTest, upstream: Path, how: str) -> None:
    first = git("rev-parse", "HEAD", cwd=upstream).strip()
    git("branch", "old", cwd=upstream)
    newest = commit(upstream, {"common/util.py": "WORD = 'second'\n"})
    add(stash, upstream, "mnist")
    options = {"other commit": {"commit": first}, "other branch": {"branch": "old"}, "separate": {"is_separate": True}}
    add(stash, upstream, "vae", **options[how])
    assert git("rev-parse", "HEAD", cwd=stash.root / "tools/mnist").strip() == newest
    assert (stash.root / "tools/vae/.git").is_file()
    assert git("rev-parse", "HEAD", cwd=stash.root / "tools/vae").strip() == (newest if how == "separate" else first)
    assert "path: tools/vae/vae\n" in (stash.root / "conf/tool/vae.yaml").read_text()


@pytest.mark.slow
def test_the_same_commit_by_another_name_is_the_same(stash: StashUnderTest, upstream: Path) -> None:
    git("tag", "-a", "v1", "-m", "one", cwd=upstream)
    add(stash, upstream, "mnist")
    for number, options in enumerate(({"branch": "main"}, {"branch": "v1"}, {"commit": "v1"}, {"commit": "HEAD"})):
        add(stash, Path(f"{upstream}/"), f"vae{number}", "vae", **options)
        assert "path: tools/mnist/vae\n" in (stash.root / f"conf/tool/vae{number}.yaml").read_text()


@pytest.mark.parametrize(
    ("subdirectory", "reason"),
    [
        (".", "the repository itself"),
        ("./", "the repository itself"),
        ("", "the repository itself"),
        ("..", "leaves its directory"),
        ("mnist/../vae", "leaves its directory"),
        ("/etc", "is absolute"),
        ("mnist//x", "leaves its directory"),
        (".git/hooks", "reaches into a .git"),
        ("-x", "read as something else"),
        ("a\nb", "control characters"),
        ("minst", "Did you mean 'mnist'?"),
        ("MNIST", "no directory MNIST"),
        ("mnist/main.py", "no directory mnist/main.py"),
        ("link", "no directory link"),
        ("untracked", "no directory untracked"),
        ("inner", "is a submodule of that repository"),
        ("twin", "on some machines they are one"),
    ],
)
@pytest.mark.parametrize("is_second", [False, True], ids=["new", "in a checkout"])
def test_a_subdirectory_that_is_none(
    stash: StashUnderTest, upstream: Path, tmp_path: Path, subdirectory: str, reason: str, is_second: bool
) -> None:

    def make() -> None:
        inner = repository(tmp_path / "inner", {"part.py": ""})
        git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "inner", cwd=upstream)
        git("config", "-f", ".gitmodules", "submodule.inner.url", "https://localhost/x.git", cwd=upstream)
        (upstream / "link").symlink_to("mnist")
        commit(upstream, {"twin/main.py": MAIN, "Twin/main.py": MAIN})
        if is_second:
            git("update-index", "--force-remove", "inner", cwd=upstream)
            git("rm", "-q", "--cached", ".gitmodules", cwd=upstream)
            git("commit", "-q", "-m", "without", cwd=upstream)
            add(stash, upstream, "mnist")
            (stash.root / "tools/mnist/untracked").mkdir()

    if is_second and subdirectory == "inner":
        pytest.skip("its submodules are cloned as well")
    made_once([stash.root, upstream, tmp_path / "inner"], make, is_second)
    before = snapshot(stash.root)
    with pytest.raises(StashError) as caught:
        adding.add(as_stash(stash), "other", str(upstream), subdirectory=subdirectory, report=no_report)
    assert reason in str(caught.value)
    assert differences(snapshot(stash.root), before) == []


@pytest.mark.slow
def test_a_checkout_that_is_not_there_is_not_used(both: StashUnderTest, upstream: Path) -> None:
    git("submodule", "deinit", "-q", "-f", "tools/mnist", cwd=both.root)
    said = refused(both, "tool", "add", "third", str(upstream), "--subdirectory", "vae")
    assert "not checked out" in said and "git submodule update --init --recursive tools/mnist" in said


@pytest.mark.slow
def test_a_place_that_another_tool_lies_in_is_no_leftover(both: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    removing.remove(as_stash(both), "mnist", report=no_report)
    other = repository(tmp_path / "other", {"main.py": "print('other')\n"})
    before = whole(both)
    with pytest.raises(StashError, match="vae lies in it"):
        adding.add(as_stash(both), "mnist", str(other), make_environment=False, report=no_report)
    assert differences(whole(both), before) == []
    add(both, upstream, "mnist")  # in the checkout that is there
    assert "path: tools/mnist/mnist\n" in (both.root / "conf/tool/mnist.yaml").read_text()


def test_names_that_differ_in_case_only(stash: StashUnderTest, upstream: Path) -> None:
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(upstream), "tools/MNIST", cwd=stash.root)
    stash.commit()
    with pytest.raises(StashError, match="upper and lower case only"):
        add(stash, upstream, "mnist", is_separate=True)


@pytest.mark.slow
def test_its_environment(stash: StashUnderTest, upstream: Path) -> None:
    project = '[project]\nname = "all"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["six"]\n'
    show = "import importlib.metadata as m\n\nif __name__ == '__main__':\n"
    show += "    print(sorted(d.name for d in m.distributions()))\n"
    commit(
        upstream,
        {
            "pyproject.toml": project,
            "own/main.py": show,
            "own/requirements.txt": "iniconfig\n",
            "deep/down/main.py": show,
            "block/main.py": '# /// script\n# dependencies = ["iniconfig"]\n# ///\n' + show,
        },
    )
    for name, directory, names, file in (
        ("own", "own", "['iniconfig']\n", None),
        ("down", "deep/down", "['six']\n", "file: ../../pyproject.toml"),
        ("block", "block", "['iniconfig']\n", None),
    ):
        said = done(stash, "tool", "add", name, str(upstream), "--subdirectory", directory)
        assert ("../../pyproject.toml" in said) is (file is not None)
        text = (stash.root / f"conf/tool/{name}.yaml").read_text()
        assert (file in text) if file else ("environment" not in text)
        assert done(stash, "run", f"{name}/example") == names
        assert done(stash, "run", f"{name}/example", "code=frozen") == names


@pytest.mark.slow
def test_a_hydra_tool_in_a_subdirectory(stash: StashUnderTest, tmp_path: Path) -> None:
    upstream = repository(tmp_path / "mono", {"README.md": "x\n"})
    shutil.copytree(TOOLS / "hydra_tool", upstream / "projects" / "hydra")
    commit(upstream, {"projects/hydra/requirements.txt": "hydra-core\n"})
    add(stash, upstream, "hydra", "projects/hydra")
    text = (stash.root / "conf/tool/hydra.yaml").read_text()
    assert "style: hydra" in text and "configs: configs\n" in text and "path: tools/hydra/projects/hydra\n" in text
    (stash.root / "conf/tool/hydra.yaml").write_text(text + INTERPRETER)
    done(stash, "run", as_stash(stash).experiments()[0])


# --- running ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_frozen_code_holds_what_lies_beside_it(both: StashUnderTest) -> None:
    util = both.root / "tools/mnist/common/util.py"
    util.write_text("WORD = 'changed'\n")
    (both.root / "tools/mnist/new.py").write_text("")
    changed = (f"+{util.read_text().strip()}", "+++ b/new.py")
    for number, code in enumerate(("live", "frozen")):
        assert done(both, "run", "vae/example", f"code={code}", "tool.commit=null") == "vae changed\n"
        run = both.run_directories()[number]
        record = both.record(run)["spec"]["code"]
        assert (record["dirty"], record["patch"], record["branch"]) == (True, "tool.patch", "main")
        assert record["commit"] == git("rev-parse", "HEAD", cwd=both.root / "tools/mnist").strip()
        assert Path(record["path"]).parts[-1] == "vae" and Path(record["path"]).is_dir()
        patch = (run / "tool.patch").read_text()
        assert changed[0] in patch and (code == "frozen" or "new.py" in patch)
    assert done(both, "run", "vae/example", "code=frozen") == "vae first\n"


@pytest.mark.slow
def test_what_is_shared_beside_it_and_collected(both: StashUnderTest, upstream: Path) -> None:
    tool = both.root / "tools/mnist"
    git("config", "user.name", "x", cwd=tool)
    main = "import os\nprint(open('../data/x').read())\n"
    main += "os.makedirs('made', exist_ok=True)\nopen('made/y', 'w').write('y')\n"
    commit(tool, {".gitignore": "data/\nmade/\n", "vae/main.py": main})
    (tool / "data").mkdir()
    (tool / "data" / "x").write_text("data")
    path = both.root / "conf" / "tool" / "vae.yaml"
    lacking = both.cli("run", "vae/example", "code=frozen", "tool.commit=HEAD")
    assert lacking.returncode == 1 and "shared: [../data" in lacking.stderr
    path.write_text(path.read_text() + "shared: [../data]\ncollect: [made]\n")
    for code in ("live", "frozen"):
        assert done(both, "run", "vae/example", f"code={code}", "tool.commit=HEAD") == "data\n"
        (kept,) = both.run_directories()[-1].rglob("made/y")  # which keeps its folder
        assert kept.read_text() == "y"
        assert not (tool / "vae" / "made" / "y").exists()
    path.write_text(path.read_text().replace("[../data]", "[../../plain]"))
    assert "nor beside it in its repository" in refused(both, "run", "vae/example", "code=frozen", "tool.commit=HEAD")


@pytest.mark.parametrize("code", ["auto", "frozen"])
def test_parallel_runs_that_write_beside_and_below(both: StashUnderTest, code: str) -> None:
    tool = both.root / "tools/mnist"
    main = "import sys, os\nsys.path.append('..')\nimport common.util\nname = sys.argv[2]\n"
    main += "os.makedirs('made', exist_ok=True)\nopen('made/' + name, 'w').write(common.util.WORD)\n"
    commit(tool, {".gitignore": "made/\n", "vae/main.py": main})
    path = both.root / "conf" / "tool" / "vae.yaml"
    path.write_text(path.read_text().replace("entrypoint", "collect: [made]\nentrypoint"))
    words = ("-m", "+exp=vae/example", "tool.commit=HEAD", f"code={code}", "hydra/launcher=local")
    done(both, *words, "+params.name=a,b", "hydra.launcher.n_jobs=2")
    for each in both.run_directories():
        (name,) = (word.partition("=")[2] for word in both.record(each)["spec"]["overrides"] if "params.name" in word)
        assert [path.name for path in each.rglob("*") if path.name in ("a", "b")] == [name]
        assert next(each.rglob(name)).read_text() == "first"
    assert not list(tool.rglob("made/*"))
    assert git("status", "--porcelain", cwd=tool) == ""


@pytest.mark.slow
def test_a_subdirectory_that_only_the_commit_has(both: StashUnderTest) -> None:
    tool = both.root / "tools/mnist"
    old = git("rev-parse", "HEAD", cwd=tool).strip()
    git("rm", "-r", "-q", "vae", cwd=tool)
    git("commit", "-q", "-m", "without", cwd=tool)
    assert done(both, "run", "vae/example", "code=frozen", f"tool.commit={old}") == "vae first\n"
    assert "has no directory vae" in refused(both, "run", "vae/example", "code=frozen", "tool.commit=HEAD")
    assert "does not exist" in refused(both, "run", "vae/example", "tool.commit=HEAD")


@pytest.mark.slow
def test_an_uninitialised_submodule_is_named_not_the_tool(both: StashUnderTest) -> None:
    git("submodule", "deinit", "-q", "-f", "tools/mnist", cwd=both.root)
    hint = "git submodule update --init --recursive tools/mnist\n"
    assert hint in refused(both, "run", "vae/example")
    found = validate(Stash(both.root)).problems
    assert {each.hint for each in found if each.severity.value == "error"} == {hint.strip()}
    assert hint.strip() in json.loads(done(both, "tool", "show", "vae", "--json"))["problem"]
    for words in (("sync", "vae"), ("update", "vae")):
        assert hint.strip() in both.cli("tool", *words).stderr
    # Files that somebody has put there are in no repository, though git says nothing of them.
    both.write("tools/mnist/vae/main.py", "print('whose?')\n")
    assert hint in refused(both, "run", "vae/example")
    assert hint in refused(both, "run", "vae/example", "code=frozen")


@pytest.mark.slow
def test_a_submodule_of_the_submodule(stash: StashUnderTest, upstream: Path, tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", {"tool/main.py": "print('inner')\n", "part.py": ""})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(inner), "third/inner", cwd=upstream)
    commit(upstream, {"vae/main.py": "import sys\nsys.path.append('../third')\nimport inner.part\nprint('vae')\n"})
    git(*FILE_PROTOCOL, "submodule", "add", "-q", str(upstream), "tools/all", cwd=stash.root)
    stash.write("conf/tool/vae.yaml", f"path: tools/all/vae\nentrypoint: main.py\n{INTERPRETER}")
    stash.write("conf/tool/deep.yaml", f"path: tools/all/third/inner/tool\nentrypoint: main.py\n{INTERPRETER}")
    for name in ("vae", "deep"):
        stash.add_experiment(name, name)
    stash.commit()
    assert "git -C tools/all submodule update --init --recursive third/inner" in refused(stash, "run", "deep")
    git(*FILE_PROTOCOL, "submodule", "update", "-q", "--init", "--recursive", cwd=stash.root)
    for code in ("live", "frozen"):
        assert done(stash, "run", "vae", f"code={code}") == "vae\n"
        assert done(stash, "run", "deep", f"code={code}", "tool.commit=HEAD") == "inner\n"
    commits = [stash.record(each)["spec"]["code"]["commit"] for each in stash.run_directories()]
    assert commits == 2 * [git("rev-parse", "HEAD", cwd=each).strip() for each in (upstream, inner)]
    assert "lies in a submodule of tools/all" in refused(stash, "tool", "update", "deep")
    (stash.root / "tools/all/third/inner/part.py").write_text("mine\n")
    done(stash, "tool", "remove", "deep", "--yes")
    assert "third/inner" in refused(stash, "tool", "remove", "vae", "--yes")
    git("checkout", "-q", "part.py", cwd=stash.root / "tools/all/third/inner")
    done(stash, "tool", "remove", "vae", "--yes")
    assert not (stash.root / "tools/all").exists() and not (stash.root / ".git/modules").exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["out", "other repository"])
def test_a_path_that_a_link_leads_elsewhere(both: StashUnderTest, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "main.py").write_text("print('outside')\n")
    both.write("lib/main.py", "print('lib')\n")
    (both.root / "tools/mnist/link").symlink_to(outside if where == "out" else "../../lib")
    both.write("conf/tool/bad.yaml", f"path: tools/mnist/link\nentrypoint: main.py\n{INTERPRETER}")
    both.add_experiment("bad", "bad")
    both.commit()
    assert "symbolic link" in refused(both, "run", "bad") and "symbolic link" in refused(
        both, "run", "bad", "code=frozen"
    )
    assert any("symbolic link" in each.what for each in validate(Stash(both.root)).problems)
    before = whole(both)
    with pytest.raises(StashError):
        removing.remove(as_stash(both), "bad", force=True, report=no_report)
    assert differences(whole(both), before) == []


def test_a_path_that_goes_up_again(both: StashUnderTest) -> None:
    path = both.root / "conf" / "tool" / "vae.yaml"
    path.write_text(path.read_text().replace("tools/mnist/vae", "tools/mnist/mnist/../vae"))
    assert "path: tools/mnist/vae" in refused(both, "run", "vae/example")


def test_a_tool_inside_another_one_of_the_stash_itself(stash: StashUnderTest) -> None:
    stash.add_tool("outer", "plain", "entrypoint: main.py")
    inner = stash.root / "tools" / "outer" / "inner"
    shutil.copytree(stash.root / "tools" / "outer", inner)
    stash.write("conf/tool/inner.yaml", f"path: tools/outer/inner\nentrypoint: main.py\n{INTERPRETER}")
    stash.commit()
    (problem,) = validate(Stash(stash.root)).problems
    assert problem.where == "conf/tool/inner.yaml" and "inside the tool 'outer'" in problem.what


# --- removing and restoring ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_checkout_goes_with_the_last_tool(both: StashUnderTest) -> None:
    before, index = whole(both), git("ls-files", "--stage", cwd=both.root)
    checkout = both.root / "tools/mnist"
    (checkout / "common/util.py").write_text("WORD = 'mine'\n")
    changed = whole(both)
    said = done(both, "tool", "remove", "mnist", "--yes")  # nothing of the checkout is touched
    assert "the checkout tools/mnist stays: vae lies in it too" in said and ".gitmodules" not in said
    gone = ["(index)", "conf/exp/mnist/example.yaml", "conf/tool/mnist.yaml"]
    assert differences(whole(both), changed) == gone
    assert done(both, "run", "vae/example", "tool.commit=null") == "vae mine\n"
    refusal = refused(both, "tool", "remove", "vae", "--yes")
    assert "common/util.py" in refusal and checkout.is_dir()
    git("checkout", "-q", "common/util.py", cwd=checkout)
    commit(checkout, {"mnist/more.py": ""}, "only here")
    assert "unpushed" in refused(both, "tool", "remove", "vae", "--yes")
    git("reset", "-q", "--hard", "HEAD~1", cwd=checkout)
    git("reflog", "expire", "--expire=now", "--all", cwd=checkout)
    done(both, "tool", "remove", "vae", "--yes")
    assert not checkout.exists() and not (both.root / ".git/modules").exists()
    assert "tools/mnist, in which 'mnist' lies, is no longer there" in refused(both, "tool", "restore", "mnist")
    for name in ("vae", "mnist"):
        done(both, "tool", "restore", name)
    assert differences(whole(both), before) == []
    assert git("ls-files", "--stage", cwd=both.root) == index
    is_healthy(both)
    assert done(both, "run", "mnist/example") == "mnist first\n"


def test_two_registrations_of_one_directory(both: StashUnderTest) -> None:
    both.write("conf/tool/again.yaml", (both.root / "conf/tool/vae.yaml").read_text())
    both.commit()
    before = whole(both)
    for name in ("again", "mnist"):
        removing.remove(as_stash(both), name, report=no_report)
    assert (both.root / "tools/mnist/vae/main.py").exists()
    for name in ("again", "mnist"):
        restoring.restore(as_stash(both), name, report=no_report)
    assert differences(whole(both), before) == []


@pytest.mark.slow
def test_a_repository_that_is_no_submodule(stash: StashUnderTest, upstream: Path) -> None:
    git("clone", "-q", str(upstream), "tools/clone", cwd=stash.root)
    for name in ("mnist", "vae"):
        stash.write(f"conf/tool/{name}.yaml", f"path: tools/clone/{name}\nentrypoint: main.py\n{INTERPRETER}")
        stash.add_experiment(name, name)
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n/tools/clone/\n")
    stash.commit()
    for code in ("live", "frozen"):
        assert done(stash, "run", "vae", f"code={code}", "tool.commit=main") == "vae first\n"
    before = whole(stash)
    done(stash, "tool", "remove", "mnist", "--yes")
    (stash.root / "tools/clone/mnist/x").write_text("mine\n")
    assert "untracked" in refused(stash, "tool", "remove", "vae", "--yes")
    (stash.root / "tools/clone/mnist/x").unlink()
    done(stash, "tool", "remove", "vae", "--yes")
    assert not (stash.root / "tools/clone").exists()
    assert differences(whole(stash), before) != []


def test_a_tool_that_a_link_leads_into_the_checkout_keeps_it(both: StashUnderTest) -> None:
    (both.root / "tools" / "link").symlink_to("mnist")
    both.write("conf/tool/vae.yaml", f"path: tools/link/vae\nentrypoint: main.py\n{INTERPRETER}")
    both.commit()
    assert done(both, "run", "vae/example", "code=frozen") == "vae first\n"
    removed = removing.remove(as_stash(both), "mnist", report=no_report)
    assert removed is not None and removed.removal.others == ("vae",)
    assert done(both, "run", "vae/example") == "vae first\n"
    with pytest.raises(StashError, match="a link leads there"):
        removing.remove(as_stash(both), "vae", report=no_report)


def test_a_registration_that_is_broken_keeps_its_checkout(both: StashUnderTest) -> None:
    both.write("conf/tool/vae.yaml", "path: tools/mnist/vae\nentrypoint: [\n")
    removing.remove(as_stash(both), "mnist", report=no_report)
    assert (both.root / "tools/mnist/vae/main.py").exists()


# --- updating --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_update_moves_all_or_none(both: StashUnderTest, upstream: Path) -> None:
    before = whole(both)
    old = git("rev-parse", "HEAD", cwd=upstream).strip()
    newest = commit(upstream, {"common/util.py": "WORD = 'second'\n"})
    refusal = refused(both, "tool", "update", "vae")
    assert "mnist lies in the same checkout" in refusal and "--all-in-checkout" in refusal
    assert differences(whole(both), before) == []
    said = done(both, "tool", "update", "vae", "--all-in-checkout")
    assert "moved with it: mnist" in said and "conf/tool/mnist.yaml" in said
    for name in ("mnist", "vae"):
        assert f"commit: {newest}\n" in (both.root / f"conf/tool/{name}.yaml").read_text()
        assert done(both, "run", f"{name}/example") == f"{name} second\n"
    path = both.root / "conf/tool/mnist.yaml"
    path.write_text(path.read_text().replace(newest, old))
    latest = commit(upstream, {"common/util.py": "WORD = 'third'\n"})
    result = both.cli("tool", "update", "vae", "--all-in-checkout")
    assert result.returncode == 0 and "conf/tool/mnist.yaml names another commit" in result.stderr
    assert f"commit: {old}\n" in path.read_text()
    assert latest in (both.root / "conf/tool/vae.yaml").read_text()
    assert "up to date" in both.cli("tool", "update", "vae").stderr


@pytest.mark.slow
def test_an_update_to_a_commit_without_a_tools_directory(both: StashUnderTest, upstream: Path) -> None:
    before = whole(both)
    git("rm", "-r", "-q", "mnist", cwd=upstream)
    commit(upstream, {})
    for name in ("vae", "mnist"):
        with pytest.raises(StashError, match="no directory mnist"):
            updating.update(as_stash(both), name, is_for_all=True, report=no_report)
    assert differences(whole(both), before) == []
    is_healthy(both)


# --- killed ----------------------------------------------------------------------------------------------------------


def in_checkout(stash: StashUnderTest, upstream: Path) -> None:
    add(stash, upstream, "third", "vae")


def new(stash: StashUnderTest, upstream: Path) -> None:
    add(stash, upstream, "third", "vae", is_separate=True)


def registration_alone(stash: StashUnderTest, upstream: Path) -> None:
    removing.remove(as_stash(stash), "vae", report=no_report)


def update_of_all(stash: StashUnderTest, upstream: Path) -> None:
    updating.update(as_stash(stash), "vae", to="new", is_for_all=True, report=no_report)


@pytest.mark.slow
@pytest.mark.parametrize("act", [registration_alone, in_checkout, new, update_of_all])
@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_killed_at_any_moment(
    both: StashUnderTest,
    upstream: Path,
    tmp_path: Path,
    act: Callable[[StashUnderTest, Path], None],
    is_short: bool,
) -> None:
    git("checkout", "-q", "-b", "new", cwd=upstream)
    commit(upstream, {"common/util.py": "WORD = 'second'\n", "vae/more": "x\n"})
    git("checkout", "-q", "main", cwd=upstream)
    pristine = tmp_path / "pristine"
    shutil.copytree(both.root, pristine, symlinks=True)

    def reset() -> None:
        shutil.rmtree(both.root)
        shutil.copytree(pristine, both.root, symlinks=True)

    def seen() -> dict[str, bytes | str]:
        return snapshot(both.root, without=(".git", "backups"))

    reset()
    before = seen()
    total = killed_at(0, lambda: act(both, upstream))
    assert total is not None
    after, outcomes = seen(), set()
    step = 11 if is_short else 1
    for number in sorted({*range(1, total + 1, step), total - 1, total}):
        reset()
        assert killed_at(number, lambda: act(both, upstream)) is None
        recovery.put_in_order(as_stash(both), no_report)
        is_healthy(both)
        now = seen()
        outcome = "all" if differences(now, after) == [] else "nothing"
        outcomes.add(outcome)
        assert differences(now, after if outcome == "all" else before) == []
    assert outcomes == {"all", "nothing"}
