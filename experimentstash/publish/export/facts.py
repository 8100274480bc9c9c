"""What the documents in an archive say that isn't in frozen.json: who has made it, what it is called, its licences."""

from __future__ import annotations

from typing import Any

from experimentstash.base.dataclass_light import dataclass, field


@dataclass(frozen=True)
class Author:
    """Somebody who has made what is handed on."""

    name: str
    orcid: str | None = None  # https://orcid.org/…
    affiliation: str | None = None


@dataclass(frozen=True)
class Licence:
    """A licence that was found: of a tool, or of the stash itself (``tool`` is None)."""

    tool: str | None
    commit: str
    path: str  # in the archive; a pyproject.toml that declares it, where there is nothing else
    text: str
    spdx: str | None = None  # its identifier, if its text tells, or pyproject.toml: MIT
    declared: str | None = None  # what pyproject.toml says

    @property
    def named(self) -> str:
        """What it is called."""
        return self.spdx or self.declared or "not recognised: read it"


@dataclass(frozen=True)
class Paper:
    """The paper that the runs are of, as the stash's CITATION.cff has it in `preferred-citation`."""

    title: str
    authors: list[Author]
    reference: str | None  # a URL


@dataclass(frozen=True)
class Tried:
    """Runs of the same experiments that the stash has besides those that are handed on."""

    states: dict[str, int]  # how many stand where
    values: dict[str, list[Any]]  # of their parameters
    duration: float  # seconds that those took together of which that is known
    objectives: list[str]  # what a sweeper could have optimised, of those that are handed on


@dataclass(frozen=True)
class Missing:
    """A file that is in frozen.json and not in the archive, and why."""

    run: str
    path: str
    why: str


@dataclass(frozen=True)
class Facts:
    """What is known besides what is frozen."""

    title: str
    python: str  # for which ExperimentStash is installed: 3.11
    authors: list[Author] = field(default_factory=list)
    authors_from: str = "git"  # where they are named
    citation: str | None = None  # the stash's own CITATION.cff
    paper: Paper | None = None
    licences: list[Licence] = field(default_factory=list)
    unlicensed: list[str] = field(default_factory=list)  # tools, and the stash as "", for which none was found
    results: str | None = None  # a table of means, as `compare` has it; None: the runs have no numbers
    tried: Tried | None = None  # None: nobody has looked
    builds: list[str] = field(default_factory=list)  # of tools that are built: by what
    missing: list[Missing] = field(default_factory=list)
    has_outputs: bool = True  # copies of outputs are in it
    naming: list[str] = field(default_factory=list)  # files that name the machine, and were taken nevertheless
    warnings: list[str] = field(default_factory=list)  # what who exports it is to know
