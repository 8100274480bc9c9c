"""How a text is written in an override, so that Hydra reads that text and nothing else.

A Tab asks for it, too: so nothing is imported for a text that needs no quotes.
"""

from __future__ import annotations

# Besides ASCII letters and digits, what Hydra's grammar reads as a text without quotes, which begins with a letter or _
# (https://hydra.cc/docs/1.3/advanced/override_grammar/basic/).
_PLAIN_MARKS = {ord(mark): "a" for mark in "_./-"}
# A path in quotes, as a value or in a list or mapping of an override.
_QUOTED_PATH = r"""(?:(?<=[=,\[{:])|^)(?:'([^']*/[^']*)'|"([^"]*/[^"]*)")(?=[,\]}]|\Z)"""
_NO_TEXTS = {"null", "true", "false", "inf", "nan"}


def quoted(text: str) -> str:
    """Return a text with the quotes that it needs, if any, in an override."""
    return text if _is_plain(text) and text.lower() not in _NO_TEXTS else in_quotes(text)


def _is_plain(text: str) -> bool:
    first = text[:1]
    return text.isascii() and (first == "_" or first.isalpha()) and text.translate(_PLAIN_MARKS).isalnum()


def in_quotes(text: str) -> str:
    """Return a text in quotes: a backslash stands for itself, except in front of a quote."""
    import re

    escaped = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", r"\'"), text)
    return f"'{escaped}'"


def without_quotes_for_paths(word: str) -> str:
    """Return an override without the quotes of paths in it: which need some depends on where one has what they name."""
    import re

    return re.sub(_QUOTED_PATH, lambda found: found[1] if found[1] is not None else found[2], word)


def why_unusable(name: str) -> str | None:
    """Return why Hydra can't choose a config of this name, however it is quoted; None: it can."""
    if "${" in name:
        return "Hydra takes its name for an interpolation"
    if "???" in name:
        return "Hydra takes its name for one that is missing"
    return "Hydra takes the end of its name for the file's" if name.endswith((".yaml", ".yml")) else None
