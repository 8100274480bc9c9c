"""``experimentstash tool …``: add, remove, restore, list, show, update and sync the tools of a stash."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from experimentstash.adapters.git.nested import LeftOut
from experimentstash.adapters.python import installed
from experimentstash.base import tables
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, is_terminal, paper_of, say
from experimentstash.base.tables import Column
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.tools import adding, adding_installed, removing
from experimentstash.tools import manage as tools
from experimentstash.tools.detect.candidates import describe
from experimentstash.tools.detect.detection import Detection
from experimentstash.tools.manage import Synced, Tool, Updated
from experimentstash.tools.removing import Removal, Removed, Restored
from experimentstash.tools.transaction import put_in_order

# Entrypoints that are named besides the one that was taken.
_MOST_OTHERS = 20


def remove(stash: Stash, name: str, *, force: bool = False, yes: bool = False) -> Removed | None:
    """Remove a tool, asking at a terminal first; None if the answer is no."""
    return removing.remove(stash, name, force=force, agree=None if yes else _ask_removal, report=say)


def restore(stash: Stash, backup: str) -> Restored:
    """Bring a removed tool back."""
    return removing.restore(stash, backup, show_progress=is_terminal(), report=say)


def update(stash: Stash, name: str, *, to: str | None = None, is_for_all: bool = False) -> Updated | None:
    """Move a tool's pin; None if it is there already."""
    return tools.update(stash, name, to=to, is_for_all=is_for_all, show_progress=is_terminal(), report=say)


def sync(stash: Stash, names: list[str], *, everything: bool = False, offline: bool = False) -> list[Synced]:
    """Make the environments of some tools, or of all."""
    if not names and not everything:
        raise StashError("Which tools?", "experimentstash tool sync NAME…, or --all")
    return tools.sync(stash, stash.tools() if everything else names, offline=offline, report=say)


# --- the edge --------------------------------------------------------------------------------------------------------


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    verbs = parser.add_subparsers(dest="tool_verb", required=True, metavar="VERB")

    adds = verbs.add_parser("add", help="make a foreign repository a tool")
    adds.add_argument("name", metavar="NAME", help="what it shall be called here")
    adds.add_argument(
        "url", metavar="URL", nargs="?", help="https://…, git@host:path, or a directory (none: an installed package)"
    )
    adds.add_argument("--branch", metavar="B", help="follow this branch (or stand at this tag)")
    adds.add_argument("--commit", metavar="C", help="stand at this commit, or tag")
    adds.add_argument("--subdirectory", metavar="D", help="the tool is this directory of the repository")
    adds.add_argument(
        "--separate", action="store_true", help="its own checkout, also if the repository is here already"
    )
    adds.add_argument(
        "--without-submodule", action="append", default=[], metavar="PATH", help="leave out this submodule of it"
    )
    adds.add_argument("--no-submodules", action="store_true", help="leave out all submodules of it")
    adds.add_argument("--entrypoint", metavar="E", help="how it is started: '-m package.module', file.py, executable")
    adds.add_argument("-m", dest="module", metavar="MODULE", help="the same as --entrypoint '-m MODULE'")
    adds.add_argument(
        "--interpreter",
        metavar="PY",
        help="a Python, or an environment (of conda, say), that is there and used as it is",
    )
    adds.add_argument("--no-sync", action="store_true", help="don't make its environment now")
    adds.add_argument("--debug", action="store_true", help="show each git command")
    adds.add_argument("--yes", action="store_true", help="ask nothing; what isn't clear is refused")

    removes = verbs.add_parser("remove", help="take a tool out, with a backup")
    removes.add_argument("name", metavar="NAME")
    removes.add_argument("--force", action="store_true", help="even if it has work that exists only here")
    removes.add_argument("--yes", action="store_true", help="ask nothing")

    restores = verbs.add_parser("restore", help="bring a removed tool back")
    restores.add_argument("backup", metavar="BACKUP", help="a directory in backups/, or a tool's name for its latest")

    lists = verbs.add_parser("list", help="list the tools")
    lists.add_argument("--json", action="store_true", help="print the facts")

    shows = verbs.add_parser("show", help="show everything about a tool")
    shows.add_argument("name", metavar="NAME")
    shows.add_argument("--json", action="store_true", help="print the facts")

    updates = verbs.add_parser("update", help="move a tool to another commit")
    updates.add_argument("name", metavar="NAME")
    updates.add_argument("--to", metavar="REF", help="a branch, tag or commit (default: the end of its branch)")
    updates.add_argument("--all-in-checkout", action="store_true", help="also if other tools lie in the same checkout")

    syncs = verbs.add_parser("sync", help="make the tools' environments now")
    syncs.add_argument("names", nargs="*", metavar="NAME")
    syncs.add_argument("--all", action="store_true", help="of all tools")
    syncs.add_argument("--offline", action="store_true", help="from uv's cache alone")


