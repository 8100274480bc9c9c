"""All documents of an archive, by their names in it. A further one is one line here, and one file."""

from __future__ import annotations

from collections.abc import Callable

from experimentstash.publish.export.documents import artifact, checklist, citation, codecheck, readme, software
from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Frozen

EVERY: dict[str, Callable[[Frozen, Facts], str]] = {
    "README.md": readme.text,
    "ARTIFACT.md": artifact.text,
    "CHECKLIST.md": checklist.text,
    "CITATION.cff": citation.text,
    "codecheck.yml": codecheck.text,
    software.REQUIREMENTS: software.requirements,
    software.CONSTRAINTS: software.constraints,
}
