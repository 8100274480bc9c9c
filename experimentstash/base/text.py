"""Text as a terminal shows it: how wide it is, shortened, laid out in lines.

A terminal's columns are counted, not characters: an ideograph takes two of them, an accent put on a letter none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from experimentstash.base.patterns import regex

# What has a terminal show the symbol before it as a picture, which is wider.
_AS_A_PICTURE = "\ufe0f"
# From here on what Python's tables don't know yet is a picture more often than not.
_PICTURES = 0x1F000
# What joins letters or keeps them apart, and isn't seen.
_NOTHING = regex("[\u200b-\u200d\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
# What has been wide since Unicode 16, and the halves of flags.
_WIDE_BY_NOW = regex("[\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376\U0001f1e6-\U0001f1ff]")
_COLOURS = regex(r"\x1b\[[0-9;]*m")
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Lines with so large an indent were laid out by whoever wrote them.
_LAID_OUT = 4
# What is better kept in one piece: a word, or a command in the middle of a sentence.
_PIECE = regex(r"\S*`[^`]+`\S*|\S+")
_FRONT = regex(r" *(?:→ |! )?")
# What a hint begins with that is to be copied into a shell.
_COMMAND = regex(
    r"→ (?:cd|chmod|conda|echo|experimentstash|export|git|ln|mkdir|module|mv|pip|python3?|rmdir|rm"
    r"|sbatch|scancel|scontrol|squeue|ssh|touch|unset|uv) "
)


def cells(text: str) -> int:
    """Return how many of a terminal's columns a text takes, its colours aside; in doubt rather too many."""
    text = _COLOURS.sub("", text) if "\x1b" in text else text
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if character.isascii() or character == _AS_A_PICTURE:
        return 1
    category = unicodedata.category(character)
    if category in ("Mn", "Me") or _NOTHING.match(character):
        return 0
    is_wide = (
        unicodedata.east_asian_width(character) in "WF"
        or _WIDE_BY_NOW.match(character)
        or (category == "Cn" and ord(character) >= _PICTURES)
    )
    return 2 if is_wide else 1


def shorten(text: str, width: int, *, keeps_end: bool = False, ellipsis: str = "…") -> str:
    """Return a text that takes so many of a terminal's columns at most; ``ellipsis``, of one, stands for the rest."""
    if cells(text) <= width:
        return text
    if width <= 1:
        return ellipsis[:width]
    end = _end(text, (width - 1) * 2 // 3) if keeps_end else ""
    return _beginning(text, width - 1 - cells(end)) + ellipsis + end


def _beginning(text: str, width: int) -> str:
    taken = 0
    for position, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:position]
    return text


def _end(text: str, width: int) -> str:
    taken, start = 0, len(text)
    for position in range(len(text) - 1, -1, -1):
        taken += _cells(text[position])
        if taken > width:
            break
        if _cells(text[position]):  # what is put on a letter goes with it
            start = position
    return text[start:]


def clean(text: str) -> str:
    """Return a text in which what would move the cursor, or can't be printed, is written as an escape."""
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def _is_harmless(character: str) -> bool:
    if character in _DIRECTIONS:
        return False
    return character.isprintable() or unicodedata.category(character) in ("Cf", "Zs", "Cn", "Co")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def tame(text: str) -> str:
    """Return somebody else's text with its lines, and as a terminal that takes no orders would show the rest."""
    return text if text.isprintable() else "\n".join(map(clean, text.expandtabs().split("\n")))


def filled(text: str, width: int | None, *, indent: int = 2) -> str:
    """Return a text with its lines broken between words, where they are prose and longer than so many columns.

    What is broken off is indented by ``indent``, or as far as its line.
    """
    return text if width is None else "\n".join(_filled(line, width, indent) for line in text.split("\n"))


def _filled(line: str, width: int, least: int) -> str:
    front = _FRONT.match(line)
    assert front is not None
    mark = front[0].strip()
    if cells(line) <= width or (len(front[0]) >= _LAID_OUT and not mark) or _COMMAND.match(line.lstrip()):
        return line
    indent = " " * max(len(front[0]), least)
    lines, current = [], front[0].rstrip()
    end = front.end()
    for piece in _PIECE.finditer(line, front.end()):
        blanks = line[end : piece.start()] if end > front.end() else front[0][len(current) :]
        if current.strip(" →!") and cells(current) + len(blanks) + cells(piece[0]) > width:
            lines.append(current)
            current = indent + piece[0]
        else:
            current += blanks + piece[0]
        end = piece.end()
    return "\n".join([*lines, current])


def counted(count: int, word: str) -> str:
    """Return so many of what a word names: ``1 run``, ``2 runs``."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Return names with commas between them, so many at the most; on one line, whatever they are."""
    return ", ".join(map(clean, names[:most])) + (", …" if len(names) > most else "")


def size(count: int) -> str:
    """Return so many bytes as people say it: ``331 MB``."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.{1 if count < 10 * factor else 0}f} {unit}"
    return counted(count, "byte")
