"""Whether a Hydra tool had the parameters that the record says, by the configuration that Hydra itself kept of it.

Loaded only once such a tool has ended, or by ``validate --deep``: a job needs no YAML before that.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash.base.files import read_regular
from experimentstash.base.patterns import regex
from experimentstash.record.run import Run, State
from experimentstash.stash import parameters
from experimentstash.stash.parameters import Leaf, Name

# In a run's directory: where a Hydra tool keeps what it was composed of.
FOLDER = ".hydra/tool"
# Larger files are not of Hydra.
_MOST_BYTES = 20_000_000
_MOST_NAMED = 5
_ABSENT = object()
_INTERPOLATION = regex(r"(?<!\\)(?:\\\\)*\$\{")
_MEMBER = regex(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")  # of an enumeration: Color.RED
_ESCAPED = regex(r"(\\+)\$\{")


def remarks(run: Run) -> tuple[list[str], list[str]]:
    """Return warnings, for parameters that arrived otherwise than recorded, and notes, for what can't be known."""
    if not run.spec.params:
        return [], []
    folder = Path(run.directory) / FOLDER
    try:
        config, own = (_load(folder / name) for name in ("config.yaml", "hydra.yaml"))
    except OSError:
        what = f"whether the parameters arrived isn't known: the tool left no {FOLDER}/config.yaml"
        return [], [what] if run.attempt.state is State.COMPLETED else []
    if not isinstance(config, Mapping):
        return [], [f"whether the parameters arrived isn't known: {FOLDER}/config.yaml can't be read"]
    found = differences(run.spec.params, config, choices(own))
    return [f"{each} ({FOLDER}/config.yaml)" for each in found], []


def choices(own: Any) -> Mapping[str, Any]:
    """Return the choices of config groups from Hydra's own settings."""
    for key in ("hydra", "runtime", "choices"):
        own = own.get(key) if isinstance(own, Mapping) else None
    return own if isinstance(own, Mapping) else {}


def differences(params: Mapping[str, Any], config: Mapping[Any, Any], chosen: Mapping[str, Any]) -> list[str]:
    """Say of each parameter, as a record has it, that a tool's configuration has otherwise."""
    leaves = parameters.read(parameters.from_json(params))
    found = [said for name, leaf in leaves.items() for said in _difference(name, leaf, config, chosen)]
    hidden = len(found) - _MOST_NAMED
    return found if hidden <= 0 else [*found[:_MOST_NAMED], f"and {hidden} more parameters arrived otherwise"]


def _difference(name: Name, leaf: Leaf, config: Any, chosen: Mapping[str, Any]) -> Iterator[str]:
    label, group = ".".join(("params", *name)), "/".join(name)
    arrived = _at(config, name)
    if leaf.mark == "~":
        if arrived is not _ABSENT and group not in chosen:
            yield f"{label} was to be removed, and the tool had {_shown(arrived)}"
    elif group in chosen:
        given = leaf.value if isinstance(leaf.value, list) else [leaf.value]
        had = chosen[group] if isinstance(chosen[group], list) else [chosen[group]]
        if [_choice(each) for each in given] != [_choice(each) for each in had] and not isinstance(leaf.value, Mapping):
            yield f"{label} is {_shown(leaf.value)} in the record, and the tool chose {_shown(chosen[group])}"
    elif any(map(parameters.is_group, leaf.keys)) or any("@" in part for part in name):
        yield f"{label} is {_shown(leaf.value)} in the record, and the tool made no choice of {group}"
    elif arrived is _ABSENT:
        yield f"{label} is {_shown(leaf.value)} in the record, and didn't reach the tool's configuration"
    elif not _is_same(leaf.value, arrived):
        yield f"{label} is {_shown(leaf.value)} in the record, and the tool had {_shown(arrived)}"


def _at(config: Any, name: Sequence[str]) -> Any:
    for part in name:
        if isinstance(config, str) and _INTERPOLATION.search(config):
            return _Unknown()
        if isinstance(config, list) and part.isdecimal():  # an element is a parameter of its own: names.0=x
            config = config[int(part)] if int(part) < len(config) else _ABSENT
            continue
        if not isinstance(config, Mapping):
            return _ABSENT
        config = next((value for key, value in config.items() if parameters.name_of((key,)) == (part,)), _ABSENT)
    return config


def _is_same(recorded: Any, arrived: Any) -> bool:
    """Compare values. A tool with typed settings may have made a number of a text, or a member of an enumeration."""
    if isinstance(arrived, _Unknown):
        return True
    if isinstance(recorded, Mapping) or isinstance(arrived, Mapping):
        if not isinstance(recorded, Mapping) or not isinstance(arrived, Mapping) or len(recorded) != len(arrived):
            return False
        pairs = {str(parameters.name_of((key,))[0]): value for key, value in arrived.items()}
        return all(key in pairs and _is_same(value, pairs[key]) for key, value in recorded.items())
    if isinstance(recorded, list) or isinstance(arrived, list):
        is_list = isinstance(recorded, list) and isinstance(arrived, list) and len(recorded) == len(arrived)
        return is_list and all(map(_is_same, recorded, arrived))
    if isinstance(arrived, str) and isinstance(recorded, str):
        if _INTERPOLATION.search(arrived):
            return True  # the tool's own settings have put one there: nobody can tell
        text = _unescaped(arrived)
        is_member = _MEMBER.fullmatch(recorded) is not None and recorded.partition(".")[2] == text
        return is_member or recorded in (text, arrived)
    if isinstance(recorded, bool) or isinstance(arrived, bool) or recorded is None or arrived is None:
        return recorded is arrived or str(recorded).lower() == str(arrived).lower()
    try:
        one, other = float(recorded), float(arrived)
    except (TypeError, ValueError, OverflowError):
        return str(recorded) == str(arrived)
    return recorded == arrived or one == other or (one != one and other != other)


def _unescaped(text: str) -> str:
    """Return a text as OmegaConf gives it to the tool: backslashes in front of ${ take its meaning away."""
    return _ESCAPED.sub(lambda found: "\\" * (len(found[1]) // 2) + "${", text)


def _choice(name: Any) -> str:
    return str(name).removesuffix(".yaml")


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Unknown:
    """What only the tool's own code knows: an object, or the value of an interpolation."""

    def __repr__(self) -> str:
        return "something of its own"


def _load(path: Path) -> Any:
    return parse(read_regular(path, _MOST_BYTES).decode("utf-8", "replace"))


def parse(text: str) -> Any:
    """Return what Hydra has written as YAML; None if it can't be read."""
    try:
        import yaml
    except ModuleNotFoundError:  # a task of SLURM's is started without `site`; where we are installed -e, yaml isn't
        import site

        site.main()
        import yaml
    try:
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


@functools.cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, tag, node: _Unknown())
    Loader.add_multi_constructor("!", lambda loader, tag, node: _Unknown())
    return Loader
