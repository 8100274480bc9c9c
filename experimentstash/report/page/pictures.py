"""Pictures of runs, by figure. What is large, or isn't what it says, is told and does no harm."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experimentstash.base import files
from experimentstash.base.files import Unfit
from experimentstash.base.masking import Mask
from experimentstash.base.text import counted, size
from experimentstash.pages import thumbnails
from experimentstash.pages.thumbnails import WIDTHS, Thumbnail, Unshown
from experimentstash.record import archives
from experimentstash.report.page import picture_files
from experimentstash.report.page.age import OLDER, is_older
from experimentstash.report.page.grouping import by_figure, natural
from experimentstash.report.page.model import Figure, Other, Picture
from experimentstash.report.page.picture_files import RunFile, kind_of, left_out
from experimentstash.report.page.places import Links
from experimentstash.runs.facts import Facts

# In which forms tools write one and the same picture, the one that is shown best first.
_FORMS = ("png", "svg", "webp", "jpeg", "pdf")
# Pictures of a page.
MOST = 2000
# Bytes that tell the kind and the size of nearly any picture.
_BEGINNING = 64 << 10
# Pictures that tell with which width one may begin; so many are looked at, all of them if there are no more.
_SAMPLE = 48


class _Seen(NamedTuple):
    """A picture as it is worked on: what is drawable gets a thumbnail if there is room."""

    run: int
    name: str  # as text
    path: Path
    kind: str
    size: int
    is_drawable: bool
    width: int | None
    height: int | None
    note: str | None
    thumb: str | None = None
    is_bright: bool = False
    others: tuple[_Seen, ...] = ()  # the same in other forms


class Found(NamedTuple):
    """The figures that have pictures, and what there is to say of those that are left out."""

    figures: list[Figure]
    remarks: list[str]


def of_runs(runs: Sequence[Facts], links: Links, budget: int, better: int | None = None) -> Found:
    """Return the pictures of runs. Their thumbnails take ``budget`` bytes at most in the page.

    They take ``better`` bytes if that is enough for all of them, of whatever width.
    """
    of_figure = by_figure(runs)
    files_of = {index: picture_files.of_run(facts.plain.directory) for index, facts in enumerate(runs)}
    remarks = left_out(runs, files_of, range(len(runs)))
    seen: dict[str, list[_Seen]] = {}
    room = MOST
    for name, own in of_figure.items():
        meant = [(each, index) for index in own for each in files_of[index].files]
        meant.sort(key=lambda pair: natural(pair[0].name))  # stable: runs stay in their order
        looked_at = [_seen(runs[index], index, each) for each, index in meant[:room]]
        room -= len(looked_at)
        seen[name] = _each_once(looked_at)
    total = sum(len(each.files) for each in files_of.values())
    if total > MOST:
        remarks.append(f"of {total} pictures, {MOST} are shown")
    if not thumbnails.has_pdfium() and any(each.kind == "pdf" for several in seen.values() for each in several):
        remarks.append(thumbnails.NO_PDFIUM)
    bare = _fill(list(seen.values()), budget, budget if better is None else better)
    if bare:
        remarks.append(f"{counted(bare, 'picture')} without a thumbnail in the page: there is no room for it")
    figures = [
        Figure(
            name, [_for_page(each, links) for each in several], own := of_figure[name], left_out(runs, files_of, own)
        )
        for name, several in seen.items()
    ]
    linked = sum(each.shown == "file" and each.kind == "svg" for figure in figures for each in figure.pictures)
    if linked and links.lead_away:
        remarks.append(
            f"{counted(linked, 'large SVG')} only linked to, not in the page (-o DIR and --embed take them along)"
        )
    return Found(figures if any(each.pictures or each.remarks for each in figures) else [], remarks)


# --- looking at one --------------------------------------------------------------------------------------------------


def _seen(facts: Facts, index: int, file: RunFile) -> _Seen:
    """Return what can be told of a picture without drawing it."""
    path = Path(facts.plain.directory, file.name)
    name = os.fsencode(file.name).decode("utf-8", "replace")
    kind = kind_of(file.name)
    width = height = note = None
    is_drawable = True
    if is_older(file.modified, facts.plain.started):
        note = OLDER
    try:
        if kind == "svg":
            found = thumbnails.vector(_read(Path(facts.plain.directory), path, file.size))
            width, height = found.width, found.height
            note = "it refers to other files, which aren't shown" if found.has_outside else note
        elif kind != "pdf":
            kind, width, height = _head(Path(facts.plain.directory), path, file.size)
    except (Unshown, OSError) as error:
        is_drawable, note = False, _why(error)
    return _Seen(index, name, path, kind, file.size, is_drawable, width, height, note)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"it can't be read: {error.strerror or 'an error'}"
    return str(error)


def _head(root: Path, path: Path, expected: int) -> tuple[str, int, int]:
    """Return what a picture's beginning tells, or all of it, if that is too little: there may be thousands."""
    if expected > _BEGINNING:
        with contextlib.suppress(Unshown):
            return thumbnails.head(_read(root, path, expected, _BEGINNING))
    return thumbnails.head(_read(root, path, expected))


