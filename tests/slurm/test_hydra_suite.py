"""Hydra's own public test-suite for launchers: for another application's task it is `submitit_slurm` underneath."""

from __future__ import annotations

import pytest
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

pytestmark = pytest.mark.usefixtures("other_application")


@pytest.mark.parametrize("launcher_name, overrides", [("slurm", [])])
class TestSlurmLauncher(LauncherTestSuite):
    """One sweep for each of Hydra's cases."""


@pytest.mark.parametrize("launcher_name, overrides", [("slurm", ["hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """A sweep in several batches."""


@pytest.mark.parametrize(
    "task_launcher_cfg, extra_flags", [({"defaults": [{"override hydra/launcher": "slurm"}]}, ["-m"])]
)
class TestIntegration(IntegrationTestSuite):
    """Whole applications."""
