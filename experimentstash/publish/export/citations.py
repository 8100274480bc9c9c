"""CITATION.cff as people write it: what of it is needed here. https://github.com/citation-file-format, version 1.2.0"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex
from experimentstash.publish.export.facts import Author, Paper

_REQUIRED = ("cff-version", "message", "title", "authors")
_ORCID = regex(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")
_DOI = "https://doi.org/"
# What a preferred citation is, if it is a paper.
_PAPERS = ("article", "conference-paper", "thesis", "report", "unpublished", "generic", "proceedings")


@dataclass(frozen=True)
class Citation:
    """A CITATION.cff: its text, and what is needed of what it says."""

    text: str
    title: str
    authors: list[Author]
    paper: Paper | None


def read(data: Mapping[Any, Any], text: str) -> Citation | str:
    """Return what a CITATION.cff says, or why it isn't one."""
    if lacking := [each for each in _REQUIRED if not data.get(each)]:
        return f"it has no {lacking[0]}"
    if not (authors := _authors(data["authors"])):
        return "none of its authors has a name"
    return Citation(text, str(data["title"]), authors, _paper(data.get("preferred-citation")))


def plain_orcid(orcid: str) -> str:
    """Return an ORCID without the address in front of it."""
    found = _ORCID.fullmatch(orcid)
    return orcid if found is None else found[1]


def _authors(given: Any) -> list[Author]:
    found = [_author(each) for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
    return [each for each in found if each.name]


def _author(given: Mapping[Any, Any]) -> Author:
    parts = (given.get(each) for each in ("given-names", "name-particle", "family-names", "name-suffix"))
    name = given.get("name") or " ".join(str(each) for each in parts if each) or given.get("alias")
    orcid = str(given.get("orcid") or "")
    affiliation = given.get("affiliation")
    return Author(
        str(name or ""), orcid if _ORCID.fullmatch(orcid) else None, str(affiliation) if affiliation else None
    )


def _paper(given: Any) -> Paper | None:
    if not isinstance(given, Mapping) or given.get("type") not in _PAPERS or not given.get("title"):
        return None
    reference = f"{_DOI}{given['doi']}" if given.get("doi") else given.get("url")
    return Paper(str(given["title"]), _authors(given.get("authors")), str(reference) if reference else None)
