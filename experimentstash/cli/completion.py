"""What the word at the cursor may become, each with what it is: for Tab, which waits for nothing.

The functions of `shells/` ask ``experimentstash -sc query=SHELL`` with the line so far in ``COMP_LINE``. So little is
imported here, and paths are texts, that most of an answer's time is Python's own start.
"""

from __future__ import annotations

import os
import sys

from experimentstash.base.errors import StashError
from experimentstash.base.quoting import quoted
from experimentstash.cli import verbs
from experimentstash.stash import names, paths

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Words = dict[str, str]  # each with what it is, or ""

_SHELLS = ("bash", "fish", "zsh")
_OPTIONS = {"--help": "all verbs", "--hydra-help": "Hydra's own help", "--version": "which version this is"}
_FLAGS = {"-m": "a sweep", "--cfg": "show the configuration, and run nothing", "--hydra-help": "Hydra's own help"}
# Experiments whose parameters are looked for, of those that a command line names; and `tool`'s words in a registration.
_MOST_READ = 20
# Groups of Hydra's, with what we bring and what it brings itself; and what its usual plugins bring, by their packages.
_HYDRAS = {
    "hydra/launcher": ({"basic": "one after another", "local": "side by side here", "slurm": "on SLURM"}, "launcher"),
    "hydra/sweeper": ({"basic": "all combinations", "zip": "values taken together"}, "sweeper"),
}
_PLUGINS = {
    "hydra_submitit_launcher": ("hydra/launcher", ("submitit_local", "submitit_slurm")),
    "hydra_joblib_launcher": ("hydra/launcher", ("joblib",)),
    "hydra_ray_launcher": ("hydra/launcher", ("ray", "ray_aws")),
    "hydra_rq_launcher": ("hydra/launcher", ("rq",)),
    "hydra_optuna_sweeper": ("hydra/sweeper", ("optuna",)),
    "hydra_ax_sweeper": ("hydra/sweeper", ("ax",)),
    "hydra_nevergrad_sweeper": ("hydra/sweeper", ("nevergrad",)),
}


def answer(arguments: Sequence[str]) -> str | None:
    """Return what a shell is told that asks, or is to be installed in, by what follows `-sc`; None: others say that."""
    kind, _, shell = arguments[0].partition("=") if len(arguments) == 1 else ("", "", "")
    if shell not in _SHELLS:
        return None
    if kind in ("install", "uninstall"):
        from experimentstash.cli.shells import scripts

        return scripts.script(shell, kind)
    if kind != "query" or "COMP_LINE" not in os.environ:
        return None
    try:
        directory = os.getcwd()
    except FileNotFoundError:
        directory = "/"
    found = candidates(os.environ["COMP_LINE"], names.root_of(directory))
    if found is None:
        return None
    return "".join(f"{word}\t{' '.join(about.split())}\n" if about else f"{word}\n" for word, about in found.items())


def candidates(line: str, root: str | None) -> Words | None:
    """Return what the last word of ``line`` may become; None if that is for Hydra to say."""
    words = _split(line)
    current = "" if not words or line[-1:].isspace() else words.pop()
    if not words:
        return None
    if words[1:3] == ["-m", "experimentstash"] and os.path.basename(words[0]).startswith("python"):
        words = words[2:]
    given = words[1:]
    found: Words | None
    if not given and not current.startswith(("+", "~")) and "=" not in current:
        found = {verb.partition(" ")[0]: about for verb, (_, about) in verbs.VERBS.items()}
        found |= dict.fromkeys(verbs.FAMILIES, "")
        found |= _OPTIONS if current else {}
        found |= _named("+exp=", _experiments(root)) if root and not current else {}
        return _beginning(found, current)
    if len(given) == 1 and given[0] in verbs.FAMILIES and given[0] not in verbs.VERBS:
        family = {verb: verbs.VERBS[f"{given[0]} {verb}"][1] for verb in _family(given[0])}
        return _beginning(family, current)
    try:
        verb, words = verbs.split(given) if given else (None, [])
    except StashError:
        return {}
    if root is None:
        return _beginning(_of_options(verb, words, current, root), current) if verb else {}
    takes_overrides = verb is None or "[OVERRIDE…]" in verbs.VERBS[verb][0]
    if verb is None or (takes_overrides and "=" in current):
        return _overrides(root, verb, words, current)
    found = _of_options(verb, words, current, root)
    if found is None:
        found = {}
        for kind in _kinds(verb, words):
            found |= _values(root, kind, current)
        if takes_overrides and words and current and not _beginning(found, current):
            return _overrides(root, verb, words, current)
    return _beginning(found, current)


