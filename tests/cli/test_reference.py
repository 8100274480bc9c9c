"""The reference pages in docs/ are made from the schema and the parsers."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.cli import reference
from experimentstash.cli.verbs import VERBS

FOLDER = Path(reference.__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_one_in_the_docs_is_as_it_is_made(page: str) -> None:
    # else: python -m experimentstash.cli.reference docs/reference
    assert (FOLDER / page).read_text() == reference.PAGES[page]()


def test_every_verb_and_setting_has_its_place() -> None:
    commands, settings = reference.commands_page(), reference.settings_page()
    for verb in VERBS:
        assert f"### `experimentstash {verb}" in commands
    for key in ("timeout", "call.style", "runs_per_job", "metrics.NAME.column"):
        assert f"### `{key}`" in settings
    assert r"'figure1/\*'" in commands  # nothing becomes emphasis


def test_what_tab_knows_is_up_to_date() -> None:
    # else: python -m experimentstash.cli.reference docs/reference
    assert reference.KNOWN_WORDS.read_text() == reference.known_words()
