"""The one reader of the YAML that users write.

Only regular files, of a bounded size, depth and content; whatever is wrong with one is told with its file and line.
"""

from __future__ import annotations

import functools
import math
import os
import pathlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base.errors import StashError
from experimentstash.base.files import Unfit, read_text
from experimentstash.base.patterns import regex

if TYPE_CHECKING:
    import yaml

# Bytes of a configuration file, values in it once each alias stands for what it names, levels of nesting (OmegaConf
# takes a dozen calls for each), characters of a number.
MOST_BYTES, MOST_VALUES, DEEPEST, LONGEST_NUMBER = 1 << 20, 100_000, 50, 1000
# libyaml takes some of these for white space or line breaks where PyYAML's own parser refuses them, or reads on.
_PARSED_OTHERWISE = regex("[\t\r\x85\u2028\u2029\ufeff]")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class YamlError(StashError):
    """A file isn't what a configuration file must be."""

    def __init__(self, path: Path | str, what: str, line: int | None = None) -> None:
        self.path, self.what, self.line = path, what, line
        super().__init__(f"{shown(path)}{f', line {line}' if line else ''}: this is {what}.")


def shown(path: Path | str) -> str:
    """Return a path as messages name it: relative to the stash where it is inside."""
    root = os.environ.get("EXPERIMENTSTASH_ROOT") or os.curdir
    relative = os.path.relpath(path, root)
    return str(path) if relative.startswith(os.pardir) else relative


def text_of(path: Path | str) -> str:
    """Return the text of a configuration file. YamlError if it can't be one."""
    try:
        return read_text(path, MOST_BYTES)
    except Unfit as error:
        raise YamlError(path, str(error.strerror).removeprefix("it is ")) from error
    except UnicodeDecodeError as error:
        raise YamlError(path, "not a text in UTF-8") from error
    except OSError as error:
        raise YamlError(path, f"a file that can't be read: {error.strerror}") from error
    except ValueError as error:
        raise YamlError(path, f"no name of a file: {error}") from error


def load(path: Path | str) -> Any:
    """Return the content of a YAML file, with YAML's own types. YamlError if it isn't one."""
    return parse(text_of(path), path)


def mapping(path: Path | str) -> dict[Any, Any]:
    """Return the content of a YAML file that must be a mapping, or empty. YamlError if it isn't."""
    return as_mapping(load(path), path)


def as_mapping(content: Any, path: Path | str) -> dict[Any, Any]:
    """Return the content of a file if it is a mapping, or empty. YamlError if it is something else."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise YamlError(path, "not a mapping")
    return content


def parse(text: str, path: Path | str, for_omegaconf: bool = False) -> Any:
    """Return the content of a YAML text, the file's at ``path``; ``for_omegaconf``: with the types that Hydra reads.

    Raises YamlError for whatever is wrong.
    """
    return _read(text, path, for_omegaconf, lambda loader, node: loader.construct_document(node))


def nodes(path: Path | str) -> Any:
    """Return the nodes of a YAML file, which know how and where they are written; None if it is empty.

    YamlError if it isn't one.
    """
    return _read(text_of(path), path, False, lambda loader, node: node)


def _read(text: str, path: Path | str, for_omegaconf: bool, take: Callable[[Any, Any], Any]) -> Any:
    """Return what is taken of a YAML text, which is read by a loader and has a node at its top; None without one."""
    import yaml

    with_libyaml = _PARSED_OTHERWISE.search(text) is None
    loader: Any = None
    node: Any = None
    try:
        loader = _loader(for_omegaconf, with_libyaml)(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, path, 1, {})
        return take(loader, node)
    except YamlError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise YamlError(path, f"not YAML: {error.problem or error.context}", line) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else None
        raise YamlError(path, f"not YAML: {error.reason} (the character #x{_code(error.character)})", line) from error
    except RecursionError as error:
        raise YamlError(path, f"nested deeper than {DEEPEST} levels") from error
    except Exception as error:  # what a tag says can't be made of the text
        line = _line(getattr(loader, "at_work_on", node))
        raise YamlError(path, f"not YAML: a value that can't be read ({error})", line) from error
    finally:
        if loader is not None:
            loader.dispose()


def _code(character: Any) -> str:
    return f"{ord(character) if isinstance(character, str) else int(character):04x}"


def _line(node: Any) -> int | None:
    return None if node is None else int(node.start_mark.line) + 1


def _measure(node: Any, path: Path | str, depth: int, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return how many values a node stands for, and how many levels; YamlError if that is too much."""
    if isinstance(node.value, str):
        _check_scalar(node, path)
        return 1, 0
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise YamlError(path, "a file in which something contains itself (an alias)", _line(node))
    elif depth > DEEPEST:
        raise YamlError(path, f"nested deeper than {DEEPEST} levels", _line(node))
    else:
        known[id(node)] = None
        values, levels = 1, 0
        for entry in node.value:
            for each in entry if isinstance(entry, tuple) else (entry,):
                more, below = _measure(each, path, depth + 1, known)
                values, levels = values + more, max(levels, below)
        found = known[id(node)] = values, levels + 1
    if found[0] > MOST_VALUES:
        raise YamlError(path, f"a file of more than {MOST_VALUES:,} values", _line(node))
    if depth + found[1] - 1 > DEEPEST:
        raise YamlError(path, f"nested deeper than {DEEPEST} levels", _line(node))
    return found


