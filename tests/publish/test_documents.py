"""What is in an archive for people says what is known, in the forms that others ask for, and what isn't known."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from uv import find_uv_bin

from experimentstash.base.dataclass_light import replace
from experimentstash.publish.comparators.comparator import How, Tolerance
from experimentstash.publish.export import citations, licences
from experimentstash.publish.export.documents import artifact, checklist, citation, tolerances
from experimentstash.publish.export.documents.yaml_text import document
from experimentstash.publish.export.facts import Author, Facts
from experimentstash.publish.frozen import Frozen, Python
from tests.publish.kept_runs import frozen, kept_run
from tests.testing.drawing import identity
from tests.testing.stash import InProcess, StashUnderTest, git

OWN_CITATION = """
cff-version: 1.2.0
message: Please cite the paper.
title: Manifolds
authors:
- {given-names: Ada, name-particle: von, family-names: Muster, orcid: 'https://orcid.org/0000-0002-1825-0097'}
- {name: The Manifold Group}
preferred-citation:
  type: article
  title: 'Manifolds: a study'
  doi: 10.5555/12345678
  authors:
  - {given-names: Ada, family-names: Muster, orcid: 'https://orcid.org/0000-0002-1825-0097'}
"""
MIT = """MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software …
The above copyright notice and this permission notice shall be included in all copies.
"""


def exported(
    stash: StashUnderTest, in_process: InProcess, name: str = "fig", *words: str
) -> tuple[zipfile.ZipFile, str]:
    """Export what is frozen; return the archive, and what was told."""
    path = stash.root.parent / "archive.zip"
    path.unlink(missing_ok=True)
    done = in_process(stash, "export", name, "-o", str(path), *words)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(path), done.stderr


def text(archive: zipfile.ZipFile, name: str) -> str:
    return archive.read(name).decode()


def with_number(stash: StashUnderTest, first: Path, seed: int, loss: float) -> str:
    """Write a run as another one, with another seed and a number; return its id."""
    place = first.with_name(f"seed-{seed}")
    shutil.copytree(first, place)
    data = stash.record(place)
    data |= {"id": f"seed{seed}"}
    data["attempt"]["metrics"] = {"loss": loss}
    data["spec"]["params"]["seed"] = seed
    (place / "run.json").write_text(json.dumps(data, ensure_ascii=False).replace(str(first), str(place)))
    return f"seed{seed}"


@pytest.fixture(scope="session")
def cff_schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The published schema of CITATION.cff; the package that has it wants an old jsonschema, and isn't run."""
    place = tmp_path_factory.mktemp("cff")
    words = ["pip", "install", "--quiet", "--no-deps", "--target", str(place), "cffconvert==2.0.0"]
    subprocess.run([find_uv_bin(), *words], check=True)
    return json.loads((place / "cffconvert/schemas/1.2.0/schema.json").read_text())


def refuse_invalid_citation(content: str, schema: Any) -> None:
    # As JSON has it: dates are texts there.
    data = yaml.load(content, yaml.BaseLoader)
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(data)


