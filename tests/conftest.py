"""A real stash in a temporary directory with an odd name, and the real command line run in it."""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck

from tests import made_once
from tests.leftovers import Leftovers
from tests.prepared import READ_AT_START, Prepared, checking_from

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(__file__).resolve().parent / "tools"
# Seconds to wait for what takes as long as a busy machine, or a busy cluster, wants; only what fails takes so long.
PATIENCE = 300.0
ODD_NAME = "my stäsh's"
GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
# No program that looks whether there is something to tidy up is started after a commit.
ALONE = ("-c", "maintenance.auto=false")
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
    "wandb_guard",
    "environments",
    "continuing",
    "validate",
    "fuzz",
    "config_door",
    "app",
    "optuna",
    "tool_subdirectory",
    "pinned_commits",
    "tool_workflow",
    "parameters",
    "dialect_table",
    "dialects",
    "worktrees",
    "launch_local",
    "run_places",
    "terminal",
    "hydra_launchers",
    "faults",
    "tool_restore",
    "execute",
    "parameter_table",
    "registrations",
    "supervision",
    "composition",
)


def clusters() -> list[str | None]:
    """Return the configurations of the SLURMs for our tests; None: the one that its commands mean by themselves."""
    if "SLURM_CONF" in os.environ:
        return [os.environ["SLURM_CONF"]]
    state = Path(os.environ.get("EXPERIMENTSTASH_SLURM_DIR", "/tmp/experimentstash-slurm"))
    return [None, *sorted(map(str, state.glob("*/slurm.conf")))]


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
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_short_name(item.path), len(places)))


def _short_name(path: Path) -> str:
    place = path.relative_to(Path(__file__).parent)
    return place.with_name(place.stem.removeprefix("test_")).as_posix()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have one more for each cluster than there are cores: those that have its tests mostly wait."""
    return (os.cpu_count() or 1) + len(clusters())


LEFTOVERS = pytest.StashKey[Leftovers]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS] = Leftovers()
    # A shell takes these from what it starts in the background, and some tests are of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # However long a loaded machine takes.
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis.settings.load_profile("patient")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    finally:
        item.config.stash[LEFTOVERS].end_those_of(item.nodeid)


@functools.cache
def prepared() -> Prepared:
    """Return the process of this worker that commands are started from."""
    return Prepared.start()


@dataclass(frozen=True)
class StashUnderTest:
    """A stash on disk; ``cli`` runs the real program in it."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def add_tool(self, name: str, source: str | None = None, registration: str = "") -> Path:
        """Copy tests/tools/<source> to tools/<name> and register it with this Python as its interpreter."""
        directory = self.root / "tools" / name
        if source is not None:
            shutil.copytree(TOOLS / source, directory, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            directory.mkdir(parents=True, exist_ok=True)
        if "call:" not in registration:  # our tools read lists so
            registration += "\ncall: {style: argparse, lists: spread, booleans: flag, nulls: omit}\n"
        if "environment:" not in registration:
            registration += f"\nenvironment: {{kind: interpreter, interpreter: {json.dumps(sys.executable)}}}\n"
        self.write(f"conf/tool/{name}.yaml", f"path: tools/{name}\n{registration}")
        return directory

    def add_experiment(self, name: str, tool: str, text: str = "") -> Path:
        return self.write(
            f"conf/exp/{name}.yaml", f"# @package _global_\ndefaults:\n  - override /tool: {tool}\n{text}"
        )

    def commit(self) -> str:
        """Commit everything and return the commit."""
        git("add", "-A", cwd=self.root)
        git(*ALONE, "commit", "-q", "-m", "state", cwd=self.root)
        return git("rev-parse", "HEAD", cwd=self.root).strip()

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start the command line, in a session of its own so that signals reach nobody else."""
        return subprocess.Popen(
            [sys.executable, "-m", "experimentstash", *arguments],
            cwd=cwd or self.root,
            env={**os.environ, **GIT_IDENTITY, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def cli(
        self, *arguments: str, cwd: Path | None = None, timeout: float = PATIENCE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; from a process that has imported Hydra, where that makes no difference."""
        if sys.platform == "linux" and not any(name.startswith(READ_AT_START) for name in environment):
            settings = {**os.environ, **GIT_IDENTITY, **environment}
            return prepared().run(arguments, cwd or self.root, settings, timeout)
        process = self.start(*arguments, cwd=cwd, **environment)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def run_directories(self) -> list[Path]:
        """Return all run directories, oldest first."""
        found = [*self.root.glob("outputs/*/*/run.json"), *self.root.glob("multirun/*/*/*/run.json")]
        return [path.parent for path in sorted(found, key=lambda path: path.stat().st_ctime_ns)]

    def record(self, directory: Path | None = None) -> dict[str, Any]:
        """Return the record of a run (default: the only one there is)."""
        if directory is None:
            (directory,) = self.run_directories()
        data = json.loads((directory / "run.json").read_text())
        assert isinstance(data, dict)
        return data


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env={**os.environ, **GIT_IDENTITY}, capture_output=True, text=True, check=True
    )
    return done.stdout


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Return the first true value of ``condition``; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s")


def bare_stash(folder: Path) -> StashUnderTest:
    """Make a stash with nothing in it, at a path with a space, a quote and an umlaut in it; nothing is committed."""
    root = folder / ODD_NAME
    for name in ("conf/tool", "conf/exp", "tools"):
        (root / name).mkdir(parents=True)
    shutil.copy(REPOSITORY / "conf" / "config.yaml", root / "conf" / "config.yaml")
    git("init", "-q", "-b", "main", cwd=root)
    return StashUnderTest(root)


@pytest.fixture
def stash(tmp_path: Path) -> StashUnderTest:
    """An empty stash, committed, at a path with a space, a quote and an umlaut in it."""
    under_test = StashUnderTest(tmp_path / ODD_NAME)

    def make() -> None:
        bare_stash(tmp_path).write(".gitignore", "/outputs/\n/multirun/\n/.experimentstash/\n")
        under_test.commit()

    made_once.made_once([under_test.root], make)
    return under_test


InProcess = Callable[..., "subprocess.CompletedProcess[str]"]


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


@pytest.fixture(autouse=True)
def composing_from_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `tool add` start the command line that checks its example from the prepared process, as ``cli`` does."""
    adding = sys.modules.get("experimentstash.tools.adding")
    if adding is None or sys.platform != "linux":
        return
    monkeypatch.setattr(adding, "run", checking_from(prepared, adding.run))


@pytest.fixture
def other_application() -> Iterator[None]:
    """Have Hydra forget the version base that our application chose, as in another application's process."""
    from hydra import version

    base = version.VersionBase.instance()
    ours = base.version_base
    base.version_base = version._UNSPECIFIED_
    yield
    base.version_base = ours
