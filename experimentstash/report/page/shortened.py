"""Absolute paths in what the page shows: those in the stash are relative to it, those in the home begin with `~`.

A stash that was copied from elsewhere has records that speak of its old place: that is shortened as well.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.record.run import Run
from experimentstash.runs.differing import said


class Shortened:
    """Takes the places of a stash, and the user's home, out of texts."""

    def __init__(self, root: Path, others: Iterable[str] = ()) -> None:
        self.root = root
        places = dict.fromkeys([str(root), os.path.realpath(root)])
        for old in others:
            if old.startswith("/") and old.strip("/") and not any(Path(each).is_relative_to(old) for each in places):
                places[old] = None
        self._roots = sorted(places, key=len, reverse=True)
        home = os.path.expanduser("~")
        self._root = re.compile(rf"(?<![\w.~/-])(?:{'|'.join(map(re.escape, self._roots))})(?![\w.-])(/?)")
        self._home = re.compile(rf"(?<![\w.~/-]){re.escape(home)}(?![\w.-])") if home.strip("/") else None

    def __call__(self, text: str) -> str:
        text = self._root.sub(lambda found: "" if found[1] else ".", text)
        return text if self._home is None else self._home.sub("~", text)

    def command(self, words: Sequence[str], place: str) -> str:
        """Return a command that runs in some place, to be copied into a shell in the stash."""
        inside = self._within(place)
        # From outside of the stash its own place has to be named, and not that which it once had.
        up = str(self.root) if inside is None else os.path.relpath(".", inside)
        words = [self._root.sub(lambda found: f"{up}{found[1]}", word) for word in words]
        line = " ".join(map(self._quoted, words))
        return line if inside == "." else f"cd {self._quoted(place if inside is None else inside)} && {line}"

    def _within(self, place: str) -> str | None:
        """Return a path from where the stash is, or was; None for one outside."""
        root = next((each for each in self._roots if Path(place).is_relative_to(each)), None)
        return None if root is None else os.path.relpath(place, root)

    def _quoted(self, word: str) -> str:
        """Return a word as a shell takes it, with the home by its name there."""
        first, *rest = [word] if self._home is None else self._home.split(word)
        if not rest:
            return shlex.quote(word)
        parts = [each and shlex.quote(each) for each in (first, *rest)]
        if not first and len(rest) == 1 and rest[0][:1] in ("", "/"):
            return "~" if len(rest[0]) < 2 else f"~/{shlex.quote(rest[0][1:])}"
        return '"$HOME"'.join(parts)


def places_of(runs: Iterable[Run | None]) -> set[str]:
    """Return where the stash was when runs were made."""
    return {run.spec.stash.path for run in runs if run is not None and run.spec.stash is not None}


class Shown:
    """Values of parameters as they are shown: shortened, but where two that differ would look the same."""

    def __init__(self, short: Shortened, values: Iterable[Any]) -> None:
        texts = {text for value in values for text in _texts(value)}
        shown = {text: short(text) if "/" in text else text for text in texts}
        counts = Counter(shown.values())
        self._known = {text: each for text, each in shown.items() if each != text and counts[each] == 1}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._known.get(value, value)
        if isinstance(value, list):
            return [self(each) for each in value]
        return {name: self(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, and what stands for all of it in a comparison."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        yield said(value)
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