def main(given: argparse.Namespace) -> int:
    """Do what the command line says."""
    stash = find_stash()
    if given.tool_verb == "add":
        return _add(stash, given)
    if given.tool_verb == "remove":
        return _remove(stash, given)
    if given.tool_verb == "restore":
        return _restore(stash, given)
    if given.tool_verb in ("list", "show"):
        _try_to_put_in_order(stash)
        return _list(stash, given) if given.tool_verb == "list" else _show(stash, given)
    if given.tool_verb == "update":
        put_in_order(stash, say)
        return _update(stash, given)
    return _sync(stash, given)


def _try_to_put_in_order(stash: Stash) -> bool:
    """Put in order what a killed command left; where that can't be done all else that doesn't need it is still done."""
    try:
        put_in_order(stash, say)
    except StashError as error:
        say(f"warning: {error}")
        return False
    return True


def _add(stash: Stash, given: argparse.Namespace) -> int:
    if given.debug:
        _show_steps()
    if given.module is not None and given.entrypoint is not None:
        raise StashError("-m and --entrypoint both say how it is started.", "leave one of them out")
    entrypoint = given.entrypoint if given.module is None else f"-m {given.module}"
    interpreter = None if given.interpreter is None else installed.interpreter(given.interpreter, Path.cwd())
    if given.url is None:
        return _add_installed(stash, given, interpreter, entrypoint)
    added = adding.add(
        stash,
        given.name,
        given.url,
        branch=given.branch,
        commit=given.commit,
        subdirectory=given.subdirectory,
        is_separate=given.separate,
        without=LeftOut(given.without_submodule, is_all=given.no_submodules),
        entrypoint=entrypoint,
        interpreter=interpreter,
        make_environment=not given.no_sync,
        choose=_ask_entrypoint if _can_ask() and not given.yes else None,
        show_progress=is_terminal(),
        report=say,
    )
    where = f"on {added.branch}" if added.branch else "detached"
    print(f"{added.name}: {added.url} at {added.commit[:12]} ({where})")
    if added.shares_with:
        print(f"  directory     {added.path}, in one checkout with {', '.join(added.shares_with)}")
    elif given.subdirectory:
        print(f"  directory     {added.path}")
    print(f"  started by    {added.entrypoint}")
    print(f"  environment   {added.environment}{'' if added.has_environment else ', not made yet'}")
    if added.detection.python:
        print(f"  Python        {added.detection.python}")
    print(f"  registration  {stash.relative(added.registration)}")
    print(f"  example       {stash.relative(added.organizer)}")
    if added.command is not None:
        print(f"  would execute {added.command}")
    else:
        print(f"  needs         {', '.join(added.needs)}: fill in the example, or give them with the run")
    for note in added.notes:
        say(f"note: {note}")
    others = [each.entrypoint for each in added.detection.candidates[1:]]
    if others:
        more = f" and {len(others) - _MOST_OTHERS} more" if len(others) > _MOST_OTHERS else ""
        say(f"note: --entrypoint could also be: {', '.join(others[:_MOST_OTHERS])}{more}")
    values = "".join(f" {each}=…" for each in added.needs)
    print(f"Run it:    python -m experimentstash +exp={added.experiment}{values}")
    print(f"Commit it: {_commit_command(f'Add the tool {added.name}', added.to_commit)}")
    return 0


