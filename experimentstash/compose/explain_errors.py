"""Turns Hydra's and OmegaConf's errors into one message: what is wrong, in which file, and what is valid."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Sequence

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from experimentstash.base.errors import CommandLineError, StashError, did_you_mean
from experimentstash.base.patterns import regex
from experimentstash.compose.known_keys import composed_keys, key_of_type, keys_of_type, lacking_key, list_or_mapping
from experimentstash.compose.likely_places import likely_file, shown_in, who_says
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash

_NOT_FOUND = regex(r"Could not find '(?P<group>.+)/(?P<name>[^']*)'")
_WHILE_COMPOSING = regex(r"In '(?P<config>[^']+)': \w+ raised while composing config:")
_UNKNOWN_KEY = regex(r"Key '(?P<key>[^']*)' (?:not in '(?P<type>\w+)'|is not in struct)")
# The libraries that compose a configuration.
_COMPOSE = ("hydra", "omegaconf", "antlr4", "yaml")
_FULL_KEY = regex(r"full_key: (?P<key>\S+)")


def explain(error: BaseException, stash: Stash, overrides: Sequence[str]) -> StashError | None:
    """Return what a user needs to know about a mistake in the configuration; None if ``error`` is none.

    ``overrides`` are the command line's arguments.
    """
    if isinstance(error, MissingConfigException):
        return _missing_config(error, stash, overrides)
    if isinstance(error, ConfigCompositionException):
        return _composition(error, stash, overrides)
    if isinstance(error, OverrideParseException):
        return StashError(
            f"The override {error.override!r} can't be read: {_first_line(error)}.",
            "quote values with special characters twice, once for the shell: 'params.name=\"a, b\"'",
        )
    if isinstance(error, MissingMandatoryValue):
        key = _full_key(str(error))
        return StashError(f"{likely_file(stash, overrides, key)}: {key} must be given.")
    if isinstance(error, OmegaConfBaseException):
        key = _full_key(str(error))
        return StashError(f"{likely_file(stash, overrides, key)}: {key}: {_first_line(error)}.")
    if isinstance(error, KeyError) and _is_of_environment(error):
        return StashError(f"hydra.job.env_copy names {error.args[0]}, which isn't set.", f"export {error.args[0]}=…")
    if isinstance(error, HydraException):
        return StashError(str(error))
    if isinstance(error, OSError) and error.errno is not None:
        return None
    return _stumbled(error, stash, overrides)


def _stumbled(error: BaseException, stash: Stash, overrides: Sequence[str]) -> StashError | None:
    """Return what to tell of an error of any type in Hydra or OmegaConf themselves; None if our own code has raised it.

    They are given nothing but what the user has written, and look at much of it only where they use it.
    """
    frames = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [at for at, name in enumerate(frames) if name.partition(".")[0] == __name__.partition(".")[0]]
    beyond = frames[ours[-1] + 1 :] if ours else frames
    if not beyond or beyond[0].partition(".")[0] not in _COMPOSE:
        return None
    if any(name.startswith("hydra_plugins.") for name in beyond):  # a sweeper's or launcher's own
        return None
    place = likely_file(stash, overrides, "")
    if isinstance(error, RecursionError):
        return StashError(
            f"Something refers to itself, or is nested too deep, in {place}, what that builds on, or the command line.",
            "look at its defaults list and its interpolations",
        )
    told = _first_line(error) or f"in {next(name for name in reversed(beyond) if name.partition('.')[0] in _COMPOSE)}"
    return StashError(
        f"Hydra can't do what {place} and the command line say: {told}.",
        "look at what is set there; experimentstash --cfg all +exp=NAME shows what it makes of them",
    )


def _is_of_environment(error: BaseException) -> bool:
    """Tell whether a look-up in os.environ has failed."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__name__") == "os"


def _missing_config(error: MissingConfigException, stash: Stash, overrides: Sequence[str]) -> StashError:
    match = _NOT_FOUND.search(str(error))
    if match is None:
        return StashError(str(error))
    group, name = match["group"], match["name"]
    if group == "exp" or group.startswith("exp/"):
        full = f"{group}/{name}".removeprefix("exp/")
        return StashError(
            f"There is no experiment {full!r}.{did_you_mean(full, stash.experiments())}\n{stash.inventory()}"
        )
    if group == "tool" or group.startswith("tool/"):
        name = f"{group}/{name}".removeprefix("tool/")
        valid = stash.tools()
        return StashError(
            f"{who_says(name, stash, overrides)} chooses the tool {name!r}, but there is no {paths.registration(name)}."
            f"{did_you_mean(name, valid)}\nTools: {', '.join(valid) or 'none yet'}"
        )
    valid = [line.strip() for line in str(error).split("\nConfig search path")[0].splitlines() if line.startswith("\t")]
    options = f"\nValid: {', '.join(valid)}" if valid else ""
    return StashError(f"There is no {group}={name}.{did_you_mean(name, valid)}{options}")


