"""What all forms say of a comparison in words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from experimentstash.base.text import counted
from experimentstash.report.compare import Comparison, Row
from experimentstash.report.differences import Difference
from experimentstash.report.groups import title
from experimentstash.report.metrics import Metric
from experimentstash.stash.schema import Better

_ARROWS = {Better.higher: "↑", Better.lower: "↓"}
DIFFERENCE_HEADINGS = ("metric", "first", "second", "pairs", "difference", "p", "p (Holm)")
NO_NUMBER = "-"
# What ends a word in the name of an experiment.
_ENDS = "/_-. "


def heading(metric: Metric) -> str:
    """Return what a metric's column is headed: an arrow says which values are the good ones."""
    return f"{metric.label} {_ARROWS[metric.better]}" if metric.better is not None else metric.label


def cell(comparison: Comparison, row: Row, number: int) -> str:
    """Return a cell as a line of text."""
    found, parts = row.cells[number], comparison.written(row, number)
    if found is None:
        return NO_NUMBER
    return f"{joined(parts)} ({found.summary.count})"


def joined(parts: Sequence[str]) -> str:
    """Return the parts of a cell as they stand together."""
    if len(parts) == 1:
        return parts[0]
    return f"{parts[0]} ± {parts[1]}" if len(parts) == 2 else f"{parts[0]} [{parts[1]}, {parts[2]}]"


def caption(comparison: Comparison, best: str, second: str, *, with_counts: bool = True) -> str:
    """Return what the numbers are, in a sentence; ``best`` and ``second`` say how those are marked."""
    way = comparison.way.words
    over = f" over {comparison.over_words}" if comparison.over else ""
    counts = " (number of runs)" if with_counts else ""
    marks = f" Best {best}, second best {second}." if comparison.has_ranks else ""
    return f"{way[0].upper()}{way[1:]}{over}{counts}.{marks}"


def about_differences(comparison: Comparison) -> str | None:
    """Return what the tests are, in a sentence; None if there are none."""
    test = comparison.test
    if test is None or not comparison.differences:
        return None
    tested = _tested(comparison)
    least = min((test.least(each.pairs) for each in tested), default=0.0)
    doubt = f" With so few pairs p can't be less than {least:.2g}." if least > 0.05 else ""
    untested = Counter((each.metric, each.why_none) for each in comparison.differences if each.p is None)
    without = "".join(
        f" {metric}: no test of {counted(count, 'pair')} of rows, {why}." for (metric, why), count in untested.items()
    )
    return (
        f"Differences in the mean: {test.words}, in pairs of the same {comparison.over_words or 'seed'}; the last p is"
        f" corrected by Holm for all {len(tested)} tests.{doubt}{without}"
    )


def _tested(comparison: Comparison) -> list[Difference]:
    return [each for each in comparison.differences if each.p is not None]


def differences(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of text for each difference that was tested."""
    of = {metric.name: number for number, metric in enumerate(comparison.metrics)}
    names = short([title(row.values) for row in comparison.rows])
    return [
        (
            comparison.metrics[of[each.metric]].label,
            names[each.first],
            names[each.second],
            str(each.pairs),
            comparison.digits[of[each.metric]].write(each.mean or 0.0),
            f"{each.p:.2g}",
            f"{each.corrected:.2g}",
        )
        for each in _tested(comparison)
    ]


def short(titles: Sequence[str]) -> list[str]:
    """Return titles without the words that all of them begin or end with."""
    if len(set(titles)) < 2:
        return list(titles)
    begin = len(_words_of(_shared(titles)))
    rest = [title[begin:] for title in titles]
    end = len(_words_of(_shared([title[::-1] for title in rest])))
    return [title[: len(title) - end] for title in rest] if all(len(title) > end for title in rest) else rest


def _shared(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


def _words_of(text: str) -> str:
    """Return a text up to the last end of a word in it."""
    return text[: max(text.rfind(mark) for mark in _ENDS) + 1]
