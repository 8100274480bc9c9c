"""What is frozen is had again on SLURM, and waited for."""

from __future__ import annotations

from tests.publish.conftest import drawing
from tests.testing.drawing import SAME, identity, verdicts
from tests.testing.stash import StashUnderTest

__all__ = ["drawing"]


def test_what_is_frozen_is_reproduced_on_slurm(drawing: StashUnderTest) -> None:
    assert drawing.cli("freeze", "fig", identity(drawing)).returncode == 0
    assert verdicts(drawing, "hydra/launcher=slurm", code=0) == SAME
    assert drawing.record(drawing.run_directories()[-1])["attempt"]["queued"] is not None
    # One that ran on SLURM, with frozen code, is had again here.
    assert drawing.cli("freeze", "again", identity(drawing)).returncode == 0
    assert verdicts(drawing, code=0, name="again") == SAME
