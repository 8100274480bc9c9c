"""When two runs are the same: what counts, what doesn't, and where that can't be known."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.python.inventory import Inventory, user_base
from experimentstash.base.dataclass_light import replace
from experimentstash.code.provenance import Checkouts
from experimentstash.execute import installed
from experimentstash.freeze import inputs
from experimentstash.freeze.environment import store
from experimentstash.freeze.freeze import identify
from experimentstash.freeze.inputs import Inputs
from experimentstash.freeze.plan import Request, plan
from experimentstash.freeze.signature import Signer
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallConfig, CallStyle, EnvironmentConfig, EnvironmentKind, StashConfig
from experimentstash.stash.schema import ToolConfig as Tool
from tests.testing.foreign import install, install_editable, make_venv
from tests.testing.stash import StashUnderTest, git
from tests.testing.tool_support import commit, repository

NONE = EnvironmentConfig(kind=EnvironmentKind.none)


@pytest.fixture
def tool(stash: StashUnderTest) -> Path:
    """A tool with a repository of its own, of which the stash's knows nothing."""
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n/tools/\n")
    stash.write("tools/t/go", "#!/bin/sh\n").chmod(0o755)
    stash.commit()
    return repository(stash.root / "tools/t")


def signed(stash: StashUnderTest, tool: dict[str, Any] | None = None, **changes: Any) -> tuple[str | None, str | None]:
    """Return the signature of a run, and why it has none. Nothing of it is written."""
    request = {name: changes.pop(name) for name in list(changes) if name in Request.__annotations__}
    settings = Tool(**{"path": "tools/t", "entrypoint": "./go", "environment": NONE, **(tool or {})})
    asked = Request(
        stash=Stash(stash.root),
        config=StashConfig(tool=settings, **{"params": {"lr": 0.1}, **changes}),
        tool="t",
        organizer="fig/x",
        overrides=["+exp=fig/x"],
        directory=stash.root / "outputs" / "2026-01-31" / "12-00-00-abcdefg",
        id="abcdefg",
    )
    run = identify(plan(replace(asked, **request)), print, Checkouts(), Signer()).run
    assert (run.spec.signature is None) is (run.spec.unsigned is not None)
    return run.spec.signature, run.spec.unsigned


@pytest.mark.usefixtures("tool")
def test_what_a_run_is_called_and_where_it_is_makes_no_difference(stash: StashUnderTest) -> None:
    usual = signed(stash, params={"lr": 0.1, "out": str(stash.root / "outputs/2026-01-31/12-00-00-abcdefg/x")})
    assert usual[0] is not None and usual[0].startswith("sha256:")
    elsewhere = stash.root / "multirun/2026-02-01/13-00-00-hjkmnpq/7"
    assert usual == signed(
        stash,
        params={"lr": 0.1, "out": str(elsewhere / "x")},
        directory=elsewhere,
        id="hjkmnpq-7",
        sweep=elsewhere.parent,
        number=7,
        organizer="fig/other",
        description="another",
        tags=["b"],
        timeout="1h",
        estimated_runtime="2h",
        overrides=["+exp=fig/other"],
    )


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"lr": 0.2}},
        {"params": {"lr": 0.1, "seed": 1}},
        {"arguments": ["--fast"]},
        {"tool": {"entrypoint": "./go --fast"}},
        {"tool": {"env": {"MODE": "fast"}}},
        {"tool": {"env": {"MODE": None}}},
        {"tool": {"working_directory": "run"}},
        {"tool": {"call": CallConfig(style=CallStyle.file)}},
    ],
)
def test_what_its_results_come_from_counts(stash: StashUnderTest, changes: dict[str, Any]) -> None:
    first, other = signed(stash), signed(stash, **changes)
    assert first[0] is not None and other[0] is not None and first != other


