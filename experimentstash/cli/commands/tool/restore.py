"""``experimentstash tool restore BACKUP``: bring a removed tool back."""

from __future__ import annotations

import argparse

from experimentstash.base.output import is_terminal, say
from experimentstash.stash import paths
from experimentstash.stash.layout import find_stash
from experimentstash.tools import restoring

EXAMPLES = (
    ("tool restore umap", "its latest backup"),
    ("tool restore umap-20260131-120000-k3f9a2b", "that one"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "backup", metavar="BACKUP", help=f"a directory in {paths.BACKUPS}/, or a tool's name for its latest"
    )


def main(given: argparse.Namespace) -> int:
    restored = restoring.restore(find_stash(), given.backup, show_progress=is_terminal(), report=say)
    where = f"on {restored.branch}" if restored.branch else "detached"
    at = f" at {restored.commit[:12]} ({where})" if restored.commit else ""
    print(f"{restored.name} is back{at}")
    for name in restored.experiments:
        print(f"  {name}")
    if restored.commit:  # an installed package has the environment that it is in
        print(f"Make its environment now: experimentstash tool sync {restored.name} (or its next run does)")
    return 0
