"""``tool add``: from a foreign repository to a registered tool with an environment and an example that composes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, submodules, untrusted
from experimentstash.adapters.git.gitindex import GITLINK, Entry, gitlinks
from experimentstash.adapters.git.nested import LeftOut
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import work_in
from experimentstash.adapters.python import modules
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.names import LinkMap, Url, check_reference, check_tool_name, check_url
from experimentstash.base.process import CommandError, clean_environment, run
from experimentstash.freeze.environment import store as environments
from experimentstash.stash import entrypoints
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle, EnvironmentKind
from experimentstash.tools import kept_clones, leftovers, places, registrations, subdirectories
from experimentstash.tools.detect import candidates, detection, sources
from experimentstash.tools.detect.candidates import Candidate, Rank
from experimentstash.tools.detect.detection import Detection, Survey
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import MARKER, Report, Transaction, begin

# Seconds that composing the example organizer may take.
_PATIENCE = 120.0
# Words in the name of an experiment that promise something small.
_SMALL = ("example", "debug", "smoke", "test", "small", "default", "quick", "demo")

_MOST_NOTEBOOKS = 10

# Asks for one of several entrypoints; the second function says what is wrong with an answer.
Choose = Callable[[Detection, Callable[[str], StashError | None]], str]
# Asks for one of several subcommands.
ChooseSubcommand = Callable[[Sequence[str]], str]


class Unclear(StashError):
    """Nobody can tell how the repository is started."""


@dataclass(frozen=True)
class Added:
    """What `tool add` has done."""

    name: str
    url: str
    commit: str
    branch: str | None  # None: detached
    detection: Detection
    entrypoint: str
    path: str  # the tool's directory, in the stash
    registration: Path
    organizer: Path
    experiment: str  # the organizer's name
    command: str | None  # what the example will execute; None: it needs values first
    needs: tuple[str, ...]  # the parameters that only the user can give
    environment: str  # what it is made from, for people
    has_environment: bool
    to_commit: tuple[str, ...]
    notes: tuple[str, ...]
    shares_with: tuple[str, ...] = ()  # tools whose checkout is this one's too


def add(
    stash: Stash,
    name: str,
    url: str,
    *,
    branch: str | None = None,
    commit: str | None = None,
    subdirectory: str | None = None,
    is_separate: bool = False,
    without: LeftOut | None = None,
    entrypoint: str | None = None,
    subcommand: str | None = None,
    interpreter: Path | None = None,
    make_environment: bool = True,
    choose: Choose | None = None,
    choose_subcommand: ChooseSubcommand | None = None,
    show_progress: bool = False,
    current: Path | None = None,
    report: Report,
) -> Added:
    """Add the repository at ``url``, or a ``subdirectory`` of it, as the tool ``name``; all of it or nothing.

    A subdirectory of a repository that is a submodule already, at the commit that is asked for, lies in that one's
    checkout, unless it ``is_separate``. ``choose`` is asked for the entrypoint when the files don't tell, and
    ``choose_subcommand`` for the subcommand. Submodules
    that it is to be ``without`` aren't fetched. With an ``interpreter`` no environment is made. Raises
    StashError for whatever can't work, before anything is changed where that is possible.
    """
    check_tool_name(name)
    source = check_url(url, current or Path.cwd())
    for reference in (branch, commit):
        if reference is not None:
            check_reference(reference)
    inner = "" if subdirectory is None else subdirectories.check_name(subdirectory)
    with exclusive(stash, report) as project:
        gitindex.refuse_unstaged_gitmodules(project)
        refuse_existing(stash, name)
        request = _Request(
            stash,
            project,
            name,
            source,
            branch,
            commit,
            inner,
            without or LeftOut(),
            entrypoint,
            choose,
            interpreter,
            subcommand,
            choose_subcommand,
        )
        existing = None
        if inner and not is_separate:
            existing = subdirectories.existing_checkout(stash, project, source, branch, commit, report)
        with begin(stash, project, "add", name, report) as transaction:
            if existing is None:
                made = _new_submodule(transaction, request, show_progress, report)
            else:
                made = _in_checkout(request, existing, report)
            registration = stash.registration(name)
            path = made.directory.relative_to(stash.root).as_posix()
            text = _registration(path, made.chosen, made.detected, made.commit, interpreter)
            text += "".join(f"# Not checked out, as asked: its submodule {each}\n" for each in request.without.found)
            transaction.replace(registration, text.encode())
            experiment, organizer, text, needs = example(stash, name, made.chosen)
            transaction.replace(organizer, text.encode())
            files = [registration, organizer]
            if existing is None:
                files.insert(0, project.gitmodules)
            entries = [*made.entries, *entries_of(project, files)]
            transaction.index(entries)
            if make_environment:
                python = _make_environment(transaction, stash, name, made.directory, report)
                _refuse_lacking(made, python)
            recipe = registrations.recipe(stash, name, registrations.read(stash, name), made.directory)
            shown_environment = recipe.shown
            shown = composed(transaction, stash, f"tool={name}" if needs else f"+exp={experiment}")
            transaction.commit()
        kept_clones.forget(stash)
    return Added(
        name=name,
        url=source.text,
        commit=made.commit,
        branch=made.branch,
        detection=made.detected,
        entrypoint=made.chosen.entrypoint,
        path=path,
        registration=registration,
        organizer=organizer,
        experiment=experiment,
        command=None if needs else shown,
        needs=needs,
        environment=shown_environment,
        has_environment=make_environment,
        to_commit=tuple(each.path for each in entries),
        notes=tuple(made.notes),
        shares_with=()
        if existing is None
        else tuple(each for each in places.inhabitants(stash, existing) if each != name),
    )


@dataclass(frozen=True)
class _Request:
    """What is to be added."""

    stash: Stash
    project: Superproject
    name: str
    source: Url
    branch: str | None
    commit: str | None
    inner: str  # the subdirectory; "": the repository itself
    without: LeftOut
    entrypoint: str | None
    choose: Choose | None
    interpreter: Path | None  # one that is there already; None: an environment is made
    subcommand: str | None
    choose_subcommand: ChooseSubcommand | None

    def again(self, words: str) -> str:
        """Return the command that adds it with further words, for a shell."""
        where = f" --subdirectory {shlex.quote(self.inner)}" if self.inner else ""
        return f"experimentstash tool add {self.name} {shlex.quote(self.source.text)}{where} {words}"


@dataclass(frozen=True)
class _Made:
    """A tool's checkout, and what has been found in it."""

    directory: Path  # the tool's
    commit: str
    branch: str | None
    detected: Detection
    chosen: Candidate
    notes: list[str]
    entries: list[Entry]


