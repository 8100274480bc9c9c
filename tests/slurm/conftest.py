"""These tests need a SLURM cluster (tests/slurm/up brings up two on Debian); elsewhere they are skipped.

A file of them has a cluster for itself, whatever other pytest processes are at work: it waits until there is one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.testing.slurm import clusters, queued_jobs, withdraw
from tests.testing.stash import PATIENCE


def _why_not() -> str | None:
    for configuration in clusters():
        environment = {**os.environ, **({} if configuration is None else {"SLURM_CONF": configuration})}
        argv = ["sinfo", "--noheader"]
        try:
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"no SLURM here ({error}); tests/slurm/up brings it up"
        if done.returncode != 0:
            return f"SLURM doesn't answer: {done.stderr.strip()}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in _of_slurm(items):
        item.add_marker(pytest.mark.slurm)


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def skip_without_a_cluster(items: list[pytest.Item]) -> None:
    """Ask whether there is one only for tests that were chosen: one that is down takes long to say nothing."""
    here = _of_slurm(items)
    why = _why_not() if here else None
    if why is not None and os.environ.get("EXPERIMENTSTASH_REQUIRE_SLURM"):
        raise pytest.UsageError(f"the SLURM tests are required, but: {why}")
    for item in here:
        if why is not None:
            item.add_marker(pytest.mark.skip(reason=why))


def _of_slurm(items: list[pytest.Item]) -> list[pytest.Item]:
    here = str(Path(__file__).parent) + os.sep
    return [item for item in items if str(item.path).startswith(here)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Say with each failure what the cluster was at: most are of a job that did not come to its turn."""
    report = yield
    if report.failed:
        for title, argv in (
            ("squeue", ["squeue", "--array", "--format", "%.12i %.9P %.10T %.4C %.20V %.20S %.12r %Z"]),
            ("sinfo", ["sinfo", "--Node", "--format", "%N %T %C %E"]),
        ):
            done = subprocess.run(argv, capture_output=True, text=True)
            report.sections.append((title, done.stdout + done.stderr))
    return report


@contextlib.contextmanager
def _one_of(configurations: Sequence[str | None]) -> Iterator[str | None]:
    """Take a cluster that no other pytest process is at; wait until there is one."""
    with contextlib.ExitStack() as ends:
        locks = [ends.enter_context(_lock_of(each).open("w")) for each in configurations]
        while (taken := next((number for number, lock in enumerate(locks) if _takes(lock)), None)) is None:
            time.sleep(0.1)
        yield configurations[taken]


def _takes(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_of(configuration: str | None) -> Path:
    place = "" if configuration is None else os.path.realpath(configuration)
    name = f"experimentstash-tests-{os.getuid()}-{urllib.parse.quote(place, safe='')}.lock"
    return Path(tempfile.gettempdir(), name)


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have a cluster for the tests of a file alone: they fill it, ask for all of its queue, and take its node away."""
    with _one_of(clusters()) as configuration, pytest.MonkeyPatch.context() as patch:
        if configuration is not None:
            patch.setenv("SLURM_CONF", configuration)
        _end_those_of_the_dead(tmp_path_factory.getbasetemp())
        yield


def _end_those_of_the_dead(ours: Path) -> None:
    """End the jobs of pytest sessions that were killed: SLURM would start them again and again."""
    sessions = next((parent for parent in ours.parents if parent.name.startswith("pytest-of-")), None)
    for _, where in queued_jobs():
        if sessions is not None and where.is_relative_to(sessions):
            session = sessions / where.relative_to(sessions).parts[0]
            if not _is_alive(session):
                withdraw(session)


def _is_alive(session: Path) -> bool:
    """Tell whether the pytest session with this temporary directory still goes on, by the lock that it keeps there."""
    try:
        os.kill(int((session / ".lock").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_left(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the next test a queue without the jobs of this one, which all are submitted below its own directory."""
    monkeypatch.chdir(tmp_path)
    yield
    withdraw(tmp_path)
