"""A Python that somebody else has made, with all that is installed there."""

from __future__ import annotations

import os
from pathlib import Path

from experimentstash.freeze.environment.kinds.kind import Kind
from experimentstash.stash.schema import EnvironmentKind


class Interpreter(Kind):
    name = EnvironmentKind.interpreter
    setting = "interpreter"
    is_made = False
    takes_dependencies = False

    def problem(self, file: Path) -> str | None:
        return None if os.access(file, os.X_OK) else f"{file} is not executable"


KIND = Interpreter()
