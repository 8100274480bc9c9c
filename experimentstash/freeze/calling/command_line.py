"""Parameters as `--key value` options, for every library that reads such; the libraries differ in a few points only."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from experimentstash.base.dataclass_light import dataclass, field
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import ways, words
from experimentstash.freeze.calling.ways import Way
from experimentstash.freeze.declared import kinds
from experimentstash.stash.schema import CallConfig, CallStyle

OPTION_KEY = regex(r"-{0,2}[^-\s=\0][^\s=\0]*")


def _no_dash(option: str) -> str:
    """argparse's, click's and typer's negation."""
    return f"--no-{option.lstrip('-')}"


def _any_text(text: str, name: str) -> None:
    """Accept every string."""


def only_text(text: str, name: str) -> None:
    """Refuse what is no text to every type that an option may have, of which nothing is known."""
    if kinds.looks_otherwise(text):
        key = name.removeprefix("params.").partition("[")[0]
        raise StashError(
            f"{name} is the text {text!r}, which isn't one to every type, and that of the tool's option isn't known.",
            f"give what it is meant to be, or say that the option takes a text: `call: {{ways: {{{key}: word}}}}`",
        )


def comma(texts: Sequence[str], name: str) -> str:
    """Return a list with commas, for a reader that knows no quotes."""
    if not texts:
        raise StashError(
            f"{name} is an empty list, which splitting at commas makes a list of one empty string.",
            "leave it out, or, if the tool reads nothing as an empty list, give the empty string",
        )
    if any("," in text for text in texts) or list(texts) == [""]:
        raise StashError(
            f"{name} has an element with a comma, or a single empty one, which a list with commas can't express.",
            "set `call.lists: repeat` or `spread` in the tool's registration, if the tool takes lists so",
        )
    return ",".join(texts)


@dataclass(frozen=True)
class Dialect:
    """What is particular to a library that reads `--key value`."""

    style: CallStyle
    # Which ways it may read at all, and those in which it reads every option that doesn't say otherwise: kind → way.
    possible: frozenset[str]
    usual: Mapping[str, str] = field(default_factory=dict)
    # How booleans in a list are written (None: they are refused).
    boolean_elements: str | None = None
    is_joined: bool = False  # it reads --key=value only, or differently from two words
    is_greedy: bool = False  # a list takes all words until the next option
    has_short: bool = False  # a name of one letter is -k
    other_modes: frozenset[str] = frozenset()  # options with which a tool prints something and ends
    abbreviates: bool = False  # argparse takes the beginning of an option's name for the option
    loses_dashes: bool = False  # built on argparse, which before Python 3.12.5 drops a value that is `--`
    # It reads key=value, without dashes, and what the name of a parameter is spelled like there.
    is_bare: bool = False
    spelled: Callable[[str], str] = str
    separator: str | None = None  # what it makes of - and _ in names (None: names stand as they are declared)
    negation: Callable[[str], str] = _no_dash
    comma: Callable[[Sequence[str], str], str] = comma
    check_text: Callable[[str, str], None] = _any_text  # StashError for a string that it may take for something else

    def arguments(
        self,
        call: CallConfig,
        experiment: str | None,
        params: Mapping[str, Any],
        extra: Sequence[str],
        run_directory: Path,
        *,
        prefix: str = "",
    ) -> list[str]:
        """Return the words after the entrypoint; ``prefix``: what stands before each parameter's name."""
        _refuse_settings(self, call)
        writer = _Writer(self, call, prefix)
        argv = writer.arguments(experiment, params, run_directory)
        refuse_twice(writer.taken, given_options(extra))
        return [*subcommand(call), *argv, *self._barrier(writer, extra), *extra]

    def choices(self, kind: str, key: str) -> str:
        """Say which ways there are to write a value of a kind."""
        said = ways.choices(kind, key, self.possible)
        if not self.is_bare:
            return said
        option, name = f"--{key.lstrip('-')}", self.spelled(key)
        return said.replace(f"{option} with ", f"{name}= and ").replace(f"{option} ", f"{name}=")

    def _barrier(self, writer: _Writer, extra: Sequence[str]) -> list[str]:
        """Return what keeps a list at the end from going on with the words after it."""
        if not writer.is_open or not extra or extra[0].startswith("-"):
            return []
        if any(word.startswith("-") for word in extra):
            raise StashError(
                f"The tool would take {extra[0]!r}, the first of `arguments`, for part of the list before it.",
                "begin `arguments` with an option, or put another parameter after the list",
            )
        return ["--"]


def subcommand(call: CallConfig) -> list[str]:
    try:
        return shlex.split(call.subcommand or "")
    except ValueError as error:
        raise StashError(f"call.subcommand: {call.subcommand!r} can't be read: {error}.", "fix its quotes") from error


