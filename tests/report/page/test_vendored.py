"""What is taken from others is as they have it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from experimentstash.report import page

UPLOT = Path(page.__file__).parent / "vendor" / "uplot"


def test_uplot_is_unchanged() -> None:
    said = dict(
        re.findall(r"^ {4}([0-9a-f]{64})  (\S+)$", (UPLOT / "NOTE.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in UPLOT.iterdir()}
    there.pop("NOTE.md")
    assert there == {name: digest for digest, name in said.items()}
    assert set(there) == {"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"}
