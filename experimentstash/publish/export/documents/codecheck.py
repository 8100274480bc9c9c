"""codecheck.yml: the authors' part of what CODECHECK asks for. https://codecheck.org.uk/spec/config/2.0/"""

from __future__ import annotations

from typing import Any

from experimentstash.publish.export.citations import plain_orcid
from experimentstash.publish.export.documents.tolerances import experiment_of, words
from experimentstash.publish.export.documents.yaml_text import document
from experimentstash.publish.export.facts import Author, Facts
from experimentstash.publish.frozen import OUTPUTS, Frozen, FrozenRun, Output
from experimentstash.stash import paths

_VERSION = "https://codecheck.org.uk/spec/config/2.0/"
_CHECKERS = "# codechecker, report, summary and certificate are the codechecker's to add: nobody has checked it yet.\n"
_PAPER = "# paper (title, authors with ORCIDs, reference) is yours to add: CITATION.cff has no preferred-citation.\n"
_NO_MANIFEST = "# manifest: no output is in this archive.\n"
_ORCIDS = "# CODECHECK asks for an ORCID of each author: of some none is known here.\n"


def text(frozen: Frozen, facts: Facts) -> str:
    """Return the document."""
    missing = {(each.run, each.path) for each in facts.missing}
    manifest = [
        _entry(frozen, run, output)
        for run in frozen.runs
        for output in run.outputs
        if facts.has_outputs and (run.id, output.path) not in missing
    ]
    data: dict[str, Any] = {"version": _VERSION, "manifest": manifest}
    said = _PAPER if manifest else _NO_MANIFEST + _PAPER
    if facts.paper is not None:
        data["paper"] = {
            "title": facts.paper.title,
            "authors": [_author(each) for each in facts.paper.authors],
            **({"reference": facts.paper.reference} if facts.paper.reference else {}),
        }
        said = said.removesuffix(_PAPER) + ("" if all(each.orcid for each in facts.paper.authors) else _ORCIDS)
    return f"---\n{document(data)}{said}{_CHECKERS}"


def _entry(frozen: Frozen, run: FrozenRun, output: Output) -> dict[str, str]:
    place = f"{paths.FROZEN}/{frozen.name}/{run.folder}/{output.kept or f'{OUTPUTS}/{output.path}'}"
    return {"file": place, "comment": f"{experiment_of(run)}, run {run.id}: {output.path}; {words(output.how)}"}


def _author(author: Author) -> dict[str, str]:
    return {"name": author.name, **({"ORCID": plain_orcid(author.orcid)} if author.orcid else {})}
