"""The page in a browser: what it is asked for is looked at there, and what it does beside is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.report.page import stashes
from tests.testing.browser import Pages, browser
from tests.testing.stash import InProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests of this folder, and no others: they would find its event loop in their thread."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def pages(chromium: Browser) -> Iterator[Pages]:
    """Pages that mustn't ask for anything outside, nor complain."""
    opened = Pages(chromium)
    yield opened
    opened.close()
    assert not opened.faults


@pytest.fixture
def few(in_process: InProcess) -> Path:
    """The page of runs of two tools, one of which has failed."""
    return stashes.page("few", stashes.few, in_process)
