"""An environment with nothing in it, for a tool that declares nothing."""

from __future__ import annotations

from experimentstash.freeze.environment.kinds.kind import Kind
from experimentstash.stash.schema import EnvironmentKind


class Empty(Kind):
    name = EnvironmentKind.empty
    setting = None
    takes_dependencies = False
    remark = "nothing says what it needs"


KIND = Empty()