def canonical(name: str) -> str:
    """Return what names have in common that differ in dashes and underscores only."""
    return name.lstrip("-").replace("-", "_")


def given_options(argv: Sequence[str]) -> dict[str, str]:
    """Return the options among words, as canonical name → word."""
    options = (word for word in itertools.takewhile(lambda word: word != "--", argv) if word.startswith("--"))
    return {canonical(word.partition("=")[0]): word for word in options}


def refuse_twice(taken: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Refuse `arguments` that give once more what is given already. Both: canonical name → as it is called."""
    for key, word in given.items():
        if key in taken:
            raise StashError(f"{taken[key]} and {word} of `arguments` are one option to the tool.", "keep one of them")


def refuse_other_mode(key: str, name: str, declared: Container[str], also: Container[str] = ()) -> None:
    """Refuse an option with which a tool would print its help, and end as if it had done its work."""
    bare = canonical(key)
    if bare not in declared and (bare in ("help", "h") or bare in also):
        raise StashError(
            f"{name}: with such an option the tool would print something and end, without doing anything.",
            f"rename it; if the tool means something else by it: `call: {{ways: {{{key}: word}}}}`",
        )


def refuse_bare(call: CallConfig) -> None:
    """Refuse names of options that are none: the tool would take them for words of its own."""
    for setting, given in (("experiment", call.experiment), ("output", call.output)):
        if given is not None and not given.startswith("-") and not (setting == "experiment" and given == "positional"):
            raise StashError(f"call.{setting}: {given!r} is no option.", f"write `{setting}: --{given}`")


def positional_experiment(experiment: str) -> list[str]:
    if experiment.startswith("-"):
        raise StashError(f"The experiment {experiment!r} would be read as an option.", "rename it")
    return [experiment]


def _refuse_settings(dialect: Dialect, call: CallConfig) -> None:
    """Refuse what a registration says for all parameters and can't be true for its dialect."""
    for kind, way in ways.settings(call).items():
        if way not in dialect.possible:
            usual = dialect.usual.get(kind)
            raise StashError(
                f"call.{ways.SETTING[kind]}: {way}: {dialect.style.value} doesn't read {kind}s so.",
                f"leave it out: `{usual}` is its way" if usual else dialect.choices(kind, "key"),
            )
    if call.joined is False and dialect.is_joined:
        raise StashError(f"call.joined: false: {dialect.style.value} needs --key=value.", "leave it out")


class _Writer:
    """Writes the parameters of one call."""

    def __init__(self, dialect: Dialect, call: CallConfig, prefix: str) -> None:
        self.dialect, self.call, self.prefix = dialect, call, prefix
        self.ways = ways.read(call)
        self.declared = {canonical(key): key for key in self.ways}
        self.is_joined = dialect.is_joined or bool(call.joined)
        self.everywhere = ways.settings(call)
        self.taken: dict[str, str] = {}  # canonical option → what gives it
        self.is_open = False  # the last option takes all words that follow

    def arguments(self, experiment: str | None, params: Mapping[str, Any], run_directory: Path) -> list[str]:
        call, argv = self.call, list[str]()
        if not self.dialect.is_bare:
            refuse_bare(call)
        if experiment is not None and call.experiment == "positional":
            argv += positional_experiment(experiment)
        elif experiment is not None and call.experiment is not None:
            self._claim(call.experiment, "call.experiment")
            argv += self._option(call.experiment, experiment)
        if call.output:
            self._claim(call.output, "call.output")
        for key, value in self._leaves(params, ""):
            name = f"params.{key}"
            if not OPTION_KEY.fullmatch(key) or (self.dialect.is_bare and key.startswith("-")):
                raise StashError(f"{name} can't be an option: {key!r} is empty or has spaces or `=`.", "rename it")
            if not self.dialect.is_bare:
                refuse_other_mode(key, name, self.declared, self.dialect.other_modes)
            self._refuse_prefix(key, name)
            if canonical(self._name(key)) in self.taken:
                raise _twice(self.taken[canonical(self._name(key))], name)
            self._claim(self._name(key), name)
            self.is_open = False
            argv += self._words(key, value, name)
        if call.output:
            self.is_open = False
            argv += self._option(call.output, str(run_directory))
        return argv

    def _claim(self, option: str, name: str) -> None:
        """Refuse a second value for what is one option to the tool."""
        known = self.taken.setdefault(canonical(option), name)
        if known != name:
            raise _twice(known, name)

    def _refuse_prefix(self, key: str, name: str) -> None:
        """Refuse what the tool would take for another, longer option."""
        bare = canonical(key)
        if not self.dialect.abbreviates or bare in self.declared or len(bare) == 1:
            return
        longer = [declared for each, declared in self.declared.items() if each.startswith(bare)]
        if longer and not any(each.startswith(f"{bare}.") for each in self.declared):
            raise StashError(
                f"{name}: the tool declares no `{key}`, and would take it for {' or '.join(longer)}.",
                f"write `{longer[0]}`; if there is such an option: `call: {{ways: {{{key}: word}}}}`",
            )

    def _leaves(self, params: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
        """Yield keys and values; of a mapping each of its values, if it is written so."""
        for key, value in params.items():
            text = words.word(key, "a key of params")
            text = f"{path}.{text}" if path else text
            if isinstance(value, Mapping) and value and self._is_dotted(text):
                yield from self._leaves(value, text)
            else:
                yield text, value

    def _is_dotted(self, key: str) -> bool:
        way = self._way(key)
        if way.of(ways.WHOLE):
            return False
        if way.names and "dotted" not in way.names:
            return False
        prefix = f"{canonical(key)}."
        if "dotted" in way.names or any(declared.startswith(prefix) for declared in self.declared):
            return True
        return self.everywhere.get("mapping", self.dialect.usual.get("mapping")) == "dotted"

    def _way(self, key: str) -> Way:
        declared = self.declared.get(canonical(key))
        return self.ways[declared] if declared is not None else Way()

    def _name(self, key: str) -> str:
        key = self.declared.get(canonical(key), key)
        if self.dialect.is_bare:
            return self.dialect.spelled(key)
        if key.startswith("-"):
            return key
        if canonical(key) not in self.declared and self.dialect.separator is not None:
            key = re.sub("[-_]", self.dialect.separator, key)
        return f"-{key}" if len(key) == 1 and self.dialect.has_short else f"--{self.prefix}{key}"

    def _option(self, option: str, text: str) -> list[str]:
        return words.joined(option, text) if self.is_joined else words.option(option, text)

    def _words(self, key: str, value: Any, name: str) -> list[str]:
        option, way = self._name(key), self._way(key)
        if isinstance(value, bool):
            return self._boolean(option, key, value, way, name)
        if isinstance(value, (list, tuple)):
            return self._list(option, key, value, way, name)
        if value is None:
            chosen = self._chosen("null", key, way, {**ways.NULL, **ways.WHOLE}, name, value)
            return [] if chosen == "omit" else self._option(option, _whole(value, chosen, name))
        if isinstance(value, Mapping):
            chosen = self._chosen("mapping", key, way, ways.WHOLE, name, value)
            return self._option(option, _whole(value, chosen, name))
        return self._option(option, self._scalar(key, value, way, name))

    def _chosen(self, kind: str, key: str, way: Way, kinds: Iterable[str], name: str, value: Any) -> str:
        """Return the way in which a value is written; StashError if nobody has said it."""
        kinds = list(kinds)
        found = way.of(kinds) or self.everywhere.get(kind)
        if found is None and not way.names:
            found = self.dialect.usual.get(kind)
        if found in kinds:
            if found not in self.dialect.possible:
                raise StashError(
                    f"call.ways.{key}: {found}: {self.dialect.style.value} doesn't read {kind}s so.",
                    self.dialect.choices(kind, key),
                )
            return found
        shown = "true" if value is True else "false" if value is False else "null" if value is None else f"a {kind}"
        if way.names or way.pair:
            why = f"which isn't what the tool takes there: call.ways.{key} says {_said(way)}"
            raise StashError(f"{name} is {shown}, {why}.", self.dialect.choices(kind, key))
        why = "for which a command line has several ways, and which of them the tool reads isn't known"
        raise StashError(f"{name} is {shown}, {why}.", self.dialect.choices(kind, key))

    def _boolean(self, option: str, key: str, value: bool, way: Way, name: str) -> list[str]:
        if way.pair is not None:
            for half in filter(None, way.pair):
                self._claim(half, name)
            return [half for half in [way.pair[0 if value else 1]] if half]
        chosen = self._chosen("boolean", key, way, {**ways.BOOLEAN, **ways.WHOLE}, name, value)
        if chosen == "flag" or (chosen == "only_true" and value):
            return [option] if value else []
        if chosen == "only_true":
            raise StashError(
                f"{name} is false, but leaving the tool's option out doesn't make it so, and nothing else does.",
                "leave it out, or change the tool",
            )
        if chosen == "negatable":
            self._claim(self.dialect.negation(option), name)
            return [option if value else self.dialect.negation(option)]
        if chosen == "nonempty":
            return words.joined(option, "true" if value else "")
        return self._option(option, words.word(value, name) if chosen == "value" else _whole(value, chosen, name))

    def _list(self, option: str, key: str, value: Sequence[Any], way: Way, name: str) -> list[str]:
        chosen = self._chosen("list", key, way, {**ways.LIST, **ways.WHOLE}, name, value)
        if chosen in ways.WHOLE:
            return self._option(option, _whole(value, chosen, name))
        texts = [self._element(each, way, key, f"{name}[{index}]") for index, each in enumerate(value)]
        if chosen == "comma":
            text = self.dialect.comma(texts, name)
            return self._option(option, text) if text else words.joined(option, text)
        if chosen in ("spread", "filled"):
            self.is_open = self.dialect.is_greedy
            if chosen == "filled" and not texts:
                raise StashError(f"{name} is an empty list, where the tool insists on one or more.", "leave it out")
            return _spread(option, value, texts, name, is_greedy=self.dialect.is_greedy)
        if not texts and "omit_empty" not in way.names:
            raise StashError(
                f"{name} is an empty list, which an option that is repeated can't express.",
                f"leave it out, or, if the tool's default is an empty list: `call: {{ways: {{{key}: [repeat,"
                " omit_empty]}}`",
            )
        return [each for text in texts for each in self._option(option, text)]

    def _element(self, value: Any, way: Way, key: str, name: str) -> str:
        whole = way.of(ways.WHOLE)
        if whole is not None:
            return _whole(value, whole, name)
        if isinstance(value, bool):
            if "value" in way.names or self.everywhere.get("boolean") == "value":
                return words.word(value, name)
            chosen = self.everywhere.get("boolean", self.dialect.boolean_elements)
            if chosen == "python":
                return repr(value)
        if value is None or isinstance(value, (bool, list, tuple, Mapping)):
            possible = [kind for kind in ways.WHOLE if kind in self.dialect.possible]
            raise StashError(
                f"{name} is {words.json_text(value, name)}, which isn't a word.",
                f"if the tool takes such: `call: {{ways: {{{key}: WAY}}}}` with {' or '.join(possible)}"
                if possible
                else f"{self.dialect.style.value} has no way to write it",
            )
        return self._text(value, way, name)

    def _scalar(self, key: str, value: Any, way: Way, name: str) -> str:
        whole = way.of(ways.WHOLE)
        if way.of(ways.LIST):
            shown = words.json_text(value, name)
            raise StashError(
                f"{name} is {shown}, where the tool takes a list: call.ways.{key} says {_said(way)}.",
                f"`{key}: [{shown}]`",
            )
        if whole is not None and not ("word" in way.names and isinstance(value, str)):
            return _whole(value, whole, name)
        if (way.names & {*ways.BOOLEAN} or way.pair) and not way.names & {*ways.WORD, *ways.WHOLE}:
            raise StashError(
                f"{name} isn't true or false, and the tool's option takes no other value: call.ways.{key} says"
                f" {_said(way)}.",
                "give true or false",
            )
        return self._text(value, way, name)

    def _text(self, value: Any, way: Way, name: str) -> str:
        if isinstance(value, str) and not way.names & {*ways.WORD, *ways.WHOLE}:
            self.dialect.check_text(value, name)
        whole = self.dialect.usual.get("text" if isinstance(value, str) else "number")
        if whole is not None and not ("word" in way.names and isinstance(value, str)):
            return _whole(value, whole, name)
        text = words.word(value, name)
        if text == "--" and self.dialect.loses_dashes:
            raise StashError(f"{name} is '--', which argparse drops in some versions.", "use another string")
        return text


def _twice(one: str, other: str) -> StashError:
    both = f"{one} and {other} are" if one != other else f"{one} is given twice:"
    return StashError(f"{both} one option to the tool.", "keep one of them")


def _said(way: Way) -> str:
    return ", ".join([*sorted(way.names), *(["/".join(way.pair)] if way.pair else [])])


def _whole(value: Any, way: str, name: str) -> str:
    write = {"json": words.json_text, "yaml": words.yaml_text, "python": words.python_text}[way]
    return write(value, name)


def _spread(option: str, values: Sequence[Any], texts: Sequence[str], name: str, *, is_greedy: bool) -> list[str]:
    if len(texts) == 1 and isinstance(values[0], str) and texts[0].startswith("-") and option.startswith("--"):
        return [f"{option}={texts[0]}"]
    found = [option]
    for value, text in zip(values, texts, strict=True):
        if is_greedy and isinstance(value, float) and text.startswith("-") and math.isfinite(value):
            text = f"{Decimal(text):f}"  # the same number without an exponent, which argparse takes for an option
        elif is_greedy and text.startswith("-") and not words.PLAIN_NEGATIVE.fullmatch(text):
            raise StashError(
                f"{name} holds {text!r}, which a list of arguments would read as an option.",
                "set `call.lists: repeat` in the tool's registration, if the tool takes lists so",
            )
        found.append(text)
    return found
