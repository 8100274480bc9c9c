"""ro-crate-metadata.json: what is in an archive, as a Process Run Crate 0.5 on RO-Crate 1.1, in JSON-LD.

https://w3id.org/ro/crate/1.1 and https://w3id.org/ro/wfrun/process/0.5 say what it must have.
"""

from __future__ import annotations

import json
import mimetypes
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from experimentstash import __version__
from experimentstash.base.dotted import leaves
from experimentstash.base.names import remote_problem
from experimentstash.publish import frozen, kept_inputs
from experimentstash.publish.export.facts import Author, Facts
from experimentstash.publish.frozen import Content, Frozen, FrozenRun, Input, Output
from experimentstash.record import times
from experimentstash.record.run import Attempt, Run
from experimentstash.stash import paths

_CRATE, _PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
_COMPLETED = "http://schema.org/CompletedActionStatus"
_NO_LICENCE = "#no-licence"
_TYPES = {
    ".bundle": "application/octet-stream",
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".patch": "text/x-patch",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


def text(kept: Frozen, facts: Facts, contents: Mapping[str, Content], runs: Sequence[Run]) -> str:
    """Return the document about all files that are in an archive; ``runs`` are the kept ones, in their order."""
    graph = _Crate(kept, facts, contents, runs).graph()
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


class _Crate:
    """The entities of an archive, each once, by its id."""

    def __init__(self, kept: Frozen, facts: Facts, contents: Mapping[str, Content], runs: Sequence[Run]) -> None:
        self._kept = kept
        self._facts = facts
        self._contents = contents
        self._runs = runs
        self._found: dict[str, dict[str, Any]] = {}
        # By the folders of runs: what was handed to them, and their records.
        self._handed: dict[str, list[str]] = {run.folder: [] for run in kept.runs}
        for name in sorted(contents):
            parts = name.removeprefix(self._frozen("")).split("/")
            if (folder := "/".join(parts[:2])) in self._handed and parts[2] != frozen.OUTPUTS:
                self._handed[folder].append(name)

    def graph(self) -> list[dict[str, Any]]:
        """Return all entities: the document itself and the whole first."""
        kept, facts = self._kept, self._facts
        self._add(paths.CRATE, "CreativeWork", about=_link("./"), conformsTo=_link(_CRATE))
        root = self._add("./", "Dataset", name=facts.title, description=kept.message or f"{facts.title}: frozen runs")
        self._add(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
        authors = [self._author(each) for each in facts.authors]
        parts = [self._file(name, content) for name, content in sorted(self._contents.items())]
        actions = [self._run(run, made.attempt, authors) for run, made in zip(kept.runs, self._runs, strict=True)]
        root |= {
            "conformsTo": _link(_PROFILE),
            "datePublished": kept.created,
            "license": self._licence(None) or self._no_licence(),
            **_several("author", authors),
            **_several("hasPart", parts),
            **_several("mentions", actions),
        }
        return list(self._found.values())

    def _add(self, at: str, kind: str | list[str], **said: Any) -> dict[str, Any]:
        """Return an entity, which is made unless it is there."""
        return self._found.setdefault(at, {"@id": at, "@type": kind, **said})

    def _linked(self, at: str, kind: str | list[str], **said: Any) -> dict[str, str]:
        return _link(self._add(at, kind, **said)["@id"])

    # --- what is in it -----------------------------------------------------------------------------------------------

    def _file(self, name: str, content: Content) -> dict[str, str]:
        suffix = Path(name).suffix.lower()
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._linked(
            quote(name),
            "File",
            name=Path(name).name,
            encodingFormat=kind,
            contentSize=str(content.size),
            sha256=content.sha256,
        )

    def _frozen(self, name: str) -> str:
        return f"{paths.FROZEN}/{self._kept.name}/{name}"

    def _author(self, author: Author) -> dict[str, str]:
        said: dict[str, Any] = {"name": author.name}
        if author.affiliation is not None:
            said["affiliation"] = self._linked(
                f"#organization-{quote(author.affiliation, safe='')}", "Organization", name=author.affiliation
            )
        return self._linked(author.orcid or f"#person-{quote(author.name, safe='')}", "Person", **said)

    def _licence(self, tool: str | None) -> dict[str, str] | None:
        """Return the licence of a tool, or of the stash itself; None if none was found."""
        found = next((each for each in self._facts.licences if each.tool == tool), None)
        if found is None:
            return None
        if found.spdx is None:
            return _link(quote(found.path))
        return self._linked(f"https://spdx.org/licenses/{found.spdx}", "CreativeWork", name=found.spdx)

    def _no_licence(self) -> dict[str, str]:
        return self._linked(
            _NO_LICENCE, "CreativeWork", name="No licence", description="No licence was found in the stash."
        )

    # --- runs --------------------------------------------------------------------------------------------------------

    def _run(self, run: FrozenRun, attempt: Attempt, authors: Sequence[dict[str, str]]) -> dict[str, str]:
        record = self._frozen(f"{run.folder}/{frozen.RECORD}")
        handed = [_link(quote(name)) for name in self._handed[run.folder] if name != record]
        objects = [*(self._input(each) for each in run.inputs), *self._params(run), *handed]
        machine = run.machine
        where = "" if machine is None else f"\non {machine.platform}, {machine.cpu or machine.architecture}"
        said: dict[str, Any] = {
            "name": f"{run.organizer or run.tool} ({run.id})",
            "description": f"{shlex.join(run.argv)}\nin {run.cwd}{where}",
            **_moment("startTime", attempt.started),
            **_moment("endTime", attempt.ended),
            "actionStatus": _COMPLETED,
            "instrument": self._tool(run),
            **_several("agent", authors),
            **_several("object", objects),
            **_several("result", [self._output(run, each) for each in run.outputs]),
            **_several("resourceUsage", self._took(run)),
            **_several("subjectOf", [_link(quote(record))]),
        }
        return self._linked(f"#run-{quote(run.id)}", "CreateAction", **said)

    def _tool(self, run: FrozenRun) -> dict[str, str]:
        code = run.code
        url = code.url if code.url is not None and remote_problem(code.url) is None else None
        is_web = url is not None and url.startswith(("https://", "http://"))
        name = f"{url}#{code.commit}" if is_web else f"#tool-{quote(run.tool)}-{str(code.commit)[:12]}"
        licence = self._licence(run.tool)
        return self._linked(
            name,
            ["SoftwareApplication", "SoftwareSourceCode"],
            name=run.tool,
            version=str(code.commit),
            **({} if url is None else {"url": url, "codeRepository": url}),
            **({} if licence is None else {"license": licence}),
            **_several("softwareRequirements", self._requirements(run)),
        )

    def _requirements(self, run: FrozenRun) -> list[dict[str, str]]:
        """Return what a tool was run by, and with; of packages those of which more than the name is known."""
        found = [
            self._linked("#experimentstash", "SoftwareApplication", name="ExperimentStash", softwareVersion=__version__)
        ]
        python = run.python
        if python is None or python.version is None:
            return found
        found.append(
            self._linked(
                f"https://www.python.org/#{python.implementation or 'Python'}-{python.version}",
                "SoftwareApplication",
                name=python.implementation or "Python",
                softwareVersion=python.version,
                url="https://www.python.org/",
            )
        )
        for each in python.packages or ():
            name = f"#package-{quote(each.name)}-{quote(each.version)}"
            found.append(self._linked(name, "SoftwareApplication", name=each.name, softwareVersion=each.version))
        return found

    def _params(self, run: FrozenRun) -> Iterator[dict[str, str]]:
        for name, value in leaves(run.params):
            said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield self._linked(f"#run-{quote(run.id)}-{quote(name)}", "PropertyValue", name=name, value=said)

    def _input(self, given: Input) -> dict[str, str]:
        name = self._frozen(kept_inputs.name_of(given))
        return self._content(name, f"#input-{quote(given.path)}-{given.content.sha256[:16]}", given.path, given.content)

    def _output(self, run: FrozenRun, output: Output) -> dict[str, str]:
        name = self._frozen(f"{run.folder}/{frozen.OUTPUTS}/{output.path}")
        return self._content(name, f"#output-{quote(run.id)}-{quote(output.path)}", output.path, output.content)

    def _content(self, name: str, other: str, path: str, content: Content) -> dict[str, str]:
        """Return a file that is in the archive, with the path it has had; or what is known of one that isn't."""
        if name in self._contents:
            self._found[quote(name)].setdefault("alternateName", path)
            return _link(quote(name))
        return self._linked(
            other, "CreativeWork", name=path, description="It isn't in the archive.", sha256=content.sha256
        )

    def _took(self, run: FrozenRun) -> Iterator[dict[str, str]]:
        took = run.took
        for name, value, unit in (
            ("duration", took.duration, "s"),
            ("CPU time", took.cpu_time, "s"),
            ("peak memory", took.peak_memory, "bytes"),
        ):
            if value is not None:
                said = f"#run-{quote(run.id)}-took-{quote(name)}"
                yield self._linked(said, "PropertyValue", name=name, value=str(value), unitText=unit)


def _link(name: str) -> dict[str, str]:
    return {"@id": name}


def _several(name: str, links: Sequence[dict[str, str]] | Iterator[dict[str, str]]) -> dict[str, Any]:
    """Return a property that has these values, each once: a lone one is no list, and none is left out."""
    found = list({each["@id"]: each for each in links}.values())
    return {name: found if len(found) > 1 else found[0]} if found else {}


def _moment(name: str, moment: str | None) -> dict[str, str]:
    """Return a property that is a time of a record, in UTC, if it is known."""
    return {} if moment is None else {name: times.as_text(times.moment(moment))}
