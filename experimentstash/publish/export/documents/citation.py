"""CITATION.cff: whom to cite. The stash's own if it has one. https://github.com/citation-file-format, version 1.2.0"""

from __future__ import annotations

from typing import Any

from experimentstash.publish.export.documents.yaml_text import document
from experimentstash.publish.export.facts import Author, Facts
from experimentstash.publish.frozen import Frozen


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    if facts.citation is not None:
        return facts.citation
    known = [each.spdx for each in facts.licences if each.tool is None]
    data: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use what is in this archive, please cite it.",
        "type": "dataset",
        "title": facts.title,
        **({"abstract": frozen.message} if frozen.message else {}),
        "authors": [_author(each) for each in facts.authors] or [{"name": "unknown"}],
        "date-released": frozen.created[:10],
        **({"license": known[0]} if len({*known}) == 1 and known[0] is not None else {}),
    }
    return document(data)


def _author(author: Author) -> dict[str, str]:
    """Return an author as one name: which part of it is the family's isn't known."""
    return {"name": author.name}