@pytest.mark.slow
def test_documents_say_what_is_known_of_a_run(drawing: StashUnderTest, in_process: InProcess, cff_schema: Any) -> None:
    run = identity(drawing)
    assert in_process(drawing, "freeze", "fig", run, "-m", "As <submitted> | to: them").returncode == 0
    archive, told = exported(drawing, in_process)
    assert "The tool drawer has no licence" in told and "The stash has no licence" in told
    names = archive.namelist()
    manifest = yaml.safe_load(text(archive, "codecheck.yml"))
    assert text(archive, "codecheck.yml").startswith("---\n") and "FIXME" not in text(archive, "codecheck.yml")
    assert [each["file"] for each in manifest["manifest"]] and "paper" not in manifest and "codechecker" not in manifest
    assert all(each["file"] in names and run in each["comment"] for each in manifest["manifest"])
    refuse_invalid_citation(text(archive, "CITATION.cff"), cff_schema)
    said = yaml.safe_load(text(archive, "CITATION.cff"))
    assert said["abstract"] == "As <submitted> | to: them" and "license" not in said
    assert said["authors"] == [{"name": git("log", "--format=%an", "-1", cwd=drawing.root).strip()}]
    readme = text(archive, "README.md")
    assert "**No licence was found of the stash, drawer**" in readme and "As &lt;submitted> | to: them" in readme
    block = readme.partition("```bash\n")[2].partition("```")[0].splitlines()
    assert len(block) == 2 and block[1] == ".venv/bin/experimentstash reproduce fig"
    assert all(each in names for word in block[0].split() if (each := word).startswith("software/"))
    artifact, checklist = text(archive, "ARTIFACT.md"), text(archive, "CHECKLIST.md")
    assert r"line by line; what may differ: `\d+ ns`" in artifact and "`state.bin` | draw" in artifact
    assert "| `shift` | 0.5 |  |" in checklist and "aren't reported here: 0 in the stash" in checklist
    assert "How the reported ones were chosen: unknown." in checklist
    assert not [line for line in (readme + artifact + checklist).splitlines() if "None" in line]
    # With what the stash says of itself.
    drawing.write("CITATION.cff", OWN_CITATION)
    drawing.write(".zenodo.json", "{}")
    archive, told = exported(drawing, in_process)
    assert "Zenodo takes .zenodo.json and nothing of CITATION.cff" in told
    assert text(archive, "CITATION.cff") == OWN_CITATION
    refuse_invalid_citation(OWN_CITATION, cff_schema)
    paper = yaml.safe_load(text(archive, "codecheck.yml"))["paper"]
    assert paper == {
        "title": "Manifolds: a study",
        "authors": [{"name": "Ada Muster", "ORCID": "0000-0002-1825-0097"}],
        "reference": "https://doi.org/10.5555/12345678",
    }
    assert "1 run of *Manifolds*" in text(archive, "README.md")
    archive, _ = exported(drawing, in_process, "fig", "--no-outputs")
    assert yaml.safe_load(text(archive, "codecheck.yml"))["manifest"] == []
    assert "the hashes of 4 outputs" in text(archive, "README.md")
    # Numbers are what `compare` makes of them.
    first = drawing.run_directories()[-1]
    others = [with_number(drawing, first, seed, seed / 7) for seed in range(3)]
    assert in_process(drawing, "freeze", "numbers", *others).returncode == 0
    archive, _ = exported(drawing, in_process, "numbers")
    done = in_process(drawing, "compare", *others, "--markdown")
    assert "0.14 ± 0.14 (3)" in done.stdout and done.stdout in text(archive, "CHECKLIST.md")
    assert "| `seed` | 0, 1, 2 |  |" in text(archive, "CHECKLIST.md")
    assert "aren't reported here: 1 in the stash that this is from (1 completed);" in text(archive, "CHECKLIST.md")


def test_a_file_of_requirements_is_no_lock_file(tmp_path: Path) -> None:
    python = Python("requirements", "CPython", "3.11.9", "requirements.txt", "requirements.txt", "a" * 64, [])
    assert python.locked_by is None and replace(python, packages=None).locked_by is None
    for name in ("uv.lock", "../uv.lock", "script.py.lock"):
        assert replace(python, lock_name=name).locked_by == name
        assert replace(python, lock_name=name, lock=None).locked_by is None
    run = replace(kept_run(tmp_path, "k3f9a2b", {}, {}), python=python)
    assert "environment of 0 runs of 1;" in checklist.text(frozen([run]), Facts("fig", "3.11"))
    # What a tool has for an experiment of its own is no default.
    said = checklist.text(frozen([replace(run, experiment="pca_3d")]), Facts("fig", "3.11"))
    assert "None was given.\n\nAll others are what the code of the tools has for `pca_3d`, unless" in said
    assert "no lock file" in artifact.text(frozen([run]), Facts("fig", "3.11"))
    assert "pinned by" not in artifact.text(frozen([run]), Facts("fig", "3.11"))


