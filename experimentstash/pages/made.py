"""What every page of HTML is made by: its style, its own scripts, and the policy that lets in only these."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

# What all pages look like: the first of a page's styles.
STYLE = Path(__file__).parent / "static" / "page.css"


def together(paths: Iterable[Path]) -> str:
    """Return styles, or scripts, as one text for an element."""
    text = "\n".join(path.read_text(encoding="utf-8").strip("\ufeff\n") for path in paths)
    # What would end the element, were it in a text of a script.
    assert "</script" not in text.lower() and "</style" not in text.lower() and "<!--" not in text
    return f"\n{text}\n"


def policy(styles: str, scripts: str | None = None) -> str:
    """Return the Content-Security-Policy of a page: only its own script and style, and nothing from elsewhere."""
    return "; ".join(
        [
            "default-src 'none'",
            *([f"script-src '{_digest(scripts)}'"] if scripts is not None else []),
            f"style-src '{_digest(styles)}'",
            "img-src 'self' data: file:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def rendered(template: Path, **given: Any) -> bytes:
    """Return a page; what a template is given stays text."""
    return _environment(template.parent).get_template(template.name).render(**given).encode()


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    import jinja2  # here, because nothing else needs it

    return jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined)
