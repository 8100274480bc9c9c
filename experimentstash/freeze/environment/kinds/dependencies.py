"""The `dependencies` of a registration alone."""

from __future__ import annotations

from experimentstash.freeze.environment.kinds.kind import Kind
from experimentstash.stash.schema import EnvironmentKind


class Dependencies(Kind):
    name = EnvironmentKind.dependencies
    setting = None


KIND = Dependencies()