def test_citations_are_read_as_people_write_them() -> None:
    found = citations.read(yaml.safe_load(OWN_CITATION), OWN_CITATION)
    assert isinstance(found, citations.Citation) and found.title == "Manifolds"
    orcid = "https://orcid.org/0000-0002-1825-0097"
    assert found.authors == [Author("Ada von Muster", orcid), Author("The Manifold Group")]
    for lacking, why in (("title", "it has no title"), ("authors", "it has no authors")):
        data = {name: value for name, value in yaml.safe_load(OWN_CITATION).items() if name != lacking}
        assert citations.read(data, "") == why
    assert citations.read({**yaml.safe_load(OWN_CITATION), "authors": [{}, 3]}, "") == "none of its authors has a name"


def test_a_licence_is_that_of_the_commit_and_of_what_is_nearest(tmp_path: Path) -> None:
    repository = StashUnderTest(tmp_path / "repository")
    repository.root.mkdir()
    git("init", "-q", cwd=repository.root)
    repository.write("LICENSE", MIT)
    repository.write("tool/main.py", "")
    repository.write("tool/inner/pyproject.toml", "[project]\nname = 'x'\nlicense = {text = 'GPL-3.0-or-later'}\n")
    repository.write("other/COPYING.txt", "Do what you like.\n")
    repository.write("two/LICENSE-MIT", MIT)
    repository.write("two/LICENSE-APACHE", "Apache License, Version 2.0\n")
    first = repository.commit()
    (repository.root / "LICENSE").unlink()
    second = repository.commit()
    repository.write("LICENSE", "not committed")

    def look(inside: str, commit: str = first) -> tuple[list[str], str | None, str | None]:
        found = licences.look(repository.root, commit, inside)
        return list(found.files), found.declared, found.spdx

    assert look(".") == look("tool") == (["LICENSE"], None, "MIT")
    assert look("tool", second) == ([], None, None) and licences.look(repository.root, second, "").is_none
    declared = (["tool/inner/pyproject.toml"], "GPL-3.0-or-later", "GPL-3.0-or-later")
    assert look("tool/inner", second) == declared
    assert look("other") == (["other/COPYING.txt"], None, None)
    assert look("two") == (["two/LICENSE-APACHE", "two/LICENSE-MIT"], None, None)


def test_how_outputs_are_compared_is_told_in_words() -> None:
    for how, said in (
        (How("hash"), "byte by byte"),
        (How("numbers"), "number by number; no number may differ"),
        (
            How("numbers", rtol=1e-6, columns={"a|b": Tolerance(atol=0.5)}, key=["id"], ignore=["t"]),
            "number by number; may differ by 1e-06 × the number; `a\\|b`: may differ by 0.5; rows found by `id`;"
            " not compared: `t`",
        ),
        (
            How("picture", atol=2, share=0.01),
            "pixel by pixel, metadata aside; a channel may differ by 2 of 255; 0.01 of the pixels may differ by more",
        ),
        (
            How("embedding", up_to="sign", coordinates=["x", "y"], atol=1e-8),
            "as an embedding, up to the signs of its axes; coordinates are `x`, `y`; may differ by 1e-08",
        ),
    ):
        assert tolerances.words(how) == said


def test_texts_of_all_kinds_come_back_from_yaml() -> None:
    data = {"a": 'x: "y" # z\n', "b": ["- 1", {"c": "no", "d": ["ü", "\\"]}], "e": {"f": "1.2.0"}}
    assert yaml.safe_load(document(data)) == data


def test_who_is_an_author_is_never_made_up(cff_schema: Any) -> None:
    frozen = Frozen("fig", "", "2026-11-26T20:19:27.859+00:00", [], {})
    content = citation.text(frozen, Facts("fig", "3.11"))
    refuse_invalid_citation(content, cff_schema)
    assert yaml.safe_load(content)["authors"] == [{"name": "unknown"}]
