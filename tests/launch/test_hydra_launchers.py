"""Hydra's own suites for launchers: in the hands of other applications, ours do what Hydra's own do."""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

from experimentstash.stash.schema import LocalLauncherConfig

pytestmark = pytest.mark.usefixtures("other_application")


def test_hydra_finds_it() -> None:
    found = [f"{each.__module__}.{each.__qualname__}" for each in Plugins.instance().discover(Launcher)]
    assert LocalLauncherConfig._target_ in found


@pytest.mark.parametrize("launcher_name, overrides", [("local", [])])
class TestLocalLauncher(LauncherTestSuite):
    """One job and several, config groups, mandatory values, resolvers."""


@pytest.mark.parametrize("launcher_name, overrides", [("local", ["hydra.sweeper.max_batch_size=2"])])
class TestLocalLauncherInBatches(BatchedSweeperTestSuite):
    """A sweeper that asks for a few jobs at a time."""


@pytest.mark.slow
@pytest.mark.parametrize("task_launcher_cfg, extra_flags", [({}, ["-m", "hydra/launcher=local"])])
class TestLocalLauncherOfPrograms(IntegrationTestSuite):
    """Applications that are programs of their own."""
