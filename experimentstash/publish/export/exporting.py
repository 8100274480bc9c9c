"""Makes one file of what is frozen under a name: unpacked it is a small stash, in which that can be had again."""

from __future__ import annotations

from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.publish import frozen
from experimentstash.publish.export import archive, gathering, wheel
from experimentstash.publish.export.documents import software
from experimentstash.publish.export.documents.every import EVERY
from experimentstash.publish.export.facts import Facts
from experimentstash.publish.frozen import Content, Frozen
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

# Types of all settings, and no tools: those of then are in the commits.
_ROOT_CONFIG = "defaults:\n  - experimentstash\n  - tool: null\n  - _self_\n"


@dataclass(frozen=True)
class Exported:
    """What is in an archive."""

    contents: dict[str, Content]
    facts: Facts


def export(stash: Stash, kept: Frozen, place: Path, target: Path, results: str | None) -> Exported:
    """Write an archive of what is kept in ``place``; StashError if it isn't as it was frozen, and nothing is there."""
    facts = gathering.look(stash, kept, results=results)
    with archive.writing(target) as packed:
        packed.text(paths.ROOT_CONFIG, _ROOT_CONFIG)
        for name, text in EVERY.items():
            packed.text(name, text(kept, facts))
        for licence in facts.licences:
            packed.text(licence.path, licence.text)
        packed.binary(software.WHEEL, wheel.content())
        front = f"{paths.FROZEN}/{kept.name}"
        for name, content in kept.files.items():
            packed.file(f"{front}/{name}", place / name, content)
        packed.file(f"{front}/{frozen.FILE_NAME}", place / frozen.FILE_NAME)
    return Exported(packed.contents, facts)