def _new_submodule(transaction: Transaction, request: _Request, show_progress: bool, report: Report) -> _Made:
    stash, project, source, name = request.stash, request.project, request.source, request.name
    _refuse_clash(stash, project, name)
    report(f"cloning {source.text} …")
    bare, tree = checkouts.clone(
        source,
        transaction.folder,
        reference=request.branch,
        known=kept_clones.of(stash, source),
        show_progress=show_progress,
    )
    head, on_branch = checkouts.head(tree)
    if request.commit is not None:
        head, on_branch = checkouts.resolve(tree, request.commit, is_local=source.is_local), None
    if head is None:
        raise StashError(f"{source.text} has no commit yet.", "commit something there first")
    subdirectories.refuse_missing(tree, head, request.inner)
    links = LinkMap()
    untrusted.inspect(tree, head, "", links, request.without)
    checkouts.check_out(tree, head, on_branch, force=True)
    submodules.check_out_nested(tree, links, request.without, show_progress=show_progress)
    request.without.refuse_unknown(tree)
    subdirectories.refuse_links(tree, request.inner)
    try:
        detected, chosen = _detected(tree, request, report)
    except Unclear:  # the next try need not fetch all of it again
        kept_clones.keep(stash, source, bare)
        raise
    notes = _notes(tree, detected, source.is_local)
    nested = submodules.nested_repositories(tree)
    path = project.path(name)
    final = stash.root / "tools" / name
    module = project.module(path)
    checkouts.settle(bare, tree, module, final, nested)
    old = leftovers.clear(transaction, stash, project, name, report)
    _refuse_inside(project, path)
    transaction.move(bare, module)
    transaction.move(tree, final)
    follows = request.branch if request.branch and checkouts.is_branch(final, request.branch) else None
    settings = {"path": path, "url": source.text, **({"branch": follows} if follows else {})}
    _register_submodule(transaction, project, path, old, settings)
    entries = [Entry(path, GITLINK, head)]
    return _Made(final / request.inner, head, on_branch, detected, chosen, notes, entries)


