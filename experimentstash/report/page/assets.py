"""The report's styles and scripts, each as one text, and the policy that lets in only these."""

from __future__ import annotations

import functools
from pathlib import Path

from experimentstash.pages import made

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
# One after the other: a script uses only those before it when it is read.
STYLES = ("vendor/uplot/uPlot.min.css", made.STYLE, "static/gallery.css", "static/charts.css")
SCRIPTS = (
    "vendor/uplot/uPlot.iife.min.js",
    *(
        f"static/{name}.js"
        for name in (
            *("dom", "numbers", "state", "data", "palette", "view", "theme", "table", "exports", "filters"),
            *("comparison", "runs", "detail", "difference"),
            *("axes", "curves", "scatter", "parallel", "lightbox", "gallery", "main"),
        )
    ),
)


@functools.cache
def styles() -> str:
    """Return all styles."""
    return made.together(_HERE / name for name in STYLES)


@functools.cache
def scripts() -> str:
    """Return all scripts."""
    return made.together(_HERE / name for name in SCRIPTS)


def policy(*, has_script: bool = True) -> str:
    """Return the Content-Security-Policy of a page, with or without the scripts."""
    return made.policy(styles(), scripts() if has_script else None)
