"""``experimentstash tool add NAME [URL]``: make a foreign repository, or an installed package, a tool."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.git.nested import LeftOut
from experimentstash.adapters.python import installed
from experimentstash.base.errors import StashError
from experimentstash.base.output import is_terminal, say
from experimentstash.cli.asking import ask, can_ask
from experimentstash.cli.commands.tool.edge import commit_command
from experimentstash.stash.layout import Stash, find_stash
from experimentstash.tools import adding, adding_installed, entrypoint_choice
from experimentstash.tools.detect.candidate import describe
from experimentstash.tools.detect.detection import Detection
from experimentstash.tools.registering import Registered

# Entrypoints that are named besides the one that was taken.
_MOST_OTHERS = 20

EXAMPLES = (
    ("tool add umap https://example.org/umap", "a repository"),
    ("tool add umap URL --branch 0.5", "a branch or tag of it"),
    ("tool add umap URL --subdirectory cli", "one directory of it"),
    ("tool add umap URL -m umap.main", "started by this module"),
    ("tool add umap --interpreter PY -m m", "an installed package"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it shall be called here")
    parser.add_argument(
        "url", metavar="URL", nargs="?", help="https://…, git@host:path, or a directory (none: an installed package)"
    )
    parser.add_argument("--branch", metavar="B", help="follow this branch (or stand at this tag)")
    parser.add_argument("--commit", metavar="C", help="stand at this commit, or tag")
    parser.add_argument("--subdirectory", metavar="D", help="the tool is this directory of the repository")
    parser.add_argument(
        "--separate", action="store_true", help="its own checkout, also if the repository is here already"
    )
    parser.add_argument(
        "--without-submodule", action="append", default=[], metavar="PATH", help="leave out this submodule of it"
    )
    parser.add_argument("--no-submodules", action="store_true", help="leave out all submodules of it")
    parser.add_argument("--entrypoint", metavar="E", help="how it is started: '-m package.module', file.py, executable")
    parser.add_argument("-m", dest="module", metavar="MODULE", help="the same as --entrypoint '-m MODULE'")
    parser.add_argument("--subcommand", metavar="S", help="which of its subcommands its runs are for: train")
    parser.add_argument(
        "--interpreter",
        metavar="PY",
        help="a Python, or an environment (of conda, say), that is there and used as it is",
    )
    parser.add_argument("--no-sync", action="store_true", help="don't make its environment now")
    parser.add_argument("--debug", action="store_true", help="show each git command")
    parser.add_argument("--yes", action="store_true", help="ask nothing; what isn't clear is refused")


def main(given: argparse.Namespace) -> int:
    stash = find_stash()
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
        subcommand=given.subcommand,
        interpreter=interpreter,
        make_environment=not given.no_sync,
        choose=_ask_entrypoint if can_ask() and not given.yes else None,
        choose_subcommand=_ask_subcommand if can_ask() and not given.yes else None,
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
    _print_what_is_next(added)
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
    added = adding_installed.add(
        stash,
        given.name,
        interpreter,
        entrypoint,
        subcommand=given.subcommand,
        choose_subcommand=_ask_subcommand if can_ask() and not given.yes else None,
        report=say,
    )
    tool, package = added.tool, added.package
    print(f"{tool.name}: {package.shown}")
    print(f"  started by    {tool.entrypoint}, in the run directory")
    print(f"  Python        {package.python_version}, used as it is")
    print(f"  registration  {stash.relative(tool.registration)}")
    print(f"  example       {stash.relative(tool.organizer)}")
    print(f"  would execute {tool.command}" if tool.command else f"  needs         {', '.join(tool.needs)}")
    if package.editable is None and package.unknown is not None:
        say(f"note: {package.unknown}; each run records which packages there are")
    _print_what_is_next(tool)
    return 0


def _print_what_is_next(added: adding.Added | Registered) -> None:
    values = "".join(f" {each}=…" for each in added.needs)
    print(f"Run it:    python -m experimentstash +exp={added.experiment}{values}")
    print(f"Commit it: {commit_command(f'Add the tool {added.name}', added.to_commit)}")


def _ask_entrypoint(detected: Detection, problem: Callable[[str], StashError | None]) -> str:
    """Ask until there is an answer that can be right. StashError if there is none."""
    known = [each.entrypoint for each in detected.candidates]
    if known:
        say("it can be started in these ways:\n" + describe(detected.candidates, is_numbered=True))
        question = "Which one (a number, or another entrypoint)?"
    else:
        question = "How is it started (`-m package.module`, file.py, or an executable)?"
    while answer := ask(question):
        if answer.isdecimal() and 1 <= int(answer) <= len(known):
            return known[int(answer) - 1]
        wrong = StashError(f"There is no number {answer}.") if answer.isdecimal() else problem(answer)
        if wrong is None:
            return answer
        say(wrong.message)
    raise entrypoint_choice.Unclear(
        "No entrypoint was given.", f"--entrypoint {shlex.quote(known[0] if known else '-m package.module')}"
    )


def _ask_subcommand(names: Sequence[str]) -> str:
    """Ask until one of the subcommands is named."""
    say("it has these subcommands:\n" + "\n".join(f"{number:>3}  {name}" for number, name in enumerate(names, 1)))
    while answer := ask("Which one are its runs for (a number, or a name)?"):
        if answer.isdecimal() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        if answer in names:
            return answer
        say(f"There is no subcommand {answer}.")
    raise entrypoint_choice.Unclear("No subcommand was given.", f"--subcommand {shlex.quote(names[0])}")


def _show_steps() -> None:
    from experimentstash.base.failpoints import observer

    observer.set(lambda name: say(f"  {name}"))
