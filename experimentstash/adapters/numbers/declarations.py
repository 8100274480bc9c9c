"""``metrics:`` as configurations say it: where numbers are read, and beside that how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.adapters.numbers.place import ALL
from experimentstash.base.errors import StashError

if TYPE_CHECKING:
    from experimentstash.adapters.numbers.sources import Source

# How a metric is shown; all else says where it is read.
SHOWN = ("better", "label")


def frozen(registered: Mapping[str, Any], own: Mapping[str, Any], directory: Path) -> dict[str, dict[str, Any]]:
    """Return where a run's metrics are read, as its record keeps it; StashError for what makes no sense.

    ``registered`` is what the tool's registration says, ``own`` the experiment, which wins by name. ``directory`` is
    the run's.
    """
    found = {**_given(registered), **_given(own)}
    return {name: dict(vars(checked(name, given, f"metrics.{name}", directory))) for name, given in found.items()}


def checked(name: str, given: Mapping[Any, Any], where: str, directory: Path) -> Source:
    """Return where a metric is read; StashError, with ``where`` in front, for what makes no sense."""
    from experimentstash.adapters.numbers import sources  # here, because it brings all that reads numbers

    source = sources.checked(given, where, directory)
    if name == ALL and not sources.takes_all(source):
        raise StashError(f"{where}: the name {ALL} is for all numbers of a file: {{key: '{ALL}', file: results.json}}.")
    return source


def source_of(given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the part of what is said of a metric that says where it is read."""
    return {key: value for key, value in given.items() if key not in SHOWN and value is not None}


def _given(declared: Mapping[str, Any]) -> dict[str, dict[Any, Any]]:
    each = {str(name): source_of(vars(config)) for name, config in declared.items()}
    return {name: given for name, given in each.items() if given}
