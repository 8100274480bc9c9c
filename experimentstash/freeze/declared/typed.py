"""Signatures and dataclasses whose types say what the command line takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.freeze.declared import kinds, training_arguments
from experimentstash.freeze.declared.kinds import BOOLEAN, NULL, TEXT, UNKNOWN, Kind
from experimentstash.freeze.declared.option import (
    Declared,
    Option,
    called,
    calls,
    constant,
    default_of,
    example,
    is_empty,
    is_false,
    is_none,
    is_true,
    keywords,
    preferred,
)


@dataclass(frozen=True)
class Field:
    """A field of a dataclass, or a parameter of a function."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None  # None: it has none
    factory: str = ""  # the source of its default_factory

    @property
    def text(self) -> str:
        return ast.unparse(self.annotation) if self.annotation is not None else ""

    @property
    def kind(self) -> Kind:
        return kinds.read(self.annotation)

    @property
    def shown(self) -> str:
        """Return the type for people: its name without Optional, Annotated and parameters."""
        found = re.sub(r"\b(?:typing|t)\.", "", self.text.strip("'\""))
        found = re.sub(r"^(?:[\w.]+\.)?(?:Annotated|UseAppendAction|FlagConversionOff|Positional)\[\s*", "", found)
        found = re.sub(r"^Optional\[\s*", "", found)
        found = re.sub(r"^None\s*\|\s*", "", found)
        return (re.match(r"[\w.]+", found) or [""])[0].rpartition(".")[2]

    @property
    def of_class(self) -> str:
        """Return the name of the class that its type is, without Optional."""
        node = self.annotation
        while isinstance(node, ast.Subscript) and called(node.value) in ("Optional", "Annotated"):
            node = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        if isinstance(node, ast.BinOp):
            node = node.left if is_none(node.right) else node.right if is_none(node.left) else None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value.rpartition(".")[2]
        return "" if node is None else called(node)


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def parameters(function: ast.FunctionDef) -> Iterator[Field]:
    """Yield the parameters of a function, but for *args and **kwargs."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
    for argument, default in [
        *zip(plain, defaults, strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]:
        if argument.arg not in ("self", "cls"):
            yield Field(argument.arg, argument.annotation, default)


def fields(node: ast.ClassDef, known: Mapping[str, ast.ClassDef] = {}) -> Iterator[Field]:
    """Yield the fields of a dataclass, after those of the classes that it builds on."""
    found: dict[str, Field] = {}
    for name in dict.fromkeys(_line(node, known)):
        found |= {field.name: field for field in _own_fields(known[name] if name != node.name else node)}
    yield from found.values()


def _line(node: ast.ClassDef, known: Mapping[str, ast.ClassDef], depth: int = 0) -> Iterator[str]:
    """Yield the names of the classes that a class builds on, the farthest first, and its own."""
    for base in reversed(node.bases) if depth < 10 else ():
        if called(base) in known and called(base) != node.name:
            yield from _line(known[called(base)], known, depth + 1)
    yield node.name


def _own_fields(node: ast.ClassDef) -> Iterator[Field]:
    for each in node.body:
        if (
            isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and "ClassVar" not in ast.unparse(each)
        ):
            default, factory = each.value, ""
            if isinstance(default, ast.Call) and called(default) in ("field", "Field"):
                words = keywords(default)
                made = words.get("default_factory")
                factory = ast.unparse(made) if made is not None else ""
                default = made.body if isinstance(made, ast.Lambda) else words.get("default")
            yield Field(each.target.id, each.annotation, default, factory)


# --- one dialect each: the ways of a field ---------------------------------------------------------------------------


def _null(field: Field) -> list[str]:
    """Return `omit` if leaving it out means null."""
    return ["omit"] if field.default is not None and is_none(field.default) else []


def tyro_ways(field: Field) -> list[str]:
    kind = field.kind
    if "UseAppendAction" in field.text:
        is_empty_list = is_empty(field.default) or field.factory == "list"
        # What is given comes after the default.
        return ["repeat", "omit_empty"] if is_empty_list else ["word"]
    if kind.rest == BOOLEAN:
        has_default = field.default is not None or bool(field.factory)
        return ["negatable" if kind == BOOLEAN and has_default and "FlagConversionOff" not in field.text else "python"]
    if kind.rest.has("list", "tuple"):
        return ["spread", *_null(field)] if len(kind.rest.members) == 1 else ["word"]
    if kind.has("mapping", "any", "unknown"):
        return ["word", *_null(field)] if kind.name != "unknown" else []
    # Texts as they are, and None.
    return ["word", "python"] if kind.may_be_null or kind.has("boolean") else ["word", *_null(field)]


def hf_ways(field: Field) -> list[str]:
    kind = field.kind
    if kind.rest == BOOLEAN:
        return ["value", *_null(field)]
    if kind.has("mapping"):
        return ["json", *_null(field)]
    if kind.has("list", "tuple"):
        return ["filled", *_null(field)]
    return ["word", *_null(field)] if kind.name != "unknown" else []


def simple_parsing_ways(field: Field) -> list[str]:
    kind = field.kind
    if kind.has("mapping", "unknown"):
        return []
    if kind.rest.has("list", "tuple"):
        if len(kind.rest.members) > 1:
            return ["word"]
        return ["spread", *(["value"] if kind.rest.inner and kind.rest.inner[0] == BOOLEAN else []), *_null(field)]
    return [*(["value"] if kind.has("boolean") else []), *(["word"] if kind.rest != BOOLEAN else []), *_null(field)]


def jsonargparse_ways(field: Field) -> list[str]:
    kind = field.kind
    if kind.name == "unknown":
        return []
    if kind.rest.name in ("mapping", "any"):
        return ["word", "json"] if kind.name == "any" else ["json"]
    if kind == TEXT:
        return ["word"]
    return ["word", "yaml"] if kind.has("text", "path", "literal") else ["yaml"]


def pyrallis_ways(field: Field) -> list[str]:
    return [] if field.kind.name == "unknown" else ["json" if field.kind.rest.name == "mapping" else "yaml"]


Ways = Callable[[Field], list[str]]


def _options(
    found: Iterable[Field],
    ways: Ways,
    known: Mapping[str, ast.ClassDef],
    separator: str,
    prefix: str = "",
    depth: int = 0,
) -> Iterator[Option]:
    for field in found:
        inner = known.get(field.of_class)
        name = prefix + (field.name.replace("_", "-") if separator == "-" else field.name)
        if inner is not None and depth < 5:
            yield from _options(fields(inner, known), ways, known, separator, f"{name}.", depth + 1)
            continue
        is_required = field.default is None and not field.factory
        words = {"default": field.default} if field.default is not None else {}
        yield Option(
            name,
            is_required,
            False,
            _example(field, words),
            tuple(ways(field)),
            kind=field.shown,
            values=field.kind,
            default=default_of(words),
        )


def _example(field: Field, words: dict[str, ast.expr]) -> str | None:
    kind = {"integer": "int", "float": "float", "boolean": "bool"}.get(field.kind.rest.name)
    return example({**words, **({"type": ast.Name(kind)} if kind else {})})


def _targets(tree: ast.Module, *names: str) -> Iterator[ast.expr]:
    """Yield what is handed to a library's functions first."""
    for call in calls(tree, *names):
        words = keywords(call)
        yield from call.args[:1]
        yield from (
            words[name] for name in ("config_class", "components", "dataclass_types", "f", "dest") if name in words
        )


