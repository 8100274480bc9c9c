"""No Python at all, for a tool that needs none."""

from __future__ import annotations

from experimentstash.freeze.environment.kinds.kind import Kind
from experimentstash.stash.schema import EnvironmentKind


class NoPython(Kind):
    name = EnvironmentKind.none
    setting = None
    is_made = False
    takes_dependencies = False


KIND = NoPython()
