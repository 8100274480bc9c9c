"""The forms that a comparison can be shown in: each is a file here with one function, `render(comparison)`."""

from __future__ import annotations

import importlib
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.report.compare import Comparison

# The option that asks for a form, its file, and the endings of files that are written in it.
FORMS = {
    "latex": ("to_latex", (".tex",)),
    "csv": ("to_csv", (".csv",)),
    "json": ("to_json", (".json",)),
    "markdown": ("to_markdown", (".md", ".markdown")),
    "html": ("to_html", (".html", ".htm")),
}


def render(form: str, comparison: Comparison) -> str:
    """Return a comparison in a form."""
    name, _ = FORMS[form]
    return str(importlib.import_module(f"experimentstash.report.render.{name}").render(comparison))


def of_file(path: str) -> str:
    """Return the form that a file's name asks for; StashError if it asks for none."""
    ending = Path(path).suffix.lower()
    found = next((form for form, (_, endings) in FORMS.items() if ending in endings), None)
    if found is None:
        known = ", ".join(each for _, endings in FORMS.values() for each in endings)
        raise StashError(f"--output {path}: its name doesn't say in which form.", f"one of {known}, or say --latex …")
    return found
