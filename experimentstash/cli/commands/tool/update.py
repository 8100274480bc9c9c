"""``experimentstash tool update TOOL``: move a tool to another commit."""

from __future__ import annotations

import argparse

from experimentstash.base.output import is_terminal, say
from experimentstash.cli.commands.tool.edge import commit_command
from experimentstash.stash import paths
from experimentstash.stash.layout import find_stash
from experimentstash.tools import updating
from experimentstash.tools.recovery import put_in_order

EXAMPLES = (
    ("tool update umap", "to the end of its branch"),
    ("tool update umap --to v0.6", "to a tag, a branch or a commit"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="TOOL")
    parser.add_argument("--to", metavar="REF", help="a branch, tag or commit (default: the end of its branch)")
    parser.add_argument("--all-in-checkout", action="store_true", help="also if other tools lie in the same checkout")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
    put_in_order(stash, say)
    updated = updating.update(
        stash, given.name, to=given.to, is_for_all=given.all_in_checkout, show_progress=is_terminal(), report=say
    )
    if updated is None:
        say(f"{given.name} is up to date")
        return 0
    print(f"{updated.name}: {updated.before[:12]} → {updated.after[:12]}")
    for line in updated.commits:
        print(f"  {line}")
    if updated.others:
        print(f"  … and {updated.others} more")
    if updated.gone:
        print(f"  {updated.gone} commits of before are not part of it")
    changed = ", ".join(updated.changed_files)
    print(f"  environment: {f'new, {changed} changed' if changed else 'unchanged'}")
    if updated.also:
        print(f"  in the same checkout, and moved with it: {', '.join(updated.also)}")
    for name in updated.left:
        say(f"note: {paths.registration(name)} names another commit, which is no longer checked out")
    print(f"Commit it: {commit_command(f'Update the tool {updated.name}', updated.to_commit)}")
    return 0