def _beginning(found: Words | None, current: str) -> Words:
    return {word: about for word, about in (found or {}).items() if word.startswith(current)}


def _split(line: str) -> list[str]:
    if not any(mark in line for mark in "'\"\\"):
        return line.split()
    import shlex

    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return words
    return line.split()


def _family(first: str) -> list[str]:
    return [verb.partition(" ")[2] for verb in verbs.VERBS if verb.startswith(f"{first} ")]


def _named(before: str, options: Iterable[str]) -> Words:
    return {before + quoted(name): "" for name in options}


# --- overrides -------------------------------------------------------------------------------------------------------


def _overrides(root: str, verb: str | None, words: Sequence[str], current: str) -> Words | None:
    """Return what an override may become, or a word that one may begin."""
    if current.startswith("-"):
        return _beginning(_FLAGS, current)
    from experimentstash.cli.known_words import SETTINGS

    key, equals, value = current.partition("=")
    if not equals:
        found: Words = {}
        if current.startswith("+"):
            found = _named("+exp=", _experiments(root))
        elif "+exp=".startswith(current) and verb is None and not _chosen(verb, words):
            found = {"+exp=": "an experiment"}
        found |= {f"{name}=": f"now {now}" if now else "" for name, now in _parameters(root, verb, words).items()}
        found |= {f"{group}=": "" for group in ("tool", *_HYDRAS)}
        found |= {f"{name}=": about for name, (default, _, about) in SETTINGS.items() if _is_single(name, default)}
        if current.startswith("hydra/") or (current.startswith("hydra.") and not _beginning(found, current)):
            return _beginning(found, current) or None
        return _beginning(found, current) or (None if current else {})
    group = key.lstrip("+")
    before = f"{key}={value[: value.rfind(',') + 1]}"
    if group in ("exp", "tool"):
        options = _experiments(root) if group == "exp" else _tools(root)
        return _beginning(_named(before, options), current) or None
    if group in _HYDRAS:
        return _beginning({before + name: about for name, about in _of_hydra(root, group).items()}, current)
    if key in SETTINGS:
        default, choices, _ = SETTINGS[key]
        values = dict.fromkeys(choices, "")
        if default and default != "{}":
            values[default] = "the default"
        return _beginning({before + each: about for each, about in values.items()}, current)
    if key.startswith("params."):
        now = _parameters(root, verb, words).get(key)
        if now is not None:
            return _beginning({f"{key}={now}": "as it is now"}, current)
    return None


def _chosen(verb: str | None, words: Sequence[str]) -> list[str]:
    """Return the names of the experiments that a command line to run something has, the last but the current word."""
    groups = [word.lstrip("+")[len("exp=") :] for word in words if word.lstrip("+").startswith("exp=")]
    if verb == "run":
        groups += [word for word in words if not word.startswith("-") and "=" not in word]
    return [name for group in groups for name in group.split(",")]


def _parameters(root: str, verb: str | None, words: Sequence[str]) -> Words:
    """Return the parameters of the experiments that are chosen, or that a run has, each with its present value."""
    from experimentstash.stash import present_parameters

    found: Words = {}
    chosen = _chosen(verb, words)
    if verb in ("resume", "rerun", "retry", "reproduce"):
        from experimentstash.runs import ids

        chosen += filter(None, (ids.organizer(root, word) for word in words if "=" not in word))
    if any(mark in name for name in chosen for mark in "*?["):
        import fnmatch

        existing = _experiments(root)
        chosen = [name for pattern in chosen for name in (fnmatch.filter(existing, pattern) or [pattern])]
    for name in chosen[:_MOST_READ]:
        for key, value in present_parameters.of(root, name).items():
            if value or f"params.{key}" not in found:
                found.setdefault(f"params.{key}", value)
    return found


def _is_single(name: str, default: str) -> bool:
    """Tell whether a setting is one value that is given, and not a mapping, or inside of one by a name of one's own."""
    return "NAME" not in name and default != "{}"


