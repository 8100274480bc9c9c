"""What makes one run the same as another: a digest of all that its results come from.

Its code, entrypoint, arguments and parameters, its environment, and the files that its words name. Not where it is,
what it is called, its limits, or how it is told to W&B. Where something that matters can't be known there is none: that
two runs are the same is never guessed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from experimentstash.adapters.git import objects
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.once import Once
from experimentstash.base.path_names import named
from experimentstash.base.patterns import regex
from experimentstash.base.text import listed
from experimentstash.code.patches import without_below
from experimentstash.code.provenance import Provenance
from experimentstash.freeze import inputs
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.inputs import Inputs, Recent, Unknowable
from experimentstash.freeze.plan import Plan

_FORMAT = 1  # part of every signature: raise it when something else counts
_SHOWN = 3
# What of a tool's environment tells it where it is, how to write, or how its run is called at W&B.
_WITHOUT_EFFECT = (
    "EXPERIMENTSTASH_",
    "WANDB_",
    "PYTHONUNBUFFERED",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
    "HYDRA_FULL_ERROR",
)
# Programs that bring what others have installed for them.
_WITH_PACKAGES = regex(
    r"(?:python|pypy)[\d.]*|Rscript|R|julia|node|perl|ruby|octave|matlab|java|conda|mamba|micromamba|pixi|poetry|pipenv"
    r"|hatch|uvx?|docker|podman|apptainer|singularity"
)
_DIRTY_SUBMODULE = regex(r"^[+-]Subproject commit [0-9a-f]+-dirty$", re.MULTILINE)
_CODE = "<code>"
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Signature:
    """What a run is known by; ``digest`` is None where that can't be known, and ``unknown`` says why."""

    digest: str | None
    unknown: str | None = None
    installed: str | None = None  # what an interpreter that others keep has, where that may change until it begins


