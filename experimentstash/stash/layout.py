"""Where everything in a stash is. The only module that knows the layout."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.base.files import kind_at, read_text
from experimentstash.base.output import say
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import why_unusable
from experimentstash.stash import names, paths
from experimentstash.stash.names import token_of as token_of

TOKEN = f"[{names.ID_ALPHABET}]{{{names.ID_LENGTH}}}"  # as a regular expression has it
# Where interpolations, and the jobs of every launcher, read the stash's root.
ROOT_VARIABLE = "EXPERIMENTSTASH_ROOT"
# All that there may be in `.experimentstash`, an import that goes on included.
_PRIVATE = regex(r"environments|builds|code|clones|locks|bugs|places|writes|import-\w+|\.gitignore")
# And in `backups`.
_BACKUPS = regex(r".+-\d{8}-\d{6}-\w+|\.gitignore")


@dataclass(frozen=True)
class Stash:
    """The paths of one stash."""

    root: Path
    # From where paths are shown, though Hydra may go elsewhere later (hydra.job.chdir).
    here: Path = field(default_factory=lambda: _current_directory(), compare=False, repr=False)
    # Where the command line has Hydra look too, after `conf`. None for the second: what the root config says holds.
    more_dirs: tuple[Path, ...] = field(default=(), compare=False)
    searchpath: tuple[str, ...] | None = field(default=None, compare=False)

    # Where a run is composed from that is done again as it was, once `conf` has changed.
    conf_then: Path | None = field(default=None, compare=False)

    @property
    def conf(self) -> Path:
        return self.conf_then or self.root / paths.CONF

    @property
    def config_dirs(self) -> tuple[Path, ...]:
        """Where configuration files are, in Hydra's order: `conf`, and where it is told to look besides."""
        entries = _searchpath(self.conf / "config.yaml") if self.searchpath is None else self.searchpath
        further = (_place(entry) for entry in entries)
        return self.conf, *self.more_dirs, *(place for place in further if place is not None)

    def config_file(self, name: str) -> Path:
        """Return the file of a config (`exp/figure1/pca`), in the first place that has it; in `conf` if none has."""
        files = [place / f"{name}.yaml" for place in self.config_dirs]
        return next((file for file in files if os.path.lexists(file)), files[0])

    @property
    def run_roots(self) -> tuple[Path, Path]:
        """Where single runs and sweeps are kept, unless the configuration says otherwise (see ``run_places``)."""
        return self.root / paths.OUTPUTS, self.root / paths.MULTIRUN

    @property
    def private(self) -> Path:
        """What can be made anew at any time: environments, locks, logs of bugs; and the code of queued runs."""
        return self.root / paths.PRIVATE

    @property
    def environments(self) -> Path:
        return self._own("environments")

    @property
    def builds(self) -> Path:
        """What was built of tools' checkouts, or where that is noted; of frozen code it is beside that."""
        return self._own("builds")

    @property
    def code(self) -> Path:
        return self._own(paths.CODE)

    @property
    def clones(self) -> Path:
        return self._own("clones")

    @property
    def places(self) -> Path:
        return self._own("places")

    @property
    def bugs(self) -> Path:
        return self._own("bugs")

    def writes(self, tool: str) -> Path:
        """Where is noted what a tool has written into its checkout (see ``written``)."""
        return self._own("writes") / f"{tool}.json"

    def lock(self, name: str) -> Path:
        return self._own(paths.LOCKS) / f"{name}.lock"

    def _own(self, name: str) -> Path:
        """Return a folder of ours. StashError if somebody has put something else in its place.

        `.experimentstash` as a whole may be a link to where there is room; but not to where others keep their files.
        """
        _refuse_strangers(self.private, _PRIVATE)
        folder = self.private / name
        if (kind := kind_at(folder)) not in (None, "a directory"):
            raise StashError(
                f"{folder} is {kind}, where a directory must be.",
                f"remove it (to keep these things elsewhere, make a link of {self.private.name} as a whole)",
            )
        return folder

    @property
    def backups(self) -> Path:
        """What removed tools have left. StashError if it leads to where others keep their files."""
        _refuse_strangers(self.root / paths.BACKUPS, _BACKUPS)
        return self.root / paths.BACKUPS

    def frozen(self, name: str) -> Path:
        """Where runs are kept that were frozen under a name."""
        return self.root / paths.FROZEN / name

    def registration(self, tool: str) -> Path:
        return self.root / paths.registration(tool)

    def organizer(self, name: str) -> Path:
        return self.config_file(f"exp/{name}")

    def tools(self) -> list[str]:
        """Return the names of the tools that are registered in `conf`, sorted."""
        return _options(self.root / paths.REGISTRATIONS)

    def known_tools(self) -> list[str]:
        """Return the names of the tools that an experiment can choose, wherever they are registered, sorted."""
        return sorted({name for place in self.config_dirs for name in _options(place / "tool")})

    def experiments(self) -> list[str]:
        """Return the names of all experiment organizers (figure1/pca_swissroll), wherever Hydra finds them, sorted."""
        return sorted({name for place in self.config_dirs for name in _options(place / "exp")})

    def own_experiments(self) -> list[str]:
        """Return the names of the experiment organizers in `conf`, sorted."""
        return _options(self.root / paths.ORGANIZERS)

    def matching_experiments(self, pattern: str) -> list[str]:
        """Return the experiments that a name or a glob pattern stands for.

        Raises StashError if there is none.
        """
        everything = self.experiments()
        name = pattern if pattern in everything else pattern.removesuffix(".yaml")
        if name in everything:
            return [name]
        found = usable([experiment for experiment in everything if fnmatch.fnmatchcase(experiment, name)], "exp")
        if found:
            return found
        if any(mark in name for mark in "*?["):
            raise StashError(f"No experiment matches {pattern!r}.\n{self.inventory()}")
        raise StashError(f"There is no experiment {name!r}.{did_you_mean(name, everything)}\n{self.inventory()}")

    def inventory(self) -> str:
        """Say which experiments there are, each with its description."""
        experiments = self.experiments()
        if not experiments:
            return f"There are no experiments in {self.root / paths.ORGANIZERS} yet."
        width = max(map(len, experiments))
        shown = experiments[:100]
        lines = [f"  {name:<{width}}  {_description(self.organizer(name))}".rstrip() for name in shown]
        if len(experiments) > len(shown):
            lines.append(f"  … and {len(experiments) - len(shown)} more in {self.root / paths.ORGANIZERS}")
        return "\n".join(["Experiments:", *lines])

    def relative(self, path: Path | str) -> str:
        """Return a path as it is shown: relative to the current directory where it is inside the stash."""
        absolute, root = str(Path(path)), str(self.root)
        return os.path.relpath(absolute, self.here) if f"{absolute}/".startswith(f"{root.rstrip('/')}/") else absolute


