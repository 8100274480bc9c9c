"""A run that is to be had once more exactly: with the code and the parameters that it had, or not at all."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experimentstash.adapters.git import objects, trees
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.dotted import leaves
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.base.process import CommandError
from experimentstash.base.quoting import without_quotes_for_paths
from experimentstash.code import worktrees
from experimentstash.code.left_out import given_by
from experimentstash.code.provenance import Provenance
from experimentstash.execute.account import MARKER
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.freeze.freeze import left_at, live_code
from experimentstash.freeze.notebooks.start import NAME as NOTEBOOK_PROGRAM
from experimentstash.freeze.plan import Plan, Request
from experimentstash.freeze.toolpath import tool_directory
from experimentstash.launch.shared import SharedByRuns, built_by
from experimentstash.record import times
from experimentstash.record.run import Code, Command, Environment, Run
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentKind

# Differences that are told at most.
_SHOWN = 5
# What we set ourselves, by where a run or its code lies, or for the tracker.
_OURS = regex(r"WANDB_\w+|EXPERIMENTSTASH_\w+|PYTHONPYCACHEPREFIX|PYTHONDONTWRITEBYTECODE|PYTHONPATH")
# Where frozen configs lie: their content is in the last name.
_CONFIGS = regex(r"[^\0=]*/code/[^/\0]+/[^/\0]+/configs/")


@contextlib.contextmanager
def of(stash: Stash, run: Run, make_environment: Callable[[Recipe], None] | None = None) -> Iterator[Again]:
    """Yield a run that is to be had once more, with its configuration if that has changed since and git has it.

    ``make_environment`` makes what a recipe stands for as it was for the run; None: a lock file must say that.
    """
    with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
        then = _as_it_was(stash, run, stash.conf, Path(scratch))
        yield Again(run, None if then is None or _is_same(then, stash.conf) else then, make_environment)


def _as_it_was(stash: Stash, run: Run, place: Path, scratch: Path) -> Path | None:
    """Return a directory of the stash as it was for a run, written below ``scratch``; None if git doesn't have it."""
    code, root = run.spec.stash, toplevel(stash.root)
    if code is None or code.commit is None or root is None:
        return None
    try:
        inside = place.resolve().relative_to(root.resolve()).as_posix()
        trees.export(root, scratch / "index", code.commit, _patch(run, code), inside, scratch / "then")
    except (StashError, CommandError, ValueError):  # what differs is told when it is composed
        return None
    found = scratch / "then" / inside
    return found if found.is_dir() else None


def _is_same(then: Path, now: Path) -> bool:
    """Tell whether all files that there were in a directory are as they were."""
    names = [os.path.relpath(os.path.join(folder, name), then) for folder, _, each in os.walk(then) for name in each]
    return not any(filecmp.cmpfiles(then, now, names, shallow=False)[1:])


