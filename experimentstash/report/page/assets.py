"""The page's styles and scripts, each as one text, and the Content-Security-Policy that lets in only these."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
# One after the other: a script uses only those before it when it is read.
STYLES = ("vendor/uplot/uPlot.min.css", "static/page.css", "static/gallery.css", "static/charts.css")
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
    return _together(STYLES)


@functools.cache
def scripts() -> str:
    """Return all scripts."""
    return _together(SCRIPTS)


def _together(names: tuple[str, ...]) -> str:
    parts = [(_HERE / name).read_text(encoding="utf-8") for name in names]
    text = "\n".join(part.strip("\ufeff\n") for part in parts)
    # What would end the element, were it in a text of a script.
    assert "</script" not in text.lower() and "</style" not in text.lower() and "<!--" not in text
    return f"\n{text}\n"


def policy(*, has_script: bool = True) -> str:
    """Return the Content-Security-Policy of a page: only its own script and style, and nothing from elsewhere."""
    return "; ".join(
        [
            "default-src 'none'",
            *([f"script-src '{_digest(scripts())}'"] if has_script else []),
            f"style-src '{_digest(styles())}'",
            "img-src 'self' data: file:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
