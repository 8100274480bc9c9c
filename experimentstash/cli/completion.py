"""Tab completion of verbs, their options, and the names of all that there is; what else there is, Hydra's own knows.

Hydra's shell functions (``eval "$(experimentstash -sc install=bash)"``) ask ``experimentstash -sc query=SHELL`` with
the line so far in ``COMP_LINE``. Hydra itself doesn't complete a group that is added with a plus sign.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import quoted
from experimentstash.cli import verbs
from experimentstash.stash.layout import Stash, known_id, token_of

_OPTIONS = ("--help", "--hydra-help", "--version")
_GROUPS = regex(r"(?P<before>\+?(?P<group>exp|tool)=(?:[^,]*,)*)[^,]*")
_KIND = regex("[A-Z]+")
# Experiments whose parameters are looked for, of those that a command line names.
_MOST_READ = 20


def candidates(line: str, stash: Stash) -> list[str] | None:
    """Return what the last word of ``line`` may become; None if that is for Hydra to say."""
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    match = _GROUPS.fullmatch(current)
    if match:
        names = stash.experiments() if match["group"] == "exp" else stash.known_tools()
        found = [match["before"] + quoted(name) for name in names]
    elif current.startswith("p") and (chosen := _chosen(words[1:])):
        found = _parameters(stash, chosen, current)
    elif len(words) == 1:
        found = [*dict.fromkeys(verb.partition(" ")[0] for verb in verbs.VERBS), *(_OPTIONS if current else ())]
        found += [f"+exp={quoted(name)}" for name in stash.experiments()]
    elif not words:
        return None
    elif len(words) == 2 and words[1] in verbs.FAMILIES:
        found = [verb.partition(" ")[2] for verb in verbs.family(words[1])]
    else:
        return _of_verb(stash, words[1:], current)
    return [candidate for candidate in found if candidate.startswith(current)] or None


def _chosen(words: Sequence[str]) -> list[str]:
    """Return the names of the experiments that a command line to run something has, the last but the current word."""
    groups = [word.lstrip("+").removeprefix("exp=") for word in words if word.lstrip("+").startswith("exp=")]
    if words[:1] == ["run"]:
        groups += [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return [name for group in groups for name in group.split(",")]


def _parameters(stash: Stash, experiments: Sequence[str], current: str) -> list[str]:
    """Return the parameters of experiments as overrides; with its present value one that is written out."""
    from experimentstash.base import yaml_files  # here, because most words don't need what reads YAML

    found: dict[str, str] = {}
    for name in experiments[:_MOST_READ]:
        try:
            path = stash.organizer(name)
            content = yaml_files.parse(yaml_files.text_of(path), path, for_omegaconf=True)
        except (OSError, yaml_files.YamlError):  # it is no name of one, or what is there can't be read
            continue
        params = content.get("params") if isinstance(content, dict) else None
        for key, value in _flat(params if isinstance(params, dict) else {}, "params."):
            found.setdefault(key, value)
    if "=" not in current:
        return [f"{key}=" for key in found]
    key = current.partition("=")[0]
    return [f"{key}={found[key]}"] if key in found else []


def _flat(params: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(key, str):
            yield f"{prefix}{key}", _in_override(value)


def _in_override(value: Any) -> str:
    """Return a single value as an override has it; "" for others, and for one that must be given."""
    if isinstance(value, str):
        return "" if value == "???" or "${" in value else quoted(value)
    return json.dumps(value) if value is None or isinstance(value, (bool, int, float)) else ""


def _of_verb(stash: Stash, words: Sequence[str], current: str) -> list[str] | None:
    """Return what the word after some others may become, if they begin with a verb."""
    try:
        verb, given = verbs.split(words)
    except StashError:
        return []
    if verb is None or ("=" in current and "[OVERRIDE…]" in verbs.VERBS[verb][0]):
        return None
    kinds = _kinds(verb, given)
    found: Sequence[str] = ()
    if current.startswith("-") or (given and given[-1].startswith("-")):
        from experimentstash.cli import parsing  # here, because most words don't need what a verb imports

        options = parsing.parser(verb).options
        if given and given[-1] in options and (option := options[given[-1]]).nargs != 0:  # it takes a value
            found, kinds = list(option.choices or ()), [str(option.metavar or option.dest.upper())]
        elif current.startswith("-"):
            found, kinds = list(options), []
    found = found or [each for kind in kinds for each in _values(stash, kind, current)]
    return [candidate for candidate in dict.fromkeys(found) if candidate.startswith(current)]


def _kinds(verb: str, given: Sequence[str]) -> list[str]:
    """Return which kinds the next word may be of, after those that were given: as the verb's usage has them."""
    usage = verbs.VERBS[verb][0].split()
    position = sum(not word.startswith("-") for word in given)
    asked = next((word for number, word in enumerate(usage) if "…" in word or number == position), "")
    names = "FROZEN" if verb in verbs.GROUPS["Publish"] else ""  # a name elsewhere is a new one
    return [names if kind == "NAME" else kind for kind in _KIND.findall(asked)]


def _values(stash: Stash, kind: str, current: str) -> Sequence[str]:
    """Return what there is of a kind, as the verbs' usages name it."""
    if kind in ("EXPERIMENT", "GLOB"):
        return stash.experiments()
    if kind == "TOOL":
        return stash.known_tools()
    if kind in ("RUN", "SWEEP"):
        return _runs(stash, current)
    if kind == "STATE":
        from experimentstash.record.run import State

        return [state.value for state in State]
    if kind in ("FROZEN", "ID"):
        from experimentstash.code import frozen_names

        found = frozen_names.with_runs(stash)
        return [*found] if kind == "FROZEN" else sorted({each for ids in found.values() for each in ids})
    if kind == "SETTING":
        from experimentstash.stash import settings

        return [f"{section.prefix}{setting.key}" for section in settings.SECTIONS for setting in settings.of(section)]
    if kind == "BACKUP":
        return sorted(path.name for path in stash.backups.glob("[!.]*"))
    return ()


def _runs(stash: Stash, current: str) -> list[str]:
    """Return the ids of runs and sweeps, as far as paths tell them; a sweep's runs once its own id is there."""
    from experimentstash.record import (
        run_places,  # here, because who waits for a name of anything else needs no records
    )

    found = {"latest"}
    for directory in run_places.directories(stash):
        sweep = run_places.sweep_above(directory)
        token = None if sweep is None else token_of(sweep.name)
        found |= {name for name in (token, known_id(directory)) if name is not None}
        if token is not None and not current.startswith(token):
            found.discard(known_id(directory) or "")
    return sorted(found)