class Signer:
    """Works out the signatures of runs; what they have in common is looked at once."""

    def __init__(self) -> None:
        self._inputs = Inputs()
        self._recent = Recent()
        self._once = Once()

    def sign(self, planned: Plan, stash: Provenance, code: Provenance) -> Signature:
        """Return the signature of a run with this code, in a stash as it is."""
        try:
            return self._signature(planned, stash, code)
        except Unknowable as error:
            return Signature(None, error.message)
        except (GitError, OSError) as error:
            return Signature(None, f"what it depends on can't be read: {str(error).splitlines()[0]}")

    def _signature(self, planned: Plan, stash: Provenance, code: Provenance) -> Signature:
        request, command = planned.request, planned.command
        tool = request.config.tool
        variables = {name: value for name, value in command.environment.items() if not name.startswith(_WITHOUT_EFFECT)}
        places = _Places(planned, self._tops(planned))
        parts = {
            "format": _FORMAT,
            "tool": request.tool,
            "code": self._code(planned, stash, code),
            "environment": self._environment(planned, places, code, variables),
            "argv": command.argv,
            "cwd": command.cwd,
            "variables": {**variables, "PYTHONPATH": places.foreign(variables.get("PYTHONPATH", ""))},
            "unset": sorted(name for name, value in tool.env.items() if value is None),
            "secrets": command.secrets,
            "files": dict(planned.files),
            "params": planned.params,
            "inputs": self._read(planned, places, variables),
        }
        if planned.build is not None:
            if planned.build.in_job and not planned.build.compilers:
                raise Unknowable("it is built in a job: by which compilers isn't known yet")
            made_by = planned.build.as_recorded()
            parts["build"] = [made_by.commands, made_by.compilers, made_by.platform, made_by.variables]
            if made_by.is_in_checkout:
                raise Unknowable("it was built in the checkout itself, beside what lay there")
        text = places.hidden(json.dumps(parts, sort_keys=True, ensure_ascii=False))
        digest = f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"
        may_change = planned.recipe.is_foreign and request.starts_later
        return Signature(digest, installed=parts["environment"][-1] if may_change else None)

    def _code(self, planned: Plan, stash: Provenance, code: Provenance) -> Any:
        found, request = code.code, planned.request
        if found.unknown is not None or found.commit is None:
            raise Unknowable("git doesn't tell which code it is")
        lacking = [*dict.fromkeys((*found.omitted, *found.withheld, *code.untold))]
        if lacking:
            raise Unknowable(f"its code has changes that no patch tells: {listed(lacking, _SHOWN)}")
        if found.snapshot is not None:
            live = request.frozen.live if request.frozen is not None else planned.directory
            return self._of_frozen(request.stash.root, live, found.snapshot)
        if request.to_be_frozen:  # in a dry run, which freezes nothing
            if found.dirty or (planned.pin is not None and planned.pin.commit != found.commit):
                raise Unknowable("in a dry run it can't be told what its frozen code will be")
            return self._of_frozen(request.stash.root, planned.directory, found.commit)
        shared = self._shared_with_conf(Path(found.path), request.stash.conf)
        if request.starts_later:
            raise Unknowable("its code is used live, and may be changed while it waits (code=frozen)")
        if shared is None:
            return [found.commit, _digest_of(code.patch)] if found.dirty else [found.commit]
        root, conf = shared
        if stash.code.unknown is not None or stash.code.commit is None or stash.untold:
            raise Unknowable("git doesn't tell what has changed in the stash, where its code lies")
        if not found.dirty and self._below(root, found.commit, Path(found.path)) is None:  # all of it is ignored
            raise Unknowable("git knows nothing of its code")
        rest, withheld = _without_below(stash.patch, conf), [each for each in stash.code.withheld if each != conf]
        if withheld:
            raise Unknowable(f"the stash has changes that no patch tells: {listed(withheld, _SHOWN)}")
        changed = [_digest_of(rest), _digest_of(code.patch)]
        return ["in the stash", self._around(root, stash.code.commit, conf), changed]

    def _shared_with_conf(self, directory: Path, conf: Path) -> tuple[Path, str] | None:
        """Return the root of the repository that both code and `conf` lie in, and where in there `conf` is."""

        def look() -> tuple[Path, str] | None:
            root, real = toplevel(directory.resolve()), conf.resolve()
            return None if root is None or root != toplevel(real) else (root, os.path.relpath(real, root))

        return self._once(("shared", directory, conf), look)

    def _tops(self, planned: Plan) -> tuple[Path | None, Path | None]:
        """Return the roots of the repositories that a tool's directory and the stash lie in."""
        directory, stash = planned.directory, planned.request.stash.root
        return self._once(("tops", directory, stash), lambda: (toplevel(directory), toplevel(stash)))

    def _of_frozen(self, stash: Path, live: Path, commit: str) -> list[str]:
        """Return what tells frozen code: of a tool in the stash's repository its own directory, else its commit."""

        def look() -> list[str]:
            real = live.resolve()
            root = toplevel(real)
            if root is None or root != toplevel(stash.resolve()):
                return [commit]
            return ["a directory", str(self._below(root, commit, real))]

        return self._once(("frozen", stash, live, commit), look)

    def _below(self, root: Path, commit: str, directory: Path) -> str | None:
        """Return what a commit has at a directory; None if it has nothing there."""

        def look() -> str | None:
            path = directory.resolve().relative_to(root).as_posix()
            return objects.object_at(root, f"{commit}:{'' if path == '.' else path}")

        return self._once(("below", root, commit, directory), look)

    def _around(self, root: Path, commit: str, conf: str) -> Any:
        """Return all that a commit holds but ``conf``, which reaches a tool only as what it is told."""
        return self._once(("around", root, commit, conf), lambda: objects.beside(root, commit, conf))

    def _environment(self, planned: Plan, places: _Places, code: Provenance, variables: Mapping[str, str]) -> Any:
        recipe = planned.recipe
        if planned.command.modules:
            raise Unknowable("it uses modules as they are here: whether what they bring has changed can't be known")
        if planned.notebook is not None and planned.notebook.language != "python":
            raise Unknowable(f"it uses a kernel for {planned.notebook.language} as it is here")
        first = planned.command.argv[0]
        is_its_python = recipe.file is not None and first == str(recipe.file)
        is_of_system = recipe.directory is None or _is_of_system(first, planned.command.path)
        if is_of_system and not is_its_python and _WITH_PACKAGES.fullmatch(name := os.path.basename(first)):
            raise Unknowable(
                f"it uses {name} as it is here: whether what is installed there has changed can't be known"
            )
        if recipe.directory is None:
            if recipe.file is None:
                return recipe.kind.value
            return [recipe.kind.value, str(recipe.file), *self._foreign(planned, recipe.file, places, code, variables)]
        made = environments.contents(recipe)
        if made is None:
            raise Unknowable("its environment isn't made yet")
        if made.is_changed:
            raise Unknowable("its environment has been changed since it was made")
        packages = [unquote(line) for line in made.packages]
        local = [line for line in packages if "file://" in line]
        elsewhere = [line for line in local if _CODE not in places.hidden(line)]
        if elsewhere:
            raise Unknowable(f"it uses what lies elsewhere: {listed(elsewhere, _SHOWN)}")
        is_copied = any(not line.startswith("-e ") for line in local)  # as it was then, whatever the code is now
        return [recipe.kind.value, made.python, packages, made.moment if is_copied else None]

    def _foreign(
        self, planned: Plan, python: Path, places: _Places, code: Provenance, variables: Mapping[str, str]
    ) -> list[str]:
        """Return the version of an interpreter that others keep, and the digest of what it has installed."""
        if "PYTHONHOME" in variables:
            raise Unknowable("what it imports is found by PYTHONHOME")
        from experimentstash.adapters.python.inventory import Inventory, user_base  # here, as most tools have their own

        base = user_base({**os.environ, **variables})
        commit = code.code.snapshot or code.code.commit
        found = self._told(("inventory", python, base), lambda: Inventory(python, base))
        for each in found.led:
            self._refuse_unknown(planned, each, places, commit)
        version, digest, editable = self._told(("installed", python, base), found.contents)
        for each in editable:
            self._refuse_unknown(planned, each, places, commit)
        return [version, digest]

    def _told(self, key: Hashable, look: Callable[[], _Found]) -> _Found:
        """Return what a look at an interpreter has found not long ago, or finds now."""
        from experimentstash.adapters.python.inventory import Untold

        def told() -> _Found | Untold:
            try:
                return look()
            except Untold as error:
                return error

        found = self._recent.get(key, told)
        if isinstance(found, Untold):
            raise Unknowable(f"it uses an interpreter that others keep: {found.message}")
        return found

    def _refuse_unknown(self, planned: Plan, directory: Path, places: _Places, commit: str | None) -> None:
        """Raise Unknowable if an interpreter imports from a directory that isn't known as part of the tool's code."""
        frozen = planned.request.frozen
        root = toplevel((planned.directory if frozen is None else frozen.live).resolve())
        is_code = any(directory.is_relative_to(os.path.realpath(each)) for each in places.code)
        if not is_code or root is None or commit is None or toplevel(directory) != root:
            raise Unknowable(f"it uses what lies elsewhere: {directory}, where its interpreter imports from")
        if self._below(root, commit, directory) is None:
            raise Unknowable(f"git knows nothing of {directory}, where its interpreter imports from")

    def _read(self, planned: Plan, places: _Places, variables: Mapping[str, str]) -> dict[str, Any]:
        """Return what the files and directories are that a run's words name, and what starts it."""
        command, tool = planned.command, planned.request.config.tool
        base = str(planned.directory) if planned.apart is not None else command.cwd
        texts = [*command.argv[1:], *(value for name, value in variables.items() if name != "PYTHONPATH")]
        found = self._inputs.of([*texts, *inputs.words_of(planned.params)], base, places.own, places.code)
        for each in places.foreign(variables.get("PYTHONPATH", "")):
            found[f"imports from {each}"] = self._inputs.at(os.path.normpath(os.path.join(base, each)))
        for name in tool.shared:
            found[f"shared {name}"] = self._inputs.at(os.path.normpath(planned.directory / name))
        first = command.argv[0] if command.argv else ""
        search = os.pathsep.join(filter(None, [command.path, os.environ.get("PATH", os.defpath)]))
        program = self._once(("program", first, search), lambda: inputs.program(first, search))
        directory = planned.recipe.directory
        is_own = directory is not None and (Path(first).is_relative_to(directory) or command.path is not None)
        if program is not None and (not is_own or _is_of_system(first, command.path)):
            found["program"] = self._inputs.at(str(program))
        return found


