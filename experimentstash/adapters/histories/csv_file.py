"""Histories in CSV files with a header: a row a step, or a row for each thing logged at it."""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from experimentstash.adapters.histories.history import Rows
from experimentstash.adapters.numbers.csv_column import lines
from experimentstash.adapters.numbers.place import Missing
from experimentstash.base.terminal import plain


def read(stream: BinaryIO, rows: Rows) -> None:
    """Take the rows of a file. Empty cells are none, and texts aren't either; Missing if it is no CSV."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(lines(text))
    try:
        header = [plain(name).strip() for name in next(reader, [])]
        for cells in reader:
            rows.add(
                {
                    name: number
                    for name, cell in zip(header, cells, strict=False)
                    if name and cell and (number := _number(cell)) is not None
                }
            )
    except csv.Error as error:
        raise Missing(f"it is no CSV (line {reader.line_num}): {error}") from None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
