"""The documentation: each page has its place in the site, and the messages that it explains are those that we say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from experimentstash.base import yaml_files
from experimentstash.cli import parsing, verbs
from experimentstash.stash import editor_schemas, settings
from tests.testing.stash import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


class Loader(yaml.SafeLoader):
    """Reads the settings of the site: what names a function of Python's is passed over."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def in_navigation(entries: Any) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else in_navigation(value)


def test_each_page_has_one_place_in_the_site() -> None:
    site = yaml.load((REPOSITORY / "mkdocs.yml").read_text(), Loader)
    assert sorted(in_navigation(site["nav"])) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_are_there(page: str) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (DOCS / page).parent.joinpath(target).is_file(), target


def test_messages_that_are_explained_are_said() -> None:
    said = "\n".join(path.read_text() for path in (REPOSITORY / "experimentstash").rglob("*.py"))
    cells = re.findall(r"^\| (.*?) \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    phrases = [part.strip() for cell in cells for each in re.findall("`([^`]+)`", cell) for part in each.split("…")]
    assert len([phrase for phrase in phrases if phrase]) > 12
    assert [phrase for phrase in phrases if phrase not in said] == []


# --- what is to be typed ---------------------------------------------------------------------------------------------

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_ENDS = ("|", ">", ">>", "&&", ";", "&")
WITH_README = [REPOSITORY / "README.md", *(DOCS / page for page in PAGES)]
VALIDATORS = [jsonschema.Draft7Validator(editor_schemas.schema_of(kind)) for kind in settings.KINDS]


def blocks(page: Path, *kinds: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind in kinds]


def command_lines(page: Path) -> Iterator[str]:
    """Yield what stands behind `experimentstash` in a page's commands; not in those that show what there may be."""
    for block in blocks(page, "bash", "console"):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            bare = line.removeprefix("$ ")
            if bare.startswith("experimentstash ") and "[--" not in bare:
                yield bare.removeprefix("experimentstash ")


@pytest.mark.parametrize("page", WITH_README, ids=lambda page: page.stem)
def test_commands_are_such_that_our_parser_takes_them(page: Path) -> None:
    for line in command_lines(page):
        words = shlex.split(line, comments=True)
        end = next((number for number, word in enumerate(words) if word in _ENDS), len(words))
        verb, rest = verbs.split(words[:end])
        if verb not in (None, "run"):  # which Hydra reads
            parsing.read(verb, rest)


@pytest.mark.parametrize("page", WITH_README, ids=lambda page: page.stem)
def test_settings_are_such_that_the_schemas_take_them(page: Path) -> None:
    for text in blocks(page, "yaml"):
        content = yaml_files.parse(text, page, for_omegaconf=True)
        assert any(validator.is_valid(content) for validator in VALIDATORS), text


def test_there_is_something_to_try() -> None:
    assert sum(len(list(command_lines(page))) for page in WITH_README) > 80
    assert sum(len(blocks(page, "yaml")) for page in WITH_README) > 15
