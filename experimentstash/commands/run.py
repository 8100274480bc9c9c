"""``experimentstash run EXPERIMENT… [overrides]``: the short form of the Hydra command line."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.errors import StashError
from experimentstash.workspace import Stash


def hydra_arguments(stash: Stash, arguments: Sequence[str]) -> list[str]:
    """Return the arguments for the Hydra application that ``run`` with ``arguments`` stands for.

    Words without `=` name experiments, globs included; several make a sweep. StashError for one that isn't there.
    """
    patterns = [word for word in arguments if "=" not in word and not word.startswith(("-", "~"))]
    others = [word for word in arguments if word not in patterns]
    if not patterns:
        raise StashError(
            f"Which experiment shall run?\n{stash.inventory()}", "experimentstash run NAME (or 'figure1/*')"
        )
    found = dict.fromkeys(name for pattern in patterns for name in stash.matching_experiments(pattern))
    # -m comes first: Hydra takes no overrides after an option that follows others.
    is_sweep = len(found) > 1 or bool({"-m", "--multirun"} & set(others))
    others = [word for word in others if word not in ("-m", "--multirun")]
    return [*(["-m"] if is_sweep else []), f"+exp={','.join(found)}", *others]
