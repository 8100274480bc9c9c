"""Pictures, pixel by pixel, by Pillow: what they show counts, and no metadata. PDFs are rendered by PDFium."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experimentstash.base import fragile
from experimentstash.publish.comparators import svg
from experimentstash.publish.comparators.comparator import Comparator, Deviation, Found, How, NotComparable, number

# Dots per inch at which a PDF is rendered, and how many there are in one as PDFium counts.
_DENSITY, _USUAL = 150, 72
# Of a child that draws a page: seconds, and bytes of memory on top of what it inherits.
_LONGEST_DRAWING, _MOST_MEMORY = 60, 4 << 30
# A picture of more pixels isn't unpacked.
_MOST_PIXELS = 200_000_000
_LEVELS = 256


def _compare(earlier: Path, later: Path, how: How) -> Found:
    if earlier.suffix.lower() == ".svg":
        return svg.compare(earlier, later, how)
    both = [list(pages(path)) for path in (earlier, later)]
    if len(both[0]) != len(both[1]):
        return Found(f"{len(both[1])} pages or frames, and {len(both[0])} before")
    largest: Deviation | None = None
    within: str | None = None
    for page, (one, two) in enumerate(zip(*both, strict=True), 1):
        where = f" of page {page}" if len(both[0]) > 1 else ""
        if one.size != two.size:
            shown = ["×".join(map(str, each.size)) for each in (two, one)]
            return Found(f"{shown[0]} pixels{where}, and {shown[1]} before")
        found, used = _of_page(one, two, how, where)
        if found.difference is not None:
            return found
        within = used or within
        if found.deviation is not None and (largest is None or found.deviation.absolute > largest.absolute):
            largest = found.deviation
    return Found(within=within, deviation=largest)


def _of_page(one: Any, two: Any, how: How, where: str) -> tuple[Found, str | None]:
    """Compare two pictures of one size; return what was found, and what was allowed and made use of."""
    highest = levels_apart(one, two)
    counts = highest.histogram()
    largest = max((level for level in range(_LEVELS) if counts[level]), default=0)
    if largest == 0:
        return Found(), None
    allowed = allowed_levels(how)
    beyond = sum(counts[allowed + 1 :])
    share = beyond / (one.width * one.height)
    box = highest.point([0] * (allowed + 1) + [255] * (_LEVELS - 1 - allowed)).getbbox() or highest.getbbox()
    assert box is not None
    place = f"of {_LEVELS - 1}{where}, within {box[0]},{box[1]} to {box[2]},{box[3]}"
    deviation = Deviation(float(largest), None, place)
    if share > how.share:
        pixels = f"{beyond:,} pixels ({number(100 * share)} %) differ"
        return Found(f"{pixels}, by up to {deviation}", deviation=deviation), None
    levels, pixels = f"{allowed} of {_LEVELS - 1} a channel", f"{100 * how.share:g} % of the pixels"
    return Found(deviation=deviation), ", ".join(([levels] if allowed else []) + ([pixels] if beyond else []))


def levels_apart(one: Any, two: Any) -> Any:
    """Return a picture of how far each pixel of two is apart, in the channel where that is most."""
    from PIL import ImageChops

    first, *others = ImageChops.difference(one, two).split()
    return functools.reduce(ImageChops.lighter, others, first)


def allowed_levels(how: How) -> int:
    """Return by how much a channel of a pixel may deviate."""
    return min(int(how.atol), _LEVELS - 1)


def pages(path: Path) -> Iterator[Any]:
    """Yield the pictures in a file, with colours and transparency as they are seen."""
    if path.suffix.lower() == ".pdf":
        yield from _rendered(path)
        return
    from PIL import Image, ImageSequence, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    try:
        with Image.open(path) as picture:
            if _is_deep(picture):  # Pillow would drop half of each level
                raise NotComparable(f"{path.name} has 16 bits a channel")
            for frame in ImageSequence.Iterator(picture):
                yield _seen(frame, path)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise NotComparable(f"{path.name} can't be read as a picture: {error}") from error


def _is_deep(picture: Any) -> bool:
    """Tell whether a picture has 16 bits a channel: Pillow says so only where it says how it will unpack it."""
    given = [each[3] for each in picture.tile]
    words = [word for each in given for word in (each if isinstance(each, (tuple, list)) else [each])]
    return any(isinstance(word, str) and ";16" in word and word != "BGR;16" for word in words)


def _seen(frame: Any, path: Path) -> Any:
    """Return a picture in colours with transparency; what can't be seen has no colour."""
    if frame.mode.startswith(("I", "F")):
        raise NotComparable(f"{path.name} has more levels of grey than can be compared ({frame.mode})")
    from PIL import Image, ImageOps

    coloured = ImageOps.exif_transpose(frame).convert("RGBA")
    nothing = Image.new("RGBA", coloured.size)
    return Image.composite(coloured, nothing, coloured.getchannel("A").point(lambda level: 255 if level else 0))


def _rendered(path: Path) -> Iterator[Any]:
    """Yield the pages of a PDF, each drawn by a child: PDFium is written in C++, and a broken file may take it down."""
    try:
        import pypdfium2  # noqa: F401  # here, because hardly any comparison needs it; for the child
    except ImportError:
        raise NotComparable("PDFs are rendered by pypdfium2: pip install 'experimentstash[outputs]'") from None
    from PIL import Image

    count = int(_of_pdf(path, lambda document: b"%d" % len(document)))
    for index in range(count):
        drawn = _of_pdf(path, functools.partial(_page, index=index))
        yield Image.open(io.BytesIO(drawn), formats=("PPM",)).convert("RGBA")


def _of_pdf(path: Path, work: Callable[[Any], bytes]) -> bytes:
    """Return what a child makes of a PDF; NotComparable if it can't."""

    def made() -> bytes:
        import pypdfium2

        return work(pypdfium2.PdfDocument(path))

    try:
        found = fragile.by_child(made, seconds=_LONGEST_DRAWING, memory=_MOST_MEMORY)
    except fragile.TooSlowError:
        raise NotComparable(f"a page of {path.name} takes more than {_LONGEST_DRAWING} s to draw") from None
    if not found:
        raise NotComparable(f"{path.name} is no PDF that can be read: it is damaged, or needs a password")
    return found


def _page(document: Any, index: int) -> bytes:
    stream = io.BytesIO()
    document[index].render(scale=_DENSITY / _USUAL).to_pil().convert("RGB").save(stream, "PPM")
    return stream.getvalue()


_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".pdf", ".svg")
COMPARATOR = Comparator(
    "picture", _SUFFIXES, _compare, lambda path: ("ignore",) if path.lower().endswith(".svg") else ("atol", "share")
)