def _check_scalar(node: Any, path: Path | str) -> None:
    text: str = node.value
    if node.tag in _NUMBERS:
        if len(text) > LONGEST_NUMBER:
            raise YamlError(path, f"a number of {len(text):,} characters (quote it if it is a text)", _line(node))
        if node.tag == _NUMBERS[1] and "inf" not in text.lower() and _is_infinite(text):
            raise YamlError(
                path, f"no number that can be computed with: {text[:40]} (quote it if it is a text)", _line(node)
            )
    elif not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise YamlError(path, "not YAML: half of a character (a surrogate)", _line(node))


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text.replace("_", "")))
    except ValueError:  # base 60, or what its constructor will refuse
        return False


@functools.cache
def _loader(for_omegaconf: bool, with_libyaml: bool) -> Any:
    """Return a loader of YAML that notes what it is at work on: OmegaConf's or the plain one, on either parser."""
    import yaml

    base = _omegaconfs() if for_omegaconf else yaml.SafeLoader
    if not (with_libyaml and yaml.__with_libyaml__):

        class Plain(base):  # type: ignore[misc, valid-type]
            def construct_object(self, node: Any, deep: bool = False) -> Any:
                self.at_work_on = node
                return super().construct_object(node, deep)

        return Plain
    from yaml._yaml import CParser

    class Fast(CParser, base):  # type: ignore[misc, valid-type]
        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            self.at_work_on = node
            return super().construct_object(node, deep)

    return Fast


# What is a number to OmegaConf: YAML 1.1 has no `1e3`.
_FLOAT = regex(
    r"""(?:
        [-+]?[0-9]+(?:_[0-9]+)*
        (?: \.[0-9_]*(?:[eE][-+]?[0-9]+)? | [eE][-+]?[0-9]+ | (?::[0-5]?[0-9])+\.[0-9_]* )
        | \.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?
        | [-+]?\.(?:inf|Inf|INF)
        | \.(?:nan|NaN|NAN)
    )\Z""",
    re.VERBOSE,
)
_PATHS = "tag:yaml.org,2002:python/object/apply:pathlib."


def _omegaconfs() -> type[yaml.SafeLoader]:
    """Return a loader that takes YAML as OmegaConf does: more numbers, no dates, paths, and no key twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            known = set()
            for key, _ in node.value:
                if key.tag != yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG:
                    continue
                if key.value in known:
                    raise yaml.constructor.ConstructorError(
                        "while constructing a mapping",
                        node.start_mark,
                        f"found duplicate key {key.value}",
                        key.start_mark,
                    )
                known.add(key.value)
            return super().construct_mapping(node, deep=deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }
    for kind in (pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath):
        Loader.add_constructor(f"{_PATHS}{kind.__name__}", functools.partial(_path, kind))
    return Loader


def _path(kind: type[Path], loader: Any, node: Any) -> Path:
    return kind(*loader.construct_sequence(node))
