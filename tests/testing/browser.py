"""A real Chromium for the report's page, in which a page that asks anybody for anything, or complains, is a fault."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.stash import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MUST_HAVE_BROWSER = "EXPERIMENTSTASH_REQUIRE_BROWSER" in os.environ
INSIDE = ("file:///", "data:", "blob:", "about:")
# What a policy refuses is told where pages tell what goes wrong, also when nothing else notices.
TELL_REFUSALS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """Start a Chromium whose own files are in ``home``; skip the test where there is none.

    While it runs this thread has an event loop, of which other tests mustn't know: see who calls this for how long.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        why = f"there is no browser here ({', '.join(PROGRAMS)}); on Debian: apt-get install chromium"
        pytest.fail(why) if MUST_HAVE_BROWSER else pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program,
            env={**os.environ, "HOME": str(home)},
            # The heap is told as it is, and not only now and then.
            args=["--enable-precise-memory-info", "--js-flags=--expose-gc"],
        )
        try:
            yield started
        finally:
            started.close()


class Pages:
    """Opens pages in a context of their own, and keeps what they do that they shouldn't."""

    def __init__(self, started: Browser) -> None:
        self._browser = started
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []

    def open(self, place: Path | str, fragment: str = "", **options: Any) -> Page:
        """Open a file, or an address, and wait until the page is there; options are those of a context."""
        context = self._browser.new_context(
            **{"offline": True, "viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce", **options}
        )
        self._contexts.append(context)
        context.set_default_timeout(30_000)
        context.add_init_script(TELL_REFUSALS)
        context.on("request", self._look_at)
        context.on("requestfailed", lambda request: self._note(f"not there: {request.url[:300]}"))
        context.on("weberror", lambda error: self._note(f"error: {error.error}"))
        context.on("console", lambda said: said.type in ("error", "warning") and self._note(f"console: {said.text}"))
        context.on("dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page = context.new_page()
        address = place.as_uri() if isinstance(place, Path) else place
        page.goto(address + (f"#{fragment}" if fragment else ""))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _look_at(self, request: Request) -> None:
        if not request.url.startswith(INSIDE):
            self._note(f"it asks for {request.url[:300]}")

    def _note(self, fault: str) -> None:
        self.faults.append(fault)


def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until something is true. Playwright's own way evaluates texts in the page, which its policy forbids."""
    wait_until(lambda: page.evaluate(condition, argument))


def section(page: Page, title: str) -> Locator:
    """Return a section, when it is drawn."""
    found = page.get_by_role("region", name=title, exact=True)
    found.scroll_into_view_if_needed()
    until(page, "section => !section.classList.contains('waiting')", found.element_handle())
    return found


def column(table: Locator, title: str) -> list[str]:
    """Return what stands in a column of a table, without what only a screen reader says."""
    return table.evaluate(
        """(table, title) => {
            const seen = (cell) => {
                const copy = cell.cloneNode(true);
                copy.querySelectorAll(".unseen").forEach((each) => each.remove());
                return copy.textContent.trim();
            };
            const heads = [...table.querySelectorAll("thead th")].map((each) => seen(each).replace(/ *[↑↓]/g, ""));
            const place = heads.indexOf(title);
            if (place < 0) throw new Error(`${title} is not among ${heads}`);
            return [...table.querySelectorAll("tbody tr:not(.spacer)")].map((row) => seen(row.children[place]));
        }""",
        title,
    )


def fragment(page: Page, part: str = "") -> str:
    """Return the address after #, when it has a part in it: it is written a moment after what it tells of."""
    until(page, "part => decodeURIComponent(location.hash).includes(part)", part)
    return page.evaluate("location.hash")


def axe() -> str:
    """Return the script that looks for what keeps people from using a page."""
    import axe_playwright_python

    (script,) = Path(axe_playwright_python.__path__[0]).rglob("axe.min.js")
    return script.read_text(encoding="utf-8")


def barriers(page: Page) -> list[str]:
    """Return what axe-core finds in the page as it is shown now, a line for each."""
    # By the debugger's protocol, which the page's policy doesn't hold back.
    page.evaluate(axe() + "; null")
    found = page.evaluate("async () => (await axe.run({resultTypes: ['violations']})).violations")
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"]
    ]


def heap(page: Page) -> int:
    """Return how many bytes the page's script holds when all that nobody needs is gone."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return int(metrics["JSHeapUsedSize"])