def _read(root: Path, path: Path, expected: int, most: int = thumbnails.MOST_BYTES) -> bytes:
    if expected > thumbnails.MOST_BYTES:
        raise Unshown(f"it has {size(expected)}")
    try:
        with archives.open_file(files.inside(root, path)) as stream:
            return stream.read(most)
    except Unfit as error:
        raise Unshown(str(error.strerror)) from error


def _each_once(pictures: Sequence[_Seen]) -> list[_Seen]:
    """Return pictures, of those that a run has in several forms the one that is shown best."""
    forms: dict[tuple[int, str, bool], list[_Seen]] = {}
    for each in pictures:
        stem = os.path.splitext(each.name)[0] if each.kind in _FORMS else each.name
        forms.setdefault((each.run, stem, each.note == OLDER), []).append(each)
    found = []
    for several in forms.values():
        best, *others = sorted(several, key=lambda each: (not each.is_drawable, each.note is not None, _rank(each)))
        found.append(best._replace(others=tuple(others)))
    return found


def _rank(picture: _Seen) -> int:
    return _FORMS.index(picture.kind) if picture.kind in _FORMS else len(_FORMS)


# --- thumbnails ------------------------------------------------------------------------------------------------------


def _fill(figures: Sequence[list[_Seen]], budget: int, better: int) -> int:
    """Give all pictures thumbnails, as wide as all can be, or as many as there is room for; tell how many had none."""
    has_pdfium = thumbnails.has_pdfium()
    wanted = [
        (several, place)
        for several in figures
        for place, each in enumerate(several)
        if each.is_drawable and (has_pdfium or each.kind != "pdf")
    ]
    # There is no other way to show a PDF: the files of the rest can be shown themselves.
    wanted.sort(key=lambda place: place[0][place[1]].kind != "pdf")
    pictures = [several[place] for several, place in wanted]
    drawn = _all_drawn(pictures, min(better, budget)) or _all_drawn(pictures, budget)
    if drawn is None:
        drawn = list(_some_drawn(pictures, budget))
    for (several, place), each in zip(wanted, drawn, strict=True):
        several[place] = each
    return sum(each.thumb is None and each.is_drawable and each.kind != "svg" for each in drawn)


