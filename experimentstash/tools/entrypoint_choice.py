"""Which entrypoint and subcommand a new tool gets: named, the only likely one, or asked for; nothing is guessed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from experimentstash.adapters.python import modules
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.freeze.build.commands import PLACEHOLDER
from experimentstash.freeze.notebooks import source as notebooks
from experimentstash.stash import entrypoints
from experimentstash.tools.adding_request import ChooseSubcommand, Request
from experimentstash.tools.detect import built, candidate, detection
from experimentstash.tools.detect.candidate import Candidate, Rank
from experimentstash.tools.detect.detection import Detection, Survey
from experimentstash.tools.transaction import Report


class Unclear(StashError):
    """Nobody can tell how the repository is started."""


def chosen_entrypoint(survey: Survey, request: Request, report: Report) -> str:
    """Return the entrypoint: the one that was named, the only likely one, or what is answered; nothing is guessed."""
    detected = survey.detect()

    def problem(entrypoint: str) -> StashError | None:
        return _entrypoint_problem(survey, entrypoint)

    if request.entrypoint is not None:
        wrong = problem(request.entrypoint)
        if wrong is None:
            return request.entrypoint
        if request.choose is None:
            raise Unclear(f"{wrong.message}\n{listed(detected)}", wrong.hint)
        report(wrong.message)
    elif detected.is_clear and detected.best is not None:
        return detected.best.entrypoint
    if request.choose is not None:
        return request.choose(detected, problem)
    raise unclear(survey, detected, request.again("--entrypoint"))


def unclear(survey: Survey, detected: Detection, command: str) -> Unclear:
    """Return the error for a repository that doesn't tell how it is started; ``command`` is to be given an answer."""
    lines = [listed(detected)]
    if not detected.candidates:
        ways = "--entrypoint '-m package.module', --entrypoint file.py or --entrypoint executable"
        return Unclear("\n".join(lines), ways)
    said = f"say it: {command} {shlex.quote(detected.candidates[0].entrypoint)} (or another one)"
    if any(each.rank is Rank.OTHER_LANGUAGE for each in detected.candidates):
        said += (
            "\n  → parameters reach a script as `--key value`; for another order write `call: {style: arguments}` into"
            " its registration then, and `arguments:` into its experiments; or `assignments` (key=value), `environment`"
        )
    if any(each.rank is Rank.NOTEBOOK for each in detected.candidates):
        said += "\n  → a notebook takes parameters by the cell that has the tag `parameters`"
    parts = {(each.file or "").partition("/")[0] for each in detected.candidates if "/" in (each.file or "")}
    parts = {each for each in parts if detection.detect_environment(survey.directory / each).file is not None}
    if len(parts) > 1:
        said += f"\n  → one project of many in it: --subdirectory, such as {min(parts)}"
    return Unclear("\n".join([*lines, "Nothing tells which of them is meant."]), said)


def with_subcommand(
    chosen: Candidate, directory: Path, given: str | None, choose: ChooseSubcommand | None, again: str
) -> Candidate:
    """Return a candidate with its subcommand: the one that was given, the only likely one, or what is answered.

    ``again`` is the command that is to be given one. Raises Unclear if nobody can tell.
    """
    names = chosen.declared.subcommands
    if given is not None:
        if names and given not in names:
            raise Unclear(
                f"{chosen.entrypoint} has no subcommand {given!r}.{did_you_mean(given, names)}",
                f"one of: {', '.join(names)}",
            )
        return replace(chosen, subcommand=given)
    entry = entrypoints.read(chosen.entrypoint, directory)
    is_given = len(entry.words) > (2 if entry.is_module else 1)
    if not chosen.declared.needs_subcommand or not names or is_given:
        return chosen
    if (likely := chosen.likely_subcommand) is not None:
        return replace(chosen, subcommand=likely)
    if choose is not None:
        return replace(chosen, subcommand=choose(names))
    raise Unclear(
        f"{chosen.entrypoint} has subcommands, and nothing tells which one is meant: {', '.join(names)}.",
        f"say it: {again} {shlex.quote(names[0])} (or another one)",
    )


def listed(detected: Detection) -> str:
    """Return the ways to start it as a sentence and a list."""
    if not detected.candidates:
        return "Nothing in the repository tells how it is started."
    return f"The repository can be started in these ways:\n{candidate.describe(detected.candidates)}"


def _entrypoint_problem(survey: Survey, entrypoint: str) -> StashError | None:
    """Return why an entrypoint can't be one in this repository, as far as its files tell; None if it may be one."""
    tree = survey.directory
    if not entrypoint.strip() or any(not character.isprintable() for character in entrypoint):
        return StashError(f"{entrypoint!a} can't be an entrypoint.", "give `-m package.module` or `file.py`")
    try:
        words = entrypoints.read(entrypoint, tree).words
    except StashError as error:
        return error
    first, known = words[0], [each.entrypoint for each in survey.candidates]
    if entrypoint in known or (first.startswith(PLACEHOLDER) and built.proposals(tree)):
        return None
    if first == "-m":
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", words[1]):
            return StashError(f"{entrypoint!r} names no module.", "--entrypoint '-m package.module'")
        if modules.exists(words[1], [tree, tree / "src"]) is False:
            hint = did_you_mean(f"-m {words[1]}", known)
            return StashError(f"The repository has no module {words[1]} that can be run.{hint}")
        return None
    if first.startswith(("-", "/")) or ".." in Path(first).parts:
        return StashError(f"The entrypoint {first!r} is not inside the repository.", "give a path inside it")
    is_python = first.lower().endswith((".py", *entrypoints.NOTEBOOKS))
    if (is_python or ("/" in first and not built.proposals(tree))) and not (tree / first).is_file():
        return StashError(f"The repository has no file {first!r}.{did_you_mean(first, known)}")
    if (tree / first).is_file():
        if first.lower().endswith(entrypoints.NOTEBOOKS):
            return _unreadable(tree / first)
        return None if first.endswith(".py") else _unstartable(tree, words)
    if "." in first and first not in known and modules.exists(first, [tree, tree / "src"]):
        said = shlex.quote(f"-m {shlex.join(words)}")
        return StashError(f"{first} is a module of the repository, and no program.", f"--entrypoint {said}")
    return None


def _unreadable(notebook: Path) -> StashError | None:
    try:
        notebooks.read(notebook)
    except StashError as error:
        return error
    return None


def _unstartable(tree: Path, words: tuple[str, ...]) -> StashError | None:
    """Return why a file of a repository can't be started by itself, with what can: nothing of it may be changed."""
    try:
        entrypoints.refuse_unstartable(tree, words[0], "")
    except StashError:
        said = shlex.quote(f"{entrypoints.runner(words[0])} {shlex.join(words)}")
        return StashError(f"{words[0]} can't be started by itself.", f"--entrypoint {said}")
    return None
