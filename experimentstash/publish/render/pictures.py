"""Pictures of then and now as a page shows them, and what of them differs, marked."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import read_regular
from experimentstash.pages import thumbnails
from experimentstash.pages.thumbnails import Thumbnail, Unshown
from experimentstash.publish.comparators import picture
from experimentstash.publish.comparators.comparator import How, NotComparable

if TYPE_CHECKING:
    from PIL import Image

_WIDTH = 960
# An SVG of more bytes isn't put into the page.
_LARGEST_VECTOR = 512 << 10
# How marks look: beyond what is allowed, and within that. Okabe and Ito's.
_BEYOND, _WITHIN = (213, 94, 0), (86, 180, 233)
# How much of the picture is left below the marks.
_FAINT = 0.3
# By so much at once a picture of marks becomes smaller: one mark alone is seen in it.
_STEP = 8


class Side(NamedTuple):
    """One of two pictures, or why it isn't shown."""

    picture: Thumbnail | None
    why: str = ""


@dataclass(frozen=True)
class Pair:
    """What a page shows of an output that is a picture."""

    then: Side
    now: Side | None  # None: it is the same file
    marked: str | None = None  # a picture of the difference
    is_drawn: bool = False  # the browser draws both, and what differs
    said: str = ""

    @property
    def size(self) -> int:
        """How many characters it takes in a page."""
        sides = [each.picture.link for each in (self.then, self.now) if each is not None and each.picture is not None]
        return sum(map(len, [*sides, *([self.marked] if self.marked is not None else [])])) * (
            2 if self.is_drawn else 1
        )


def is_one(path: str) -> bool:
    """Tell whether a file is a picture by its name."""
    return path.lower().endswith(tuple(picture.COMPARATOR.suffixes))


def pair(then: Path | str, now: Path | str | None, how: How) -> Pair:
    """Return what is shown of a picture; a text in the place of one says why there is none.

    ``now`` is None for the same file. Whatever is wrong with one is told, and harms nothing.
    """
    if isinstance(then, Path) and isinstance(now, Path) and not _is_drawing(then):
        try:
            return _of_pages(then, now, how)
        except Exception as error:
            return _nothing(_why(error))
    first = _side(then)
    second = None if now is None else _side(now)
    are_both = second is not None and first.picture is not None and second.picture is not None
    return Pair(first, second, is_drawn=are_both)


def _is_drawing(path: Path) -> bool:
    return path.suffix.lower() == ".svg"


def _nothing(why: str) -> Pair:
    return Pair(Side(None, why), Side(None, why))


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, (Unshown, NotComparable)) else f"it can't be shown: {type(error).__name__}"


def _side(path: Path | str) -> Side:
    if isinstance(path, str):
        return Side(None, path)
    try:
        return _vector(path) if _is_drawing(path) else Side(_thumbnail(next(picture.pages(path))))
    except Exception as error:
        return Side(None, _why(error))


def _vector(path: Path) -> Side:
    found = thumbnails.vector(read_regular(path, thumbnails.MOST_BYTES), _LARGEST_VECTOR)
    if found.link is None:
        return Side(None, "it names other files" if found.has_outside else "it is too large for a page")
    return Side(Thumbnail(found.link, found.width, found.height))


def _of_pages(then: Path, now: Path, how: How) -> Pair:
    """Return the first page, or frame, of two files that differs; the first one if none does."""
    first: tuple[Any, Any] | None = None
    for number, (one, two) in enumerate(zip_longest(picture.pages(then), picture.pages(now)), 1):
        first = first or (one, two)
        if one is None or two is None or one.size != two.size or picture.levels_apart(one, two).getbbox():
            return _of_page(one, two, how, "" if number == 1 else f"{_word(then)} {number}")
    if first is None:
        return _nothing("there is nothing in it")
    return _of_page(*first, how, "")


def _word(path: Path) -> str:
    return "page" if path.suffix.lower() == ".pdf" else "frame"


def _of_page(one: Any, two: Any, how: How, where: str) -> Pair:
    then, now = (Side(None, f"there is no {where}") if each is None else Side(_thumbnail(each)) for each in (one, two))
    if one is None or two is None or one.size != two.size:
        return Pair(then, now, said=where)
    apart = picture.levels_apart(one, two)
    counts = apart.histogram()
    allowed = picture.allowed_levels(how)
    beyond, within = sum(counts[allowed + 1 :]), sum(counts[1 : allowed + 1])
    said = [f"{_pixels(beyond, one.width * one.height)} beyond what is allowed"] if beyond and allowed else []
    said += [_pixels(beyond, one.width * one.height)] if beyond and not allowed else []
    said += [f"{_pixels(within, one.width * one.height)} within what is allowed"] if within else []
    told = ": ".join(filter(None, [where, ", ".join(said) or "no pixel differs"]))
    marked = _marked(two, apart.point(_above(allowed)), apart.point(_above(0))) if said else None
    return Pair(then, now, marked, said=told)


def _pixels(count: int, of_all: int) -> str:
    return f"{count:,} of {of_all:,} pixels {'differs' if count == 1 else 'differ'}"


def _thumbnail(image: Image.Image) -> Thumbnail:
    return thumbnails.of_image(image, _WIDTH)


def _above(level: int) -> list[int]:
    return [0] * (level + 1) + [255] * (255 - level)


def _marked(image: Image.Image, beyond: Image.Image, differing: Image.Image) -> str:
    """Return a picture, faint, with what differs in it marked, a little larger than it is."""
    from PIL import Image

    flat = Image.alpha_composite(Image.new("RGBA", image.size, (*thumbnails.LIGHT, 255)), image).convert("L")
    flat = flat.reduce(max(1, flat.width // _WIDTH))
    found = Image.blend(Image.new("L", flat.size, 255), flat, _FAINT).convert("RGB")
    for mask, colour in ((differing, _WITHIN), (beyond, _BEYOND)):
        found.paste(colour, (0, 0), _smaller(mask, flat.size))
    return thumbnails.of_image(found, _WIDTH).link


def _smaller(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return marks for a picture of that size, in which none is lost, each with a rim."""
    from PIL import Image, ImageFilter

    if mask.width > _STEP * size[0]:
        mask = mask.reduce(_STEP).point(_above(0))
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.BOX).point(_above(0))
    return mask.filter(ImageFilter.MaxFilter(3))
