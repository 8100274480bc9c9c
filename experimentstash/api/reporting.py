"""``es.report``: a page of runs, as `experimentstash report` makes it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from experimentstash.api.comparing import Spread, asked
from experimentstash.api.run import Run
from experimentstash.api.selecting import named
from experimentstash.api.telling import Place, telling
from experimentstash.base.output import say
from experimentstash.report.page import forms
from experimentstash.report.page.collect import Request
from experimentstash.runs.selection import Words, of_words


def report(
    *runs: str | Run | Iterable[Run],
    output: str | os.PathLike[str] = forms.USUAL,
    state: Words = (),
    exp: Words = (),
    tool: Words = (),
    tag: Words = (),
    sweep: Words = (),
    since: str | None = None,
    until: str | None = None,
    where: str | None = None,
    by: Words = (),
    over: Words = (),
    metrics: Words = (),
    spread: Spread = "std",
    title: str | None = None,
    embed: bool = False,
    stash: Place | None = None,
) -> Path:
    """Write a page of runs, and return its path.

    ``runs``, the filters and how they are compared are as in ``es.compare``. ``output``: ``FILE.html``, ``FILE.zip`` or
    a directory. ``embed``: everything in the one file. StashError for what isn't there, or is in the way.
    """
    place, names = named(runs, stash, "report")
    selection = of_words(
        names,
        states=state,
        experiments=exp,
        tools=tool,
        tags=tag,
        sweeps=sweep,
        since=since,
        until=until,
        where=where,
    )
    request = Request(selection, asked(by, over, metrics, spread), title, "es.report(…)")
    with telling():
        made = forms.make(place, request, Path(output), embeds=embed)
        say(*made.left_out)
    return made.path
