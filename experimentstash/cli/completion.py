"""Tab completion of verbs, their options, and the names of all that there is; what else there is, Hydra's own knows.

Hydra's shell functions (``eval "$(experimentstash -sc install=bash)"``) ask ``experimentstash -sc query=SHELL`` with
the line so far in ``COMP_LINE``. Hydra itself doesn't complete a group that is added with a plus sign.
"""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.base.quoting import quoted
from experimentstash.cli import verbs
from experimentstash.stash.layout import Stash, known_id, token_of

_OPTIONS = ("--help", "--hydra-help", "--version")
_GROUPS = regex(r"(?P<before>\+?(?P<group>exp|tool)=(?:[^,]*,)*)[^,]*")
_KIND = regex("[A-Z]+")


def candidates(line: str, stash: Stash) -> list[str] | None:
    """Return what the last word of ``line`` may become; None if that is for Hydra to say."""
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    match = _GROUPS.fullmatch(current)
    if match:
        names = stash.experiments() if match["group"] == "exp" else stash.known_tools()
        found = [match["before"] + quoted(name) for name in names]
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
        from experimentstash.publish import frozen

        return frozen.names(stash) if kind == "FROZEN" else frozen.ids(stash)
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
