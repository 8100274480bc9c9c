"""The command line: a verb goes to its command, anything else to the Hydra app. Errors become exit codes here."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experimentstash import __version__
from experimentstash.errors import EXIT_INTERRUPTED, StashError
from experimentstash.output import USAGE, complain, say
from experimentstash.workspace import Stash, find_stash

if TYPE_CHECKING:
    import argparse

    from experimentstash.records import Run

VERBS = ("run", "runs", "show", "logs", "cancel", "resume", "sync")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except StashError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`); nothing is wrong. Keep the interpreter's exit quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        complain(f"this is a bug ({type(error).__name__}: {error}); the details are in {_write_bug()}")
        return 1


def _dispatch(arguments: list[str]) -> int:
    """Import and call what the first argument asks for; nothing that it doesn't need is imported."""
    if not arguments:
        print(_overview(find_stash()))
        return 0
    first = arguments[0]
    if first == "--version":
        print(f"experimentstash {__version__}")
        return 0
    if first in ("--help", "-h", "help") and not _is_in_stash():
        print(USAGE)
        return 0
    if first in ("-sc", "--shell-completion") and "COMP_LINE" in os.environ:
        from experimentstash import completion

        found = completion.candidates(os.environ["COMP_LINE"], find_stash(), VERBS)
        if found is not None:
            print("\n".join(found))
            return 0
    if first in VERBS and first != "run":
        return _verb(arguments)
    from experimentstash import app

    if first == "run" and arguments[1:2] not in (["--help"], ["-h"]):
        from experimentstash.commands.run import hydra_arguments

        arguments = hydra_arguments(find_stash(), arguments[1:])
    elif first == "run":
        print(_RUN_HELP)
        return 0
    return app.main(arguments)


