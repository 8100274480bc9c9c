"""How metrics are shown where runs are compared: `metrics:` in conf/config.yaml, and in the experiments' organizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, did_you_mean
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers
from experimentstash.stash.schema import Better

_FORM = "metrics: {accuracy: {better: higher, label: Acc.}}"
_KEYS = ("better", "label")


@dataclass(frozen=True)
class Metric:
    """A number that runs come to: its name, what its column is headed, and which of its values are the good ones."""

    name: str
    label: str
    better: Better | None = None


def declared(stash: Stash, experiments: Iterable[str]) -> dict[str, Metric]:
    """Return the metrics that the stash and these experiments say something of, in its order.

    StashError for what makes no sense, and where two experiments disagree.
    """
    organizers = Organizers(stash)
    found = _read(organizers.of_root("metrics"), paths.ROOT_CONFIG)
    said_by: dict[str, str] = {}
    for name in sorted(set(experiments)):
        where = paths.organizer(name)
        for metric in _read(organizers.of(name, "metrics"), where).values():
            if metric.name in said_by and found[metric.name] != metric:
                raise StashError(
                    f"{said_by[metric.name]} and {where} say different things of the metric {metric.name!r}.",
                    f"say it in {paths.ROOT_CONFIG}, once for all",
                )
            said_by[metric.name] = where
            found[metric.name] = metric
    return found


def _read(content: Any, where: str) -> dict[str, Metric]:
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise StashError(f"{where}: metrics is no mapping of names.", _FORM)
    return {str(name): _metric(str(name), given, f"{where}: metrics.{name}") for name, given in content.items()}


def _metric(name: str, given: Any, where: str) -> Metric:
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise StashError(f"{where}: {given!r} is no mapping.", _FORM)
    unknown = next((str(key) for key in given if key not in _KEYS), None)
    if unknown is not None:
        raise StashError(
            f"{where}: unknown key {unknown!r}.{did_you_mean(unknown, _KEYS)}\nValid: {', '.join(_KEYS)}", _FORM
        )
    better, label = given.get("better"), given.get("label")
    valid = [each.value for each in Better]
    if better is not None and better not in valid:
        raise StashError(
            f"{where}.better: {better!r} is none of {', '.join(valid)}.{did_you_mean(str(better), valid)}", _FORM
        )
    if label is not None and not isinstance(label, str):
        raise StashError(f"{where}.label: {label!r} is no text.", _FORM)
    return Metric(name, label or name, None if better is None else Better(better))
