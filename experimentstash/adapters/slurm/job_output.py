"""What a SLURM job has said before anything of ours was at work in it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex

# What its output says before the lines of `setup`.
SETUP_BEGINS = "stash: setup"
# How much of it is told, and the longest output that is looked at, in bytes.
_LINES, _CHARACTERS, _LONGEST = 12, 1500, 10_000_000
# How bash names the script: a copy on the node, which goes with the job.
_COPY = regex(r"(?m)^\S*/slurm_script: ")


def last_words(files: Iterable[Path]) -> list[str]:
    """Return the end of what the lines of setup have written, or the job's beginning if there are none; no secrets."""
    from experimentstash.base.redaction import redact

    texts = [_text(path).rpartition(f"{SETUP_BEGINS}\n")[2] for path in files]
    said = redact(_COPY.sub("", "\n".join(texts))[-_CHARACTERS:], os.environ)
    return [each.rstrip() for each in said.splitlines() if each.strip()][-_LINES:]


def _text(path: Path) -> str:
    try:
        return read_regular(path, _LONGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
