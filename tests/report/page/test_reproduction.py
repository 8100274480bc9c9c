"""The page of a reproduction in a browser: here, because all of them are looked at in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from experimentstash.publish.render import to_html
from tests.publish.kept_runs import frozen, judged, kept_run
from tests.publish.test_page import png
from tests.report.page import stashes
from tests.testing.browser import Pages, barriers

HOSTILE = stashes.HOSTILE[0].replace("/", "|")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><circle cx="{}" cy="9" r="5"/></svg>'


def written(root: Path) -> Path:
    """Write the page of two runs, of which one isn't reproduced; a name in it would be a program."""
    before = {
        "figures/a.png": png(size=(900, 600)),
        "b.svg": SVG.format(10).encode(),
        f"{HOSTILE}.csv": b"x\n1\n",
        "very/long/" + "name_" * 30 + ".txt": f"{HOSTILE}\n".encode(),
    }
    after = {name: content.replace(b"1\n", b"2\n").replace(b'"10"', b'"14"') for name, content in before.items()}
    after["figures/a.png"] = png((30, 30), (31, 30), size=(900, 600))
    after["very/long/" + "name_" * 30 + ".txt"] = f"</pre>{HOSTILE}\n".encode()
    runs = [kept_run(root / "kept", name, before, {}) for name in ("k3f9a2b", "m8x2c4d")]
    found = [
        judged(root, root / "kept", run, now, contents)
        for run, now, contents in zip(runs, ("aaaaaaa", "bbbbbbb"), (before, after), strict=True)
    ]
    found[1].notes.append(HOSTILE)
    place = root / "report.html"
    place.write_bytes(to_html.report(frozen(runs, HOSTILE), [found], [], root / "kept", f"reproduce '{HOSTILE}'"))
    return place


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (390, "dark")])
def test_it_can_be_used_by_all_and_nothing_in_it_is_a_program(
    pages: Pages, tmp_path: Path, width: int, theme: str
) -> None:
    page = pages.open(written(tmp_path), color_scheme=theme, viewport={"width": width, "height": 844})
    assert page.get_by_role("main").is_visible() and "Not reproduced: 4 of 8" in page.locator(".verdict").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert not barriers(page)
    assert page.locator("script, iframe, object, embed, base, form").count() == 0
    assert page.evaluate("window.hacked") is None and HOSTILE in page.locator("body").inner_text()
    trio = page.locator(".trio").nth(2)
    tops = [trio.locator(f".{name}").bounding_box()["y"] for name in ("then", "now")]
    assert tops[0] == tops[1]
    assert page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)")


def test_pictures_are_seen_in_other_ways_and_in_either_theme(pages: Pages, tmp_path: Path) -> None:
    page = pages.open(written(tmp_path), reduced_motion="no-preference")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("group", name="Theme").get_by_text("Dark").click()
    assert page.evaluate(paper) != light and not barriers(page)
    trio = page.locator(".trio").nth(2)
    narrow = trio.locator(".then").bounding_box()["width"]
    page.get_by_role("group", name="Pictures").get_by_text("Large").click()
    assert trio.locator(".then").bounding_box()["width"] > 2 * narrow
    page.get_by_role("group", name="Pictures").get_by_text("Blink").click()
    assert trio.locator(".then").bounding_box() == trio.locator(".now").bounding_box()
    assert not trio.locator(".marks").is_visible()
    page.emulate_media(media="print")
    assert trio.locator(".marks").is_visible() and not page.locator(".bar").is_visible()
    assert page.evaluate(paper) == light