def _read(tree: ast.Module, ways: Ways, separator: str, *names: str) -> Declared:
    known, defined = classes(tree), functions(tree)
    options: list[Option] = []
    subcommands: list[str] = []
    for target in _targets(tree, *names):
        several = _each(target)
        for each in several:
            name = called(each)
            if name in known:
                options += _options(fields(known[name], known), ways, known, separator)
            elif name in defined:
                found = _options(parameters(defined[name]), ways, known, separator)
                # jsonargparse takes what a function insists on without an option's name.
                is_positional = ways is jsonargparse_ways
                options += [replace(each, is_positional=is_positional and each.is_required) for each in found]
        if len(several) > 1:
            subcommands += [called(each) for each in several]
    return Declared(tuple(options), preferred(subcommands), bool(subcommands))


def read_tyro(tree: ast.Module) -> Declared:
    declared = _read(tree, tyro_ways, "-", "cli")
    names = []
    for target in _targets(tree, "cli", "subcommand_cli_from_dict", "overridable_config_cli"):
        if isinstance(target, ast.Dict):
            names += [text for text in map(constant, target.keys) if text]
        union = target.slice if isinstance(target, ast.Subscript) and called(target.value) == "Union" else None
        members = union.elts if isinstance(union, ast.Tuple) else []
        names += [_kebab(called(member)) for member in members if called(member)]
    return Declared(declared.options, preferred(names), bool(names))


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def read_hf(tree: ast.Module) -> Declared:
    names = ("HfArgumentParser", "TrlParser", "H4ArgumentParser")
    found = _read(tree, hf_ways, "_", *names)
    handed = {called(each) for target in _targets(tree, *names) for each in _each(target)}
    known = classes(tree)
    above = {name for each in handed for name in (_bases(known[each], known) if each in known else [each])}
    own = {option.name for option in found.options}
    booleans = [name for name in training_arguments.BOOLEANS if name not in own]
    added = [Option(name, False, False, "true", ("value",), values=BOOLEAN) for name in booleans]
    # Several dataclasses are one command line.
    return Declared(found.options, of_library=tuple(added) if above & {*training_arguments.NAMES} else ())


