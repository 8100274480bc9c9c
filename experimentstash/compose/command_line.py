"""What a command line of Hydra's says: its options, typed, and its overrides, in whatever order they were given."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.files import kind_at, read_regular
from experimentstash.base.patterns import regex
from experimentstash.compose.hydra_compat import get_args_parser
from experimentstash.stash.layout import Stash

# The options that make a sweep of a command line.
MULTIRUN = ("-m", "--multirun")
SHELLS = ("bash", "fish", "zsh")
# Options that say where configurations are, and nothing of what is to be done with them.
_PLACES = ("config_dir", "config_name", "config_path")
_LONGEST_PICKLE = 100_000_000
_COMPLETION = regex(rf"(?:(?:un)?install|query)=(?:{'|'.join(SHELLS)})")


@dataclass(frozen=True)
class CommandLine:
    """A command line; ``options`` are Hydra's with their values, those apart that make a sweep."""

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    is_sweep: bool
    only_runs: bool  # nothing is asked for but runs, and how many may be left to us
    config_dir: str | None = None

    @property
    def words(self) -> list[str]:
        """The arguments that say the same; options first, because argparse accepts none between overrides."""
        return [*(["--multirun"] if self.is_sweep else []), *self.options, *self.overrides]


class _Parser(argparse.ArgumentParser):
    """Hydra's own parser, but for how it says what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise StashError(f"command line: {message}.", "experimentstash --help shows what there is")


def read(argv: Sequence[str]) -> CommandLine:
    """Return what the arguments say. StashError for what Hydra doesn't know, or can't do together."""
    parser = get_args_parser()
    parser.__class__ = _Parser
    given = vars(parser.parse_intermixed_args(list(argv)))
    overrides, is_sweep = given.pop("overrides"), given.pop("multirun")
    _check(given, overrides, is_sweep)
    options: list[str] = []
    for name, value in given.items():
        if value not in (None, False):
            options += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    asked = [name for name, value in given.items() if value not in (None, False) and name not in _PLACES]
    only_runs = not asked and not any(word.startswith("hydra.mode=") for word in overrides)
    return CommandLine(tuple(options), tuple(overrides), is_sweep, only_runs, given["config_dir"])


def _check(given: dict[str, object], overrides: Sequence[str], is_sweep: bool) -> None:
    shows = next((name for name in ("cfg", "info") if given[name] is not None), None)
    if shows is not None and is_sweep:
        raise StashError(
            f"command line: --{shows} shows the configuration of one run, and a sweep has several.",
            "leave -m out, and name one experiment with one value for each key",
        )
    if given["resolve"] and given["cfg"] is None and not given["help"]:
        raise StashError("command line: --resolve is for --cfg.", "--cfg job --resolve")
    if given["package"] is not None and given["cfg"] is None:
        raise StashError("command line: --package is for --cfg.", f"--cfg job --package {given['package']}")
    if [given["cfg"] is not None, given["info"] is not None, given["shell_completion"], given["run"]].count(True) > 1:
        raise StashError("command line: only one of --run, --cfg, --info and --shell-completion can be asked for.")
    if given["run"] and is_sweep:
        raise StashError("command line: --run asks for one run, and --multirun for a sweep.", "leave one of them out")
    if given["shell_completion"]:
        if len(overrides) != 1 or not _COMPLETION.fullmatch(overrides[0]):
            shells = ", ".join(SHELLS)
            raise StashError(
                f"command line: there is completion for {shells}: install=SHELL or uninstall=SHELL.",
                'eval "$(experimentstash -sc install=bash)"',
            )
        if overrides[0].startswith("query=") and "COMP_LINE" not in os.environ:
            raise StashError("command line: query= is what a shell asks, with the line so far in COMP_LINE.")
    rerun = given["experimental_rerun"]
    if rerun is not None:
        if overrides or is_sweep:
            raise StashError("command line: --experimental-rerun takes nothing besides: it does what is in its file.")
        kind = kind_at(os.path.realpath(str(rerun)))
        what = f"is {kind}" if kind else "does not exist"
        if kind == "a file":
            what = "" if _is_of_hydra(str(rerun)) else "is no config.pickle of Hydra's"
        if what:
            raise StashError(
                f"--experimental-rerun: {rerun} {what}.",
                "name the config.pickle of an earlier run; or resume the run: experimentstash resume RUN",
            )


def _is_of_hydra(path: str) -> bool:
    """Tell whether a file is a pickle that has a configuration in it; nothing of it is executed."""
    import pickletools

    try:
        found = pickletools.genops(read_regular(path, _LONGEST_PICKLE))
        return any(str(value).startswith("omegaconf.dictconfig") for _, value, _ in found)
    except (OSError, ValueError):
        return False


def in_places(stash: Stash, line: CommandLine) -> Stash:
    """Return the stash with the places in which a command line has Hydra look for configurations."""
    more = () if line.config_dir is None else (Path(line.config_dir).absolute(),)
    searchpath = None
    for word in line.overrides:
        if re.match(r"\+{0,2}hydra\.searchpath=", word):
            try:
                entries = OverridesParser.create().parse_override(word).value()
            except (HydraException, ValueError):
                continue  # it is told where it is composed
            searchpath = tuple(map(str, entries)) if isinstance(entries, list) else None
    if not more and searchpath is None:
        return stash
    return replace(stash, more_dirs=more, searchpath=searchpath)
