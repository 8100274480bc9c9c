"""``experimentstash reproduce NAME|RUN``: has frozen runs again, and says of each output what it is."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import write_atomically
from experimentstash.base.interrupts import signals_as_exceptions
from experimentstash.base.output import as_prose, paper_of, say
from experimentstash.base.text import listed
from experimentstash.cli.commands.choosing import NAME
from experimentstash.publish import freezing, frozen
from experimentstash.publish.frozen import Frozen, FrozenRun
from experimentstash.publish.render import to_json, to_markdown, to_terminal
from experimentstash.publish.repeating import Variation, variations
from experimentstash.publish.reproducing import Reproduction
from experimentstash.publish.verdicts import JudgedRun, are_reproduced
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("reproduce figure1 hydra/launcher=slurm", "on SLURM"),
    ("reproduce figure1 --check", "whether it could be"),
    ("reproduce figure1 --times 3", "what varies by itself"),
    ("reproduce k3f9a2b -o report.html", "a run, and a page"),
)
_NAMED = 3
_WITH_VALUES = ("--run", "--times", "-o", "--output")
_FORMS = (".md", ".json", ".html")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("name", metavar="NAME|RUN", help=f"the name of what is frozen, or {NAME}")
    parser.add_argument(
        "changes", metavar="OVERRIDE", nargs="*", help="hydra/launcher=…, resources.…, timeout=…, grace.…"
    )
    parser.add_argument("--override", dest="changes_too", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--run", action="append", default=[], metavar="ID", help="only this one of what is frozen")
    parser.add_argument("--check", action="store_true", help="run nothing: say what is missing for that")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="run each N times, and say what varies")
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="FILE",
        help="write a report, too: FILE.html, FILE.md, FILE.json",
    )


def rewritten(words: Sequence[str]) -> list[str]:
    """Have overrides stand anywhere among the options, for argparse takes those beside the name alone."""
    values = {number + 1 for number, word in enumerate(words) if word in _WITH_VALUES}
    return [
        f"--override={word}" if "=" in word and not word.startswith("-") and number not in values else word
        for number, word in enumerate(words)
    ]


def main(given: argparse.Namespace) -> int:
    """Reproduce runs; 0 only if all outputs of all of them are the same, or with --check if that could be tried."""
    if given.times < 1:
        raise StashError(f"--times {given.times}: it is a number from 1 on.")
    files = [Path(each) for each in given.output]
    if wrong := next((each for each in files if each.suffix not in _FORMS), None):
        raise StashError(f"{wrong}: a report is a file .html, .md or .json.")
    if lost := next((each for each in files if not each.parent.is_dir()), None):  # before hours of work
        raise StashError(f"{lost} can't be written: there is no directory {lost.parent}.")
    if lost := next((each for each in files if each.is_dir() or not os.access(each.parent, os.W_OK | os.X_OK)), None):
        why = "it is a directory" if lost.is_dir() else f"you may not write into {lost.parent}"
        raise StashError(f"{lost} can't be written: {why}.")
    if files and given.check:
        raise StashError("--check runs nothing, so there is no report that -o could write.")
    stash = find_stash()
    with signals_as_exceptions(), _found(stash, given.name) as (kept, place):
        chosen = _chosen(kept, given.run)
        work = Reproduction(stash, kept, place, say)
        if given.check:
            return _check(work, chosen)
        from experimentstash.cli.launching import launched

        changes = [*given.changes, *given.changes_too]
        tries = [
            work.reproduce(chosen, changes, lambda words, again: launched(words, again=again))
            for _ in range(given.times)
        ]
        varying = variations(tries, place)
        print(as_prose(to_terminal.report(kept, tries, varying, paper_of(sys.stdout)), sys.stdout, indent=4))
        for path in files:
            write_atomically(path, _report(path.suffix, kept, tries, varying, place, _command(given)))
            say(f"report: {path}")
    return 0 if are_reproduced(tries) else 1


def _command(given: argparse.Namespace) -> str:
    """Return what was asked for, as others could ask for it."""
    words = ["experimentstash", "reproduce", given.name, *given.changes, *given.changes_too]
    words += [word for each in given.run for word in ("--run", each)]
    return shlex.join([*words, *(["--times", str(given.times)] if given.times > 1 else [])])


def _report(
    form: str,
    kept: Frozen,
    tries: Sequence[Sequence[JudgedRun]],
    varying: Sequence[Variation],
    place: Path,
    command: str,
) -> str | bytes:
    if form == ".json":
        return to_json.report(kept, tries, varying)
    if form == ".md":
        return to_markdown.report(kept, tries, varying)
    from experimentstash.publish.render import to_html  # here, because no other report needs it

    return to_html.report(kept, tries, varying, place, command)


@contextlib.contextmanager
def _found(stash: Stash, name: str) -> Iterator[tuple[Frozen, Path]]:
    """Yield what is frozen under a name, and where; or a run, frozen for the time being."""
    if name in frozen.names(stash):
        yield frozen.read(stash, name), frozen.folder_of(stash, name)
        return
    try:
        run = naming.find(stash, name, acts=True)
    except StashError as error:
        meant = did_you_mean(name, frozen.names(stash))
        raise StashError(
            f"Nothing is frozen as {name!r}, and {error.message}{meant}", "experimentstash runs"
        ) from error
    if not isinstance(run, Run):
        raise StashError(f"{run.name} is a sweep.", f"experimentstash freeze NAME {run.name}")
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        place = Path(scratch, run.id)
        kept = freezing.write(stash, run.id, [run], place, may_be_dirty=True)
        say(f"{run.id} isn't frozen: what it is compared with is in its directory as it is now")
        yield kept, place


def _chosen(kept: Frozen, names: Sequence[str]) -> list[FrozenRun]:
    chosen = list(kept.runs)
    if names:
        known = {run.id: run for run in kept.runs}
        unknown = next((each for each in names if each not in known), None)
        if unknown is not None:
            listed = f"\nFrozen there: {', '.join(known)}"
            raise StashError(f"{unknown!r} isn't frozen as {kept.name}.{did_you_mean(unknown, known)}{listed}")
        chosen = [known[name] for name in dict.fromkeys(names)]
    return chosen


def _check(work: Reproduction, chosen: Sequence[FrozenRun]) -> int:
    is_sure = True
    for run in chosen:
        missing = work.missing(run)
        gone, unclear = ([], []) if missing else work.packages(run)
        missing += gone
        without, builders = work.without_copy(run), work.builders(run)
        is_sure = is_sure and not missing and not unclear and not without and not builders
        is_known = not unclear and not builders
        can = "can not be run again" if missing else "can be run again" if is_known else "can perhaps be run again"
        print(f"{run.id}: {can}")
        for each in missing:
            print(f"  {each}")
        if without:
            print(f"  no copy is here of {listed(without, _NAMED)}: if its bytes are others, no more can be told")
        if builders:
            print(f"  its tool was built by {listed(builders, _NAMED)}, not found here: its environment may have it")
        for each in unclear:
            print(f"  whether its packages can still be had isn't known: {each}")
    return 0 if is_sure else 1
