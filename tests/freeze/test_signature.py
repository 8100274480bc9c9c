"""When two runs are the same: what counts, what doesn't, and where that can't be known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.dataclass_light import replace
from experimentstash.code.provenance import Checkouts
from experimentstash.freeze import inputs
from experimentstash.freeze.environment import store
from experimentstash.freeze.freeze import identify
from experimentstash.freeze.inputs import Inputs
from experimentstash.freeze.plan import Request, plan
from experimentstash.freeze.signature import Signer
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallConfig, CallStyle, EnvironmentConfig, EnvironmentKind, StashConfig
from experimentstash.stash.schema import ToolConfig as Tool
from tests.testing.stash import ALONE, StashUnderTest, git

NONE = EnvironmentConfig(kind=EnvironmentKind.none)


@pytest.fixture
def tool(stash: StashUnderTest) -> Path:
    """A tool with a repository of its own, of which the stash's knows nothing."""
    stash.write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n/tools/\n")
    stash.write("tools/t/go", "#!/bin/sh\n").chmod(0o755)
    commit(stash.root / "tools/t")
    stash.commit()
    return stash.root / "tools/t"


def commit(repository: Path) -> None:
    if not (repository / ".git").exists():
        git("init", "-q", cwd=repository)
    git("add", "-A", cwd=repository)
    git(*ALONE, "commit", "-q", "-m", "state", cwd=repository)


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
    commit(tool)
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
    inner = tool.parent.parent / "inner"
    inner.mkdir()
    (inner / "a.py").write_text("")
    commit(inner)
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "inner", cwd=tool)
    commit(tool)
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


@pytest.mark.usefixtures("tool")
def test_of_an_interpreter_nobody_knows_what_it_has(stash: StashUnderTest) -> None:
    python = EnvironmentConfig(kind=EnvironmentKind.interpreter, interpreter=sys.executable)
    digest, why = signed(stash, {"environment": python})
    assert digest is None and why is not None and "an interpreter that others keep" in why


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("program", ["python3.11", "Rscript", "conda"])
def test_nor_of_a_program_that_brings_packages(stash: StashUnderTest, program: str) -> None:
    digest, why = signed(stash, {"entrypoint": f"{program} go"}, arguments=["x"])
    assert digest is None and why is not None and f"it uses {program.rpartition('/')[2]} as it is here" in why


@pytest.fixture
def environment(stash: StashUnderTest, tool: Path) -> Iterator[Path]:
    """An environment as uv leaves it, without what uv takes."""
    (tool / "requirements.txt").write_text("numpy\n")
    commit(tool)
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
    commit(tool)
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
