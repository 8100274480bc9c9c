"""Something that may be the entrypoint of a foreign repository, and how likely it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.freeze.build.commands import Command
from experimentstash.freeze.declared.option import Declared, Option
from experimentstash.stash.schema import CallStyle
from experimentstash.tools.detect.hydra_configs import Hydra

_OUTPUT_OPTIONS: tuple[str, ...] = (
    "output-dir",
    "output_dir",
    "out-dir",
    "out_dir",
    "outdir",
    "output",
    "out",
    "save-dir",
    "save_dir",
)
_OUTPUT_OPTIONS += ("results-dir", "results_dir", "log-dir", "logdir", "workdir", "work-dir", "work_dir")
_MOST_SHOWN = 100


class Rank(IntEnum):
    """Why a file may be what one starts, the surest reason first."""

    SCRIPT_OF_PROJECT = 1  # [project.scripts]
    PACKAGE_MAIN = 2  # package/__main__.py
    MAIN_FILE = 3  # train.py, main.py or run.py
    INNER_MAIN_FILE = 4  # … in src/ or in a package
    HYDRA_MAIN = 5
    COMMAND_LINE = 6  # parses arguments
    PROGRAM = 7  # does something when it is started
    BUILT = 8  # made by its build system
    EXECUTABLE = 9
    OTHER_LANGUAGE = 10  # a script that another program runs
    NOTEBOOK = 11


# Which reasons are as good as each other: between those that are, somebody has to choose.
_CLASSES = {Rank.SCRIPT_OF_PROJECT: 1, Rank.PACKAGE_MAIN: 2, Rank.MAIN_FILE: 2, Rank.INNER_MAIN_FILE: 3}
_USUAL_CLASS, _MINOR_CLASS, _OTHER_CLASS = 4, 5, 6
# Of a tool's subcommands those that do what a run is for.
_USUAL_SUBCOMMANDS = ("train", "fit", "run", "main")


@dataclass(frozen=True)
class Candidate:
    """Something that may be the tool's entrypoint."""

    entrypoint: str
    rank: Rank
    file: str | None  # relative to the tool's directory
    style: CallStyle  # what isn't Hydra has its own by `with_declared`
    hydra: Hydra | None = None
    declared: Declared = field(default_factory=Declared)
    is_minor: bool = False  # prepares, tests or shows something, by its name
    subcommand: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)  # of `call`, that its source tells
    build: tuple[Command, ...] = ()  # what makes it ready

    @property
    def likely_subcommand(self) -> str | None:
        """The one subcommand that nothing equals; None: there are several, or there is no need of one."""
        names = self.declared.subcommands if self.declared.needs_subcommand else ()
        usual = [name for name in names if name in _USUAL_SUBCOMMANDS] if len(names) > 1 else names
        return usual[0] if len(usual) == 1 else None

    @property
    def likeliness(self) -> int:
        """The class that it is in, the likeliest being 1: within a class nothing tells which one is meant."""
        usual = _CLASSES.get(self.rank, _USUAL_CLASS)
        # A notebook that takes parameters is made to be run; any other may be a draft.
        if self.rank is Rank.OTHER_LANGUAGE or (self.rank is Rank.NOTEBOOK and not self.options):
            return _OTHER_CLASS
        if not self.is_minor:
            return usual
        return _USUAL_CLASS if self.rank in (Rank.SCRIPT_OF_PROJECT, Rank.PACKAGE_MAIN) else _MINOR_CLASS

    @property
    def output_option(self) -> str | None:
        """The option that says where to write."""
        names = {each.name.lstrip("-") for each in self.options if not each.is_positional}
        return next((f"--{name}" for name in _OUTPUT_OPTIONS if name in names), None)

    @property
    def options(self) -> tuple[Option, ...]:
        return self.declared.options


def is_clear(found: Sequence[Candidate]) -> bool:
    """Tell whether the first of these has no equal."""
    if not found or found[0].likeliness == _OTHER_CLASS:
        return False
    return len(found) == 1 or found[0].likeliness != found[1].likeliness


def _by(each: Candidate) -> str:
    return f" by {each.build[0][0]}, as {each.file} says" if each.rank is Rank.BUILT and each.build else ""


def describe(found: Iterable[Candidate], *, is_numbered: bool = False) -> str:
    """Return the candidates as a list for people."""
    reasons = {
        Rank.SCRIPT_OF_PROJECT: "a script that its installation makes",
        Rank.PACKAGE_MAIN: "a package that can be run",
        Rank.MAIN_FILE: "by its name",
        Rank.INNER_MAIN_FILE: "by its name",
        Rank.HYDRA_MAIN: "a Hydra application",
        Rank.COMMAND_LINE: "a command line",
        Rank.PROGRAM: "does something when started",
        Rank.BUILT: "is built",
        Rank.EXECUTABLE: "an executable",
        Rank.NOTEBOOK: "a notebook",
        Rank.OTHER_LANGUAGE: "a script",
    }
    listed = list(found)
    width = max((len(each.entrypoint) for each in listed[:_MOST_SHOWN]), default=0)
    lines = [
        f"{f'{number:>3}' if is_numbered else ''}  {each.entrypoint:<{width}}  {reasons[each.rank]}{_by(each)}"
        for number, each in enumerate(listed[:_MOST_SHOWN], 1)
    ]
    return "\n".join([*lines, *([f"  … and {len(listed) - len(lines)} more"] if len(listed) > len(lines) else [])])