def _add_installed(stash: Stash, given: argparse.Namespace, interpreter: Path | None, entrypoint: str | None) -> int:
    """Add a package of an interpreter as a tool that has no repository."""
    if interpreter is None:
        raise StashError(
            "Neither a repository nor an interpreter is given.",
            f"experimentstash tool add {given.name} URL, or for an installed package:"
            f" experimentstash tool add {given.name} --interpreter PY -m PACKAGE.MODULE",
        )
    idle = [name for name in ("branch", "commit", "subdirectory", "separate") if getattr(given, name)]
    if idle:
        raise StashError(f"--{idle[0]} is for repositories, and no URL is given.", f"leave out --{idle[0]}")
    if entrypoint is None:
        raise StashError(
            "Nothing says what of that environment is started.", "-m PACKAGE.MODULE, or --entrypoint PROGRAM"
        )
    added = adding_installed.add(stash, given.name, interpreter, entrypoint, report=say)
    print(f"{added.name}: {added.package.shown}")
    print(f"  started by    {added.entrypoint}, in the run directory")
    print(f"  Python        {added.package.python_version}, used as it is")
    print(f"  registration  {stash.relative(added.registration)}")
    print(f"  example       {stash.relative(added.organizer)}")
    print(f"  would execute {added.command}" if added.command else f"  needs         {', '.join(added.needs)}")
    if added.package.editable is None and added.package.unknown is not None:
        say(f"note: {added.package.unknown}; each run records which packages there are")
    values = "".join(f" {each}=…" for each in added.needs)
    print(f"Run it:    python -m experimentstash +exp={added.experiment}{values}")
    print(f"Commit it: {_commit_command(f'Add the tool {added.name}', added.to_commit)}")
    return 0


def _remove(stash: Stash, given: argparse.Namespace) -> int:
    removed = remove(stash, given.name, force=given.force, yes=given.yes)
    if removed is None:
        say("nothing was removed")
        return 1
    print(f"{given.name} is removed; its backup is {stash.relative(removed.backup)}")
    if removed.removal.others:
        print(f"  the checkout {removed.removal.checkout} stays: {', '.join(removed.removal.others)} lies in it too")
    if removed.removal.experiments:
        print(f"  with it went {', '.join(removed.removal.experiments)}")
    if removed.removal.runs:
        print(f"  what it has run ({removed.removal.runs}) stays")
    print(f"Bring it back: experimentstash tool restore {shlex.quote(removed.backup.name)}")
    print(f"Commit it:     {_commit_command(f'Remove the tool {given.name}', removed.to_commit)}")
    return 0


def _restore(stash: Stash, given: argparse.Namespace) -> int:
    restored = restore(stash, given.backup)
    where = f"on {restored.branch}" if restored.branch else "detached"
    at = f" at {restored.commit[:12]} ({where})" if restored.commit else ""
    print(f"{restored.name} is back{at}")
    for name in restored.experiments:
        print(f"  {name}")
    if restored.commit:  # an installed package has the environment that it is in
        print(f"Make its environment now: experimentstash tool sync {restored.name} (or its next run does)")
    return 0


def _list(stash: Stash, given: argparse.Namespace) -> int:
    found = tools.tools(stash)
    if given.json:
        print(json.dumps([dataclasses.asdict(tool) for tool in found], indent=2))
        return 0
    if not found:
        say("there are no tools yet: experimentstash tool add NAME URL")
        return 0
    columns = [
        Column("tool", least=20),
        Column("commit", rank=1),
        Column("environment", rank=3),
        Column("experiments", rank=4),
        Column("description", rank=2, least=20),
    ]
    rows = []
    for tool in found:
        commit = (tool.commit or tool.pinned or "-")[:10] + ("*" if tool.work else "")
        ready = "problem" if tool.problem else f"{tool.environment}{'' if tool.is_ready else ', not made'}"
        rows.append((tool.name, commit, ready, str(len(tool.experiments)), tool.description))
    print(tables.draw(columns, rows, paper_of(sys.stdout)))
    for tool in found:
        for problem in filter(None, (tool.problem, tool.pin_problem)):
            say(problem)
    return 0


