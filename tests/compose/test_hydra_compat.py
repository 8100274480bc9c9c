"""Hydra's and OmegaConf's private parts have one door."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra._internal import config_loader_impl
from hydra.core.plugins import Plugins
from hydra.types import RunMode

from experimentstash.compose import config_store, tool_config
from experimentstash.compose.config_store import CONFIG_NAME
from experimentstash.compose.fast.loader import Loader, loader_for
from experimentstash.compose.hydra_compat import PLAIN_VARIABLE
from experimentstash.stash.layout import Stash
from tests.testing.stash import InProcess, StashUnderTest

ROOT = Path(__file__).resolve().parents[2]
DOOR = "hydra_compat.py"
Doing = Callable[..., tuple[int, str, dict[str, Any]]]
# What Hydra's and OmegaConf's documentation, or Hydra's examples of plugins, name; () is all that a module has.
PUBLIC: dict[str, tuple[str, ...]] = {
    "hydra": ("compose", "initialize", "initialize_config_dir", "main"),
    "hydra.core.config_store": ("ConfigStore",),
    "hydra.core.global_hydra": ("GlobalHydra",),
    "hydra.core.hydra_config": ("HydraConfig",),
    "hydra.core.override_parser.overrides_parser": ("OverridesParser",),
    "hydra.core.override_parser.types": (),
    "hydra.core.plugins": ("Plugins",),
    "hydra.core.utils": ("JobReturn", "JobStatus", "configure_log", "run_job", "setup_globals"),
    "hydra.errors": (),
    "hydra.experimental.callback": ("Callback",),
    "hydra.plugins.launcher": ("Launcher",),
    "hydra.plugins.sweeper": ("Sweeper",),
    "hydra.types": (),
    "hydra.utils": (),
    "omegaconf": (),
    "omegaconf.errors": (),
}


def sources() -> list[Path]:
    return [
        path for folder in ("experimentstash", "hydra_plugins", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules that a file imports from, wherever in it, and what; nothing for a module as a whole."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_imports_what_is_private(path: Path) -> None:
    private = {
        f"{module} {name}"
        for module, name in imported(path)
        if module.partition(".")[0] in ("hydra", "omegaconf")
        and (module not in PUBLIC or name.startswith("_") or (name and PUBLIC[module] and name not in PUBLIC[module]))
    }
    assert not private or path.name == DOOR


# --- what only makes it fast -----------------------------------------------------------------------------------------

# hydra.main of 1.3 composes twice, the second time with the mode that it has found.
_MODE = re.compile(r"\n +- hydra\.mode=RUN")
_SWEPT = "hydra.sweep.dir=runs/swept"
LINES = [
    ["+exp=a", "params.seed=3", "hydra.run.dir=runs/one"],
    ["-m", "+exp=a,b", "params.name='x y',z", "hydra/launcher=local", _SWEPT],
    ["-m", "+exp=b", "params.seed=1,2", _SWEPT, "hydra.sweep.subdir=${hydra.job.override_dirname}"],
    ["-m", "+exp=a", "tool=first,second", _SWEPT],
    ["+exp=a", "hydra.mode=MULTIRUN", "params.seed=4,5", _SWEPT],
    ["-m", "+exp=a,launched", _SWEPT],
    ["+exp=a", "params.sed=3"],
    ["+exp=a", "params.seed=1,2"],
    ["-m", "+exp=a,b", "params.other=1,2"],
    ["+exp=nothing"],
]


@pytest.fixture
def varied(stash: StashUnderTest, in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> Doing:
    monkeypatch.delenv(PLAIN_VARIABLE, raising=False)
    for name in ("first", "second"):
        (stash.add_tool(name, None, "entrypoint: main.py\n") / "main.py").write_text(
            "import sys; print(sys.argv[1:])\n"
        )
    values = "params: {seed: 0, name: '${vars.word}', twice: '${params.seed}'}\nvars: {word: w}\n"
    for name in ("a", "b"):
        stash.add_experiment(name, "first", values)
    stash.add_experiment("launched", "first", f"{values}hydra: {{launcher: {{n_jobs: 3, _target_: other.Launcher}}}}\n")

    def do(*line: str) -> tuple[int, str, dict[str, Any]]:
        """Return what a command line does: its exit code, an error's text, and the files that are kept of each run."""
        done = in_process(stash, *line)
        assert "this is a bug" not in done.stderr and "Warning" not in done.stderr
        paths = [*stash.root.glob("runs/**/*.yaml"), *stash.root.glob("runs/**/run.json")]
        texts = {str(path.relative_to(stash.root)): path.read_text() for path in paths}
        kept = {name: yaml.safe_load(_MODE.sub("", text)) for name, text in texts.items() if name.endswith("yaml")}
        kept |= {name: None for name in texts if name not in kept}
        shutil.rmtree(stash.root / "runs", ignore_errors=True)
        return done.returncode, done.stderr if done.returncode == 2 else "", kept

    return do


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_plain_hydra_comes_to_the_same(varied: Doing, line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fast = varied(*line)
    monkeypatch.setenv(PLAIN_VARIABLE, "1")
    plain = varied(*line)
    assert plain[:2] == fast[:2]
    assert sorted(plain[2]) == sorted(fast[2])
    for name, kept in plain[2].items():
        assert kept == fast[2][name], name


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Has one more for each time that Hydra composes in this process."""
    found: list[None] = []
    original = config_loader_impl.create_defaults_list

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append(None)
        return original(*arguments, **options)

    monkeypatch.setattr(config_loader_impl, "create_defaults_list", counted)
    return found


@pytest.mark.slow
def test_the_fast_way_is_taken_and_the_plain_one_where_it_is_asked_for(
    varied: Doing, composed: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = []
    for plain in ("", "1"):
        monkeypatch.setenv(PLAIN_VARIABLE, plain)
        for line in (["+exp=a"], ["-m", "+exp=a", "params.seed=1,2,3,4"]):
            composed.clear()
            assert varied(*line, "validate_only=true")[0] == 0
            numbers.append(len(composed))
    assert numbers[:2] == [1, 2]  # the sweep as a whole, and one job for all
    assert numbers[2] >= 1 and numbers[3] >= 9


@pytest.mark.slow
def test_what_another_launcher_composes_itself_was_composed_once_before(varied: Doing, composed: list[None]) -> None:
    varied("-m", "+exp=a", "params.seed=1,2,3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1", _SWEPT)
    assert len(composed) == 2 + 3  # the sweep as a whole, and one job for all; and in this process, what joblib does


def test_what_many_compositions_share_is_kept(varied: Doing, stash: StashUnderTest) -> None:
    config_store.set_up()
    loader = loader_for(stash.root / "conf")
    assert isinstance(loader, Loader)
    with config_store.variables(Stash(stash.root)):
        for name in ("a", "b", "a", "b"):
            loader.load_configuration(CONFIG_NAME, [f"+exp={name}"], RunMode.RUN)
    assert loader.left_to_hydra == 0 and loader._merged


@pytest.mark.parametrize("path", sorted((ROOT / "hydra_plugins").rglob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_plugin_that_is_executed_again_says_nothing(path: Path) -> None:
    """Hydra's scan does so, and whoever starts processes that know already what was registered."""
    Plugins.instance()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(path))


