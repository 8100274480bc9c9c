"""``tool add``: from a foreign repository to a registered tool with an environment and an example that composes."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from experimentstash.adapters.git import checkouts, gitconfig, gitindex, submodules, untrusted
from experimentstash.adapters.git.gitindex import GITLINK, Entry, gitlinks
from experimentstash.adapters.git.nested import LeftOut
from experimentstash.adapters.git.superproject import Superproject
from experimentstash.adapters.git.work import work_in
from experimentstash.adapters.python import modules
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.names import LinkMap, check_reference, check_tool_name, check_url
from experimentstash.freeze.environment import store as environments
from experimentstash.stash import entrypoints, paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentKind
from experimentstash.tools import kept_clones, leftovers, places, registrations, subdirectories
from experimentstash.tools.adding_request import Choose, ChooseSubcommand, Request
from experimentstash.tools.detect import detection
from experimentstash.tools.detect.candidate import Candidate
from experimentstash.tools.detect.detection import Detection
from experimentstash.tools.detect.notes import notes_on
from experimentstash.tools.entrypoint_choice import Unclear, chosen_entrypoint, listed, with_subcommand
from experimentstash.tools.first_configs import composed, registration_of, write_example
from experimentstash.tools.recovery import exclusive
from experimentstash.tools.transaction import Report, Transaction, begin


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
        request = Request(
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
            text = registration_of(path, made.chosen, made.detected, made.commit, interpreter)
            text += "".join(f"# Not checked out, as asked: its submodule {each}\n" for each in request.without.found)
            transaction.replace(registration, text.encode())
            experiment, needs, examples = write_example(transaction, stash, name, made.chosen)
            files = [registration, *examples]
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
        organizer=examples[0],
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
class _Made:
    """A tool's checkout, and what has been found in it."""

    directory: Path  # the tool's
    commit: str
    branch: str | None
    detected: Detection
    chosen: Candidate
    notes: list[str]
    entries: list[Entry]


def _new_submodule(transaction: Transaction, request: Request, show_progress: bool, report: Report) -> _Made:
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
    notes = notes_on(tree, detected, source.is_local)
    nested = submodules.nested_repositories(tree)
    path = project.path(name)
    final = stash.root / paths.TOOLS / name
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


def _in_checkout(request: Request, checkout: Path, report: Report) -> _Made:
    """Return the tool in a checkout that is there already, which is left as it is."""
    head, branch = checkouts.head(checkout)
    assert head is not None
    subdirectories.refuse_missing(checkout, head, request.inner)
    subdirectories.refuse_links(checkout, request.inner)
    detected, chosen = _detected(checkout, request, report)
    notes = notes_on(checkout, detected, request.source.is_local)
    if work_in(checkout).changed:
        notes.append("the checkout has changes that are not committed; the tool has them too")
    return _Made(checkout / request.inner, head, branch, detected, chosen, notes, [])


def _detected(tree: Path, request: Request, report: Report) -> tuple[Detection, Candidate]:
    """Return what the tool's directory in a checkout is, and how it is started."""
    report("looking for how it is started …")
    survey = detection.look(tree / request.inner)
    detected = survey.detect(chosen_entrypoint(survey, request, report))
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
    tools = stash.root / paths.TOOLS
    known += [f"{project.prefix}tools/{each}" for each in (os.listdir(tools) if tools.is_dir() else [])]
    for other in known:
        if other != path and other.casefold() == path.casefold():
            raise StashError(
                f"{path} and {other} differ in upper and lower case only: on some machines they are one.",
                "take another name",
            )


def refuse_existing(stash: Stash, name: str) -> None:
    """Raise StashError if a tool has this name already."""
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


def _register_submodule(
    transaction: Transaction, project: Superproject, path: str, old: list[str], settings: dict[str, str]
) -> None:
    text = gitconfig.gitmodules_text(project, transaction.folder, without=old, new={path: settings})
    transaction.replace(project.gitmodules, text)
    transaction.section(path, [("active", "true"), ("url", settings["url"])])


def entries_of(project: Superproject, files: list[Path]) -> list[Entry]:
    """Return files, their contents stored, as entries for the index."""
    return [
        gitindex.store(project, path.relative_to(project.root).as_posix(), path.read_bytes())
        for path in files
        if path.exists()
    ]


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
    if not is_there and not made.chosen.build:
        what = f"module {words[1]}" if words[0] == "-m" else f"program {words[0]!r}"
        others = replace(made.detected, candidates=tuple(made.detected.candidates[1:]))
        raise Unclear(f"There is no {what}, neither in the repository nor in its environment.\n{listed(others)}")


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
        if recipe.way.lack(recipe.file) is not None:
            hint = "or add it with --interpreter PREFIX, an environment that you have, or with --no-sync"
            raise environments.NotMade(f"{error.message}\nNothing was added.", hint) from error
        raise environments.NotMade(
            f"{error.message}\nNothing was added.",
            "fix the tool, or add it with --no-sync, give in its registration what it needs (`python_version:`,"
            f" `dependencies:`), then: experimentstash tool sync {name}",
        ) from error
    return environments.interpreter(recipe)
