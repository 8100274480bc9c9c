"""How the verbs that act on runs let them be named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.record.run import Run
from experimentstash.runs import listing, naming
from experimentstash.runs.naming import Sweep
from experimentstash.stash.layout import Stash

NAME = "a run's or a sweep's id, the beginning of one, its directory, or `latest` (run)"


def add_one(parser: argparse.ArgumentParser) -> None:
    """Let one run or sweep be named; the latest run by default."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help=f"{NAME}; default: latest")


def add_several(parser: argparse.ArgumentParser) -> None:
    """Let several runs and sweeps be named, or all."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=NAME)
    parser.add_argument("--all", action="store_true", help="all runs of the stash")


def chosen(stash: Stash, given: argparse.Namespace, hint: str, unread: list[Path]) -> list[Run]:
    """Return the runs that were named, those of sweeps among them; StashError, with ``hint``, if none was.

    The directories of those whose records can't be read are added to ``unread``.
    """
    if given.all:
        return listing.all_runs(stash, unread)
    if not given.runs:
        raise StashError("Which runs?", hint)
    return of_names(stash, given.runs, unread)


def of_names(stash: Stash, names: Sequence[str], unread: list[Path]) -> list[Run]:
    """Return the runs that names stand for, each once."""
    found: dict[Path, Run] = {}
    for name in names:
        one = naming.find(stash, name)
        several = naming.runs_of(stash, one, unread) if isinstance(one, Sweep) else [one]
        found.update({run.path.resolve(): run for run in several})
    return list(found.values())
