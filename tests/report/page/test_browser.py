"""The tests' own browser: it sees what a page does that it shouldn't."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testing.browser import Pages, barriers, heap

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (
            """<img src=https://example.org/a.png><link rel=stylesheet href=//example.org/a.css><img src=nothing.png>
            <script>console.error("oh")</script><script>nothing.there()</script><script>alert("it runs")</script>""",
            [
                "it asks for https://example.org/a.png",
                "it asks for file://example.org/a.css",
                "nothing.png",
                "console: oh",
                "error: nothing is not defined",
                "dialog: it runs",
            ],
        ),
        (
            """<meta http-equiv=Content-Security-Policy content="default-src 'none'">
            <p style="color: red"></p><script>alert(1)</script>
            <img src=data:image/gif;base64,R0lGODdhAQABAIAAAAAAAA>""",
            [
                "refused by the policy: style-src-attr inline",
                "refused by the policy: script-src-elem inline",
                "refused by the policy: img-src data",
            ],
        ),
    ],
)
def test_what_a_page_must_not_do_is_seen(chromium: Browser, tmp_path: Path, body: str, faults: list[str]) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>t</title>{body}", encoding="utf-8")
    pages = Pages(chromium)
    pages.open(page)
    pages.close()
    assert all(any(fault in each for each in pages.faults) for fault in faults), pages.faults


def test_what_a_page_should_be_like_is_seen(pages: Pages, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><html><title>t</title><body><main><p>x</main><input>", encoding="utf-8")
    page = pages.open(file)
    assert {each.partition(":")[0] for each in barriers(page)} >= {"html-has-lang", "label"}
    assert 10_000 < heap(page) < 50_000_000
