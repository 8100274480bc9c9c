"""The data of a report's page. Its scripts read exactly this: see `static/types.d.ts`, and `as_data`.

Runs are told by their positions in ``Runs.ids``. Names have underscores here and capitals there: `is_thinned` is
`isThinned` in the page.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.redaction import known

if TYPE_CHECKING:
    from experimentstash.report.page.curves import Band, Curve

FORMAT = 1
# Texts that secrets were looked for in are remembered: states, names of tools and parameters are in every run.
_REMEMBERED = 100_000
# A browser's numbers are of 64 bits: it would show a larger one, such as a random seed, as another.
_EXACT = 2**53


@dataclass(frozen=True)
class Column:
    """What runs have under one name, a value for each of them; None where one lacks it."""

    key: str  # state, exp, tool, params.lr, metrics.loss …
    label: str
    kind: str  # plain, param, metric
    varies: bool
    better: str | None
    values: Sequence[Any]
    is_seed: bool = False  # it only says which of several repetitions a run is
    several: Sequence[Sequence[str]] = ()  # what each value is joined of, where a comma doesn't tell


@dataclass(frozen=True)
class Runs:
    """All runs of the page, by column."""

    count: int
    ids: Sequence[str]
    columns: Sequence[Column]


@dataclass(frozen=True)
class Metric:
    """A column of numbers in a comparison."""

    name: str
    label: str
    better: str | None


@dataclass(frozen=True)
class Cell:
    """What the numbers of a group come to."""

    text: str  # 0.91 ± 0.02
    n: int
    middle: float
    rank: int | None


@dataclass(frozen=True)
class Row:
    """A group of runs."""

    values: Sequence[str]
    cells: Sequence[Cell | None]
    runs: Sequence[int]


@dataclass(frozen=True)
class Table:
    """A comparison by one grouping: all that differs, or one name."""

    figure: str | None  # whose runs are compared, "" of those in no figure; None: all of the page
    name: str
    columns: Sequence[str]
    metrics: Sequence[Metric]
    rows: Sequence[Row]
    caption: str
    remarks: Sequence[str]


@dataclass(frozen=True)
class Other:
    """A file with the same picture as another."""

    kind: str
    href: str


@dataclass(frozen=True)
class Picture:
    """A picture that a run has made."""

    run: int
    name: str  # in the run's directory
    kind: str  # png, svg, pdf, jpeg …
    shown: str  # what there is to see of it: the "thumb", the "file" itself, or "no" image
    thumb: str | None  # data:image/…
    href: str | None
    width: int | None  # pixels
    height: int | None
    others: Sequence[Other] = ()  # the same in other forms
    is_bright: bool = False  # it has no ground of its own, and is drawn for a dark one
    note: str | None = None  # why there is less of it than there should be
    away: str | None = None  # where its file is, if no link leads there


@dataclass(frozen=True)
class Figure:
    """The pictures of a figure: of a directory of organizers. Those of the same name stand one after the other."""

    name: str  # "" of what is in no figure
    pictures: Sequence[Picture]
    runs: Sequence[int]  # all of the figure, those without a picture among them
    remarks: Sequence[str] = ()  # on pictures of these runs that aren't here


@dataclass(frozen=True)
class File:
    """A file of a run."""

    path: str  # in the run's directory
    size: int
    href: str | None
    is_plain: bool = False  # no browser that opens it runs it as a program


@dataclass(frozen=True)
class Detail:
    """Everything else that is shown of a run."""

    state: str
    reason: str | None
    used: Sequence[tuple[str, str]]
    command: str
    config: str  # YAML
    provenance: Sequence[tuple[str, str]]
    patch: str | None
    log: str
    log_is_cut: bool
    files: Sequence[File]
    href: str | None  # of the run's directory
    page: str | None = None  # of its own, if there is nothing else of it here


@dataclass(frozen=True)
class Report:
    """All of a page."""

    title: str
    stash: str
    made: str
    command: str
    version: str
    runs: Runs
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    curves: Sequence[Curve] = ()
    bands: Sequence[Band] = ()
    details: Sequence[Detail | None] = ()  # None: left out, as the remarks say
    remarks: Sequence[str] = ()
    zone: str = ""  # of all times
    format: int = FORMAT


# Links and pictures are no texts: in base64 anything may look like a secret.
_AS_THEY_ARE = ("href", "thumb")


def as_data(value: Any) -> Any:
    """Return a part of a report as plain JSON has it, without the secrets that are known here."""
    redact = functools.lru_cache(_REMEMBERED)(known(os.environ).redact)

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value.encode("utf-8", "replace").decode("utf-8"))  # a file's name may be no text
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= _EXACT else str(value)
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if isinstance(value, Mapping):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, Sequence):
            return [plain(each) for each in value]
        return {_called(name): own if name in _AS_THEY_ARE else plain(own) for name, own in vars(value).items()}

    return plain(value)


@functools.cache
def _called(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
