"""Pictures in the page, in a browser: side by side, large, compared; by keyboard; and hostile ones do nothing."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from experimentstash.record.run import State
from experimentstash.report.compare import Asked
from experimentstash.report.page import collect, write
from experimentstash.report.page.collect import Request
from experimentstash.report.page.picture_files import ENDINGS
from experimentstash.report.page.places import Beside
from experimentstash.report.summaries import WAYS
from experimentstash.runs.selection import Selection
from experimentstash.stash.layout import Stash
from tests.testing.browser import Pages, barriers, until
from tests.testing.finished import finished

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

EVIL = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="60"'
    ' onload="alert(1)"><script>alert(2)</script><a xlink:href="javascript:alert(3)"><rect width="90" height="60"/></a>'
    '<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" srcdoc="&lt;script&gt;alert(4)'
    '&lt;/script&gt;"/></foreignObject>%s</svg>'
)
OUTSIDE = (
    '<image href="https://example.org/x.png" width="9" height="9"/><style>@import "https://example.org/x";</style>'
)


class Pictured(NamedTuple):
    """A page, and the directory of the run with odd pictures."""

    page: Path
    odd: Path


def picture(colour: str, size: tuple[int, int] = (300, 200), kind: str = "PNG") -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Pictured:
    """A figure of two tools over two seeds, a run of it that failed without a picture, and a run with odd ones."""
    root = tmp_path_factory.mktemp("stash")
    (root / "conf").mkdir()
    (root / "conf" / "config.yaml").write_text("# experimentstash\n", encoding="utf-8")
    for number, (tool, seed) in enumerate((tool, seed) for tool in ("pca", "umap") for seed in (0, 1)):
        state = State.KILLED if number == 3 else State.COMPLETED
        params = {"seed": seed, "method": tool}
        run = finished(root, f"22222{number + 2}a", params, exp=f"fig/{tool}", tool=tool, second=number, state=state)
        (run.path / "map.png").write_bytes(picture(("red", "green", "blue", "white")[number]))
        (run.path / "loss.png").write_bytes(picture("grey", (600, 100)))
    without = {"seed": 2, "method": "pca"}
    failed = finished(root, "222227a", without, exp="fig/pca", tool="pca", state=State.FAILED, second=7)
    (failed.path / "latest.png").symlink_to(root / "scratch.png")
    finished(root, "222228a", without, exp="none/pca", tool="pca", second=9)
    odd = finished(root, "22222xx", exp="odd/one", tool="pca", second=8).path
    (odd / "evil.svg").write_text(EVIL % "", encoding="utf-8")
    (odd / "large.svg").write_text(EVIL % f"<!-- {'x' * 30_000} -->", encoding="utf-8")
    (odd / "outside.svg").write_text(EVIL % OUTSIDE, encoding="utf-8")
    (odd / '<img src=x onerror=alert(5)>".png').write_bytes(picture("teal"))
    (odd / "javascript:alert(6)%2f#?.png").write_bytes(picture("navy"))
    (odd / "broken.png").write_bytes(picture("red")[:60])
    (odd / "page.pdf").write_bytes(picture("orange", kind="PDF"))
    (odd / "forms.pdf").write_bytes(picture("orange", kind="PDF"))
    (odd / "forms.svg").write_text(EVIL % "", encoding="utf-8")
    (odd / "forms.png").write_bytes(picture("orange"))
    page = root / "report.html"
    found = collect.collect(Stash(root), Request(Selection(), Asked(WAYS["std"])), Beside(root), None)
    page.write_bytes(write.page(found.title, found.data))
    return Pictured(page, odd)


def tile(page: Page, key: str) -> Locator:
    return page.locator(f".gallery [data-key='{key}']")


def opened(pages: Pages, pictured: Pictured, fragment: str = "at=pictures") -> Page:
    page = pages.open(pictured.page, fragment)
    page.locator(".gallery .shot").first.wait_for()
    return page


def test_pictures_of_a_name_stand_side_by_side_say_what_differs_and_are_filtered(
    pages: Pages, pictured: Pictured
) -> None:
    page = opened(pages, pictured)
    figure = page.locator(".figure", has=page.locator("h3", has_text="fig"))
    assert figure.locator("h4").all_inner_texts() == ["loss.png", "map.png"]
    group = figure.locator(".alike").nth(1)
    assert group.locator(".says").all_inner_texts() == ["pca\nseed 0", "pca\nseed 1", "umap\nseed 0", "umap\nseed 1"]
    assert group.locator(".state").all_inner_texts() == ["killed"]
    tops = {box["y"] for each in group.locator("img").all() if (box := each.bounding_box())}
    assert len(tops) == 1
    assert group.get_by_role("img", name="map.png: pca, seed 1").count() == 1
    assert figure.locator("> .note").all_inner_texts() == [
        "No picture of 1 run: 222227a failed",
        "1 link to pictures or folders outside of a run not followed (latest.png), of: 222227a",
    ]
    none = page.locator(".figure", has=page.locator("h3", has_text="none"))
    assert none.inner_text().split("\n\n")[-1] == "No picture of 1 run: 222228a completed"

    go(page, "tool=umap&at=pictures")
    page.get_by_role("button", name="Show all").wait_for()
    assert page.locator(".gallery .says").all_inner_texts() == ["seed 0", "seed 1"] * 2
    page.get_by_role("button", name="Show all").click()
    page.locator(".gallery h3", has_text="odd").wait_for()


def test_one_goes_through_large_pictures_by_keyboard_back_closes_one_and_a_link_opens_it(
    pages: Pages, pictured: Pictured
) -> None:
    page = opened(pages, pictured)
    tile(page, "222222a/map.png").focus()
    page.keyboard.press("Enter")
    shown = page.locator("dialog.lightbox[open]")
    assert shown.locator("img").get_attribute("alt") == "map.png: pca, seed 0"
    page.keyboard.press("ArrowRight")
    assert shown.locator("img").get_attribute("alt") == "map.png: pca, seed 1"
    page.keyboard.press("ArrowUp")
    assert shown.locator("img").get_attribute("alt") == "loss.png: pca, seed 1"
    until(page, "location.hash.includes('pic=222223a/loss.png')")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog[open]') && !location.hash.includes('pic=')")
    until(page, "document.activeElement.dataset.key === '222223a/loss.png'")

    tile(page, "222222a/map.png").click()
    page.locator("dialog.lightbox[open]").wait_for()
    address = page.url
    page.go_back()
    until(page, "!document.querySelector('dialog[open]')")
    again = pages.open(pictured.page, address.partition("#")[2])
    again.locator("dialog.lightbox[open] img").wait_for()


def test_two_are_compared_and_nothing_blinks_unasked(pages: Pages, pictured: Pictured) -> None:
    page = opened(pages, pictured)
    for name in ("map.png: pca, seed 0", "map.png: umap, seed 0"):
        page.get_by_role("checkbox", name=f"Compare {name}").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare", exact=True).press("Enter")
    shown = page.locator("dialog.pair[open]")
    assert shown.locator(".says").all_inner_texts() == ["pca", "umap"]
    one, other = (box for each in shown.locator("img").all() if (box := each.bounding_box()))
    assert one["y"] == other["y"] and one["x"] < other["x"]
    page.keyboard.press("b")
    play = shown.get_by_role("button", name="Play")  # as motion is to be reduced
    play.wait_for()
    one, other = (box for each in shown.locator("img").all() if (box := each.bounding_box()))
    assert one == other
    is_on = shown.locator(".frame.is-on")
    assert is_on.get_attribute("data-at") == "0"
    shown.get_by_role("button", name="Turn").click()
    assert is_on.get_attribute("data-at") == "1"
    play.click()
    page.locator(".frame.is-on[data-at='0']").wait_for()
    page.locator(".frame.is-on[data-at='1']").wait_for()
    paces = [int(str(each.get_attribute("value"))) for each in shown.locator("[name=pace-of-pair]").all()]
    assert paces and min(paces) * 3 >= 1000  # never more than three times a second
    shown.get_by_role("button", name="Pause").click()
    shown.get_by_text("Slider").click()
    shown.get_by_role("slider").fill("20")
    assert "clip" in shown.locator(".stage").first.evaluate("each => getComputedStyle(each).clipPath ? 'clip' : ''")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog[open]')")


def test_hostile_pictures_and_names_do_nothing(pages: Pages, pictured: Pictured) -> None:
    page = opened(pages, pictured, "exp=odd/one&at=pictures")
    names = page.locator(".gallery h4").all_inner_texts()
    forms = {"forms.pdf", "forms.svg"}
    files = {each.name for each in pictured.odd.iterdir() if each.suffix in ENDINGS}
    assert sorted(names) == sorted(files - forms)
    assert page.locator(".gallery .missing").all_inner_texts() == ["PNG\nIt is damaged: image file is truncated"]
    assert "refers to other files" in page.locator(".alike", has_text="outside.svg").inner_text()
    page.locator(".gallery button.plate").first.click()
    shown = page.locator("dialog.lightbox[open]")
    seen = 0
    while True:
        until(page, "[...document.querySelectorAll('dialog img')].every(each => each.naturalWidth > 0)")
        hrefs = [str(each.get_attribute("href")) for each in shown.locator("a").all()]
        assert all(href.startswith("./outputs/") for href in hrefs)
        assert shown.locator("a[href$='.svg']:not([download])").count() == 0
        seen += 1
        if shown.get_by_role("button", name="Next picture").is_disabled():
            break
        page.keyboard.press("ArrowRight")
    assert seen == 7
    go(page, "pic=22222xx/forms.png")
    assert [each.get_attribute("href") for each in shown.locator("a:not([download])").all()][1:] == [
        f"./{(pictured.odd / 'forms.pdf').relative_to(pictured.page.parent)}"
    ]
    assert shown.get_by_role("link", name="SVG").get_attribute("download") == "forms.svg"
    # What the page asks for outside, and what runs in it, is a fault of `pages`.


def test_a_file_that_has_gone_leaves_its_thumbnail(pages: Pages, pictured: Pictured, tmp_path: Path) -> None:
    moved = tmp_path / "report.html"
    shutil.copy(pictured.page, moved)
    page = pages.open(moved, "pic=222222a/map.png")
    page.locator("dialog.lightbox[open]").get_by_text("A thumbnail: the file itself isn't where it was.").wait_for()
    assert page.locator("dialog.lightbox[open] img").evaluate("each => each.naturalWidth") == 300
    pages.faults[:] = [each for each in pages.faults if not each.startswith("not there: ") and "NOT_FOUND" not in each]


def test_a_thumbnail_whose_file_is_elsewhere_says_so_and_isnt_blown_up(pages: Pages, pictured: Pictured) -> None:
    page = opened(pages, pictured)
    page.evaluate(
        """data.load().then((report) => {
          const picture = report.figures.flatMap((figure) => figure.pictures).find((each) => each.name === "map.png");
          Object.assign(picture, { href: null, away: "the file is in the archive x.zip", width: 3000, height: 2000 });
          location.hash = `pic=${report.runs.ids[picture.run]}/map.png`;
        })"""
    )
    shown = page.locator("dialog.lightbox[open]")
    shown.get_by_text("A thumbnail: the file is in the archive x.zip.").wait_for()
    shown.get_by_text("3000 × 2000 pixels in the file").wait_for()
    until(page, "document.querySelector('.lightbox[open] img').style.getPropertyValue('--most') === '600px'")


LARGE, PAIR = "pic=222222a/map.png", "pair=222222a/map.png,222223a/map.png&way=blink"


def go(page: Page, fragment: str) -> Locator:
    """Go to another view of a page, and return what is seen then."""
    page.evaluate("fragment => { location.hash = fragment; }", fragment)
    where = {LARGE: ".lightbox:not(.pair)[open]", PAIR: ".pair[open]"}.get(fragment, ".gallery")
    shown = page.locator(where)
    shown.locator("img").first.wait_for()
    return shown


def test_pictures_keep_nobody_out_and_nothing_sticks_out_at_any_width(pages: Pages, pictured: Pictured) -> None:
    page = opened(pages, pictured)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for fragment in ("at=pictures", LARGE, PAIR):
            go(page, fragment)
            assert not barriers(page)

    for width in (1400, 800, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for fragment in ("at=pictures&pics=222222a/map.png", LARGE, PAIR):
            shown = go(page, fragment)
            rights = shown.locator("*").evaluate_all(
                "all => all.map((each) => each.checkVisibility() ? each.getBoundingClientRect().right : 0)"
            )
            assert max(rights) <= width + 1
