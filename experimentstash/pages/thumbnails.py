"""Pictures of tools, read and made small. Whatever is wrong with one is told in a few words, and harms nothing.

A file is believed what its content says, not its name. Pillow reads no formats but ours. PDFs are drawn by a child: the
library is written in C++, and a broken file may take it down, or keep it busy for ever.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from experimentstash.base import fragile
from experimentstash.base.text import counted, size

if TYPE_CHECKING:
    from PIL import Image

# Widths in pixels that a thumbnail may have: what doesn't fit with one is tried with the next.
WIDTHS = (480, 360, 240, 160)
# A PDF can't be shown in any other way: if there is room, its first page is wider.
_OF_PAGES = {480: 960, 360: 540, 240: 240, 160: 160}
# A picture that is longer than so many times its width is cut for its thumbnail.
_LONGEST = 4
MOST_BYTES = 64 << 20
_MOST_PIXELS = 100_000_000
_MOST_SIDE = 65_535
# An SVG that is no larger stands in the page as it is.
MOST_EMBEDDED = 24 << 10
_SVG_HEAD = 64 << 10
_MOST_SVG = 8 << 20
# Of a child that draws a PDF: seconds, and bytes of memory on top of what it inherits.
_LONGEST_DRAWING, _MOST_MEMORY = 10, 1 << 30
_QUALITY = 78
# Pictures of so few pixels are kept as they are, if that takes less.
_FEW_PIXELS = 90_000
# From this brightness on (0 to 255), what is drawn on nothing was meant for a dark ground.
_BRIGHT = 170
# The two grounds that a page has for pictures.
LIGHT, DARK = (255, 255, 255), (24, 26, 29)

_KINDS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "GIF": "gif"}
_OUTSIDE = re.compile(
    rb"""href\s*=\s*["']\s*(?!\#|data:)|url\(\s*["']?\s*(?!\#|data:)|@import|<\?xml-stylesheet""", re.I
)
_LINK = re.compile(rb"<(?:\w+:)?a\s[^>]*>", re.I)
_LENGTH = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(px|pt|pc|in|cm|mm)?\s*\Z")
_PIXELS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4}

NO_PDFIUM = "first pages of PDFs aren't shown: that takes pip install 'experimentstash[pdf]'"


class Unshown(Exception):
    """A picture can't be shown; the text says why: "it …"."""


class _Drawn(NamedTuple):
    """A picture that was read: without transparency, and perhaps smaller than it is."""

    image: Image.Image
    width: int  # of the picture itself, in pixels
    height: int
    is_bright: bool  # it has no ground of its own, and is to be seen on a dark one


class Thumbnail(NamedTuple):
    """What the page has of a picture, and what is told of the picture itself."""

    link: str  # `data:`
    width: int | None
    height: int | None
    is_bright: bool = False
    is_cut: bool = False  # it is only the top of a long picture


class Vector(NamedTuple):
    """An SVG, of which no thumbnail is made: the browser draws it."""

    width: int | None
    height: int | None
    has_outside: bool  # it names other files, which a page never shows
    link: str | None  # itself, if it is small


def head(content: bytes) -> tuple[str, int, int]:
    """Return a picture's kind, width and height in pixels, without drawing it; Unshown if it can't be drawn."""
    with _opened(content) as image:
        width, height = _turned(image)
        return _KINDS[str(image.format)], width, height


def thumbnail(content: bytes, kind: str, width: int) -> Thumbnail | None:
    """Return a picture's thumbnail of so many pixels' width; None for an SVG that the page can't hold.

    Unshown if it can't be drawn.
    """
    if kind == "svg":
        found = vector(content)
        return None if found.link is None else Thumbnail(found.link, found.width, found.height)
    return _made(_drawn_page(content), _OF_PAGES[width]) if kind == "pdf" else _made(_drawn(content), width)


def of_image(image: Image.Image, width: int) -> Thumbnail:
    """Return the thumbnail of a picture that somebody else has read; Unshown if it is too large."""
    _refuse_large(*image.size)
    flat, is_bright = _flat(image)
    return _made(_Drawn(flat, image.width, image.height, is_bright), width)


def _made(drawn: _Drawn, width: int) -> Thumbnail:
    is_cut = drawn.height > drawn.width * _LONGEST
    return Thumbnail(_encoded(drawn, width), drawn.width, drawn.height, drawn.is_bright, is_cut)


def _drawn(content: bytes) -> _Drawn:
    from PIL import ImageOps

    with _opened(content) as image, _told():
        width, height = _turned(image)
        image.draft("RGB", (WIDTHS[0] * 2, WIDTHS[0] * 2))  # of a JPEG a smaller one is read at once
        flat, is_bright = _flat(image)
        if image.getexif():
            flat.info = image.info
            ImageOps.exif_transpose(flat, in_place=True)
        return _Drawn(flat, width, height, is_bright)


def _encoded(drawn: _Drawn, width: int) -> str:
    """Return a picture of at most that width, in as few bytes as it takes."""
    image = _narrowed(drawn.image, width)
    ways: list[dict[str, int]] = [{"quality": _QUALITY, "method": 5}]
    if image.width * image.height <= _FEW_PIXELS and drawn.width <= width:
        ways.append({"lossless": True})
    found = []
    for way in ways:
        stream = io.BytesIO()
        image.save(stream, "WEBP", **way)
        found.append(stream.getvalue())
    return _link("image/webp", min(found, key=len))


