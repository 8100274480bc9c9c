"""``experimentstash archive [--restore] SWEEP…``: makes one file of a sweep that is over, or its directory again."""

from __future__ import annotations

import argparse

from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.base.text import counted, size
from experimentstash.cli.asking import agrees
from experimentstash.runs import archiving, naming
from experimentstash.runs.archiving import Archivable
from experimentstash.runs.naming import Sweep
from experimentstash.runs.summary import count
from experimentstash.stash.layout import Stash, find_stash

EXAMPLES = (
    ("archive k3f9a2b", "a sweep becomes one file"),
    ("archive --restore k3f9a2b", "… and a directory again"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("sweeps", nargs="+", metavar="SWEEP", help="a sweep's id, its beginning, or directory")
    parser.add_argument("--restore", action="store_true", help="make directories of archives again")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def main(given: argparse.Namespace) -> int:
    """Archive sweeps, or restore them; 1 if one of them can't be."""
    stash = find_stash()
    sweeps = [naming.find_sweep(stash, name, acts=True) for name in given.sweeps]
    sweeps = list({sweep.directory.resolve(): sweep for sweep in sweeps}.values())
    return _restore(stash, sweeps) if given.restore else _archive(stash, sweeps, is_sure=given.yes)


def _archive(stash: Stash, sweeps: list[Sweep], *, is_sure: bool) -> int:
    found: list[Archivable] = []
    failed = 0
    for sweep in sweeps:
        try:
            found.append(archiving.look(stash, sweep))
        except StashError as error:
            complain(str(error))
            failed += 1
    for each in found:
        print(f"{each.sweep.name}: {count(len(each.runs))}, {_what(each)}, in {stash.relative(each.sweep.directory)}")
    if found and not is_sure and not agrees(f"Make {'one file of it' if len(found) == 1 else 'one file of each'}?"):
        say("nothing was archived")
        return 1
    for each in found:
        try:
            path = archiving.archive(stash, each)
            now = f"one file now ({size(path.stat().st_size)}): {stash.relative(path)}"
            say(f"{each.sweep.name}: {_what(each)} are {now}")
        except StashError as error:
            complain(str(error))
            failed += 1
    return 1 if failed else 0


def _what(each: Archivable) -> str:
    return f"{counted(len(each.entries), 'file')} and directories ({size(each.size)})"


def _restore(stash: Stash, sweeps: list[Sweep]) -> int:
    failed = 0
    for sweep in sweeps:
        try:
            files, total = archiving.restore(stash, sweep)
            say(f"{sweep.name}: {counted(files, 'file')} ({size(total)}) again in {stash.relative(sweep.directory)}")
        except StashError as error:
            complain(str(error))
            failed += 1
    return 1 if failed else 0