def _show(stash: Stash, given: argparse.Namespace) -> int:
    tool = tools.show(stash, given.name)
    if given.json:
        print(json.dumps(dataclasses.asdict(tool), indent=2))
        return 0
    for label, text in _rows(tool):
        if text:
            print(f"{label:<12}  {text}")
    return 0


def _rows(tool: Tool) -> list[tuple[str, str | None]]:
    state = None if tool.environment is None else f"{tool.environment}, {'ready' if tool.is_ready else 'not made yet'}"
    at = None if tool.commit is None else f"{tool.commit} ({f'on {tool.branch}' if tool.branch else 'detached'})"
    return [
        ("tool", tool.name),
        ("problem", tool.problem),
        ("problem", tool.pin_problem),
        ("description", tool.description),
        ("path", tool.path),
        ("checkout", tool.checkout),
        ("shares it", f"with {', '.join(tool.shares_with)}" if tool.shares_with else None),
        ("URL", tool.url),
        ("pinned to", tool.pinned),
        ("checked out", at),
        *(("only here", line) for line in tool.work),
        ("entrypoint", f"{tool.entrypoint}, called in the style `{tool.style}`"),
        ("environment", state),
        ("Python", tool.python),
        *(("experiment", name) for name in tool.experiments),
    ]


def _update(stash: Stash, given: argparse.Namespace) -> int:
    updated = update(stash, given.name, to=given.to, is_for_all=given.all_in_checkout)
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
        say(f"note: conf/tool/{name}.yaml names another commit, which is no longer checked out")
    print(f"Commit it: {_commit_command(f'Update the tool {updated.name}', updated.to_commit)}")
    return 0


def _sync(stash: Stash, given: argparse.Namespace) -> int:
    is_well = _try_to_put_in_order(stash)
    synced = sync(stash, given.names, everything=given.all, offline=given.offline)
    for each in synced:
        if each.problem:
            complain(each.problem)
        elif each.environment is None:
            print(f"{each.name}: needs no environment of ours")
        else:
            print(f"{each.name}: {'was ready' if each.was_ready else 'made'}")
    return 0 if is_well and not any(each.problem for each in synced) else 1


def _commit_command(message: str, paths: tuple[str, ...]) -> str:
    return f"git commit -m {shlex.quote(message)} -- {shlex.join(f':/{path}' for path in paths)}"


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal()


def _answer(question: str) -> str:
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _ask_entrypoint(detected: Detection, problem: Callable[[str], StashError | None]) -> str:
    """Ask until there is an answer that can be right. StashError if there is none."""
    known = [each.entrypoint for each in detected.candidates]
    if known:
        say("it can be started in these ways:\n" + describe(detected.candidates, is_numbered=True))
        question = "Which one (a number, or another entrypoint)?"
    else:
        question = "How is it started (`-m package.module`, file.py, or an executable)?"
    while answer := _answer(question):
        if answer.isdecimal() and 1 <= int(answer) <= len(known):
            return known[int(answer) - 1]
        wrong = StashError(f"There is no number {answer}.") if answer.isdecimal() else problem(answer)
        if wrong is None:
            return answer
        say(wrong.message)
    raise adding.Unclear(
        "No entrypoint was given.", f"--entrypoint {shlex.quote(known[0] if known else '-m package.module')}"
    )


def _ask_removal(removal: Removal) -> bool:
    if removal.others:
        say(f"its checkout {removal.checkout} stays, because {', '.join(removal.others)} lies in it too")
    if removal.experiments:
        say(f"these organizers depend on {removal.name} and go into the backup: {', '.join(removal.experiments)}")
    if removal.runs:
        say(f"runs made with it: {removal.runs}; they stay, but their code can no longer be looked at here")
    for line in removal.work:
        say(f"only here, and in the backup then: {line}")
    if not _can_ask():
        raise StashError(f"Removing {removal.name!r} needs a confirmation, and there is no terminal.", "--yes")
    return _answer(f"Remove {removal.name} (it can be restored from backups/) [y/N]?").lower() in ("y", "yes")


def _show_steps() -> None:
    from experimentstash.base.failpoints import observer

    observer.set(lambda name: say(f"  {name}"))