def _of_hydra(root: str, group: str) -> Words:
    ours, name = _HYDRAS[group]
    found = dict(ours)
    here = names.options(os.path.join(root, paths.CONF, "hydra", name))
    found |= {each: f"{paths.CONF}/{group}/{each}.yaml" for each in here}
    for folder in sys.path:
        for package, (of, options) in _PLUGINS.items():
            if of == group and os.path.isdir(os.path.join(folder, "hydra_plugins", package)):
                found |= {each: package for each in options if each not in found}
    return found


# --- verbs -----------------------------------------------------------------------------------------------------------


def _of_options(verb: str, given: Sequence[str], current: str, root: str | None) -> Words | None:
    """Return the options of a verb, or what the one before takes; None where a word stands that no option rules."""
    if not current.startswith("-") and not (given and given[-1].startswith("-")):
        return None
    from experimentstash.cli.known_words import OPTIONS

    options = OPTIONS[verb]
    if given and given[-1] in options and (taken := options[given[-1]])[0] is not None:
        kind, choices, _ = taken
        found = dict.fromkeys(choices, "")
        return found or ({} if root is None else _values(root, str(kind), current))
    if not current.startswith("-"):
        return None
    name, equals, _ = current.partition("=")
    if not equals:
        return {option: about for option, (_, _, about) in options.items()}
    if name in options and (kind := options[name][0]) is not None and root is not None:
        values = dict.fromkeys(options[name][1], "") or _values(root, kind, current[len(name) + 1 :])
        return {f"{name}={word}": about for word, about in values.items()}
    return {}


def _kinds(verb: str, given: Sequence[str]) -> list[str]:
    """Return which kinds the next word may be of, after those that were given: as the verb's usage has them."""
    usage = verbs.VERBS[verb][0].split()
    position = sum(not word.startswith("-") for word in given)
    asked = next((word for number, word in enumerate(usage) if "…" in word or number == position), "")
    frozen = "FROZEN" if verb in verbs.GROUPS["Publish"] else ""  # a name elsewhere is a new one
    return [frozen if kind == "NAME" else kind for kind in _capitals(asked)]


def _capitals(text: str) -> list[str]:
    return "".join(mark if mark.isascii() and mark.isupper() else " " for mark in text).split()


def _values(root: str, kind: str, current: str) -> Words:
    """Return what there is of a kind, as the verbs' usages name it."""
    if kind in ("EXPERIMENT", "GLOB"):
        return dict.fromkeys(_experiments(root), "")
    if kind == "TOOL":
        return dict.fromkeys(_tools(root), "")
    if kind in ("RUN", "SWEEP"):
        from experimentstash.runs import ids

        return ids.known(root, current, only_sweeps=kind == "SWEEP")
    if kind == "STATE":
        from experimentstash.cli.known_words import STATES

        return dict(STATES)
    if kind == "SETTING":
        from experimentstash.cli.known_words import SETTINGS

        return {name: about for name, (_, _, about) in SETTINGS.items()}
    if kind in ("FROZEN", "ID"):
        frozen = {
            name: _listed(root, paths.FROZEN, name, "runs")
            for name in _listed(root, paths.FROZEN)
            if not name.startswith(".") and os.path.isfile(os.path.join(root, paths.FROZEN, name, "frozen.json"))
        }
        if kind == "FROZEN":
            return {name: f"{len(ids)} runs" if len(ids) != 1 else "a run" for name, ids in frozen.items()}
        return dict.fromkeys(sorted({each for ids in frozen.values() for each in ids}), "")
    if kind == "BACKUP":
        return {name: "" for name in _listed(root, paths.BACKUPS) if name[0] != "."}
    return {}


def _listed(*parts: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(*parts)))
    except OSError:
        return []


def _experiments(root: str) -> Iterable[str]:
    return _options_of(root, "exp")


def _tools(root: str) -> Iterable[str]:
    return _options_of(root, "tool")


def _options_of(root: str, group: str) -> Iterable[str]:
    if "searchpath" in names.text(os.path.join(root, paths.ROOT_CONFIG)):
        from pathlib import Path

        from experimentstash.stash.layout import Stash

        stash = Stash(Path(root))
        return stash.experiments() if group == "exp" else stash.known_tools()
    return names.options(os.path.join(root, paths.CONF, group))