def test_a_registration_is_read_without_warnings(tmp_path: Path) -> None:
    (tmp_path / "tool.yaml").write_text("entrypoint: main.py\npath: ${hydra:runtime.choices.tool}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tool_config.alone(tmp_path / "tool.yaml").entrypoint == "main.py"


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_hydra_that_this_python_is_too_new_for_is_told() -> None:
    code = "import sys, hydra; sys.version_info = (3, 14, 0, 'final', 0); hydra.__version__ = '1.3.8'\n"
    code += "from experimentstash.__main__ import start; sys.argv[1:] = ['+exp=a']; sys.exit(start())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: hydra-core 1.3.8 can't start on Python 3.14.\n  → pip install --pre 'hydra-core>=1.4.0rc3'\n"
    )


@pytest.mark.parametrize(("hydra", "python", "is_told"), [("1.3.8", "3.14", True), ("1.4.0rc3", "3.14", False)])
def test_a_tool_whose_hydra_its_python_is_too_new_for(
    stash: StashUnderTest, in_process: InProcess, hydra: str, python: str, is_told: bool
) -> None:
    prefix = stash.root.parent / "made"
    (prefix / "lib" / f"python{python}" / "site-packages" / f"hydra_core-{hydra}.dist-info").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(sys.executable)
    environment = f"environment: {{kind: interpreter, interpreter: {str(prefix / 'bin' / 'python')!r}}}\n"
    program = stash.add_tool("old", None, f"entrypoint: main.py\ncall: {{style: hydra}}\n{environment}") / "main.py"
    program.write_text("")
    told = in_process(stash, "validate").stdout
    assert (f"its hydra-core {hydra} can't start on its Python {python}" in told) is is_told