def _in_checkout(request: _Request, checkout: Path, report: Report) -> _Made:
    """Return the tool in a checkout that is there already, which is left as it is."""
    head, branch = checkouts.head(checkout)
    assert head is not None
    subdirectories.refuse_missing(checkout, head, request.inner)
    subdirectories.refuse_links(checkout, request.inner)
    detected, chosen = _detected(checkout, request, report)
    notes = _notes(checkout, detected, request.source.is_local)
    if work_in(checkout).changed:
        notes.append("the checkout has changes that are not committed; the tool has them too")
    return _Made(checkout / request.inner, head, branch, detected, chosen, notes, [])


def _detected(tree: Path, request: _Request, report: Report) -> tuple[Detection, Candidate]:
    """Return what the tool's directory in a checkout is, and how it is started."""
    report("looking for how it is started …")
    survey = detection.look(tree / request.inner)
    detected = survey.detect(_chosen(survey, request, report))
    assert detected.best is not None
    again = request.again(f"--entrypoint {shlex.quote(detected.best.entrypoint)} --subcommand")
    chosen = with_subcommand(detected.best, survey.directory, request.subcommand, request.choose_subcommand, again)
    if request.interpreter is not None:
        detected = replace(
            detected, kind=EnvironmentKind.interpreter, file=None, requirements=(), left=(), lacking=(), python=None
        )
    return subdirectories.with_environment_from_above(tree, request.inner, detected), chosen


def _refuse_clash(stash: Stash, project: Superproject, name: str) -> None:
    """Refuse a place whose name differs from another one's in upper and lower case only: elsewhere they are one."""
    path = project.path(name)
    known = [*gitlinks(project.root), *(each.get("path", "") for each in gitconfig.sections(project).values())]
    tools = stash.root / "tools"
    known += [f"{project.prefix}tools/{each}" for each in (os.listdir(tools) if tools.is_dir() else [])]
    for other in known:
        if other != path and other.casefold() == path.casefold():
            raise StashError(
                f"{path} and {other} differ in upper and lower case only: on some machines they are one.",
                "take another name",
            )


def refuse_existing(stash: Stash, name: str) -> None:
    registration = stash.registration(name)
    if not registration.exists():
        return
    where = registration.relative_to(stash.root)
    raise StashError(
        f"There is a tool {name!r} already ({where}).",
        f"take another name, or first: experimentstash tool remove {name}",
    )