@dataclass(frozen=True)
class Again:
    """The run that is to be had once more."""

    run: Run
    conf: Path | None = None  # its configuration, where that has changed since
    make_environment: Callable[[Recipe], None] | None = None

    @property
    def note(self) -> str:
        """What its record says of where it comes from."""
        return f"a rerun of {self.run.id}{'' if self.conf is None else ', with the configuration of then'}"

    def with_its_code(self, request: Request, shared: SharedByRuns) -> Request:
        """Have a job use the code that the run had: the checkout if it is as it was then, else frozen code.

        StashError if that code can't be had again.
        """
        if self.conf is not None and self.run.spec.stash is not None:
            then = Provenance(self.run.spec.stash, _patch(self.run, self.run.spec.stash))
            request = replace(request, stash_then=then)
        code, config = self.run.spec.code, request.config.tool
        if code is None or code.commit is None or not config.path:
            raise _refusal(self.run, "git knows nothing of the code that it ran")
        patch = _patch(self.run, code)
        if code.snapshot is None and self._is_as_it_was(request, shared, code, patch):
            return replace(request, frozen=shared.frozen_code(request))
        live = tool_directory(request.stash, request.tool, config, is_needed=False)
        frozen = worktrees.ensure_worktree(
            request.stash,
            request.tool,
            live,
            config,
            request.sweep or request.directory,
            say,
            outputs=left_at(request),
            recorded=Provenance(code, patch),
            built_by=built_by(request, live),
        )
        if frozen is None:
            raise _refusal(self.run, f"{config.path} is no git checkout any more")
        return replace(request, frozen=frozen, to_be_frozen=True)

    def provide_environment(self, planned: Plan) -> None:
        """Make the environment as it was for the run, where that is asked for; StashError if it can't be."""
        if self.make_environment is not None:
            self.make_environment(planned.recipe)

    def notes(self, run: Run) -> list[str]:
        """Return what the record of the run that is had once more says of that."""
        return [self.note, *built_otherwise(self.run, run)]

    def refuse_difference(self, planned: Plan) -> None:
        """Raise StashError if what was worked out isn't what the run executed."""
        found = [*self._differences(planned)]
        if found:
            stash = self.run.spec.stash
            of_then = "" if stash is None or stash.commit is None else f": git diff {stash.commit[:12]}"
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise _refusal(
                self.run,
                f"{'; '.join(found[:_SHOWN])}{more}",
                f"look what has changed since{of_then}; or do it with what there is now: experimentstash retry,"
                " experimentstash run",
            )

    def _is_as_it_was(self, request: Request, shared: SharedByRuns, code: Code, patch: str) -> bool:
        """Tell whether the tool's checkout is what the run used."""
        directory = _live(request)
        if not directory.is_dir() or code.withheld:
            return False
        outputs = [Path(os.path.normpath(directory / path)) for path in left_at(request)]
        now = live_code(request.stash, directory, shared.checkouts, lambda: outputs)
        is_same = (now.code.dirty, now.patch, now.code.omitted) == (code.dirty, patch, code.omitted)
        root = toplevel(directory)
        if root is None or not is_same or not self._are_as_old(root, code.omitted):
            return False
        inside = os.path.relpath(directory, root) if root == toplevel(request.stash.root) else ""
        there = [objects.object_at(root, f"{commit}:{inside}") for commit in (code.commit, now.code.commit)]
        return now.code.commit == code.commit or (bool(inside) and there[0] is not None and there[0] == there[1])

    def _are_as_old(self, root: Path, names: list[str]) -> bool:
        """Tell whether files that no patch has are those of then: nothing of them has changed since."""
        if not names:
            return True
        since = times.moment(self.run.created) if self.run.created is not None else 0.0
        try:
            return all((root / name).lstat().st_ctime < since for name in names)
        except OSError:
            return False

    # --- what differs ------------------------------------------------------------------------------------------------

    def _differences(self, planned: Plan) -> Iterator[str]:
        run, request = self.run, planned.request
        yield from _other("tool", request.tool, run.spec.tool)
        yield from _other("experiment", request.config.experiment, run.spec.experiment)
        now, before = dict(leaves(planned.params)), dict(leaves(run.spec.params))
        for name in sorted({*now, *before}):
            yield from _other(f"params.{name}", now.get(name), before.get(name), name in now, name in before)
        ours, theirs = self._places_of_then(planned), _places(planned)
        told = _told(planned.command, environments.interpreter(planned.recipe), theirs)
        interpreter = run.spec.environment.interpreter if run.spec.environment is not None else None
        then = _told(run.spec.command, Path(interpreter) if interpreter else None, ours)
        for what in sorted({*told, *then}):
            if told.get(what) != then.get(what):
                yield f"{what} differs"
        for name, text in planned.files.items():
            path = self.run.path / name
            if path.is_file() and name != NOTEBOOK_PROGRAM:  # that is ours, and may be another version's
                content = read_regular(path).decode("utf-8", "surrogateescape")
                if _neutral(content, ours) != _neutral(text, theirs):
                    yield f"{name}, which it was handed, differs"
        yield from self._other_environment(planned, run.spec.environment)
        built, then_built = planned.build and planned.build.as_recorded(), run.spec.build
        yield from _other("what builds it", built and built.commands, then_built and then_built.commands)
        yield from self._other_configs(planned)

    def _other_configs(self, planned: Plan) -> Iterator[str]:
        """Yield directories of the stash that a tool reads its configs from: frozen ones are told by their paths."""
        request, code = planned.request, self.run.spec.code
        if code is None or code.snapshot is not None:
            return
        live = _live(request)
        for given in given_by(request.config.tool):
            source = Path(os.path.normpath(request.stash.root / given))
            if source.is_relative_to(live):
                continue
            with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
                then = _as_it_was(request.stash, self.run, source, Path(scratch))
                if then is None or not _is_same(then, source):
                    yield f"{given}, from where the tool reads its configs, differs"

    def _other_environment(self, planned: Plan, before: Environment | None) -> Iterator[str]:
        recipe = planned.recipe
        now = environments.record(recipe)
        if before is None:
            return
        yield from _other("the environment's kind", now.kind, before.kind)
        yield from _other("what pins its environment", now.lock, before.lock)
        if now.version is not None:
            yield from _other("Python", now.version, before.version)
        shared = f"{planned.request.stash.environments}/"
        # One with the tool's own code in it has another key for each place; who makes it looks what is in it.
        if self.make_environment is None and all(str(each.interpreter).startswith(shared) for each in (now, before)):
            yield from _other("its environment", now.key, before.key)
        is_made = recipe.directory is not None and recipe.kind is not EnvironmentKind.empty
        if is_made and recipe.lock_path is None and not environments.is_ready(recipe):
            yield "its environment would be made anew, and no lock file says what was in it"
        if recipe.is_foreign:
            yield from _other("its Python", now.interpreter, before.interpreter)

    def _places_of_then(self, planned: Plan) -> Mapping[str, str]:
        spec = self.run.spec
        code = str(planned.directory) if spec.code is None else spec.code.path
        if spec.apart is not None:
            code = os.path.normpath(os.path.join(spec.apart.path, os.path.relpath(code, spec.apart.source)))
        directory = spec.command.environment.get(MARKER, self.run.directory)
        return _marked(directory, code, self.run.id, planned, None if spec.build is None else spec.build.directory)