def _not_global(path: str) -> StashError:
    return StashError(f"{path} is not in the global package.", "begin the file with the line `# @package _global_`")


def _composition(error: ConfigCompositionException, stash: Stash, overrides: Sequence[str]) -> StashError:
    text = str(error)
    cause = str(error.__cause__ or "")
    composing = _WHILE_COMPOSING.search(text)
    if composing:
        path = shown_in(stash, stash.conf / f"{composing['config']}.yaml")
        unknown = _UNKNOWN_KEY.search(text)
        if unknown:
            valid = keys_of_type(unknown["type"])
            key = _full_key(text) or unknown["key"]
            if key == "exp":  # below this Hydra puts what is in conf/exp, unless the file says otherwise
                return _not_global(path)
            return StashError(f"{path}: unknown key {key!r}.{did_you_mean(unknown['key'], valid)}{_listed(valid)}")
        detail = next((line for line in text.splitlines()[1:] if line.strip()), "")
        key = _full_key(text)
        no_mapping = re.search(r"is not a subclass of (?P<type>\w+)\. value: (?P<value>.*)", detail)
        if not key and no_mapping:
            key, detail = key_of_type(no_mapping["type"]), f"{no_mapping['value'].strip()[:100]} is not a mapping"
        elif not key:  # which one it is, neither Hydra nor OmegaConf says
            key, detail = list_or_mapping(stash.conf / f"{composing['config']}.yaml", detail)
        return StashError(f"{path}: {key}: {detail}.")
    unpackaged = re.search(r"In '(?P<config>exp/[^']+)': .*'\S+@exp\b", text, re.DOTALL)
    if unpackaged:
        path = shown_in(stash, stash.conf / f"{unpackaged['config']}.yaml")
        return _not_global(path)
    if text.startswith("Multiple values for tool"):
        chosen = text.rpartition("override tool: ")[2].strip("'. ")
        return StashError(
            f"{likely_file(stash, overrides, '')} adds a second tool to the one (null) of {paths.ROOT_CONFIG}.",
            f"write `- override /tool: {chosen}` in its defaults",
        )
    unknown = _UNKNOWN_KEY.search(cause)
    if unknown:
        parent = _full_key(cause).rpartition(".")[0]
        valid = keys_of_type(unknown["type"]) or composed_keys(parent, stash, overrides)
        hint = re.search(r"use (\+\S.*)", text)
        if _full_key(cause).startswith("params."):
            other = f"+{hint[1]}" if hint else "++params.KEY=VALUE"
            lacked = lacking_key(_full_key(cause), stash, overrides, f"sweep them apart, or give it to all: {other}")
            if lacked is not None:
                return lacked
        return CommandLineError(
            f"command line: unknown key {_full_key(cause)!r}.{did_you_mean(unknown['key'], valid)}{_listed(valid)}",
            f"to add a key, write {hint[1]}" if hint and not unknown["type"] else None,
        )
    deleted = re.match(r"Could not delete from config. '(params\.[^']*)' does not exist", text)
    if deleted:
        parent = deleted[1].rpartition(".")[0]
        valid = composed_keys(parent, stash, overrides)
        lacked = lacking_key(deleted[1], stash, overrides, "sweep them apart")
        told = f"command line: there is no {deleted[1]} to remove."
        return lacked or CommandLineError(f"{told}{did_you_mean(deleted[1].rpartition('.')[2], valid)}{_listed(valid)}")
    if text.startswith("Error merging override"):
        return CommandLineError(
            f"command line: {text.removeprefix('Error merging override ')}: {_first_line(error.__cause__)}."
        )
    if text.startswith("Could not override 'exp'"):
        return CommandLineError("command line: an experiment is added with a plus sign.", text.rpartition("use ")[2])
    if text.startswith("Ambiguous value"):
        value = re.search(r"argument '(.*)'\n", text)
        return CommandLineError(
            f"command line: {value[1] if value else 'a value'} has several values.",
            "to run all of them add -m; to give a list write key=[a,b]; for a text with commas write 'key=\"a,b\"'",
        )
    key = _full_key(cause)
    return StashError(text or f"{likely_file(stash, overrides, key)}: {key}: {_first_line(error.__cause__)}.")


def _full_key(text: str) -> str:
    match = _FULL_KEY.search(text)
    return match["key"] if match else ""


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if error is not None and str(error).strip() else ""


def _listed(valid: Iterable[str]) -> str:
    names = ", ".join(valid)
    return f"\nValid: {names}" if names else ""