def test_its_code_counts(stash: StashUnderTest, tool: Path) -> None:
    committed = signed(stash)
    (tool / "go").write_text("#!/bin/sh\ntrue\n")
    changed = signed(stash)
    (tool / "go").write_text("#!/bin/sh\n:\n")
    other = signed(stash)
    (tool / "new.py").write_text("")
    with_new = signed(stash)
    commit(tool, {})
    found = [committed, changed, other, with_new, signed(stash)]
    assert all(digest for digest, _ in found) and len({*found}) == 5
    git("reset", "-q", "--hard", "HEAD~1", cwd=tool)
    assert signed(stash) == committed


def test_what_the_stash_says_of_others_does_not(stash: StashUnderTest, tool: Path) -> None:
    first = signed(stash)
    stash.write("conf/exp/new.yaml", "# @package _global_\n")
    stash.write("notes.md", "")
    assert signed(stash) == first
    stash.commit()
    assert signed(stash) == first


def test_of_a_tool_in_the_stash_all_counts_but_the_configs(stash: StashUnderTest) -> None:
    stash.write("tools/t/go", "#!/bin/sh\n").chmod(0o755)
    stash.write("lib/shared.py", "")
    stash.write("conf/exp/one.yaml", "a: 1\n")
    stash.commit()
    first = signed(stash)
    assert first[0] is not None
    stash.write("conf/exp/one.yaml", "a: 2\n")
    stash.write("conf/exp/two.yaml", "a: 2\n")
    assert signed(stash) == first
    stash.commit()
    assert signed(stash) == first
    stash.write("lib/shared.py", "x = 1\n")  # which the tool may import
    changed = signed(stash)
    stash.commit()
    assert len({first, changed, signed(stash)}) == 3 and changed[0] is not None


def make_large(tool: Path) -> str:
    (tool / "data.bin").write_bytes(b"0" * 1_200_000)
    return "its code has changes that no patch tells: data.bin"


def make_secret(tool: Path) -> str:
    (tool / ".env").write_text("TOKEN=abc\n")
    return "its code has changes that no patch tells: .env"


def make_unversioned(tool: Path) -> str:
    (tool / ".git").rename(tool.parent / "gone")
    return "git knows nothing of its code"  # the stash's ignores it


def make_unreadable(tool: Path) -> str:
    (tool / ".git/index").write_text("nonsense")
    return "git doesn't tell which code it is"


def change_a_submodule(tool: Path) -> str:
    inner = repository(tool.parent.parent / "inner", {"a.py": ""})
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "inner", cwd=tool)
    commit(tool, {})
    (tool / "inner/a.py").write_text("x = 1\n")
    return "its code has changes inside a submodule, which no patch tells"


def litter_a_submodule(tool: Path) -> str:
    change_a_submodule(tool)
    (tool / "inner/a.py").write_text("")
    (tool / "inner/new.py").write_text("x = 1\n")
    (tool / "go").write_text("#!/bin/sh\n:\n")
    return "its code has changes that no patch tells: inner"


@pytest.mark.parametrize(
    "change",
    [make_large, make_secret, make_unversioned, make_unreadable, change_a_submodule, litter_a_submodule],
)
def test_code_that_can_not_be_known(stash: StashUnderTest, tool: Path, change: Callable[[Path], str]) -> None:
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n/tools/\n/inner/\n/gone/\n")
    why = change(tool)
    assert signed(stash) == (None, why)


@pytest.mark.usefixtures("tool")
def test_live_code_that_waits_may_become_another(stash: StashUnderTest) -> None:
    assert "is used live" in (signed(stash, starts_later=True)[1] or "")


@pytest.fixture
def venv(tool: Path, tmp_path: Path) -> Path:
    """The packages of a virtual environment that somebody else has made, beside everything."""
    return make_venv(tmp_path / "venv")


def of(venv: Path, **env: str) -> dict[str, Any]:
    python = str(venv.parents[2] / "bin/python")
    return {"environment": EnvironmentConfig(kind=EnvironmentKind.interpreter, interpreter=python), "env": env}


