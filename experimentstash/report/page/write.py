"""The page as one text of HTML. What is in it stands there as data, which no browser takes for anything else."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from experimentstash.report.page import assets
from experimentstash.report.page.model import Report, as_data

# Data of more bytes than this is packed: the page unpacks it faster than it would be read.
_LARGE = 200_000
# What could end the element that the data is in, or, in old browsers, a line of a script.
_ESCAPED = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"})


def page(report: Report) -> str:
    """Return the page."""
    return page_of(report.title, report.version, as_text(as_data(report)))


def as_text(data: Any) -> str:
    """Return data as JSON that may stand in HTML."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)


def page_of(title: str, version: str, data: str) -> str:
    """Return the page with data as JSON."""
    import jinja2  # here, because nothing else needs it

    encoding = ""
    if len(data) > _LARGE:
        data, encoding = base64.b64encode(gzip.compress(data.encode(), mtime=0)).decode(), "gzip"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        csp=assets.policy(),
        version=version,
        styles=assets.styles(),
        scripts=assets.scripts(),
        data=data,
        encoding=encoding,
    )