def _each(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]


def _bases(node: ast.ClassDef, known: Mapping[str, ast.ClassDef]) -> list[str]:
    """Return the names of all classes that a class builds on, those that aren't known included."""
    return [called(base) for name in _line(node, known) for base in known.get(name, node).bases]


def read_simple_parsing(tree: ast.Module) -> Declared:
    found = _read(tree, simple_parsing_ways, "_", "parse", "add_arguments", "parse_known_args")
    return Declared(tuple(option for option in found.options if "." not in option.name))


def read_pyrallis(tree: ast.Module) -> Declared:
    wrapped = [node for node in functions(tree).values() if any(called(each) == "wrap" for each in node.decorator_list)]
    known = classes(tree)
    options = list(_read(tree, pyrallis_ways, "_", "parse").options)
    for function in wrapped:
        first = next(parameters(function), None)
        if first is not None and first.of_class in known:
            options += _options(fields(known[first.of_class], known), pyrallis_ways, known, "_")
    return Declared(tuple(options))


def read_jsonargparse(tree: ast.Module) -> Declared:
    found = _read(tree, jsonargparse_ways, "_", "CLI", "auto_cli")
    for call in calls(tree, "LightningCLI", "CLI"):
        is_lightning = called(call) == "LightningCLI" or any("Module" in ast.unparse(each) for each in call.args)
        if is_lightning and called(call) == "LightningCLI":
            options = (*found.options, *_of_lightning(call, classes(tree)))
            if is_false(keywords(call).get("run")):
                return Declared(options, of_library=_LIGHTNINGS)
            return Declared(options, ("fit", "validate", "test", "predict"), True, of_library=_LIGHTNINGS)
    names = [constant(call.args[0]) for call in calls(tree, "add_subcommand") if call.args]
    if any(names):
        return Declared(found.options, preferred(name for name in names if name), True)
    return found


# What LightningCLI has beside the classes that it is given: sections, and the booleans of its Trainer.
_SECTIONS: tuple[str, ...] = ("trainer", "model", "data", "optimizer", "lr_scheduler")
_SECTIONS += tuple(f"{name}.init_args" for name in _SECTIONS)
_TRAINERS: tuple[str, ...] = (
    "barebones",
    "benchmark",
    "detect_anomaly",
    "enable_checkpointing",
    "enable_model_summary",
)
_TRAINERS += ("enable_progress_bar", "inference_mode", "sync_batchnorm", "use_distributed_sampler")
_LIGHTNINGS = (
    *(Option(name, False, False, None, ("dotted",)) for name in _SECTIONS),
    *(
        Option(f"trainer.{name}", False, False, None, ("yaml",), values=kinds.union(BOOLEAN, NULL))
        for name in _TRAINERS
    ),
    *(Option(f"trainer.{name}", False, False, None, ("yaml",)) for name in ("deterministic", "fast_dev_run", "logger")),
)


def _of_lightning(call: ast.Call, known: Mapping[str, ast.ClassDef]) -> Iterator[Option]:
    """Yield the parameters of the classes that LightningCLI is given."""
    words = keywords(call)
    for index, (section, name) in enumerate((("model", "model_class"), ("data", "datamodule_class"))):
        given = words.get(name, call.args[index] if index < len(call.args) else None)
        methods = known[called(given)].body if given is not None and called(given) in known else []
        for method in methods:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                yield from _options(parameters(method), jsonargparse_ways, known, "_", f"{section}.")


