"""``experimentstash run EXPERIMENT… [overrides]``: the short form of the Hydra command line."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.quoting import quoted
from experimentstash.compose import command_line
from experimentstash.stash.layout import Stash


def hydra_arguments(stash: Stash, arguments: Sequence[str]) -> list[str]:
    """Return the arguments for the Hydra application that ``run`` with ``arguments`` stands for.

    Words without `=` name experiments, globs included; several make a sweep. StashError for one that isn't there.
    """
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
