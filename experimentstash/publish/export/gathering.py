"""Gathers what is known of frozen runs besides what is frozen: authors, the paper, licences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.root import toplevel
from experimentstash.base import files, yaml_files
from experimentstash.base.errors import StashError
from experimentstash.publish.export import citations, licences
from experimentstash.publish.export.facts import Author, Facts, Licence
from experimentstash.publish.frozen import Code, Frozen
from experimentstash.stash.layout import Stash

CITATION, ZENODO = "CITATION.cff", ".zenodo.json"
LICENCES = "licences"
_BOT = "[bot]"


def look(stash: Stash, kept: Frozen) -> Facts:
    """Return what is known from here; whoever exports has more."""
    warnings: list[str] = []
    citation = _citation(stash, warnings)
    authors = [] if citation is None else citation.authors
    found, unlicensed = _licences(stash, kept, warnings)
    return Facts(
        title=kept.name if citation is None else citation.title,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        authors=authors or _committers(stash, kept),
        authors_from=CITATION if authors else "git",
        citation=None if citation is None else citation.text,
        paper=None if citation is None else citation.paper,
        licences=found,
        unlicensed=unlicensed,
        warnings=warnings,
    )


def _citation(stash: Stash, warnings: list[str]) -> citations.Citation | None:
    """Return what the stash's own CITATION.cff says."""
    path = stash.root / CITATION
    if not path.exists():
        return None
    if (stash.root / ZENODO).exists():
        warnings.append(f"Zenodo takes {ZENODO} and nothing of {CITATION} where a repository has both")
    try:
        text = files.read_text(path, yaml_files.MOST_BYTES)
        found = citations.read(yaml_files.as_mapping(yaml_files.parse(text, path), path), text)
    except (StashError, OSError, UnicodeDecodeError) as error:
        said = error.message if isinstance(error, StashError) else str(error)
        warnings.append(f"{CITATION} can't be read, and another one is written: {said}")
        return None
    if isinstance(found, str):
        warnings.append(f"{CITATION} isn't taken, and another one is written: {found}")
        return None
    return found


def _committers(stash: Stash, kept: Frozen) -> list[Author]:
    """Return who has written the stash's history until its frozen commits, whoever has most commits first."""
    root = toplevel(stash.root)
    commits = _here(root, (run.stash for run in kept.runs))
    if root is None or not commits:
        return []
    lines = git(root, "shortlog", "--summary", "--numbered", *commits, "--").text.splitlines()
    names = [line.partition("\t")[2].strip() for line in lines]
    return [Author(name) for name in dict.fromkeys(names) if name and not name.endswith(_BOT)]


def _here(root: Path | None, codes: Iterator[Code]) -> list[str]:
    commits = sorted({str(code.commit) for code in codes if code.commit is not None})
    return [each for each in commits if root is not None and objects.has_commit(root, each)]


def _licences(stash: Stash, kept: Frozen, warnings: list[str]) -> tuple[list[Licence], list[str]]:
    """Return the licences of all code, and of what none was found."""
    wanted: set[tuple[str, str, str]] = {("", "", str(run.stash.commit)) for run in kept.runs}
    wanted |= {(run.tool, run.code.path or "", str(run.code.commit)) for run in kept.runs}
    found: list[Licence] = []
    lacking: list[str] = []
    for tool, path, commit in sorted(wanted):
        what = f"The tool {tool}" if tool else "The stash"
        where = (stash.root / path).resolve()
        root = toplevel(where) if where.is_dir() else None
        if root is None or not objects.has_commit(root, commit):
            warnings.append(f"{what}: commit {commit[:12]} isn't here, so that its licence isn't known")
            lacking.append(tool)
            continue
        said = licences.look(root, commit, where.relative_to(root.resolve()).as_posix())
        if said.is_none:
            warnings.append(f"{what} has no licence: without one nobody may use it, or hand it on")
            lacking.append(tool)
        for name, text in said.files.items():
            place = f"{LICENCES}/{tool or 'stash'}/{commit[:12]}/{name.rpartition('/')[2]}"
            found.append(Licence(tool or None, commit, place, text, said.spdx, said.declared))
    return found, [*dict.fromkeys(lacking)]
