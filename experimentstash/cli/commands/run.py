"""``experimentstash run EXPERIMENT… [overrides]``: the short form of the Hydra command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.quoting import quoted
from experimentstash.stash.layout import Stash

EXAMPLES = (
    ("run figure1/pca", "one run"),
    ("run figure1/pca params.seed=1 timeout=2h", "with other settings"),
    ("run 'figure1/*' hydra/launcher=slurm", "all, on SLURM"),
    ("run -m figure1/pca params.seed=1,2,3", "a sweep"),
    ("run figure1/pca validate_only=true", "show its command"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe what Hydra reads in the end, as far as it matters here; the rest is in Hydra's own help."""
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help="an experiment, or a glob: 'figure1/*'")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's KEY=VALUE, +KEY=VALUE and ~KEY")
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over KEY=A,B (as several experiments do)")
    parser.add_argument("--cfg", choices=("job", "hydra", "all"), help="show the configuration, and run nothing")
    parser.add_argument("--hydra-help", action="store_true", help="show all settings, configuration groups and flags")


def hydra_arguments(stash: Stash, arguments: Sequence[str]) -> list[str]:
    """Return the arguments for the Hydra application that ``run`` with ``arguments`` stands for.

    Words without `=` name experiments, globs included; several make a sweep. StashError for one that isn't there.
    """
    from experimentstash.compose import command_line  # which brings Hydra: who only asks for help needn't wait for it

    line = command_line.read(arguments)
    stash = command_line.in_places(stash, line)
    known = set(stash.experiments())
    patterns = [word for word in line.overrides if word in known or ("=" not in word and not word.startswith("~"))]
    others = [word for word in line.overrides if word not in patterns]
    if not patterns:
        raise StashError(
            f"Which experiment shall run?\n{stash.inventory()}", "experimentstash run NAME (or 'figure1/*')"
        )
    found = dict.fromkeys(name for pattern in patterns for name in stash.matching_experiments(pattern))
    experiments = f"+exp={','.join(map(quoted, found))}"
    return replace(line, overrides=(experiments, *others), is_sweep=line.is_sweep or len(found) > 1).words
