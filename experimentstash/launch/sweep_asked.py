"""What a sweep, or a run, was asked to do, as its directory tells, and the command line that does it once more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.adapters.schedulers import SCHEDULERS
from experimentstash.base import typed, yaml_files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import in_quotes
from experimentstash.compose.sweepers import needs_results
from experimentstash.record import records, sweep_list
from experimentstash.record.run import Run
from experimentstash.stash.schema import SCHEDULER_LAUNCHERS, LocalLauncherConfig

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
# The launchers that leave out what is done (when a sweep goes on, ours does the basic one's work).
_SPARING = (LocalLauncherConfig._target_, *SCHEDULER_LAUNCHERS, BASIC_LAUNCHER)
# What a further try may do otherwise and still be the same run.
CIRCUMSTANCES = ("resources.", "+resources.", "++resources.", "timeout=", "grace.", "skip_completed=", "force=")
_HOW = ("hydra/launcher=", "hydra.launcher.", "+hydra.launcher.", "++hydra.launcher.")
# Where Hydra keeps what a run was asked to do, in its directory; and which of its settings are of one run alone.
_HYDRA_FILE = ".hydra/hydra.yaml"
_OF_ONE = regex(r"\+*hydra(?:\.(?:mode=|(?:run|sweep|launcher|sweeper)\.)|/(?:launcher|sweeper)=).*", re.DOTALL)
_WORDS = typed.checker("list[str]", typed.BASIC)
# An interpolation that may differ between the jobs of a sweep.
_OWN = regex(r"\$\{(?!oc\.env:|now:)")


@dataclass(frozen=True)
class _Asked:
    """What a sweep was asked to do, or a run."""

    overrides: list[str]
    of_hydra: list[str]  # those among them that are Hydra's own settings
    options: list[str]
    sweeper: str
    has_storage: bool  # its sweeper keeps a storage of its own, from which it goes on
    launcher: str
    place: str

    @classmethod
    def read(cls, path: Path) -> _Asked:
        try:
            asked = yaml_files.parse(read_regular(path).decode(), path)["hydra"]
            return cls(
                overrides=_WORDS([*asked["overrides"]["task"], *asked["overrides"]["hydra"]], "hydra.overrides"),
                of_hydra=_WORDS(list(asked["overrides"]["hydra"]), "hydra.overrides"),
                options=_WORDS(_options(asked), "hydra.runtime"),
                sweeper=typed.text(asked["sweeper"]["_target_"], "hydra.sweeper._target_"),
                has_storage=asked["sweeper"].get("storage") is not None,
                launcher=typed.text(asked["launcher"]["_target_"], "hydra.launcher._target_"),
                place=str(asked["sweep"]["dir"]),
            )
        except (OSError, ValueError, StashError, KeyError, TypeError, AttributeError) as error:
            raise StashError(f"{path}, which says what was to be done, can't be read: {error}") from error

    def again(self) -> str:
        """Return the command that does the same in a new directory."""
        kept = [word for word in self.overrides if key_of(word) not in ("hydra.mode", "hydra.sweep.dir")]
        return shlex.join(["experimentstash", "--multirun", *self.options, *kept])

    def refuse(self, sweep: Path) -> None:
        """Raise StashError if those of its runs that have not completed can't be done, one by one, in its directory."""
        if needs_results(self.sweeper):
            raise StashError(
                f"The runs of this sweep were chosen by {self.sweeper} as it went: it can't be continued run by run.",
                f"it goes on from its storage: `{self.again()}`"
                if self.has_storage
                else f"begin it again, `{self.again()}`; many sweepers go on from a storage of their own (optuna:"
                " hydra.sweeper.storage)",
            )
        if _OWN.search(self.place):
            raise StashError(
                f"The runs of this sweep may be in several directories (hydra.sweep.dir={self.place}): it can't be"
                " continued.",
                "begin it again with the overrides of what is missing; hydra.sweep.subdir may differ between runs",
            )
        if "${" in str(sweep):
            raise StashError(f"Hydra takes the name of {sweep} for an interpolation.", "rename the directory")
        sweep_list.read(sweep)


def launcher_instead(launcher: str) -> str | None:
    """Return the hydra/launcher that goes on with a sweep begun by this one, named by its class; None: itself can."""
    if launcher in _SPARING:
        return None
    return next((each.name for each in SCHEDULERS if each.name in launcher.lower()), "local")


def way_on(sweep: Path, name: str) -> str:
    """Return the command that goes on with a sweep of that name; StashError, which says why, if there is none."""
    asked = _Asked.read(sweep / records.SWEEP_FILE)
    if needs_results(asked.sweeper) and asked.has_storage:
        return asked.again()
    asked.refuse(sweep)
    instead = launcher_instead(asked.launcher)
    return shlex.join(["experimentstash", "resume", name, *([] if instead is None else [f"hydra/launcher={instead}"])])


def command_line(sweep: Path, changes: Sequence[str]) -> list[str]:
    """Return the arguments that do a sweep again in its directory; ``changes`` are overrides of how, not of what.

    StashError if it can't be continued.
    """
    asked = _Asked.read(sweep / records.SWEEP_FILE)
    asked.refuse(sweep)
    refuse_others(changes, "A sweep that is continued")
    overrides = asked.overrides
    if any(word.startswith("hydra/launcher=") for word in changes):
        overrides = [word for word in overrides if not word.startswith(_HOW)]
    replaced = {"hydra.mode", "hydra.sweep.dir", *map(key_of, changes)}
    kept = [word for word in overrides if key_of(word) not in replaced]
    return ["--multirun", *asked.options, *kept, *changes, f"hydra.sweep.dir={in_quotes(str(sweep))}"]


def anew(run: Run, changes: Sequence[str]) -> list[str]:
    """Return the arguments that do a run anew, in a new directory; ``changes`` are overrides of how, not of what."""
    refuse_others(changes, "A run that is done once more")
    path = run.path / _HYDRA_FILE
    asked = _Asked.read(path) if path.is_file() else None
    kept = [word for word in run.spec.overrides if key_of(word) not in {*map(key_of, changes)}]
    if asked is not None:
        kept += [word for word in asked.of_hydra if not _OF_ONE.fullmatch(word)]
    is_elsewhere = any(word.startswith(_HOW) for word in changes)
    return [*(["--multirun"] if is_elsewhere else []), *(asked.options if asked is not None else []), *kept, *changes]


def refuse_others(changes: Sequence[str], what: str) -> None:
    """Raise StashError if an override changes more than how a run is done."""
    for word in changes:
        if not word.startswith((*_HOW, *CIRCUMSTANCES)):
            raise StashError(
                f"{what} keeps its parameters: {word!r} would change them.",
                "what may be given: hydra/launcher=…, resources.…, timeout=…, grace.…, skip_completed=…",
            )


def _options(asked: Mapping[str, Any]) -> list[str]:
    """Return the options with which a sweep was begun and that aren't overrides."""
    from experimentstash.compose.config_store import CONFIG_NAME

    name = asked["job"]["config_name"]
    options = [] if name == CONFIG_NAME else ["--config-name", name]
    for source in asked["runtime"]["config_sources"]:
        if source["provider"] == "command-line":
            options += ["--config-dir", source["path"]]
    return options


def key_of(override: str) -> str:
    """Return what an override gives a value to."""
    return override.partition("=")[0].lstrip("+")
