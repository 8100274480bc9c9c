"""What Hydra and OmegaConf warn of, told in one line as all that we say, without a place inside of a library."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from experimentstash.base.output import say
from experimentstash.base.patterns import regex

_LIBRARIES = regex(r"[/\\](?:hydra|omegaconf|hydra_plugins)[/\\]")
_NOT_THERE = regex(r"provider=(?P<provider>.*), path=(?P<path>.*) is not available\.")
# What says nothing that isn't said otherwise.
_NEEDLESS = regex(r"Experimental rerun CLI option")

_show_plainly = warnings.showwarning


def told() -> None:
    """Have them told so in this process, from now on."""
    warnings.showwarning = _show


def _show(message: Warning | str, category: type[Warning], filename: str, *others: Any, **more: Any) -> None:
    if not issubclass(category, UserWarning) or not _LIBRARIES.search(filename):
        _show_plainly(message, category, filename, *others, **more)
        return
    text = str(message)
    if _NEEDLESS.match(text):
        return
    place = _NOT_THERE.fullmatch(text)
    if place is None:
        say(f"warning: {' '.join(text.split())}")
        return
    where = "command line" if place["provider"].endswith("command-line") else "hydra.searchpath"
    what = "directory" if Path(place["path"]).is_absolute() else "package, or directory in one,"
    say(f"warning: {where}: there is no {what} {place['path']} to look for configurations in")
