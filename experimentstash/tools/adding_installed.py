"""``tool add`` without a repository: a package of an interpreter that is there already becomes a tool."""

from __future__ import annotations

import shlex
from pathlib import Path

from experimentstash.adapters.python import installed, modules
from experimentstash.adapters.python.installed import Installed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.names import check_tool_name
from experimentstash.stash import entrypoints
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle
from experimentstash.tools import adding_request, entrypoint_choice, first_configs, registering, registrations
from experimentstash.tools.detect import candidates
from experimentstash.tools.detect import sources as source_files
from experimentstash.tools.detect.candidate import Candidate, Rank
from experimentstash.tools.registering import Registered
from experimentstash.tools.transaction import Report


@dataclass(frozen=True)
class AddedPackage:
    """What `tool add` has done without a repository."""

    tool: Registered
    package: Installed


def add(
    stash: Stash,
    name: str,
    python: Path,
    entrypoint: str,
    *,
    subcommand: str | None = None,
    choose_subcommand: adding_request.ChooseSubcommand | None = None,
    report: Report,
) -> AddedPackage:
    """Register what ``entrypoint`` names in the environment of ``python`` as a tool; nothing is installed."""
    check_tool_name(name)
    directory = installed.prefix(python)
    entry = entrypoints.read(entrypoint, directory)
    package = installed.look(python, entry)
    _refuse_lacking(python, entry, package)
    again = ["experimentstash", "tool", "add", name, "--interpreter", str(python), "--entrypoint", entrypoint]
    chosen = entrypoint_choice.with_subcommand(
        _read(package, entrypoint), directory, subcommand, choose_subcommand, f"{shlex.join(again)} --subcommand"
    )
    return AddedPackage(registering.register(stash, name, _registration(package, chosen), chosen, report), package)


def _refuse_lacking(python: Path, entry: entrypoints.Entrypoint, package: Installed) -> None:
    """Raise StashError unless the environment has what is to be started."""
    if entry.is_module:
        what, is_there = f"module {entry.words[1]}", modules.is_in_environment(str(python), entry.words[1])
    else:
        first = entry.words[0]
        beside = python.parent / first
        what, is_there = f"program {first!r}", "/" not in first and not entry.runs_python and beside.is_file()
    if not is_there:
        names = ", ".join(each.partition("==")[0] for each in package.packages[:30])
        raise StashError(
            f"{python} has no {what} that can be run. Installed there: {names or 'nothing'}.",
            f"{python} -m pip install …, or another -m PACKAGE.MODULE",
        )


def _read(package: Installed, entrypoint: str) -> Candidate:
    """Return how the package is called, as far as its files tell."""
    if package.source is None or not package.source.is_dir():
        return Candidate(entrypoint, Rank.PROGRAM, None, CallStyle.options)
    root = package.source.parent
    inside = source_files.find(package.source)
    found = {
        f"{package.source.name}/{path}": source
        for path in inside
        if (source := source_files.read(package.source / path, f"{package.source.name}/{path}")) is not None
    }
    return candidates.with_declared(candidates.named(root, entrypoint, {}, found), root)


def _registration(package: Installed, chosen: Candidate) -> str:
    scalar = registrations.scalar
    call: dict[str, str | None] = {"style": chosen.style.value}
    if chosen.hydra is not None:
        key, place = chosen.hydra.experiment_key, chosen.hydra.config_directory
        call["experiment"] = scalar(key) if key not in (None, "experiment") else None
        root = package.source.parent if package.source is not None else Path()
        call["configs"] = scalar(str(root / place)) if place else None
    else:
        call |= first_configs.call_settings(chosen)
        call = {} if call == {"style": CallStyle.options.value} else call
    text = registrations.registration(
        {
            "entrypoint": scalar(chosen.entrypoint),
            "description": scalar(f"The package {package.name}") if package.name else None,
        },
        {"call": call, "environment": {"interpreter": scalar(str(package.python))}},
    )
    return f"# No path: it is a package of this interpreter, which somebody else keeps.\n{text}"