_RUN_HELP = """\
usage: experimentstash run EXPERIMENT… [OVERRIDE…] [Hydra's options]

Runs an experiment; several, or a glob such as 'figure1/*', make a sweep. Overrides are Hydra's: params.seed=1,
timeout=2h, debug=true, hydra/launcher=submitit_slurm; with -m also params.seed=1,2,3."""


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(prog="experimentstash", description="Look at runs, and act on them.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    a_run = "a run's id, the beginning of one, its directory, or `latest`"

    runs = verbs.add_parser("runs", help="list the runs, newest first")
    runs.add_argument("--state", help="only those in this state: completed, failed, running …")
    runs.add_argument("--exp", metavar="GLOB", help="only those of these experiments: 'figure1/*'")
    runs.add_argument("-n", "--most", type=int, metavar="N", help="at most so many")
    runs.add_argument("--json", action="store_true", help="print the records")

    show = verbs.add_parser("show", help="show everything about a run")
    show.add_argument("run", nargs="?", default="latest", help=f"{a_run} (default: latest)")
    show.add_argument("--json", action="store_true", help="print the record")

    logs = verbs.add_parser("logs", help="print what a run's tool has written")
    logs.add_argument("run", nargs="?", default="latest", help=f"{a_run} (default: latest)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    logs.add_argument("--attempt", type=int, metavar="N", help="of the Nth attempt (default: the latest)")

    cancel = verbs.add_parser("cancel", help="end runs: the tool may save its work first")
    _add_choice(cancel, a_run)
    cancel.add_argument("--sweep", type=Path, metavar="DIR", help="all runs of a sweep, by its directory")

    resume = verbs.add_parser("resume", help="continue a run that was cut short, in the same directory")
    resume.add_argument("run", help=a_run)

    sync = verbs.add_parser("sync", help="send W&B runs that were recorded offline")
    _add_choice(sync, a_run)
    sync.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="for all of it (default: 600)")
    return parser


def _add_choice(parser: argparse.ArgumentParser, a_run: str) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", help=a_run)
    parser.add_argument("--all", action="store_true", help="all runs of the stash")


def _verb(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    stash = find_stash()
    if given.verb == "runs":
        return _runs(stash, given)
    if given.verb == "show":
        return _show(stash, given)
    if given.verb == "logs":
        from experimentstash.commands.logs import logs
        from experimentstash.runs import find

        logs(stash, find(stash, given.run), sys.stdout.buffer, follow=given.follow, attempt=given.attempt)
        return 0
    if given.verb == "cancel":
        return _cancel(stash, given)
    if given.verb == "resume":
        return _resume(stash, given)
    return _sync(stash, given)


def _runs(stash: Stash, given: argparse.Namespace) -> int:
    from experimentstash.commands.runs import runs
    from experimentstash.summary import runs_table

    found = runs(stash, state=given.state, experiment=given.exp, most=given.most)
    if given.json:
        _print_json(found)
    elif found:
        print(runs_table(stash, found))
    else:
        say("there are no such runs" if given.state or given.exp else "there are no runs yet")
    return 0


def _show(stash: Stash, given: argparse.Namespace) -> int:
    from experimentstash.commands.show import show
    from experimentstash.runs import find

    run = find(stash, given.run)
    if given.json:
        _print_json(run)
    else:
        rows = show(stash, run)
        width = max(len(label) for label, _ in rows)
        print("\n".join(f"{label:<{width}}  {text}" for label, text in rows))
    return 0


def _cancel(stash: Stash, given: argparse.Namespace) -> int:
    from experimentstash.commands.cancel import cancel
    from experimentstash.runs import all_runs
    from experimentstash.summary import ending_line

    if given.sweep is not None:
        sweep = str(given.sweep.absolute())
        chosen = [run for run in all_runs(stash) if run.sweep == sweep]
        if not chosen:
            raise StashError(f"{given.sweep} is not the directory of a sweep with runs.", "experimentstash runs")
    else:
        chosen = _chosen(stash, given, "experimentstash cancel RUN, --sweep DIR or --all")
    for run in chosen:
        if run.state.is_final and not given.all:
            say(f"{run.id} has ended already: {run.state.value}")
    ended = cancel(stash, [run for run in chosen if not run.state.is_final], say)
    for run in ended:
        say(f"{run.id}: {ending_line(stash, run)}")
    return 0


def _resume(stash: Stash, given: argparse.Namespace) -> int:
    from experimentstash.commands.resume import resume
    from experimentstash.execute import execute
    from experimentstash.runs import find
    from experimentstash.summary import ending_line

    run = resume(stash, find(stash, given.run))
    say(f"attempt {run.attempt} at {run.organizer or run.tool}  →  {stash.relative(run.path)}")
    executed = execute(run, show_output=True)
    say(ending_line(stash, executed.run))
    return executed.run.exit_code or 0


def _sync(stash: Stash, given: argparse.Namespace) -> int:
    from experimentstash.commands.sync import sync
    from experimentstash.wandb_sync import Status

    chosen = _chosen(stash, given, "experimentstash sync RUN, or --all")
    results = sync(chosen, timeout=given.timeout, report=say)
    if not results:
        say("none of these runs has used W&B")
    return 1 if any(result.status is Status.FAILED for result in results) else 0


def _chosen(stash: Stash, given: argparse.Namespace, mend: str) -> list[Run]:
    from experimentstash.runs import all_runs, find

    if given.all:
        return all_runs(stash)
    if not given.runs:
        raise StashError("Which runs?", mend)
    return [find(stash, name) for name in given.runs]


def _print_json(what: Run | list[Run]) -> None:
    import dataclasses
    import json

    data = [dataclasses.asdict(run) for run in what] if isinstance(what, list) else dataclasses.asdict(what)
    print(json.dumps(data, indent=2))


def _is_in_stash() -> bool:
    try:
        find_stash()
    except StashError:
        return False
    return True


def _overview(stash: Stash) -> str:
    tools = ", ".join(stash.tools()) or "none yet"
    return "\n".join([f"Stash {stash.root}", "", stash.inventory(), "", f"Tools: {tools}", "", USAGE])


def _write_bug() -> Path:
    """Write the current traceback to a file and return its path."""
    import datetime
    import tempfile
    import traceback

    from experimentstash.redaction import redact

    try:
        folder = find_stash().private / "bugs"
        folder.mkdir(parents=True, exist_ok=True)
    except (StashError, OSError):
        folder = Path(tempfile.gettempdir())
    path = folder / f"{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.log"
    path.write_text(redact(traceback.format_exc(), os.environ), encoding="utf-8", errors="surrogateescape")
    return path