def built_otherwise(before: Run, after: Run) -> list[str]:
    """Return by what the tool of a run was built that is had once more, where that is something else than then."""
    then, now = before.spec.build, after.spec.build
    if then is None or now is None:
        return []
    others = [
        f"{each}: {new.get(each, 'none')}; then: {old.get(each, 'none')}"
        for old, new in ((then.compilers, now.compilers), (then.variables, now.variables))
        for each in sorted({*old, *new})
        if old.get(each) != new.get(each)
    ]
    if then.platform != now.platform:
        others.append(f"{now.platform}; then: {then.platform}")
    return [f"built with others than {before.id}: {each}" for each in others]


def _live(request: Request) -> Path:
    """Return where a tool's checkout is, or would be."""
    return Path(os.path.normpath(request.stash.root / (request.config.tool.path or "")))


def _patch(run: Run, code: Code) -> str:
    """Return what made a checkout differ from its commit, as it is kept with a run."""
    if code.patch is None:
        return ""
    try:
        return read_regular(run.path / code.patch).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise _refusal(run, f"its {code.patch} can't be read: {error.strerror}") from error


def _refusal(run: Run, why: str, hint: str | None = None) -> StashError:
    return StashError(f"{run.id} can't be had again as it was: {why}.", hint)


def _places(planned: Plan) -> Mapping[str, str]:
    build = None if planned.build is None else str(planned.build.products)
    return _marked(str(planned.request.directory), str(planned.directory), planned.request.id, planned, build)


def _marked(run: str, tool: str, name: str, planned: Plan, build: str | None) -> Mapping[str, str]:
    """Return what stands for the places that differ between two runs of the same, the longest first."""
    found = {**({build: "{build}"} if build is not None else {}), run: "{run}", tool: "{tool}", name: "{id}"}
    live = _live(planned.request)
    root = toplevel(live)
    if root is not None and root not in (live, toplevel(planned.request.stash.root)):
        inside = f"/{os.path.relpath(live, root)}"
        if tool.endswith(inside):
            found[tool.removesuffix(inside)] = "{top}"
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _neutral(text: str, places: Mapping[str, str]) -> str:
    for place, mark in places.items():
        text = text.replace(place, mark)
    return _CONFIGS.sub("{configs}/", text)


def _told(command: Command, interpreter: Path | None, places: Mapping[str, str]) -> dict[str, Any]:
    """Return what a command says, whatever run it is of."""
    python = None if interpreter is None else str(interpreter)
    words = ["{python}" if word == python else without_quotes_for_paths(word) for word in command.argv]
    words = [_neutral(word, places) for word in words]
    found: dict[str, Any] = {"its command": words, "its working directory": _neutral(command.cwd, places)}
    found["its secrets"] = command.secrets
    for name, value in command.environment.items():
        if not _OURS.fullmatch(name):
            found[f"its variable {name}"] = _neutral(value, places)
    path = [_neutral(each, places) for each in command.environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    found["its PYTHONPATH"] = [each for each in path if not each.startswith(("{tool}", "{top}"))]
    return found


def _other(what: str, now: Any, before: Any, is_now: bool = True, was_before: bool = True) -> Iterator[str]:
    if not is_now or not was_before:
        yield f"{what} {'is new' if is_now else 'is missing'}"
    elif json.dumps(now, sort_keys=True) != json.dumps(before, sort_keys=True):
        yield f"{what} is {now!r} now and was {before!r}"
