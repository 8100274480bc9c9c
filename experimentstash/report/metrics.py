"""How metrics are shown where runs are compared: `metrics:` in conf/config.yaml, in organizers, in registrations.

Where they are read stands there, too: runs have taken that along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError, refuse_unknown_key, refuse_unknown_word
from experimentstash.runs.facts import Facts
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers
from experimentstash.stash.schema import Better, MetricConfig

_FORM = "metrics: {accuracy: {better: higher, label: Acc.}}"
_KEYS = tuple(MetricConfig.__annotations__)
_Said = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Metric:
    """A number that runs come to: its name, what its column is headed, and which of its values are the good ones."""

    name: str
    label: str
    better: Better | None = None


def declared(stash: Stash, experiments: Iterable[str], tools: Iterable[str] = ()) -> dict[str, Metric]:
    """Return the metrics that the stash, these experiments and these tools say something of, in this order.

    What an experiment says wins, and what the root config says wins over tools. StashError for what makes no sense,
    and where two experiments, or two tools, disagree.
    """
    organizers = Organizers(stash)
    root = _read(organizers.of_root("metrics"), paths.ROOT_CONFIG)
    own = _together((paths.organizer(name), organizers.of(name, "metrics")) for name in sorted(set(experiments)))
    of_tools = ((paths.registration(name), organizers.of_tool(name, "metrics")) for name in sorted(set(tools)))
    registered = _together(of_tools, root)
    found: dict[str, Metric] = {}
    for name in dict.fromkeys([*root, *own, *registered]):
        said = {**registered.get(name, {}), **root.get(name, {}), **own.get(name, {})}
        better = said.get("better")
        found[name] = Metric(name, said.get("label") or name, None if better is None else Better(better))
    return found


def of_runs(stash: Stash, runs: Sequence[Facts]) -> dict[str, Metric]:
    """Return what is declared of metrics where these runs come from; StashError as of ``declared``."""
    organizers = {facts.organizer for facts in runs}
    return declared(stash, (name for name in organizers if name is not None), {facts.tool for facts in runs})


def _together(files: Iterable[tuple[str, Any]], known: Mapping[str, Mapping[str, str]] | None = None) -> _Said:
    """Return what several files say; StashError where two disagree, unless it is ``known`` what counts."""
    found: _Said = {}
    said_by: dict[tuple[str, str], str] = {}
    for where, content in files:
        for name, said in _read(content, where).items():
            for key, value in said.items():
                other = said_by.setdefault((name, key), where)
                is_known = known is not None and key in known.get(name, {})
                if found.get(name, {}).get(key, value) != value and not is_known:
                    raise StashError(
                        f"{other} and {where} say different things of the metric {name!r}.",
                        f"say it in {paths.ROOT_CONFIG}, once for all",
                    )
            found[name] = {**found.get(name, {}), **said}
    return found


def _read(content: Any, where: str) -> _Said:
    """Return how metrics are to be shown, each by its name; without what stands for more than one."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise StashError(f"{where}: metrics is no mapping of names.", _FORM)
    read = {str(name): _metric(given, f"{where}: metrics.{name}") for name, given in content.items()}
    several = [str(name) for name, given in content.items() if isinstance(given, Mapping) and "*" in given.values()]
    return {name: said for name, said in read.items() if name not in several}


def _metric(given: Any, where: str) -> dict[str, str]:
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise StashError(f"{where}: {given!r} is no mapping.", _FORM)
    refuse_unknown_key(given, _KEYS, where, _FORM)
    better, label = given.get("better"), given.get("label")
    if better is not None:
        refuse_unknown_word(better, [each.value for each in Better], f"{where}.better", _FORM)
    if label is not None and not isinstance(label, str):
        raise StashError(f"{where}.label: {label!r} is no text.", _FORM)
    return {key: value for key, value in (("better", better), ("label", label)) if value is not None}