def change_version(site: Path) -> None:
    (site / "numpy-2.0.dist-info").rename(site / "numpy-2.1.dist-info")


def install_again(site: Path) -> None:
    os.utime(site / "numpy-2.0.dist-info/RECORD", (1, 1))


def install_another(site: Path) -> None:
    install(site, "scipy-1.0", "scipy/__init__.py")


def install_an_egg(site: Path) -> None:
    (site / "old-1.0.egg-info").mkdir()
    (site / "old-1.0.egg-info/top_level.txt").write_text("old\n")
    (site / "old.py").touch()


def update_conda(site: Path) -> None:
    meta = site.parents[2] / "conda-meta"
    meta.mkdir()
    (meta / "openblas-0.3-h1.json").write_text("{}")


def lead_nowhere(site: Path) -> None:
    (site / "some.pth").write_text("# nothing\n/not/there\n.\n")


@pytest.mark.parametrize(
    "change", [change_version, install_again, install_another, install_an_egg, update_conda, lead_nowhere]
)
def test_of_an_interpreter_what_is_installed_counts(
    stash: StashUnderTest, venv: Path, change: Callable[[Path], None]
) -> None:
    first = signed(stash, of(venv))
    assert first[0] is not None and signed(stash, of(venv)) == first
    change(venv)
    second = signed(stash, of(venv))
    assert second[0] is not None and second != first


def test_what_is_left_of_removed_packages_does_not_matter(stash: StashUnderTest, venv: Path) -> None:
    first = signed(stash, of(venv))
    (venv / "gone/__pycache__").mkdir(parents=True)
    (venv / "__pycache__").mkdir()
    (venv / "README.txt").touch()
    assert signed(stash, of(venv)) == first and first[0] is not None


def test_what_conda_brings_is_known(stash: StashUnderTest, venv: Path) -> None:
    update_conda(venv)
    (venv / "brought.py").touch()
    assert "brought.py in" in (signed(stash, of(venv))[1] or "")
    files = {"files": [f"{venv.relative_to(venv.parents[2])}/brought.py"]}
    (venv.parents[2] / "conda-meta/brought-1.json").write_text(json.dumps(files))
    assert signed(stash, of(venv))[1] is None


def leave_a_module(site: Path) -> str:
    (site / "mine.py").touch()
    return "mine.py in {site} is of no installed package"


def leave_a_package(site: Path) -> str:
    (site / "mine").mkdir()
    (site / "mine/__init__.py").touch()
    return "mine in {site} is of no installed package"


def run_at_the_start(site: Path) -> str:
    (site / "mine.pth").write_text("import os; os.environ\n")
    return "mine.pth in {site} is of no installed package"


def lead_elsewhere(site: Path) -> str:
    (site / "mine.pth").write_text(str(site.parents[3]))
    return f"it uses what lies elsewhere: {site.parents[3]}, where its interpreter imports from"


def lead_into_itself(site: Path) -> str:
    (site.parents[2] / "src").mkdir()
    (site / "mine.pth").write_text("../../../src\n")
    return f"it imports from {site.parents[2]}/src, and whether that has changed can't be known"


def install_in_editable_mode(site: Path) -> str:
    install_editable(site, site.parents[3])
    return f"it uses what lies elsewhere: {site.parents[3]}, where its interpreter imports from"


def install_what_makes_no_sense(site: Path) -> str:
    (site / "numpy-2.0.dist-info/direct_url.json").write_text("[]")
    return "numpy-2.0.dist-info/direct_url.json makes no sense"


def start_by_a_script(site: Path) -> str:
    python = site.parents[2] / "bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    return "is a script that starts a Python"