def _link(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


# --- pictures of pixels ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Have whatever the library stumbles over be told in a few words."""
    try:
        yield
    except Unshown:
        raise
    except MemoryError:
        raise Unshown("it takes more memory than there is") from None
    except Exception as error:
        said = " ".join(str(error).split())[:100]
        raise Unshown(f"it is damaged: {said}" if said else "it is damaged") from error


@contextlib.contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    from PIL import Image, UnidentifiedImageError

    with _told():
        try:
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # how many pixels are too many is said below
                image = Image.open(io.BytesIO(content), formats=tuple(_KINDS))
        except UnidentifiedImageError:
            raise Unshown("it is no picture that can be read" if content else "it is empty") from None
        except Image.DecompressionBombError:
            raise Unshown("it has far too many pixels") from None
    with image:
        _refuse_large(*image.size)
        yield image


def _refuse_large(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS or max(width, height) > _MOST_SIDE:
        raise Unshown(f"it has too many pixels: {width:,} × {height:,}".replace(",", "\u202f"))


def _turned(image: Image.Image) -> tuple[int, int]:
    """Return a picture's size as it is seen: a camera's may lie on its side."""
    turn = 1
    with contextlib.suppress(Exception):  # broken, and browsers don't look at it then
        turn = image.getexif().get(0x0112, 1)
    return (image.height, image.width) if turn in (5, 6, 7, 8) else (image.width, image.height)


def _flat(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return a picture without transparency, on the ground that it is drawn for, and whether that is dark."""
    from PIL import Image, ImageStat

    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return _shrunk(image.convert("RGB")), False
    clear = _shrunk(image.convert("RGBA"))
    alpha = clear.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return clear.convert("RGB"), False
    seen = ImageStat.Stat(clear.convert("L"), mask=alpha.point(lambda value: 255 if value > 96 else 0))
    is_bright = bool(seen.count[0]) and seen.mean[0] >= _BRIGHT
    ground = Image.new("RGBA", clear.size, DARK if is_bright else LIGHT)
    ground.alpha_composite(clear)
    return ground.convert("RGB"), is_bright


def _shrunk(image: Image.Image) -> Image.Image:
    """Return a picture that is quick to work on: large ones are averaged down first."""
    factor = min(image.size) // (WIDTHS[0] * 2)
    return image.reduce(factor) if factor > 1 else image


def _narrowed(image: Image.Image, width: int) -> Image.Image:
    from PIL import Image

    if image.height > image.width * _LONGEST:
        image = image.crop((0, 0, image.width, image.width * _LONGEST))
    if image.width <= width:
        return image
    return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)


# --- SVG -------------------------------------------------------------------------------------------------------------


def vector(content: bytes, most: int = MOST_EMBEDDED) -> Vector:
    """Return what there is to know of an SVG, and itself if it has ``most`` bytes; Unshown if it is none."""
    if len(content) > _MOST_SVG:
        raise Unshown(f"it is larger than {size(_MOST_SVG)}")
    width, height = _measured(content)
    has_outside = bool(_OUTSIDE.search(_LINK.sub(b"", content)))
    is_small = len(content) <= most and not has_outside and b"<!ENTITY" not in content
    return Vector(width, height, has_outside, _link("image/svg+xml", content) if is_small else None)


def _measured(content: bytes) -> tuple[int | None, int | None]:
    """Return the width and height that an SVG's root gives itself."""
    from xml.parsers import expat

    roots: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: roots.append((name, attributes))
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):  # further down it is the browser's to judge
        parser.Parse(content[:_SVG_HEAD])
    name, root = roots[0] if roots else ("", {})
    if name.rpartition(":")[2] != "svg":
        raise Unshown("it is no SVG that can be read")
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    _, _, wide, high = box if len(box) == 4 else ("", "", "", "")
    return _pixels(root.get("width", "")) or _pixels(wide), _pixels(root.get("height", "")) or _pixels(high)


def _pixels(text: str) -> int | None:
    found = _LENGTH.match(text)
    return min(_MOST_SIDE, round(float(found[1]) * _PIXELS[found[2] or "px"])) or None if found else None


# --- PDF -------------------------------------------------------------------------------------------------------------


def has_pdfium() -> bool:
    """Tell whether PDFs can be drawn."""
    from importlib.util import find_spec

    return find_spec("pypdfium2") is not None


def _drawn_page(content: bytes) -> _Drawn:
    """Return the first page of a PDF, on white; Unshown if it can't be drawn in time."""
    if b"%PDF-" not in content[:1024]:
        raise Unshown("it is no PDF")
    import pypdfium2  # noqa: F401  # here, for the child

    drawn = _by_child(content)
    with _told():
        from PIL import Image

        with Image.open(io.BytesIO(drawn), formats=("PPM",)) as image:
            return _Drawn(image.convert("RGB"), image.width, image.height, False)


def _by_child(content: bytes) -> bytes:
    """Return what a child draws of a PDF."""
    try:
        drawn = fragile.by_child(lambda: _page(content), seconds=_LONGEST_DRAWING, memory=_MOST_MEMORY)
    except fragile.TooSlowError:
        raise Unshown(f"its first page takes more than {counted(_LONGEST_DRAWING, 'second')} to draw") from None
    if not drawn.startswith(b"P6"):
        raise Unshown("its first page can't be drawn: it is damaged, or needs a password")
    return drawn


def _page(content: bytes) -> bytes:
    import pypdfium2

    page = pypdfium2.PdfDocument(content)[0]
    wide, high = page.get_size()
    width = _OF_PAGES[WIDTHS[0]]
    scale = min(width / max(wide, 1), width * _LONGEST / max(high, 1))
    image = page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "PPM")
    return stream.getvalue()
