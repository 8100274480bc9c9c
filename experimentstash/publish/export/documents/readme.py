"""README.md: what is in the archive, and the two commands by which it is had again."""

from __future__ import annotations

from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Frozen


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    return f"# {facts.title}\n\n    pip install '{facts.requirement}'\n    experimentstash reproduce {frozen.name}\n"
