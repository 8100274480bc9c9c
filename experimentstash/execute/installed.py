"""Whether an interpreter that others keep still has what it had when a run was submitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.record.run import Run

_CHANGED = "what is installed for its interpreter is not what was there when it was submitted"


def confirm(run: Run, environment: Mapping[str, str]) -> None:
    """Take its signature from a run whose interpreter isn't as it was: then it counts for no other run."""
    spec = run.spec
    recorded = spec.environment
    if spec.signature is None or recorded is None or recorded.installed is None or recorded.interpreter is None:
        return
    from experimentstash.adapters.python.inventory import Inventory, user_base

    try:
        _, digest, _ = Inventory(Path(recorded.interpreter), user_base(environment)).contents()
    except (StashError, OSError, ValueError):
        digest = ""
    if digest != recorded.installed:
        run.spec = replace(spec, signature=None, unsigned=_CHANGED)
