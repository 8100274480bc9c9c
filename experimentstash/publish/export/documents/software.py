"""software/: by what ExperimentStash is installed from the copy of it that is in the archive."""

from __future__ import annotations

from experimentstash.publish.export import wheel
from experimentstash.publish.export.documents.tolerances import needs_libraries
from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Frozen

FOLDER = "software"
REQUIREMENTS, CONSTRAINTS, WHEEL = (
    f"{FOLDER}/{name}" for name in ("requirements.txt", "constraints.txt", wheel.file_name())
)
_EXTRA = "outputs"  # what comparators of some kinds of files need


def requirements(frozen: Frozen, facts: Facts) -> str:
    """Return what is installed: the wheel, from where the archive was unpacked, with what has its outputs compared."""
    extra = f"[{_EXTRA}]" if any(needs_libraries(each) for run in frozen.runs for each in run.outputs) else ""
    return f"--constraint constraints.txt\n./{WHEEL}{extra}\n"


def constraints(frozen: Frozen, facts: Facts) -> str:
    """Return the versions that it was made with."""
    return wheel.constraints([_EXTRA])