def read_fire(tree: ast.Module) -> Declared:
    """fire reads every value by itself; only what it is started with has to be known."""
    known, defined = classes(tree), functions(tree)
    names: list[str] = []
    for call in calls(tree, "Fire"):
        target = call.args[0] if call.args else keywords(call).get("component")
        if target is None:
            names += [name for name in defined if not name.startswith("_") and defined[name] in tree.body]
        elif isinstance(target, ast.Dict):
            names += [text for text in map(constant, target.keys) if text]
        elif called(target) in known:
            methods = [node for node in known[called(target)].body if isinstance(node, ast.FunctionDef)]
            names += [node.name for node in methods if not node.name.startswith("_")]
    return Declared((), preferred(names), bool(names))


# --- typer -----------------------------------------------------------------------------------------------------------


def read_typer(tree: ast.Module) -> Declared:
    commands, has_callback, options = [], False, []
    started = {called(target) for target in _targets(tree, "run")}
    for node in functions(tree).values():
        names = [called(each) for each in node.decorator_list]
        is_command = "command" in names
        has_callback = has_callback or "callback" in names
        if is_command:
            decorator = node.decorator_list[names.index("command")]
            given = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
            given = given or (keywords(decorator).get("name") if isinstance(decorator, ast.Call) else None)
            commands.append(constant(given) or node.name.replace("_", "-"))
        if is_command or "callback" in names or node.name in started:
            options += [_typer_option(field) for field in parameters(node)]
    nested = [constant(keywords(call).get("name")) for call in calls(tree, "add_typer")]
    commands += [name for name in nested if name]
    alone = any("invoke_without_command" in keywords(call) for call in calls(tree, "callback", "Typer"))
    needs = (len(commands) > 1 or (has_callback and bool(commands))) and not alone
    return Declared(tuple(options), preferred(commands) if len(commands) > 1 or has_callback else (), needs)


def _typer_option(field: Field) -> Option:
    call = (
        field.default
        if isinstance(field.default, ast.Call) and called(field.default) in ("Option", "Argument")
        else None
    )
    default = field.default
    texts: list[str] = []
    if call is not None:
        default = call.args[0] if call.args else keywords(call).get("default")
        default = None if isinstance(default, ast.Constant) and default.value is ... else default
        texts = [text for text in map(constant, call.args[1:]) if text]
    elif isinstance(field.annotation, ast.Subscript) and called(field.annotation.value) == "Annotated":
        call = next(calls(field.annotation, "Option", "Argument"), None)
        texts = [text for text in map(constant, call.args) if text] if call is not None else []
    positional = called(call) == "Argument" if call is not None else default is None
    long = [text for text in texts if text.startswith("--")] or [text for text in texts if text.startswith("-")]
    on, _, off = long[0].partition("/") if long else ("", "", "")
    name = on.lstrip("-") or field.name.replace("_", "-")
    words = {"default": default} if default is not None else {}
    is_counted = call is not None and is_true(keywords(call).get("count"))  # it takes no value: -vv
    ways = ("only_true",) if is_counted else tuple(_typer_ways(field, default, on, off))
    kind = field.kind
    number = len(kind.rest.inner) or None if ways[:1] == ("spread",) and kind.rest.name == "tuple" else None
    return Option(
        name,
        default is None,
        positional,
        _example(field, words),
        () if positional else ways,
        number=number,
        kind=field.shown,
        values=UNKNOWN if is_counted else kind,
        default=default_of(words),
    )


def _typer_ways(field: Field, default: ast.expr | None, on: str, off: str) -> Iterator[str]:
    omit = ["omit"] if default is not None and is_none(default) else []
    kind = field.kind.rest
    if kind == BOOLEAN:
        if off:
            yield "negatable" if off == f"--no-{on.lstrip('-')}" else f"{on}/{off}"
        elif on:
            yield "flag" if is_false(default) else "only_true"
        else:
            yield from ("negatable", *omit)
    elif kind.name == "tuple":
        yield from ("spread", *omit)
    elif kind.name == "list":
        yield "repeat"
        if kind.inner and kind.inner[0] == BOOLEAN:
            yield "value"
        if is_empty(default):
            yield "omit_empty"
    else:
        yield from ("word", *omit)
