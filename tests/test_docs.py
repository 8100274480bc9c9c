"""The documentation: each page has its place in the site, and the messages that it explains are those that we say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

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