def _refuse_inside(project: Superproject, path: str) -> None:
    """Refuse a tool inside another submodule, or around one."""
    for settings in gitconfig.sections(project).values():
        other = settings.get("path", "")
        if other != path and other and (f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")):
            raise StashError(f"{path} and the submodule {other} would lie in each other.", "take another name")


def _chosen(survey: Survey, request: _Request, report: Report) -> str:
    """Return the entrypoint: the one that was named, the only likely one, or what is answered; nothing is guessed."""
    detected = survey.detect()

    def problem(entrypoint: str) -> StashError | None:
        return _entrypoint_problem(survey, entrypoint)

    if request.entrypoint is not None:
        wrong = problem(request.entrypoint)
        if wrong is None:
            return request.entrypoint
        if request.choose is None:
            raise Unclear(f"{wrong.message}\n{_listed(detected)}", wrong.mend)
        report(wrong.message)
    elif detected.is_clear and detected.best is not None:
        return detected.best.entrypoint
    if request.choose is not None:
        for line in _of_notebooks(survey, detected):
            report(line)
        return request.choose(detected, problem)
    raise _unclear(survey, detected, request.again("--entrypoint"))


def _unclear(survey: Survey, detected: Detection, command: str) -> Unclear:
    """Return the error for a repository that doesn't tell how it is started; ``command`` is to be given an answer."""
    lines = [_listed(detected), *_of_notebooks(survey, detected)]
    if not detected.candidates:
        ways = "--entrypoint '-m package.module', --entrypoint file.py or --entrypoint executable"
        if notebooks := sources.notebooks(survey.directory):
            script = shlex.quote(str(Path(notebooks[0]).with_suffix(".py")))
            made = f"jupyter nbconvert --to script {shlex.quote(notebooks[0])}"
            ways = f"{made}, commit and push that, then: {command} {script}"
        return Unclear("\n".join(lines), ways)
    said = f"say it: {command} {shlex.quote(detected.candidates[0].entrypoint)} (or another one)"
    if detected.candidates[0].rank is Rank.OTHER_LANGUAGE:
        said += (
            "\n  → parameters reach it as `--key value`; for another order write `call: {style: arguments}` into its"
            " registration then, and `arguments:` into its experiments"
        )
    parts = {(each.file or "").partition("/")[0] for each in detected.candidates if "/" in (each.file or "")}
    parts = {each for each in parts if detection.detect_environment(survey.directory / each).file is not None}
    if len(parts) > 1:
        said += f"\n  → one project of many in it: --subdirectory, such as {min(parts)}"
    return Unclear("\n".join([*lines, "Nothing tells which of them is meant."]), said)


def _of_notebooks(survey: Survey, detected: Detection) -> list[str]:
    """Return what is to be said of the notebooks in a repository where nothing else of Python's can be started."""
    if any(each.rank < Rank.EXECUTABLE for each in detected.candidates):
        return []
    found = sources.notebooks(survey.directory)
    more = f" and {len(found) - _MOST_NOTEBOOKS} more" if len(found) > _MOST_NOTEBOOKS else ""
    shown = ", ".join(found[:_MOST_NOTEBOOKS]) + more
    return [f"Notebooks can't be tools, since they get no parameters: {shown}"] if found else []


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


def _listed(detected: Detection) -> str:
    if not detected.candidates:
        return "Nothing in the repository tells how it is started."
    return f"The repository can be started in these ways:\n{candidates.describe(detected.candidates)}"


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
    if first == "-m":
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", words[1]):
            return StashError(f"{entrypoint!r} names no module.", "--entrypoint '-m package.module'")
        if modules.exists(words[1], [tree, tree / "src"]) is False:
            hint = did_you_mean(f"-m {words[1]}", known)
            return StashError(f"The repository has no module {words[1]} that can be run.{hint}")
        return None
    if first.startswith(("-", "/")) or ".." in Path(first).parts:
        return StashError(f"The entrypoint {first!r} is not inside the repository.", "give a path inside it")
    if (first.endswith(".py") or "/" in first) and not (tree / first).is_file():
        return StashError(f"The repository has no file {first!r}.{did_you_mean(first, known)}")
    if (tree / first).is_file():
        return None if first.endswith(".py") else _unstartable(tree, words)
    if "." in first and first not in known and modules.exists(first, [tree, tree / "src"]):
        said = shlex.quote(f"-m {shlex.join(words)}")
        return StashError(f"{first} is a module of the repository, and no program.", f"--entrypoint {said}")
    return None


def _unstartable(tree: Path, words: tuple[str, ...]) -> StashError | None:
    """Return why a file of a repository can't be started by itself, with what can: nothing of it may be changed."""
    try:
        entrypoints.refuse_unstartable(tree, words[0], "")
    except StashError:
        said = shlex.quote(f"{entrypoints.runner(words[0])} {shlex.join(words)}")
        return StashError(f"{words[0]} can't be started by itself.", f"--entrypoint {said}")
    return None


def _notes(tree: Path, detected: Detection, is_local: bool) -> list[str]:
    notes = list(detected.notes)
    pointers = checkouts.lfs_pointers(tree)
    if pointers:
        notes.append(
            f"{pointers} file{'s are Git LFS pointers' if pointers > 1 else ' is a Git LFS pointer'}, not the content:"
            " install git-lfs, then `git lfs pull` in the tool's directory"
        )
    if is_local:
        notes.append("its URL is a path on this machine: who clones the stash elsewhere can't get the tool")
    if detected.left:
        notes.append(f"not used for its environment: {'; '.join(detected.left)}")
    if any("conda" in each for each in detected.left):
        notes.append(
            "to use a conda environment that you make yourself: --interpreter PREFIX, or `environment: {interpreter:"
            " PREFIX/bin/python}` in its registration"
        )
    if detected.kind is EnvironmentKind.empty:
        needs = f", and it imports {', '.join(detected.lacking[:10])}" if detected.lacking else ""
        notes.append(
            f"nothing in the repository says what it needs{needs}: its environment is an empty one, unless you name"
            " packages as `dependencies:` in its registration"
        )
    if detected.writes:
        seen = [f"{write.path}{'' if write.is_whole else '…'} ({write.where})" for write in detected.writes[:5]]
        setting = "collect" if any(write.is_whole for write in detected.writes) else "working_directory: run"
        notes.append(
            f"it seems to write into its checkout: {', '.join(seen)}; `{setting}` in its registration keeps that with"
            " each run"
        )
    if detected.best is not None and detected.best.hydra is not None and detected.best.hydra.config_directory is None:
        notes.append("its Hydra configs were not found: give their directory as `call.configs` in the registration")
    return notes


def _register_submodule(
    transaction: Transaction, project: Superproject, path: str, old: list[str], settings: dict[str, str]
) -> None:
    text = gitconfig.gitmodules_text(project, transaction.folder, without=old, new={path: settings})
    transaction.replace(project.gitmodules, text)
    transaction.section(path, [("active", "true"), ("url", settings["url"])])


def entries_of(project: Superproject, files: list[Path]) -> list[Entry]:
    return [
        gitindex.store(project, path.relative_to(project.root).as_posix(), path.read_bytes())
        for path in files
        if path.exists()
    ]


def _registration(path: str, chosen: Candidate, detected: Detection, commit: str, interpreter: Path | None) -> str:
    scalar = registrations.scalar
    call: dict[str, str | None] = {"style": chosen.style.value}
    if chosen.hydra is not None:
        key = chosen.hydra.experiment_key
        call["experiment"] = scalar(key) if key not in (None, "experiment") else None
        place = chosen.hydra.config_directory
        call["configs"] = scalar(place) if place else None
    else:
        call |= call_settings(chosen)
        call = {} if call == {"style": CallStyle.options.value} else call
    environment: dict[str, str | None] = {"interpreter": scalar(str(interpreter)) if interpreter else None}
    if detected.file is not None and detected.file.startswith("../"):  # what lies in the tool is found at each run
        environment["file"] = scalar(detected.file)
        listed = ", ".join(map(scalar, detected.requirements))
        environment["requirements"] = f"[{listed}]" if listed else None
    python = detected.python if detected.python and not detected.python_is_read else None
    return registrations.registration(
        {
            "path": scalar(path),
            "entrypoint": scalar(chosen.entrypoint),
            "commit": registrations.scalar_commit(commit),
            "python_version": scalar(python) if python else None,
            "description": scalar(detected.description) if detected.description else None,
            "collect": _collect(detected),
        },
        {"call": call, "environment": environment},
    )


def _collect(detected: Detection) -> str | None:
    """Return what of its checkout the tool seems to write to, as a setting, with what else there is to choose."""
    whole = [write for write in detected.writes if write.is_whole]
    if not whole:
        return None
    places = ", ".join(registrations.scalar(write.path) for write in whole)
    return f"[{places}]  # it seems to write there ({whole[0].where}); or `working_directory: run`, `shared`"


def call_settings(chosen: Candidate) -> dict[str, str | None]:
    """Return the settings of `call` that the tool's own declarations tell."""
    scalar = registrations.scalar
    call: dict[str, str | None] = {}
    if chosen.subcommand is not None:
        others = [each for each in chosen.declared.subcommands if each != chosen.subcommand]
        call["subcommand"] = scalar(chosen.subcommand) + (f"  # or: {', '.join(others)}" if others else "")
    if chosen.output_option is not None:
        call["output"] = scalar(chosen.output_option)
    call |= chosen.settings
    ways = chosen.declared.ways
    if ways:
        listed = {name: ", ".join(map(scalar, said)) for name, said in ways.items()}
        texts = {name: f"[{text}]" if "," in text else text for name, text in listed.items()}
        call["ways"] = "  # as the tool declares its options" + "".join(
            f"\n    {scalar(name)}: {text}" for name, text in texts.items()
        )
    return call


def example(stash: Stash, name: str, chosen: Candidate) -> tuple[str, Path, str, tuple[str, ...]]:
    """Return an example's name, path and text, and what it lacks: nobody can know the values that a tool insists on.

    It is one of the tool's own experiments, or the tool's defaults.
    """
    experiments = chosen.hydra.experiments if chosen.hydra else ()
    small = [each for each in experiments if any(word in each.lower() for word in _SMALL)]
    experiment = next(iter([*small, *experiments]), None)
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", experiment or "example").strip("_-") or "example"
    free = next(
        candidate
        for candidate in (base, *(f"{base}-{number}" for number in range(2, 10_000)))
        if not stash.organizer(f"{name}/{candidate}").exists()
    )
    required = [each for each in chosen.options if each.is_required and f"--{each.name}" != chosen.output_option]
    of_subcommands = required if chosen.declared.needs_subcommand else []  # nobody can tell which one's they are
    required = [each for each in required if each not in of_subcommands]
    options = [each for each in required if not each.is_positional]
    params = [
        (each.name, '"???"', f"{f'{each.kind}; ' if each.kind else ''}the tool insists on it") for each in options
    ]
    needs = [f"params.{each.name}" for each in options]
    description = f"Its own experiment {experiment}" if experiment else "The tool with its defaults"
    text = registrations.organizer(name, experiment, description, params)
    if of_subcommands:
        listed = ", ".join(dict.fromkeys(each.name for each in of_subcommands))
        text += f"# Some of its subcommands insist on these: {listed}\n"
    positional = [each.name for each in required if each.is_positional]
    if positional and chosen.style is not CallStyle.hydra:
        text += f"# The tool takes these without an option's name: {', '.join(positional)}\n"
        text += "arguments: [" + ", ".join(['"???"'] * len(positional)) + "]\n"
        needs.append("arguments")
    return f"{name}/{free}", stash.organizer(f"{name}/{free}"), text, tuple(needs)


def _refuse_lacking(made: _Made, python: Path | None) -> None:
    """Raise Unclear if neither the repository nor its environment has what the entrypoint names."""
    words = entrypoints.read(made.chosen.entrypoint, made.directory).words
    if words[0] == "-m":
        roots = [made.directory, made.directory / "src"]
        is_there = modules.exists(words[1], roots) is True
        is_there = is_there or (python is not None and modules.is_in_environment(str(python), words[1]))
    else:
        path = os.pathsep.join([*([str(python.parent)] if python else []), os.environ.get("PATH", os.defpath)])
        is_there = (made.directory / words[0]).is_file() or shutil.which(words[0], path=path) is not None
    if not is_there:
        what = f"module {words[1]}" if words[0] == "-m" else f"program {words[0]!r}"
        others = replace(made.detected, candidates=tuple(made.detected.candidates[1:]))
        raise Unclear(f"There is no {what}, neither in the repository nor in its environment.\n{_listed(others)}")


def _make_environment(
    transaction: Transaction, stash: Stash, name: str, directory: Path, report: Report
) -> Path | None:
    """Make the tool's environment, and return its interpreter; None if it has none."""
    recipe = registrations.recipe(stash, name, registrations.read(stash, name), directory)
    if recipe.directory is None:
        return environments.interpreter(recipe)
    transaction.create(stash.environments / name)
    try:
        environments.make(recipe, announce=report)
    except environments.NotMade as error:
        raise environments.NotMade(
            f"{error.message}\nNothing was added.",
            "mend the tool, or add it with --no-sync, give in its registration what it needs (`python_version:`,"
            f" `dependencies:`), then: experimentstash tool sync {name}",
        ) from error
    return environments.interpreter(recipe)


def composed(transaction: Transaction, stash: Stash, chosen: str) -> str:
    """Return the command of what an override chooses (an experiment, or the tool alone), checked as for a run."""
    # Where an interrupted one leaves something, it goes with the transaction. Hydra resolves it: no quoting is needed.
    place = f"hydra.run.dir=${{oc.env:{MARKER}}}/run"
    argv = [sys.executable, "-m", "experimentstash", chosen, "validate_only=true", place]
    try:
        environment = {**clean_environment(), "PYTHONPATH": ":".join(path for path in sys.path if path)}
        command = run(argv, cwd=stash.root, env=environment, timeout=_PATIENCE).stdout.strip()
    except CommandError as error:
        said = error.stderr.strip() or error.message
        raise StashError(f"The example organizer for the tool does not compose:\n{said}") from error
    return command.replace(str(transaction.folder / "run"), "RUN_DIRECTORY")