@pytest.mark.parametrize(
    "change",
    [
        leave_a_module,
        leave_a_package,
        run_at_the_start,
        lead_elsewhere,
        lead_into_itself,
        install_in_editable_mode,
        install_what_makes_no_sense,
        start_by_a_script,
    ],
)
def test_of_an_interpreter_what_can_not_be_known(
    stash: StashUnderTest, venv: Path, change: Callable[[Path], str]
) -> None:
    why = change(venv)
    digest, said = signed(stash, of(venv))
    assert digest is None and why.format(site=venv) in (said or "")


@pytest.mark.parametrize("change", [None, install_another, leave_a_module, start_by_a_script])
def test_an_interpreter_may_change_while_a_run_waits(
    stash: StashUnderTest, venv: Path, change: Callable[[Path], object] | None
) -> None:
    """Then nobody knows what it has run."""
    config = StashConfig(tool=Tool(path="tools/t", entrypoint="./go", environment=of(venv)["environment"]))
    directory = stash.root / "outputs" / "2026-01-31" / "12-00-00-abcdefg"
    request = Request(Stash(stash.root), config, "t", None, [], directory, "abcdefg")
    run = identify(plan(request), print, Checkouts(), Signer()).run
    signature, environment = run.spec.signature, run.spec.environment
    assert signature is not None and environment is not None and environment.installed is None
    _, digest, _ = Inventory(venv.parents[2] / "bin/python", user_base(os.environ)).contents()
    run.spec = replace(run.spec, environment=replace(environment, installed=digest))
    if change is not None:
        change(venv)
    installed.confirm(run, os.environ)
    assert run.spec.signature == (signature if change is None else None)
    assert (run.spec.unsigned or "").startswith("" if change is None else "what is installed for its interpreter")


def test_an_interpreter_that_imports_the_tools_own_code(stash: StashUnderTest, venv: Path, tool: Path) -> None:
    install_editable(venv, tool)
    (venv / "mine.pth").write_text(str(tool))
    first = signed(stash, of(venv))
    (tool / "new.py").touch()
    assert first[0] is not None and signed(stash, of(venv))[0] not in (None, first[0])
    (tool / ".gitignore").write_text("vendor\n")
    (tool / "vendor").mkdir()
    (venv / "more.pth").write_text(f"{tool}/vendor\n")
    assert signed(stash, of(venv)) == (None, f"git knows nothing of {tool}/vendor, where its interpreter imports from")


def test_packages_of_the_user_count_where_an_interpreter_sees_them(venv: Path, tmp_path: Path) -> None:
    environment, base = venv.parents[2], tmp_path / "user"
    user = base / venv.relative_to(environment)
    user.mkdir(parents=True)
    (user / "mine.pth").write_text(str(tmp_path))
    assert Inventory(environment / "bin/python", base).led == []
    mark = environment / "pyvenv.cfg"
    mark.write_text(mark.read_text().replace("= false", "= true"))
    assert tmp_path.resolve() in Inventory(environment / "bin/python", base).led


def test_of_an_interpreter_only_its_python_is_known(stash: StashUnderTest, venv: Path) -> None:
    digest, why = signed(stash, {**of(venv), "entrypoint": "Rscript go"}, arguments=["x"])
    assert digest is None and why is not None and "it uses Rscript as it is here" in why