def _all_drawn(pictures: Sequence[_Seen], room: int) -> list[_Seen] | None:
    """Return all pictures with thumbnails as wide as there is room for; None if there is none with any width."""
    sample = pictures[:: max(1, -(-len(pictures) // _SAMPLE))]
    for width in WIDTHS:
        if _drawn_within(sample, width, room * len(sample) // max(1, len(pictures))) is not None:
            drawn = _drawn_within(pictures, width, room)  # a sample may be wrong
            if drawn is not None:
                return drawn
    return None


def _drawn_within(pictures: Sequence[_Seen], width: int, room: int) -> list[_Seen] | None:
    drawn = []
    for each in pictures:
        if room <= 0:
            return None
        drawn.append(_drawn(each, width))
        room -= len(drawn[-1].thumb or "")
    return drawn if room >= 0 else None


def _some_drawn(pictures: Sequence[_Seen], room: int) -> Iterator[_Seen]:
    """Yield pictures, with the narrowest thumbnails as long as there is room."""
    for each in pictures:
        drawn = _drawn(each, WIDTHS[-1]) if room > 0 else each  # what there is no room for isn't drawn in vain
        if len(drawn.thumb or "") > room:
            drawn = drawn._replace(thumb=None)
        room -= len(drawn.thumb or "")
        yield drawn


def _drawn(picture: _Seen, width: int) -> _Seen:
    """Return a picture with a thumbnail, if it has one: a large SVG has none, and a broken file says so."""
    drawn = _of_file(_root(picture), picture.path, picture.size, _modified(picture.path), picture.kind, width)
    if isinstance(drawn, str):
        return picture._replace(is_drawable=False, note=drawn)
    if drawn is None:
        return _with_other(picture, width)
    note = "only its top is shown here" if drawn.is_cut and picture.note is None else picture.note
    return picture._replace(
        width=drawn.width, height=drawn.height, thumb=drawn.link, is_bright=drawn.is_bright, note=note
    )


def _with_other(picture: _Seen, width: int) -> _Seen:
    """Return a large SVG with a thumbnail of another form of it, if the run has one."""
    for each in picture.others:
        if each.is_drawable and each.kind != "svg" and (each.kind != "pdf" or thumbnails.has_pdfium()):
            drawn = _drawn(each, width)
            if drawn.thumb is not None:
                return picture._replace(thumb=drawn.thumb, is_bright=drawn.is_bright)
    return picture


def _modified(path: Path) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=512)  # for a page that is made again and again
def _of_file(root: Path, path: Path, taken: int, modified: int, kind: str, width: int) -> Thumbnail | str | None:
    """Return the thumbnail of a file, why there is none, or None if it needs none."""
    try:
        content = _read(root, path, taken)
        if kind == "svg":  # a text, which stands in the page as it is
            content = Mask(os.environ).masked(content)
        return thumbnails.thumbnail(content, kind, width)
    except (Unshown, OSError) as error:
        return _why(error)


def _for_page(picture: _Seen, links: Links) -> Picture:
    """Return a picture as the page has it, which says what there is to see of it."""
    root = _root(picture)
    href = links.to(root, _inside(picture))
    note, away = picture.note, _away(root) if href is None else None
    if picture.thumb is not None:
        shown = "thumb"
    elif picture.is_drawable and href is not None and picture.kind != "pdf":
        shown = "file"
    else:
        shown = "no"
        if note is None and (picture.kind != "pdf" or thumbnails.has_pdfium()):
            note = "no room for it in the page" + ("" if away is None else f": {away}")
    others = [Other(each.kind, link) for each in picture.others if (link := links.to(root, _inside(each))) is not None]
    of_picture = (
        picture.kind,
        shown,
        picture.thumb,
        href,
        picture.width,
        picture.height,
        others,
        picture.is_bright,
        note,
        away,
    )
    return Picture(picture.run, picture.name, *of_picture)


def _away(root: Path) -> str | None:
    """Say where a run's file is that no link leads to."""
    archive = archives.holding(root)
    return None if archive is None else f"the file is in the archive {archive.name}"


def _inside(picture: _Seen) -> str:
    return os.path.relpath(picture.path, _root(picture))


def _root(picture: _Seen) -> Path:
    return picture.path.parents[picture.name.count("/")]
