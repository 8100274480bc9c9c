"""What the documents in an archive say that isn't in frozen.json: who has made it, what it is called, its licences."""

from __future__ import annotations

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
    path: str  # in the archive
    text: str
    spdx: str | None = None  # its identifier, if its text tells: MIT


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
    requirement: str  # by which pip installs the ExperimentStash that this was made with
    authors: list[Author] = field(default_factory=list)
    licences: list[Licence] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    has_outputs: bool = True  # copies of outputs are in it
    has_inputs: bool = False  # … and of inputs
