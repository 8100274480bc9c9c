"""What shells are given to complete words with: one file for each."""

from __future__ import annotations

import os

_UNINSTALL = {
    "bash": "complete -r experimentstash\nunset -f _experimentstash\n",
    "fish": "complete -e -c experimentstash\nfunctions -e _experimentstash\n",
    "zsh": "compdef -d experimentstash\nunfunction _experimentstash\n",
}


def script(shell: str, kind: str) -> str:
    """Return what a shell evaluates to ``install`` completion, or to ``uninstall`` it."""
    if kind == "uninstall":
        return _UNINSTALL[shell]
    with open(os.path.join(os.path.dirname(__file__), f"completion.{shell}"), encoding="utf-8") as file:
        return file.read()
