"""Tables for people: as wide as their text, or as the terminal is; there what matters least goes, and no row breaks."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.output import PLAIN, Paper, Style
from experimentstash.base.text import cells, clean, shorten

_GAP = "  "
# What the last columns that are left are shortened to, where nothing else helps.
_NARROWEST = 4


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what may become of it where there isn't room for all."""

    heading: str
    rank: int = 0  # the highest goes first; 0: never
    least: int | None = None  # the terminal's columns that it may be shortened to; None: it is whole, or not there
    is_spare: bool = False  # shown only where nothing else has to be shortened for it
    keeps_end: bool = False  # its end tells as much as its beginning: it is shortened in the middle


@dataclass(frozen=True)
class Styled:
    """A cell's text that has a style where there are colours."""

    text: str
    style: Style | None


Cell = str | Styled


def draw(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paper: Paper = PLAIN) -> str:
    """Return a heading and rows as text; a column with nothing in it is left out."""
    return "\n".join(lines(columns, rows, paper, has_heading=True))


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paper: Paper = PLAIN, *, has_heading: bool = False
) -> list[str]:
    """Return the rows of a table, each one line of text."""
    texts = [[paper.written(clean(cell.text if isinstance(cell, Styled) else cell)) for cell in row] for row in rows]
    headings = [paper.written(clean(column.heading)) for column in columns]
    kept = [index for index in range(len(columns)) if any(row[index] for row in texts)]
    whole = {
        index: max([cells(row[index]) for row in texts] + [cells(headings[index])] * has_heading) for index in kept
    }
    widths = whole if paper.width is None else _fit(columns, whole, paper.width)
    shown = [_line(columns, widths, row, texts[number], paper) for number, row in enumerate(rows)]
    if has_heading:
        shown.insert(0, _line(columns, widths, [Styled(text, Style.HEADING) for text in headings], headings, paper))
    return shown


def _fit(columns: Sequence[Column], whole: dict[int, int], room: int) -> dict[int, int]:
    """Return how wide each column is that finds room."""
    widths = dict(whole)
    for index in sorted(widths, key=lambda index: -columns[index].rank):
        if columns[index].is_spare and _total(widths) > room:
            del widths[index]
    least = {index: min(width, columns[index].least or width) for index, width in widths.items()}
    for index in sorted(widths, key=lambda index: -columns[index].rank):
        if columns[index].rank and _total(least) > room:
            del widths[index], least[index]
    while _total(least) > room:
        widest = max(least, key=lambda index: least[index])
        if least[widest] <= _NARROWEST:
            break  # the line is cut off
        least[widest] -= 1
    left = max(0, room - _total(least))
    for index in sorted(least, key=lambda index: columns[index].rank):
        more = min(left, widths[index] - least[index])
        least[index] += more
        left -= more
    return least


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * max(0, len(widths) - 1)


def _line(
    columns: Sequence[Column], widths: dict[int, int], row: Sequence[Cell], texts: Sequence[str], paper: Paper
) -> str:
    line, blanks, room = "", "", paper.width
    for index, width in widths.items():
        text = shorten(texts[index], width, keeps_end=columns[index].keeps_end, ellipsis=paper.ellipsis)
        if room is not None and text:
            text = shorten(text, max(0, room - len(blanks)), ellipsis=paper.ellipsis)
            room -= len(blanks) + cells(text)
        if not text:
            blanks += " " * width + _GAP
            continue
        cell = row[index]
        style = cell.style if isinstance(cell, Styled) else None
        line += blanks + paper.paint(text, style)
        blanks = " " * (width - cells(text)) + _GAP
    return line