def _is_of_system(program: str, own: str | None) -> bool:
    """Tell whether a program's name stands for one that a tool's environment, whose programs are in ``own``, lacks."""
    return "/" not in program and (own is None or not os.path.lexists(os.path.join(own, program)))


class _Places:
    """Where things are, which makes no difference to what a run is."""

    def __init__(self, planned: Plan, tops: tuple[Path | None, Path | None]) -> None:
        """``tops`` are the roots of the tool's repository and of the stash's."""
        request = planned.request
        directory, sweep = str(request.directory), request.sweep
        self.own = [directory, *([str(sweep)] if sweep is not None else [])]
        live = planned.directory
        root = request.frozen.tree if request.frozen is not None else tops[0] or live
        code = [live] if root == tops[1] else [root, live]
        if request.plot is not None and planned.apart is not None:
            code += [Path(planned.apart.path), request.plot.frozen.tree]
        self.code = [str(each) for each in code]
        names = {directory: "<run>", **({str(sweep): "<sweep>"} if sweep is not None else {})}
        names |= dict.fromkeys(self.code, _CODE)
        if planned.recipe.directory is not None:
            names[str(planned.recipe.directory)] = "<environment>"
        names.setdefault(str(request.stash.root), "<stash>")
        self._names = {_in_json(path): names[path] for path in sorted(names, key=len, reverse=True)}

    def hidden(self, text: str) -> str:
        """Return a text in which these places have names instead."""
        return named(text, self._names)

    def foreign(self, search_path: str) -> list[str]:
        """Return those places of a search path that aren't the code's."""
        return [each for each in search_path.split(os.pathsep) if each and not self.hidden(each).startswith(_CODE)]


@functools.lru_cache(maxsize=256)  # most of them are the same in all runs of a sweep
def _in_json(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)[1:-1]


# All runs of a sweep have the same patches as a rule, and these may be large.
_without_below = functools.lru_cache(maxsize=2)(without_below)


@functools.lru_cache(maxsize=4)
def _digest_of(patch: str) -> str:
    if _DIRTY_SUBMODULE.search(patch):
        raise Unknowable("its code has changes inside a submodule, which no patch tells")
    return hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest()
