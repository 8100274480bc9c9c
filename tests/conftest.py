"""What every test has: a home of its own, an end to whatever it starts, and its place in the order of tests."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck

from tests.testing import made_once
from tests.testing.leftovers import Leftovers
from tests.testing.prepared import Begun, checking_from
from tests.testing.slurm import COMMANDS, clusters, without
from tests.testing.stash import ODD_NAME, InProcess, StashUnderTest, bare_stash, prepared

if TYPE_CHECKING:
    from experimentstash.stash.layout import Stash

# However Python is set here: neither a second run nor a further worker compiles all tests, and all they import, anew.
sys.dont_write_bytecode = False

# The files that take longest, which are begun first: for one that is begun last all workers but its own would wait.
LONGEST = (
    "slurm/submitit",
    "slurm/ends",
    "slurm/continuing",
    "slurm/hydra_suite",
    "slurm/optuna",
    "slurm/launcher",
    "slurm/variables",
    "slurm/cancelling",
    "slurm/large_sweep",
    "slurm/packing",
    "slurm/tutorial",
    "slurm/builds",
    "adapters/wandb_guard",
    "freeze/environments",
    "launch/resume",
    "validate/validate",
    "fuzz",
    "compose/config_door",
    "launch/app",
    "launch/optuna",
    "tools/pinned_commits",
    "tools/tool_subdirectory",
    "tools/tool_workflow",
    "compose/parameters",
    "freeze/dialect_table",
    "freeze/dialects",
    "code/worktrees",
    "publish/reproducing",
    "launch/launch_local",
    "record/run_places",
    "freeze/arguments",
    "base/terminal",
    "freeze/notebooks",
    "freeze/builds",
    "launch/hydra_launchers",
    "execute/faults",
    "tools/tool_restore",
    "execute/execute",
    "freeze/parameter_table",
    "stash/registrations",
    "execute/supervision",
    "compose/composition",
    "tools/tool_leftovers",
    "launch/hydra_settings",
    "footprints",
    "private_folders",
    "code/written",
    "freeze/calls",
    "compose/hydra_compat",
    "adapters/slurm_questions",
    "launch/limits",
    "launch/one_bad_job",
    "adapters/wandb_places",
    "compose/explain_errors",
    "freeze/types_table",
    "execute/outcome_advice",
    "publish/moving_on",
    "rooms",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where tests run side by side, those of a file stay together; those of SLURM have a worker for each cluster.

    Its tests take longest together, so that they are begun first; the other workers have all the rest, in the order
    of collection: how many tests a file has says little of how long it takes.
    Not by --dist=loadgroup: with pytest 9.2 pytest-xdist takes no notice of the groups (its issue 1386).
    """
    from xdist.scheduler import LoadFileScheduling

    class FilesAndClusters(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            others = [units for other, units in self.assigned_work.items() if other is not node]
            at_clusters = sum(any(map(_is_of_slurm, self._unfinished(units))) for units in others)
            may = at_clusters < len(clusters())
            fitting = next((scope for scope in self.workqueue if _is_of_slurm(scope) is may), None)
            if fitting is not None:
                self.workqueue.move_to_end(fitting, last=False)
            super()._assign_work_unit(node)

        def _unfinished(self, units: dict[str, dict[str, bool]]) -> list[str]:
            return [scope for scope, tests in units.items() if not all(tests.values())]

    config.option.loadscopereorder = False
    return FilesAndClusters(config, log)


def _is_of_slurm(scope: str) -> bool:
    return scope.startswith("tests/slurm/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.slow)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_short_name(item.path), len(places)))


@functools.cache
def _short_name(path: Path) -> str:
    place = path.relative_to(Path(__file__).parent)
    return place.with_name(place.stem.removeprefix("test_")).as_posix()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Have one more for each cluster than there are cores: those that have its tests mostly wait.

    Without these one more is enough for what the others wait for; each must first find all tests by itself.
    """
    return (os.cpu_count() or 1) + (1 if "not slurm" in config.option.markexpr else max(1, len(clusters())))


LEFTOVERS = pytest.StashKey[Leftovers]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS] = Leftovers()
    # A shell takes these from what it starts in the background, and some tests are of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # However long a loaded machine takes; between two commits some examples are enough.
    hypothesis.settings.register_profile(
        "patient",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=30 if "not slow" in config.option.markexpr else 100,
    )
    hypothesis.settings.load_profile("patient")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    finally:
        for begun in Begun.of_this_test:
            begun.kill()
        Begun.of_this_test.clear()
        item.config.stash[LEFTOVERS].end_those_of(item.nodeid)


@pytest.fixture
def stash(tmp_path: Path) -> StashUnderTest:
    """An empty stash, committed, at a path with a space, a quote and an umlaut in it."""
    under_test = StashUnderTest(tmp_path / ODD_NAME)

    def make() -> None:
        bare_stash(tmp_path).write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
        under_test.commit()

    made_once.made_once([under_test.root], make)
    return under_test


@pytest.fixture
def python_first_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv finds the interpreter that runs the tests, and downloads none."""
    monkeypatch.setenv("PATH", os.path.dirname(os.path.realpath(sys.executable)) + os.pathsep + os.environ["PATH"])
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")


@pytest.fixture
def here(tmp_path: Path) -> Stash:
    """A stash that is no repository, for runs that tests freeze themselves."""
    from tests.testing.faults import new_stash

    return new_stash(tmp_path / ODD_NAME)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[InProcess]:
    """The command line inside this process, many times faster than ``cli``: for what starts no tool."""
    from experimentstash.cli import main as cli

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def call(stash: StashUnderTest, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd or stash.root)
        capfd.readouterr()
        try:
            code = cli.main(arguments)
        except SystemExit as end:  # Hydra's own --help
            code = int(end.code or 0)
        captured = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    yield call
    # Hydra's handlers hold the streams of this test.
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session", autouse=True)
def originals(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what is made once among what pytest removes by and by."""
    made_once.FOLDER = tmp_path_factory.mktemp("made-once")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for each test, which must stay empty but for caches: nothing of ours belongs in $HOME."""
    real = Path.home()
    directory = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(directory))
    # uv's cache and Pythons are worth sharing; they are uv's, not ours.
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR", str(real / ".cache" / "uv")))
    for name in [name for name in os.environ if name.startswith(("SLURM_", "WANDB_", "HYDRA_", "EXPERIMENTSTASH_"))]:
        if name not in ("SLURM_CONF", "EXPERIMENTSTASH_PLAIN_HYDRA"):  # where the cluster is, and how to compose here
            monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    yield directory
    left = [path.name for path in directory.iterdir() if path.name not in (".cache", ".config", ".local")]
    assert not left, f"the test wrote into the home directory: {left}"
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def path_without_slurm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return without(COMMANDS, os.environ["PATH"], tmp_path_factory.mktemp("programs"))


@pytest.fixture(autouse=True)
def no_cluster(request: pytest.FixtureRequest, path_without_slurm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SLURM only where it is needed: what isn't marked so is the same where there is none, or one that is down."""
    if request.node.get_closest_marker("slurm") is None:
        monkeypatch.setenv("PATH", path_without_slurm)


@pytest.fixture(autouse=True)
def composing_from_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `tool add` start the command line that checks its example from the prepared process, as ``cli`` does."""
    checking = sys.modules.get("experimentstash.tools.first_configs")
    if checking is None or sys.platform != "linux":
        return
    monkeypatch.setattr(checking, "run", checking_from(prepared, checking.run))


@pytest.fixture(scope="session")
def plugins() -> None:
    """Have Hydra find its plugins: its own suites put back what it knew before each test, and 1.4 looks once."""
    from hydra.core.plugins import Plugins

    Plugins.instance()


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Have each test begin with the same umask: what runs in this process may have tightened it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def version_base() -> Iterator[None]:
    """Put back which version Hydra is to behave like: its `initialize` leaves that to whoever comes after it."""
    known = sys.modules.get("hydra.version")
    before = known.VersionBase.instance().version_base if known else None
    yield
    if known:
        known.VersionBase.instance().version_base = before


@pytest.fixture
def other_application(plugins: None) -> Iterator[None]:
    """Have Hydra forget the version base that our application chose, as in another application's process."""
    from hydra import version

    base = version.VersionBase.instance()
    ours = base.version_base
    base.version_base = version._UNSPECIFIED_
    yield
    base.version_base = ours
