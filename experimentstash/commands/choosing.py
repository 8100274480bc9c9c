"""How the verbs that act on runs let them be named."""

from __future__ import annotations

import argparse
from pathlib import Path

from experimentstash.errors import StashError
from experimentstash.records import Run
from experimentstash.runs import all_runs, find
from experimentstash.workspace import Stash

A_RUN = "a run's id, the beginning of one, its directory, or `latest`"


def add_one(parser: argparse.ArgumentParser) -> None:
    """Let one run be named; the latest by default."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help=f"{A_RUN} (default: latest)")


def add_several(parser: argparse.ArgumentParser) -> None:
    """Let several runs be named, or all."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=A_RUN)
    parser.add_argument("--all", action="store_true", help="all runs of the stash")


def chosen(stash: Stash, given: argparse.Namespace, mend: str, unread: list[Path]) -> list[Run]:
    """Return the runs that were named; StashError, with ``mend``, if none was.

    Where all are, the directories of those whose records can't be read are added to ``unread``.
    """
    if given.all:
        return all_runs(stash, unread)
    if not given.runs:
        raise StashError("Which runs?", mend)
    return [find(stash, name) for name in given.runs]
