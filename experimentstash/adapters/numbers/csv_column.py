"""Numbers in columns of CSV files."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from typing import TextIO

from experimentstash.adapters.numbers.place import ALL, Missing, Place, instead
from experimentstash.adapters.numbers.take import TAKE, Taking
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.terminal import plain

# Characters that a line may have.
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Column:
    """A column of a CSV file with a header. Empty cells are passed over: loggers leave them where they had no value."""

    column: str
    file: str = "metrics.csv"
    take: str = "last"

    def __str__(self) -> str:
        return f"{TAKE[self.take]} {self.column} in {self.file}"

    def numbers(self, place: Place) -> dict[str, float]:
        """Return the number; or those of all columns that have one, if all are meant."""
        with place.file(self.file).open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            rows = csv.reader(lines(stream))
            try:
                header = [plain(name).strip() for name in next(rows, [])]
                if self.column != ALL and self.column not in header:
                    others = instead(self.column, header, "columns")
                    raise Missing(f"{self.file} has no column {self.column!r}.{others}")
                wanted = header if self.column == ALL else [self.column]
                takings = {name: (header.index(name), Taking(self.take)) for name in wanted if name}
                for row in rows:
                    for name, (index, taking) in list(takings.items()):
                        cell = plain(row[index]).strip() if index < len(row) else ""
                        if cell in ("", name):  # a tool that goes on in the same file may write the header again
                            continue
                        try:
                            taking.add(cell)
                        except Missing:
                            if self.column != ALL:
                                raise
                            del takings[name]
            except csv.Error as error:
                raise Missing(f"{self.file} is no CSV (line {rows.line_num}): {error}") from None
        if self.column != ALL:
            return {self.column: takings[self.column][1].number()}
        found: dict[str, float] = {}
        for name, (_, taking) in takings.items():
            with contextlib.suppress(Missing):
                found[name] = taking.number()
        return found


def lines(stream: TextIO) -> Iterator[str]:
    """Yield the lines of a file; csv.Error for one that doesn't end."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error("an endless line")
        yield line
