"""What programs write for terminals: text among colours, cursor movements and progress bars that are written over."""

from __future__ import annotations

from experimentstash.base.patterns import regex

# Control sequences (colours, cursor movements), strings (titles, links), and what else begins with an escape; see
# ECMA-48. One that the end of a text has cut off goes too.
_ESCAPE = regex(
    r"\x1b\[[0-?]*[ -/]*(?:[@-~]|\Z)"
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\|\Z)?"
    r"|\x1b[ -/]*(?:[0-~]|\Z)"
)
# What takes a terminal back to the beginning of a line, or nearly so (Keras counts the steps), to write over it.
_BACK = regex(r"[\r\b]+(\n?)")


def plain(text: str) -> str:
    """Return a text without its escape sequences."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def states(text: str) -> tuple[str, list[int]]:
    """Return a plain text in which each state of a line that was written over is a line of its own.

    And the positions of the line breaks that stand for it: what comes after one was written over what comes before.
    """
    text = plain(text)
    if "\r" not in text and "\b" not in text:
        return text, []
    over: list[int] = []
    pieces: list[str] = []
    length = end = 0
    for back in _BACK.finditer(text):
        pieces.append(text[end : back.start()])
        length += len(pieces[-1])
        if not back[1]:
            over.append(length)
        pieces.append("\n")
        length += 1
        end = back.end()
    return "".join([*pieces, text[end:]]), over