def test_what_is_on_the_search_path_counts(stash: StashUnderTest, venv: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    first = signed(stash, of(venv, PYTHONPATH=str(more)))
    (more / "lib.py").write_text("x = 1\n")
    assert first[0] is not None and signed(stash, of(venv, PYTHONPATH=str(more)))[0] not in (None, first[0])


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("program", ["python3.11", "Rscript", "conda"])
def test_nor_of_a_program_that_brings_packages(stash: StashUnderTest, program: str) -> None:
    digest, why = signed(stash, {"entrypoint": f"{program} go"}, arguments=["x"])
    assert digest is None and why is not None and f"it uses {program.rpartition('/')[2]} as it is here" in why


@pytest.fixture
def environment(stash: StashUnderTest, tool: Path) -> Iterator[Path]:
    """An environment as uv leaves it, without what uv takes."""
    (tool / "requirements.txt").write_text("numpy\n")
    commit(tool, {})
    request = Request(
        Stash(stash.root), StashConfig(tool=Tool(path="tools/t", entrypoint="./go")), "t", None, [], stash.root, "a"
    )
    directory = plan(request).recipe.directory
    assert directory is not None
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/python").touch()
    (directory / "lib/python3.11/site-packages").mkdir(parents=True)
    yield directory


def mark(directory: Path, *packages: str, made: str = "then") -> None:
    text = '{"python": "3.11.7", "made": "%s", "packages": [%s]}'
    (directory / store.READY_MARK).write_text(text % (made, ", ".join(f'"{each}"' for each in packages)))


def test_what_is_installed_counts(stash: StashUnderTest, environment: Path) -> None:
    automatic = {"environment": EnvironmentConfig()}
    mark(environment, "numpy==2.0")
    first = signed(stash, automatic)
    mark(environment, "numpy==2.1")
    second = signed(stash, automatic)
    mark(environment, "numpy==2.0", made="later")  # resolved anew, and the same came out
    assert first[0] is not None and second[0] is not None and first != second
    assert signed(stash, automatic) == first
    inside = f"-e file://{stash.root.as_posix().replace(' ', '%20')}/tools/t"
    mark(environment, inside)
    assert signed(stash, automatic)[0] is not None
    mark(environment, "lib @ file:///somewhere/lib")
    assert signed(stash, automatic) == (None, "it uses what lies elsewhere: lib @ file:///somewhere/lib")


def test_an_environment_that_somebody_has_changed_is_not_known(
    stash: StashUnderTest, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(environment, "numpy==2.0")
    monkeypatch.setattr(store, "_SLACK", -time.time())
    assert signed(stash, {"environment": EnvironmentConfig()})[1] == (
        "its environment has been changed since it was made"
    )


def test_files_that_are_named_count(stash: StashUnderTest, tool: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    shown = {"params": {"data": str(data)}}
    found = [signed(stash, **shown)]
    for content in ("1\n", "2\n", "1" * 2_000_000, "2" * 2_000_001):
        data.write_text(content)
        found.append(signed(stash, **shown))
    assert all(digest for digest, _ in found) and len({*found}) == 5
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    asked = {"arguments": [f"--data={folder}"]}
    empty = signed(stash, **asked)
    (folder / "deep/a").write_text("1")
    assert signed(stash, **asked) != empty


def test_shared_data_counts(stash: StashUnderTest, tool: Path) -> None:
    (tool / ".gitignore").write_text("data\n")
    (tool / "data").mkdir()
    commit(tool, {})
    first = signed(stash, {"shared": ["data"]})
    (tool / "data/a").write_text("1")
    assert first[0] is not None and signed(stash, {"shared": ["data"]}) != first


def test_directories_that_can_not_be_known(
    stash: StashUnderTest, tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_FILES", 2)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).touch()
    assert "holds more than 2 files" in (signed(stash, params={"data": str(folder)})[1] or "")
    (folder / "a").unlink()
    assert signed(stash, params={"data": str(folder)})[1] is None
    (folder / "b").unlink()
    (folder / "link").symlink_to(tool)
    assert "is a link to a directory" in (signed(stash, params={"data": str(folder)})[1] or "")
    run = stash.root / "outputs/2026-01-31/12-00-00-abcdefg"
    run.mkdir(parents=True)
    above = signed(stash, params={"data": str(run.parent)})
    assert "runs themselves write into" in (above[1] or "")


def test_what_names_no_place_is_passed_over(tmp_path: Path) -> None:
    odd = ["", ".", "..", "/", "adam", "x" * 10_000, "a\0b", "lr=0.1", "{'a': [1, 2]}", "~nobody-at-all/x", "ü" * 300]
    assert Inputs().of(odd, str(tmp_path), [], []) == {}
