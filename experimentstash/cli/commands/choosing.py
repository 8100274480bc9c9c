"""How the verbs that act on runs let them be named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.runs import naming
from experimentstash.runs.selection import Selected, Selection, choose, of_words, split
from experimentstash.stash.layout import Stash

if TYPE_CHECKING:
    from experimentstash.report.compare import Asked

NAME = "a run's or a sweep's id, the beginning of one, its directory, or `latest` (run)"
NONE = "there are no such runs"


def add_one(parser: argparse.ArgumentParser) -> None:
    """Let one run or sweep be named; the latest run by default."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help=f"{NAME}; default: latest")


def add_several(parser: argparse.ArgumentParser) -> None:
    """Let several runs and sweeps be named or chosen by filters, or all."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help=NAME)
    add_filters(parser)
    parser.add_argument("--all", action="store_true", help="all runs of the stash")


def are_all(given: argparse.Namespace) -> bool:
    """Tell whether all runs are meant; StashError if names or filters mean fewer at the same time."""
    if given.all and not selection(given).is_empty:
        raise StashError("--all means all runs, and what else is said only some.", "leave one of them out")
    return bool(given.all)


def add_filters(parser: argparse.ArgumentParser, *, tag: str = "--tag") -> None:
    """Let runs be chosen by what they are like, besides names; ``selection`` returns what was asked for.

    ``tag`` is what the filter by tags is called.
    """
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="STATE",
        help="only those in this state, or these: completed; failed,lost …",
    )
    parser.add_argument(
        "--exp", action="append", default=[], metavar="GLOB", help="only those of these experiments: 'figure1/*'"
    )
    parser.add_argument("--tool", action="append", default=[], metavar="TOOL", help="only those of this tool")
    parser.add_argument(tag, dest="tag", action="append", default=[], metavar="TAG", help="only those with this tag")
    parser.add_argument("--sweep", action="append", default=[], metavar="SWEEP", help="only those of this sweep")
    parser.add_argument(
        "--since", metavar="TIME", help="only those started since then: 2d, yesterday, 2026-11-20, '2026-11-20 14:30'"
    )
    parser.add_argument("--until", metavar="TIME", help="only those started before that; a day is included")
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only those of which this is true: 'metrics.accuracy > 0.9 and params.seed < 3'",
    )


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """Let it be said which runs are compared, all by default, and how."""
    from experimentstash.report.summaries import WAYS  # here, because other verbs compare nothing

    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"only these: {NAME}; default: all")
    add_filters(parser)
    parser.add_argument(
        "--by", action="append", metavar="NAME", help="a row for each value of this, not of all that differs"
    )
    parser.add_argument(
        "--over", action="append", metavar="NAME", help="average over this, not over seeds (seed, random_state …)"
    )
    parser.add_argument("--metrics", action="append", metavar="NAME", help="a column for this number, not for all")
    parser.add_argument(
        "--spread",
        choices=list(WAYS),
        default="std",
        help="what is shown beside the mean: the standard deviation, a 95 %% interval by t or bootstrap; or the median"
        " with its quartiles",
    )


def comparison(given: argparse.Namespace) -> Asked:
    """Return how runs are to be compared, as ``add_comparison`` lets it be said; StashError for an empty name."""
    from experimentstash.report.compare import Asked  # here, because other verbs compare nothing
    from experimentstash.report.summaries import WAYS

    return Asked(
        WAYS[given.spread],
        names(given.by, "--by"),
        names(given.over, "--over"),
        names(given.metrics, "--metrics"),
    )


def names(given: Sequence[str] | None, option: str) -> list[str]:
    """Return names that were given one by one, or with commas between them; StashError if one is empty."""
    return split(given or (), option)


def selection(given: argparse.Namespace) -> Selection:
    """Return which runs are meant, by names and filters; StashError for what has no meaning."""
    return of_words(
        given.runs,
        states=given.state,
        experiments=given.exp,
        tools=given.tool,
        tags=given.tag,
        sweeps=given.sweep,
        since=given.since,
        until=given.until,
        where=given.where,
    )


def meant(stash: Stash, given: argparse.Namespace, hint: str) -> Selected:
    """Return the runs that names and filters mean, for who acts on them; StashError, with ``hint``, without either.

    Those of which it can't be told whether a condition holds are left alone.
    """
    asked = selection(given)
    if asked.is_empty:
        raise StashError("Which runs?", hint)
    selected = choose(stash, asked, acts=True)
    say_what_is_missing(selected, asked)
    say(*naming.copies(selected.found))
    return selected


def say_what_is_missing(selected: Selected, asked: Selection) -> None:
    """Say of which runs it can't be told whether they are meant, and why; and that there are none, if so."""
    if selected.untold or selected.unbegun:
        from experimentstash.report.select import left_out  # here, because it brings all that compares runs

        say(*left_out(selected, asked))
    if not selected.found:
        say(NONE)
