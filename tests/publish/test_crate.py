"""ro-crate-metadata.json is what the specifications ask for, and says of each run what it was."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.testing.drawing import SAME, frozen, identity
from tests.testing.stash import InProcess, StashUnderTest

# What of the two published contexts our crates use: https://w3id.org/ro/crate/1.1/context is too large to be copied,
# and no network is asked. A word that is new in our crates must be looked up there.
_SCHEMA = """CreateAction CreativeWork Dataset Organization Person PropertyValue SoftwareApplication SoftwareSourceCode
    about actionStatus affiliation agent alternateName author codeRepository contentSize datePublished description
    encodingFormat endTime hasPart instrument license mentions name object result softwareRequirements softwareVersion
    startTime subjectOf unitText url value version"""
_RUNS = "https://w3id.org/ro/terms/workflow-run"
CONTEXTS: dict[str, dict[str, str]] = {
    "https://w3id.org/ro/crate/1.1/context": {
        **{term: f"http://schema.org/{term}" for term in _SCHEMA.split()},
        "File": "http://schema.org/MediaObject",
        "conformsTo": "http://purl.org/dc/terms/conformsTo",
    },
    f"{_RUNS}/context": {term: f"{_RUNS}#{term}" for term in ("resourceUsage", "sha256")},
}


def kept_contexts(cache: Path) -> None:
    """Fill a cache of the validator's with the contexts, as if their server had answered."""
    import requests  # here, because each worker would load these
    from requests.adapters import BaseAdapter
    from requests_cache import CachedSession
    from urllib3 import HTTPResponse

    class Published(BaseAdapter):
        def send(self, request: requests.PreparedRequest, *given: Any, **options: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response.request = 200, str(request.url), request
            response.headers["Content-Type"] = "application/ld+json"
            text = json.dumps({"@context": CONTEXTS[response.url]}).encode()
            response.raw = HTTPResponse(io.BytesIO(text), {**response.headers}, 200, preload_content=False)
            return response

        def close(self) -> None:
            pass

    with CachedSession(str(cache), expire_after=-1) as session:
        session.mount("https://w3id.org/", Published())
        assert all(session.get(url).ok for url in CONTEXTS)


def with_few_packages(path: Path) -> None:
    """Have a crate name only some of this Python's packages: each takes the validator as long as the next."""
    crate = json.loads(path.read_text())
    packages = [each["@id"] for each in crate["@graph"] if each["@id"].startswith("#package-")]
    going = {*packages[2:]}
    crate["@graph"] = [each for each in crate["@graph"] if each["@id"] not in going]
    for each in crate["@graph"]:
        if needs := each.get("softwareRequirements"):
            each["softwareRequirements"] = [one for one in needs if one["@id"] not in going]
    assert len(packages) > 2
    path.write_text(json.dumps(crate))


def exported(stash: StashUnderTest, in_process: InProcess, *words: str) -> Path:
    assert in_process(stash, "freeze", "fig", identity(stash), "-m", "As submitted").returncode == 0
    path = stash.root.parent / "fig.zip"
    done = in_process(stash, "export", "fig", "-o", str(path), *words)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.slow
def test_an_archive_is_a_valid_process_run_crate(
    drawing: StashUnderTest, in_process: InProcess, tmp_path: Path
) -> None:
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.services import validate

    (drawing.run_directories()[-1] / "state.bin").write_bytes(b"it isn't taken along when it is changed")
    with zipfile.ZipFile(exported(drawing, in_process)) as archive:
        archive.extractall(tmp_path / "crate")
    with_few_packages(tmp_path / "crate" / "ro-crate-metadata.json")
    kept_contexts(tmp_path / "cache")
    settings = ValidationSettings(
        rocrate_uri=str(tmp_path / "crate"),
        profile_identifier="process-run-crate-0.5",
        requirement_severity=Severity.REQUIRED,
        offline=True,
        cache_path=tmp_path / "cache",
    )
    result = validate(settings)
    assert result.passed(), [issue.message for issue in result.get_issues()]


def test_the_crate_says_of_each_run_what_it_was(drawing: StashUnderTest, in_process: InProcess, tmp_path: Path) -> None:
    name = identity(drawing)
    with zipfile.ZipFile(exported(drawing, in_process)) as archive:
        crate = json.loads(archive.read("ro-crate-metadata.json"))
        names = {*archive.namelist()} - {"ro-crate-metadata.json"}
    found = {each["@id"]: each for each in crate["@graph"]}
    assert len(found) == len(crate["@graph"]) and {each["@id"] for each in found["./"]["hasPart"]} == names
    run = found[f"#run-{name}"]
    (params,) = [found[each["@id"]] for each in run["object"] if found[each["@id"]].get("name") == "shift"]
    assert params["value"] == "0.5" and run["startTime"] <= run["endTime"]
    results = {found[each["@id"]]["alternateName"] for each in run["result"]}
    assert results == {*SAME}
    assert found[run["instrument"]["@id"]]["version"] == frozen(drawing)["runs"][0]["code"]["commit"]
