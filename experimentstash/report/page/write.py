"""Pages as texts of HTML. What is in one stands there as data, which no browser takes for anything else."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from experimentstash import __version__
from experimentstash.pages import made
from experimentstash.report.page import assets

# Data of more bytes than this is packed: the page unpacks it faster than it would be read.
_LARGE = 200_000
# What could end the element that the data is in, or, in old browsers, a line of a script.
_ESCAPED = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"})


def page(title: str, data: Any) -> bytes:
    """Return the page of all runs."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)
    encoding = ""
    if len(text) > _LARGE:
        text, encoding = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(), "gzip"
    return made.rendered(
        assets.TEMPLATES / "page.html.j2",
        title=title,
        csp=assets.policy(),
        version=__version__,
        styles=assets.styles(),
        scripts=assets.scripts(),
        data=text,
        encoding=encoding,
    )


def run_page(
    title: str, name: str, detail: Mapping[str, Any], columns: Mapping[str, Sequence[tuple[str, str]]], home: str
) -> bytes:
    """Return the page of one run, as plain HTML; ``columns`` has its parameters and metrics."""
    return made.rendered(
        assets.TEMPLATES / "run.html.j2",
        id=name,
        title=title,
        csp=assets.policy(has_script=False),
        styles=assets.styles(),
        detail=detail,
        home=home,
        **columns,
    )
