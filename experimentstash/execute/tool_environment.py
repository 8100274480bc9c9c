"""The environment that a tool gets: ours, cleaned, with the run's own changes."""

from __future__ import annotations

import os
from collections.abc import Mapping

from experimentstash.base.errors import StashError
from experimentstash.base.process import clean_environment
from experimentstash.record.run import Run


def tool_environment(run: Run, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the complete environment of the tool: ours, cleaned, with the run's own changes."""
    command = run.spec.command
    environment = clean_environment()
    if command.modules:
        from experimentstash.adapters import environment_modules  # here, because most tools want none

        environment = environment_modules.load(command.modules, environment)
    for name in (*command.unset, *run.attempt.terms.hidden):
        environment.pop(name, None)
    environment.update(command.environment)
    environment.update(secrets)
    missing = [name for name in command.secrets if name not in environment]
    if missing:
        raise StashError(
            f"The tool {run.spec.tool!r} needs {', '.join(missing)} in its environment; a record never keeps such"
            " values.",
            f"export {missing[0]}=…",
        )
    if command.path is not None:
        environment["PATH"] = os.pathsep.join(filter(None, (command.path, environment.get("PATH", os.defpath))))
    return environment
