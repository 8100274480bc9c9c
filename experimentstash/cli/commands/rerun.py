"""``experimentstash rerun RUN``: does exactly the same once more, as a new run."""

from __future__ import annotations

import argparse

from experimentstash.base.errors import StashError
from experimentstash.cli.commands.choosing import NAME
from experimentstash.launch import again, sweep_asked
from experimentstash.record import archives
from experimentstash.record.run import Run
from experimentstash.runs import naming
from experimentstash.stash.layout import find_stash

EXAMPLES = (
    ("rerun k3f9a2b-7", "its code, its parameters"),
    ("rerun latest hydra/launcher=slurm", "the same, on SLURM"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("run", metavar="RUN", help=NAME)
    parser.add_argument(
        "changes", metavar="OVERRIDE", nargs="*", help="hydra/launcher=…, resources.…, timeout=…, grace.…"
    )


def main(given: argparse.Namespace) -> int:
    """Do a run once more; refused, with the reason, if it would be another one."""
    stash = find_stash()
    found = naming.find(stash, given.run, acts=True)
    if not isinstance(found, Run):
        raise StashError(
            f"{found.name} is a sweep: its runs are rerun one by one.", f"experimentstash runs {found.name}"
        )
    archives.refuse(found.path, f"The run {found.id}")
    if not found.spec.command.argv:
        raise StashError(f"The run {found.id} never started: {found.attempt.reason}")
    from experimentstash.cli.launching import launch

    with again.of(stash, found) as exactly:
        return launch(sweep_asked.anew(found, given.changes), again=exactly)
