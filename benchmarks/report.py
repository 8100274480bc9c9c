"""What the report's page of many runs costs: to make it, and in a browser until it can be used.

    python benchmarks/report.py [--runs 1000 10000] [--rounds 3]

The runs are those of runs.py. Made: CPU seconds, peak memory, the size of the file. Usable: from the navigation until
the rows of the first table are there; a search: from what is typed until what it leaves is there. The heap is what the
page's script holds after all sections have been seen. Needs the extra `dev`, and a Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runs import make_stash, measured

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Says when the first row is there, in milliseconds since the navigation.
WATCH = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("#q") || !document.querySelector("tbody tr:not(.spacer)")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.usable = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""


def looked_at(page: Path, rounds: int) -> tuple[float, float, float]:
    """Return the medians of the seconds until the page is usable and until a run is found, and the heap in MB."""
    from playwright.sync_api import sync_playwright

    usable, found, heaps = [], [], []
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        browser = playwright.chromium.launch(executable_path=program)
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
            context.add_init_script(WATCH)
            tab = context.new_page()
            tab.goto(page.as_uri())
            usable.append(_when(tab, "window.usable") / 1000)
            for section in tab.locator("main > section").all():
                section.scroll_into_view_if_needed()
            _when(tab, "!document.querySelector('section.waiting')")
            found.append(
                tab.evaluate(
                    """async () => {
                        const search = document.querySelector("#q");
                        const begin = performance.now();
                        search.value = "seed=3 failed";
                        search.dispatchEvent(new Event("input", { bubbles: true }));
                        const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                        do await frame();
                        while (document.querySelector("#bar .chips").hidden);  // of many runs it begins a moment later
                        return (performance.now() - begin) / 1000;
                    }"""
                )
            )
            debugger = context.new_cdp_session(tab)
            debugger.send("HeapProfiler.collectGarbage")
            debugger.send("Performance.enable")
            metrics = {each["name"]: each["value"] for each in debugger.send("Performance.getMetrics")["metrics"]}
            heaps.append(metrics["JSHeapUsedSize"] / 1e6)
            context.close()
        browser.close()
    return statistics.median(usable), statistics.median(found), statistics.median(heaps)


def _when(tab: Page, condition: str) -> float:
    """Return the first true value; Playwright's own way evaluates texts in the page, which its policy forbids."""
    while not (value := tab.evaluate(condition)):
        time.sleep(0.02)
    return float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for count in given.runs:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "stash"
            make_stash(root, count)
            environment = {**os.environ, "XDG_CACHE_HOME": str(Path(scratch) / "cache")}
            ours = [sys.executable, "-m", "experimentstash"]
            measured([*ours, "runs", "-n", "1", "--state", "failed"], root, environment)  # the index
            seconds, peak = measured([*ours, "report"], root, environment)
            page = root / "report.html"
            usable, found, heap = looked_at(page, given.rounds)
            print(
                f"{count:7,} runs: made in {seconds:.1f} s CPU with {peak} MB, {page.stat().st_size / 1000:.0f} kB;"
                f" usable after {usable:.2f} s, a search {found:.3f} s, heap {heap:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