def as_kept(root: Path, path: Path) -> str:
    """Return a path as files of a stash keep it: relative in there, because a stash may be moved or have two paths."""
    return os.path.relpath(path, root) if path.is_relative_to(root) else str(path)


def usable(names: Iterable[str], group: str) -> list[str]:
    """Return those names that Hydra can choose; the others are told: they don't spoil it for what a glob stands for."""
    found = []
    for name in names:
        if (why := why_unusable(name)) is None:
            found.append(name)
        else:
            say(f"{paths.CONF}/{group}/{name}.yaml is left out: {why}; rename it")
    return found


def _refuse_strangers(folder: Path, ours: re.Pattern[str]) -> None:
    """Refuse a link that leads nowhere, or to a directory in which there is something else than ours."""
    if (kind := kind_at(folder)) in (None, "a directory"):
        return
    if not folder.is_dir():
        where = f" that leads to {os.path.realpath(folder)}, where no directory is" if kind == "a symbolic link" else ""
        raise StashError(f"{folder} is {kind}{where}: a directory must be there.", f"remove it: {folder}")
    if others := [name for name in os.listdir(folder) if not ours.fullmatch(name)]:
        raise StashError(
            f"{folder} leads to {os.path.realpath(folder)}, where other things lie ({others[0]}).",
            "link it to an empty directory, or remove the link",
        )


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it has been removed
        return Path("/")


def find_stash(start: Path | None = None) -> Stash:
    """Return the stash that ``start`` (default: the current directory) is in, looking upwards as git does.

    Raises StashError outside one.
    """
    try:
        directory = (start or Path.cwd()).absolute()
    except FileNotFoundError as error:
        raise StashError("The current directory no longer exists.", "cd into a stash") from error
    root = names.root_of(str(directory))
    if root is None:
        raise StashError(
            f"{directory} is not inside a stash (no {paths.ROOT_CONFIG} of one here or above).",
            "cd into a stash, or make one: experimentstash init",
        )
    return Stash(Path(root))


def new_token() -> str:
    """Return a short random name, part of the path of a run or a sweep."""
    return "".join(names.ID_ALPHABET[byte % len(names.ID_ALPHABET)] for byte in os.urandom(names.ID_LENGTH))


def run_id(directory: Path) -> str:
    """Return the id of the run in ``directory``.

    outputs/2026-01-31/12-00-00-k3f9a2b → k3f9a2b; multirun/2026-01-31/12-00-00-k3f9a2b/7 → k3f9a2b-7; random elsewhere.
    """
    return known_id(directory) or new_token()


def known_id(directory: Path) -> str | None:
    """Return the id that the path of a run tells; None where it was named otherwise and only the record knows."""
    own = token_of(directory.name)
    if own:
        return own
    sweep = token_of(directory.parent.name)
    return f"{sweep}-{directory.name}" if sweep and directory.name.isdecimal() else None


def _searchpath(root_config: Path) -> list[str]:
    """Return where a root config has Hydra look for configs besides."""
    try:
        stat = root_config.stat()
    except OSError:
        return []
    return _searchpath_in(root_config, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _searchpath_in(root_config: Path, *mark: int) -> list[str]:
    try:
        if "searchpath" not in read_text(root_config, errors="replace"):
            return []
        from experimentstash.base import yaml_files  # here, because few root configs say anything of it

        entries = yaml_files.mapping(root_config)["hydra"]["searchpath"]
    except (OSError, StashError, KeyError, TypeError):
        return []
    return [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []


def _place(entry: str) -> Path | None:
    """Return the directory that an entry of a search path names; None if Hydra is to say what is wrong with it."""
    if "${" in entry:
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            entry = str(OmegaConf.create({"entry": entry}).entry)
        except OmegaConfBaseException:
            return None
    scheme, separator, rest = entry.partition("://")
    if not separator or scheme == "file":
        return Path(rest if separator else entry)
    if scheme != "pkg":
        return None
    from importlib import resources

    try:
        found = resources.files(rest.replace("/", "."))
    except Exception:  # whatever the package's own code raises
        return None
    return found if isinstance(found, Path) else None


def _options(group: Path) -> list[str]:
    return names.options(str(group))


def _description(organizer: Path) -> str:
    """Return the one-line description of an organizer without parsing YAML (there may be thousands)."""
    try:
        for line in read_text(organizer, errors="replace").split("\n"):
            if line.startswith("description:"):
                return line.partition(":")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""
