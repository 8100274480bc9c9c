"""Pictures of runs: which files they are, how they stand together, and what becomes of hostile ones."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from experimentstash.pages import thumbnails
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.report.page import picture_files, pictures
from experimentstash.report.page.age import OLDER
from experimentstash.report.page.model import Picture
from experimentstash.report.page.pictures import Found
from experimentstash.report.page.places import Beside
from experimentstash.runs import packing
from experimentstash.runs.facts import Facts
from tests.testing.finished import finished

PLENTY = 10_000_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><rect width="9" height="9"/></svg>'


def image(size: tuple[int, int] = (600, 300), mode: str = "RGB", colour: Any = "teal", kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    made = Image.new(mode, size, colour)
    if mode in ("RGB", "RGBA"):
        ImageDraw.Draw(made).line((0, 0, *size), "black", 3)
    made.save(stream, kind)
    return stream.getvalue()


def a_page(width: int = 200, height: int = 100) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(stream, "PDF", resolution=72)
    return stream.getvalue()


def put(run: Run, **contents: bytes) -> Run:
    for name, content in contents.items():
        place(run, name.replace("__", "/").replace("_", "."), content)
    return run


def place(run: Run, name: str, content: bytes) -> Path:
    path = run.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def look(*runs: Run, budget: int = PLENTY) -> Found:
    return pictures.of_runs([Facts(run) for run in runs], Beside(Path(runs[0].directory)), budget)


def only(found: Found) -> Picture:
    ((one,),) = [figure.pictures for figure in found.figures]
    return one


def thumb(picture: Picture) -> Image.Image:
    assert picture.thumb is not None and picture.thumb.startswith("data:image/webp;base64,")
    return Image.open(io.BytesIO(base64.b64decode(picture.thumb.partition(",")[2])))


# --- which, and in which order ----------------------------------------------------------------------------------------


def test_a_name_stands_together_across_tools_of_a_figure(tmp_path: Path) -> None:
    one = put(finished(tmp_path, "aaaaaaa", exp="fig2/pca", tool="t"), b_png=image(), a_png=image())
    two = put(finished(tmp_path, "bbbbbbb", exp="fig2/umap", tool="u"), b_png=image(), a_png=image())
    three = put(finished(tmp_path, "ccccccc", exp="fig10/x"), sub__plot_10_svg=SVG, sub__plot_9_svg=SVG)
    four = put(finished(tmp_path, "ddddddd", exp=None), loss_png=image())
    none = finished(tmp_path, "eeeeeee", exp="fig2/pca")
    found = look(one, two, three, four, none)
    shown = [(figure.name, [(each.name, each.run) for each in figure.pictures]) for figure in found.figures]
    assert shown == [
        ("fig2", [("a.png", 0), ("a.png", 1), ("b.png", 0), ("b.png", 1)]),
        ("fig10", [("sub/plot.9.svg", 2), ("sub/plot.10.svg", 2)]),
        ("", [("loss.png", 3)]),
    ]
    assert [figure.runs for figure in found.figures] == [[0, 1, 4], [2], [3]]
    assert not found.remarks


def test_one_picture_in_several_forms_stands_there_once(tmp_path: Path) -> None:
    one = put(
        finished(tmp_path, "aaaaaaa"), a_pdf=a_page(), a_png=image(), a_svg=SVG, b_gif=image(kind="GIF"), b_png=image()
    )
    two = put(finished(tmp_path, "bbbbbbb"), a_pdf=a_page(), a_svg=SVG)
    three = put(finished(tmp_path, "ccccccc"), a_pdf=a_page(), a_png=b"no picture", sub__a_png=image())
    (figure,) = look(one, two, three).figures
    shown = [(each.run, each.name, [other.kind for other in each.others]) for each in figure.pictures]
    assert sorted(shown) == [
        (0, "a.png", ["svg", "pdf"]),
        (0, "b.gif", []),
        (0, "b.png", []),
        (1, "a.svg", ["pdf"]),
        (2, "a.pdf", ["png"]),
        (2, "sub/a.png", []),
    ]
    assert [Path(one.directory, "a.svg"), Path(one.directory, "a.pdf")] == [
        Path(one.directory, other.href) for other in figure.pictures[0].others
    ]


def test_what_isnt_a_runs_own_picture_is_left_alone(tmp_path: Path) -> None:
    run = put(finished(tmp_path, "aaaaaaa"), real_PNG=image(), notes_txt=b"x", _hydra__x_png=image())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(image())
    (run.path / "link.png").symlink_to(outside / "secret.png")
    (run.path / "folder").symlink_to(outside)
    (run.path / "circle").symlink_to(run.path)
    os.mkfifo(run.path / "fifo.png")
    (run.path / "directory.png").mkdir()
    place(run, "wandb/offline-run-1/files/media.png", image())
    place(run, "inner/run.json", b'{"directory": "x"}')
    place(run, "inner/other.png", image())
    found = look(run)
    assert only(found).name == "real.PNG"
    assert found.remarks == [
        "2 links to pictures or folders outside of a run not followed (folder, link.png), of: aaaaaaa"
    ]


def test_pictures_that_are_passed_by_are_said_where_they_are_missing(tmp_path: Path) -> None:
    one = put(finished(tmp_path, "aaaaaaa", exp="fig1/a"), a_png=image())
    (one.path / "latest.png").symlink_to("a.png")  # what it leads to is there
    two = finished(tmp_path, "bbbbbbb", exp="fig2/b")
    place(two, "/".join("123456789") + "/a.png", image())
    place(two, "wandb/run-20260131_120000-x/files/media/images/a_1.png", image())
    place(two, "wandb/run-20260131_120000-x/files/media/images/b_1.png", image())
    (two.path / "latest.png").symlink_to(tmp_path / "scratch.png")
    (two.path / "model.pt").symlink_to(tmp_path / "model.pt")
    found = look(one, two)
    assert [(figure.name, len(figure.pictures), figure.remarks) for figure in found.figures] == [
        ("fig1", 1, []),
        ("fig2", 0, found.remarks),
    ]
    assert found.remarks == [
        "1 link to pictures or folders outside of a run not followed (latest.png), of: bbbbbbb",
        "no pictures looked for in 1 folder more than 8 deep, of: bbbbbbb",
        "2 pictures in W&B's own folders (wandb) not shown, of: bbbbbbb",
    ]


def test_where_no_run_has_a_picture_there_is_no_gallery(tmp_path: Path) -> None:
    assert look(finished(tmp_path, "aaaaaaa")) == ([], [])


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa")
    path = place(run, "plots/a.png", image())
    path.unlink()
    path.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(image())
    path.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(thumbnails.Unshown, match="symbolic link"):
        pictures._read(run.path, path, 100)


def test_pictures_of_an_archived_sweep_are_there_too(tmp_path: Path) -> None:
    sweep = tmp_path / "multirun" / "2026-01-31" / "12-00-00-aaaaaaa"
    run = finished(tmp_path, "aaaaaaa")
    place(run, "plots/a.png", image())
    place(run, "b.pdf", b"%PDF-no")
    sweep.parent.mkdir(parents=True)
    sweep.mkdir()
    run.path.rename(sweep / "0")
    run.directory = str(sweep / "0")
    entries = packing.entries_of(sweep, lambda *said: AssertionError(said))
    packing.write(sweep, entries, archives.path_for(sweep))
    sweep.rename(tmp_path / "away")
    one, two = look(run).figures[0].pictures
    assert (one.name, one.shown, two.name, two.shown, two.href) == ("b.pdf", "no", "plots/a.png", "thumb", None)
    assert two.away == f"the file is in the archive {archives.path_for(sweep).name}"


def test_too_many_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MOST_OF_RUN", 2)
    monkeypatch.setattr(pictures, "MOST", 3)
    one = put(finished(tmp_path, "aaaaaaa"), deep__a_png=image(), b_png=image(), c_png=image())
    two = put(finished(tmp_path, "bbbbbbb"), b_png=image(), c_png=image())
    found = look(one, two)
    assert [(each.name, each.run) for each in found.figures[0].pictures] == [("b.png", 0), ("b.png", 1), ("c.png", 0)]
    assert found.remarks == [
        "1 picture left out, of runs that have more than 2: aaaaaaa",
        "of 4 pictures, 3 are shown",
    ]


def test_a_picture_of_an_earlier_attempt_is_said_to_be_one(tmp_path: Path) -> None:
    run = put(finished(tmp_path, "aaaaaaa"), a_png=image())
    run.attempt.started = "2999-01-31T12:00:00.000+00:00"
    assert only(look(run)).note == OLDER


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_beginning_of_a_picture_tells_its_size_or_else_all_of_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_BEGINNING", 40)
    run = finished(tmp_path, "aaaaaaa")
    place(run, f"a.{kind.lower()}", image(kind=kind))
    one = only(look(run, budget=0))
    assert (one.kind, one.width, one.height, one.shown) == (kind.lower(), 600, 300, "file")


def test_any_name_is_text_by_then(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa")
    Path(os.fsdecode(os.fsencode(run.directory) + b"/\xff<img src=x onerror=alert(1)>\n.png")).write_bytes(image())
    one = only(look(run))
    assert one.name == "�<img src=x onerror=alert(1)>\n.png"
    assert (one.shown, one.href) == ("thumb", "./%FF%3Cimg%20src=x%20onerror=alert(1)%3E%0A.png")


# --- how they look ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_thumbnail_is_narrow_and_right(tmp_path: Path, kind: str) -> None:
    run = finished(tmp_path, "aaaaaaa")
    place(run, f"a.{kind.lower()}", image((1200, 500), kind=kind))
    one = only(look(run))
    assert (one.width, one.height, one.kind, one.shown, one.note) == (1200, 500, kind.lower(), "thumb", None)
    small = thumb(one)
    assert small.size == (480, 200)
    near = small.convert("RGB").getpixel((400, 50))
    assert all(abs(is_ - meant) < 12 for is_, meant in zip(near, (0, 128, 128), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [("L", 200, 200), ("1", 1, 255), ("I;16", 40000, 156), ("LA", (0, 0), 255), ("P", 3, None), ("F", None, None)],
)
def test_any_kind_of_pixel_can_be_shown(tmp_path: Path, mode: str, colour: Any, seen: int | None) -> None:
    if mode == "F":
        run = put(finished(tmp_path, "aaaaaaa"), a_jpeg=image(mode="CMYK", colour=(0, 0, 0, 0), kind="JPEG"))
        seen = 255
    else:
        run = put(finished(tmp_path, "aaaaaaa"), a_png=image(mode=mode, colour=colour))
    pixel = thumb(only(look(run))).convert("L").getpixel((5, 5))
    assert seen is None or (isinstance(pixel, int) and abs(pixel - seen) < 4)


@pytest.mark.parametrize(("ink", "is_bright"), [((0, 0, 0), False), ((255, 255, 255), True)])
def test_what_has_no_ground_gets_the_one_it_is_drawn_for(tmp_path: Path, ink: Any, is_bright: bool) -> None:
    clear = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    ImageDraw.Draw(clear).rectangle((100, 100, 200, 200), (*ink, 255))
    stream = io.BytesIO()
    clear.save(stream, "PNG")
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_png=stream.getvalue())))
    assert one.is_bright is is_bright
    corner, middle = (thumb(one).convert("L").getpixel(place) for place in ((5, 5), (150, 150)))
    assert isinstance(corner, int) and isinstance(middle, int) and abs(corner - middle) > 200


def test_a_photograph_stands_upright(tmp_path: Path) -> None:
    lying, exif, stream = Image.new("RGB", (600, 300)), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    lying.save(stream, "JPEG", exif=exif)
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_jpg=stream.getvalue())))
    assert (one.width, one.height, thumb(one).size) == (300, 600, (300, 600))


def test_a_long_picture_shows_its_top(tmp_path: Path) -> None:
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_png=image((200, 5000)))))
    assert thumb(one).size == (200, 800)
    assert one.note == "only its top is shown here"


def test_what_doesnt_fit_becomes_smaller_and_then_is_left_out(tmp_path: Path) -> None:
    content = noise(900)
    runs = [put(finished(tmp_path, f"aaaaaa{digit}"), a_png=content) for digit in "abc"]
    widest = only(look(runs[0]))
    smaller = look(*runs, budget=len(widest.thumb or "") * 2)
    assert {thumb(each).width for each in smaller.figures[0].pictures} == {360}
    least = len(only(look(runs[0], budget=1000)).thumb or "")
    assert least == 0
    few = look(*runs, budget=len(thumb_at(content, 160)) + 1000)
    assert [each.shown for each in few.figures[0].pictures] == ["thumb", "file", "file"]
    assert few.remarks == ["2 pictures without a thumbnail in the page: there is no room for it"]


def noise(side: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((side, side), 90).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("sample", [pictures._SAMPLE, 3])
def test_all_become_narrower_before_one_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: int
) -> None:
    monkeypatch.setattr(pictures, "_SAMPLE", sample)  # of so few as 3 only the small ones are looked at
    content = noise(600)
    names = [f"{place:02}.png" for place in range(6)]
    run = finished(tmp_path, "aaaaaaa")
    for name in names:
        place(run, name, image((20, 10)) if int(name[:2]) % 2 == 0 else content)
    room = 3 * len(thumb_at(content, 240)) + 1000
    found = look(run, budget=room)
    assert [thumb(each).width for each in found.figures[0].pictures] == [20, 240] * 3
    assert found.remarks == []
    wide = pictures.of_runs([Facts(run)], Beside(run.path), PLENTY, room).figures[0].pictures
    assert [thumb(each).width for each in wide] == [20, 240] * 3
    few = pictures.of_runs([Facts(run)], Beside(run.path), PLENTY, 1000).figures[0].pictures
    assert [thumb(each).width for each in few] == [20, 480] * 3


def test_pdfs_get_their_room_first(tmp_path: Path) -> None:
    run = put(finished(tmp_path, "aaaaaaa"), a_png=image((900, 900)), z_pdf=a_page())
    (one,) = thumbnails.WIDTHS[-1:]
    page = thumbnails.thumbnail(a_page(), "pdf", one)
    assert page is not None
    png, pdf = look(run, budget=len(page.link) + 10).figures[0].pictures
    assert (png.shown, pdf.shown) == ("file", "thumb")


def thumb_at(content: bytes, width: int) -> str:
    made = thumbnails.thumbnail(content, "png", width)
    assert made is not None
    return made.link


# --- SVG and PDF ------------------------------------------------------------------------------------------------------


def test_a_small_svg_is_in_the_page_as_it_is(tmp_path: Path) -> None:
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_svg=SVG)))
    assert (one.kind, one.width, one.height, one.shown, one.note) == ("svg", 96, 48, "thumb", None)
    assert one.thumb == f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}"


def large_svg() -> bytes:
    return SVG.replace(b"</svg>", b"<!-- " + b"x" * thumbnails.MOST_EMBEDDED + b" --></svg>")


def test_a_large_svg_is_linked_and_that_is_said(tmp_path: Path) -> None:
    found = look(put(finished(tmp_path, "aaaaaaa"), a_svg=large_svg()))
    one = only(found)
    assert (one.shown, one.thumb, one.href, one.width) == ("file", None, "./a.svg", 96)
    assert found.remarks == [
        "1 large SVG only linked to, not in the page (-o DIR and --embed take them along)",
    ]


def test_another_form_stands_in_for_a_large_svg(tmp_path: Path) -> None:
    one = put(finished(tmp_path, "aaaaaaa"), a_svg=large_svg(), a_pdf=a_page())
    two = put(finished(tmp_path, "bbbbbbb"), a_svg=large_svg(), a_pdf=b"%PDF-no", a_jpg=image(kind="JPEG"))
    found = look(one, two)
    first, second = sorted(found.figures[0].pictures, key=lambda each: each.run)
    assert [(each.name, each.kind, each.shown) for each in (first, second)] == [("a.svg", "svg", "thumb")] * 2
    assert (thumb(first).size, thumb(second).size) == ((960, 480), (480, 240))
    assert (first.width, first.href, found.remarks) == (96, "./a.svg", [])


@pytest.mark.parametrize(
    "inside",
    [
        b'<image href="https://example.org/x.png"/>',
        b"<image xlink:href='../../x.png'/>",
        b'<rect fill="url(https://example.org/x)"/>',
        b"<style>@import 'x.css';</style>",
    ],
)
def test_an_svg_that_needs_other_files_says_so(tmp_path: Path, inside: bytes) -> None:
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_svg=SVG.replace(b"</svg>", inside + b"</svg>"))))
    assert (one.shown, one.note) == ("file", "it refers to other files, which aren't shown")


def test_links_and_parts_of_itself_are_no_other_files() -> None:
    inside = b'<a xlink:href="https://matplotlib.org/"/><use href="#a"/><rect fill="url(#b)"/>'
    found = thumbnails.vector(SVG.replace(b"</svg>", inside + b"</svg>"))
    assert not found.has_outside and found.link is not None


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b'viewBox="0 0 640 480"', (640, 480)),
        (b'width="100%" height="50%" viewBox="0,0,64,32"', (64, 32)),
        (b'width="1e999" height="-4"', (None, None)),
        (b'width="99999999999999px" height="2in"', (65_535, 192)),
    ],
)
def test_the_size_of_an_svg_is_what_its_root_says(head: bytes, size: tuple[int | None, int | None]) -> None:
    found = thumbnails.vector(b"<svg xmlns='http://www.w3.org/2000/svg' " + head + b"/>")
    assert (found.width, found.height) == size


def test_the_first_page_of_a_pdf_is_shown(tmp_path: Path) -> None:
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_pdf=a_page())))
    assert (one.kind, one.shown, one.note, one.width, one.height) == ("pdf", "thumb", None, 960, 480)
    red, green, blue = thumb(one).convert("RGB").getpixel((400, 200))  # type: ignore[misc]
    assert red > 240 and 150 < green < 180 and blue < 20


def test_without_the_library_a_pdf_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    found = look(put(finished(tmp_path, "aaaaaaa"), a_pdf=a_page()))
    assert (only(found).shown, only(found).thumb) == ("no", None)
    assert found.remarks == [thumbnails.NO_PDFIUM]


# --- hostile ones -----------------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


LAUGHS = b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">' + b"".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 20}">'.encode() for n in range(12)
)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.png", b"", "it is empty"),
        ("page.png", b"<html><script>alert(1)</script>", "it is no picture that can be read"),
        ("tiff.png", image(kind="TIFF"), "it is no picture that can be read"),
        ("cut.png", image()[:200], "it is damaged"),
        ("cut.jpg", image(kind="JPEG")[:700], "it is damaged"),
        ("bomb.png", bomb(60_000, 60_000), "it has far too many pixels"),
        ("wide.png", bomb(2_000_000, 1), "it has too many pixels"),
        ("lie.png", bomb(3_000, 3_000), "it is damaged"),
        ("empty.svg", b"", "it is no SVG that can be read"),
        ("page.svg", b"<html/>", "it is no SVG that can be read"),
        ("laughs.svg", LAUGHS + b']><svg width="&m;"/>', "it is no SVG that can be read"),
        ("empty.pdf", b"", "it is no PDF"),
        ("broken.pdf", b"%PDF-1.7\n" + b"x" * 100, "its first page can't be drawn"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_hostile_file_says_why_it_isnt_shown(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    run = finished(tmp_path, "aaaaaaa")
    place(run, name, content)
    one = only(look(run))
    assert (one.shown, one.thumb) == ("no", None)
    assert (one.note or "").startswith(why)


def test_a_name_isnt_believed(tmp_path: Path) -> None:
    one = only(look(put(finished(tmp_path, "aaaaaaa"), a_png=image(kind="JPEG"))))
    assert (one.kind, one.shown) == ("jpeg", "thumb")


def test_a_file_of_many_bytes_is_not_read(tmp_path: Path) -> None:
    run = finished(tmp_path, "aaaaaaa")
    with open(run.path / "a.png", "wb") as stream:
        stream.truncate(thumbnails.MOST_BYTES + 1)
    assert (only(look(run)).shown, only(look(run)).note) == ("no", "it has 67 MB")


def test_a_pdf_that_takes_the_library_down_or_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_page", lambda content: os.kill(os.getpid(), 9))
    with pytest.raises(thumbnails.Unshown, match="can't be drawn"):
        thumbnails.thumbnail(a_page(), "pdf", 480)
    monkeypatch.setattr(thumbnails, "_page", lambda content: os.read(os.pipe()[0], 1))
    monkeypatch.setattr(thumbnails, "_LONGEST_DRAWING", 0.2)
    with pytest.raises(thumbnails.Unshown, match="takes more than"):
        thumbnails.thumbnail(a_page(), "pdf", 480)


def test_a_page_as_large_as_a_field_is_drawn_small() -> None:
    content = a_page(20, 20).replace(b"/MediaBox [ 0 0 20.0 20.0 ]", b"/MediaBox [ 0 0 9e9 9e9 ]")
    try:
        made = thumbnails.thumbnail(content, "pdf", 480)
    except thumbnails.Unshown:
        return
    assert made is not None and (made.width or 0) <= 960 and (made.height or 0) <= 4 * 960
