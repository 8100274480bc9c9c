"""A tool's output, shown while it is written."""

from __future__ import annotations

import sys

from experimentstash.base.masking import Mask
from experimentstash.base.tail import Relay
from experimentstash.execute.execution import Execution


def relay_output(execution: Execution) -> Relay | None:
    """Begin to show on our stdout what the tool writes; None if it could not be started, or there is no stdout."""
    destination = _stdout() if execution.has_started else None
    if destination is None:
        return None
    log = execution.run.path / execution.run.attempt.log
    relay = Relay(log, execution.log_offset, destination, Mask(execution.environment))
    relay.start()
    return relay


def _stdout() -> int | None:
    """Return the descriptor of our stdout; None if it was closed when we were started, or isn't a file."""
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return None
