"""Parameters as `--key value` options."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from experimentstash.calling import words
from experimentstash.errors import StashError
from experimentstash.schema import BooleanStyle, CallConfig, ListStyle

_OPTION_KEY = re.compile(r"-{0,2}[^-\s=\0][^\s=\0]*")


def arguments(call: CallConfig, experiment: str | None, params: Mapping[str, Any], run_directory: Path) -> list[str]:
    first: list[str] = []
    if experiment is not None and call.experiment == "positional":
        if experiment.startswith("-"):
            raise StashError(f"The experiment {experiment!r} would be read as an option.", "rename it")
        first = [experiment]
    elif experiment is not None and call.experiment is not None:
        first = words.option(call.experiment, experiment)
    spread: list[str] = []  # an option should follow a list, or it goes on with the next positional
    others: list[str] = []
    for key, value in words.flat(params):
        name = f"params.{key}"
        if not _OPTION_KEY.fullmatch(key):
            raise StashError(f"{name} can't be an option: {key!r} is empty or has spaces or `=`.", "rename it")
        flag = key if key.startswith("-") else f"-{key}" if len(key) == 1 else f"--{key}"
        if isinstance(value, (list, tuple)):
            texts = [words.word(element, f"{name}[{index}]") for index, element in enumerate(value)]
            if call.lists is ListStyle.spread:
                spread += [flag, *_spread(value, texts, name)]
            elif call.lists is ListStyle.repeat:
                others += [each for text in texts for each in words.option(flag, text)]
            else:
                others += _comma(flag, texts, name)
        elif isinstance(value, bool) and call.booleans is not BooleanStyle.value:
            if value:
                others.append(flag)
            elif call.booleans is BooleanStyle.negatable:
                others.append(f"--no-{flag.lstrip('-')}")
        elif value is not None and not isinstance(value, Mapping):
            others += words.option(flag, words.word(value, name))
    output = words.option(call.output, str(run_directory)) if call.output else []
    return [*first, *spread, *others, *output]


def _spread(values: Sequence[Any], texts: Sequence[str], name: str) -> Iterator[str]:
    for value, text in zip(values, texts, strict=True):
        if isinstance(value, float) and text.startswith("-") and math.isfinite(value):
            yield f"{Decimal(text):f}"  # the same number without an exponent, which argparse takes for an option
        elif text.startswith("-") and not words.PLAIN_NEGATIVE.fullmatch(text):
            raise StashError(
                f"{name} holds {text!r}, which a list of arguments would read as an option.",
                "set `call.lists: repeat` in the tool's registration, if the tool takes lists so",
            )
        else:
            yield text


def _comma(flag: str, texts: Sequence[str], name: str) -> list[str]:
    if any("," in text for text in texts) or list(texts) == [""]:
        raise StashError(
            f"{name} has an element with a comma, or a single empty one, which a list with commas can't express.",
            "set `call.lists: repeat` or `spread` in the tool's registration, if the tool takes lists so",
        )
    text = ",".join(texts)
    return [f"{flag}="] if not text and flag.startswith("--") else words.option(flag, text)
