"""Tables as comparators see them: columns by their names, from CSV, TSV and Parquet files."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.publish.comparators.comparator import LARGEST, NotComparable

_NUMBER = regex(
    r"\s*[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)\s*", re.IGNORECASE | re.ASCII
)
# One with a 0 in front is a name.
_WHOLE = regex(r"\s*[+-]?(?:0|[1-9]\d{0,299})\s*", re.ASCII)
_NAMED_ZERO = regex(r"\s*[+-]?0\d+\s*", re.ASCII)
# What else there is between the cells of what calls itself CSV.
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """Columns by their names, all of the same length; a cell is a number, a text, or what Parquet has."""

    columns: dict[str, Sequence[Any]]
    first_row: int  # how the first row is counted in messages

    @property
    def length(self) -> int:
        return max(map(len, self.columns.values()), default=0)


def read(path: Path) -> Table:
    """Return the table in a file, by its name's ending; NotComparable if there is none in it."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    text = text_of(path)
    return _csv(text, _separator(text.partition("\n")[0], path), path)


def _separator(first: str, path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(_SEPARATORS, key=lambda each: (first.count(each), -_SEPARATORS.index(each)))


def header(path: Path) -> list[str]:
    """Return the names of a table's columns; of a text, only its first line is looked at closely."""
    if path.suffix.lower() == ".parquet":
        return [*_parquet(path).columns]
    first, _, _ = text_of(path).lstrip("\n").partition("\n")
    return [*_csv(first, _separator(first, path), path).columns] if first.count('"') % 2 == 0 else [*read(path).columns]


def text_of(path: Path) -> str:
    """Return a text as it is, but for how its lines end; NotComparable if it is none."""
    try:
        text = read_regular(path, LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotComparable(f"{path.name} is no text in UTF-8") from error
    except OSError as error:
        raise NotComparable(f"{path.name} can't be read: {error.strerror}") from error
    return text.replace("\r\n", "\n")


def cell(text: str) -> Any:
    """Return the number that a text is, or the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text) or _NAMED_ZERO.fullmatch(text):
        return text
    value = float(text)
    is_too_large = math.isinf(value) and any(map(str.isdigit, text))  # 12e3456: the beginning of a hash, perhaps
    return text if is_too_large else value


def _csv(text: str, separator: str, path: Path) -> Table:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise NotComparable(f"{path.name} is no table: {error}") from error
    width = next((len(row) for row in rows if row), 0)
    # An empty line is a row only of a table that has one column: an empty cell.
    rows = [row or [""] for row in rows if row or width == 1]
    if not rows:
        return Table({}, 1)
    has_header = _is_header(rows[0])
    names = _unique(rows[0]) if has_header else [f"column {number}" for number in range(1, len(rows[0]) + 1)]
    body = rows[1:] if has_header else rows
    uneven = next((number for number, row in enumerate(body) if len(row) != len(names)), None)
    if uneven is not None:
        raise NotComparable(
            f"{path.name} is no table: row {uneven + 1} has {len(body[uneven])} cells, not {len(names)}"
        )
    return Table({name: [cell(row[number]) for row in body] for number, name in enumerate(names)}, 1)


def _is_header(row: Sequence[str]) -> bool:
    """Tell whether a first row has names: one with a text, or numbers as pandas calls columns and pivots do."""
    cells = [cell(each) for each in row]
    given = [each for each in cells if each != ""]
    if not given or not all(isinstance(each, (int, float)) for each in given):
        return True
    are_whole = all(isinstance(each, int) for each in given)
    is_counted = len(given) > 1 and given == [*range(len(given))]
    return are_whole and (is_counted or (cells[0] == "" and len(given) == len(cells) - 1))


def _unique(names: Sequence[str]) -> list[str]:
    """Return names of which none comes twice: an index of pandas' has none at all."""
    found: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        plain = name.strip() or f"column {number}"
        found[plain if plain not in found else f"{plain} ({number})"] = None
    return list(found)


def _parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet  # here, because hardly any comparison needs it
    except ImportError:
        raise NotComparable("Parquet files are read by pyarrow: pip install 'experimentstash[outputs]'") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise NotComparable(f"{path.name} is no Parquet file: {str(error).splitlines()[0]}") from error
    names = _unique(table.column_names)
    try:
        return Table({name: table.column(number).to_pylist() for number, name in enumerate(names)}, 1)
    except (ValueError, OverflowError) as error:
        raise NotComparable(f"{path.name} has values that can't be read here: {error}") from error
