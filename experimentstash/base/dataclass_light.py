"""Dataclasses that are quick to define, for the modules that every job or every command imports.

Those of the standard library bring `inspect` with them and compile source for each class: a third of the CPU time that
a job would need before its tool starts, a sixth of what Hydra's own start takes. These have as much of them as we use;
`vars` shows their fields.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False  # from here, because typing itself takes long
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    _Kind = TypeVar("_Kind")
else:

    def dataclass_transform(**_: object) -> Callable[[Callable], Callable]:
        return lambda function: function


class _Factory:
    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:
    """Give a field a default that is made for each object."""
    return _Factory(default_factory)


@dataclass_transform(field_specifiers=(field,))
def dataclass(kind: type[_Kind] | None = None, *, frozen: bool = False) -> Any:
    """Do what `dataclasses.dataclass` does, for a class without parents."""
    return _complete(kind, frozen) if kind is not None else lambda kind: _complete(kind, frozen)


def _complete(kind: type[_Kind], frozen: bool) -> type[_Kind]:
    names = tuple(kind.__annotations__)
    defaults = {name: getattr(kind, name) for name in names if hasattr(kind, name)}

    factories = [(name, default.make) for name, default in defaults.items() if isinstance(default, _Factory)]
    needed = {name for name in names if name not in defaults}
    usual = {name: defaults.get(name) for name in names}

    def __init__(self: _Kind, *given: object, **named: object) -> None:
        number = len(given) + len(named)
        if given:
            named.update(zip(names, given, strict=False))
        values = vars(self)
        values.update(usual)
        values.update(named)
        for name, make in factories:
            if name not in named:
                values[name] = make()
        if not needed <= named.keys():
            raise TypeError(f"{kind.__name__} needs {', '.join(sorted(needed - named.keys()))}")
        if len(named) != number or len(values) != len(names):
            raise TypeError(f"{kind.__name__} has only {', '.join(names)}, each once")

    def _values(self: _Kind) -> tuple[object, ...]:
        values = vars(self)  # a cached property may be among them
        return tuple([values[name] for name in names])

    def __eq__(self: _Kind, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is kind else NotImplemented

    def __repr__(self: _Kind) -> str:
        return f"{kind.__name__}({', '.join(f'{name}={vars(self)[name]!r}' for name in names)})"

    def __hash__(self: _Kind) -> int:
        return hash(_values(self))

    def __setattr__(self: _Kind, name: str, value: object) -> None:
        raise AttributeError(f"{kind.__name__} is frozen: its {name} stays as it is")

    for method in (__init__, __eq__, __repr__, *((__hash__, __setattr__) if frozen else ())):
        setattr(kind, method.__name__, method)
    if not frozen:
        kind.__hash__ = None  # type: ignore[assignment]
    return kind


def replace(original: _Kind, **changes: Any) -> _Kind:
    """Do what `dataclasses.replace` does, for one of ours or one of theirs."""
    kind = type(original)
    theirs = getattr(kind, "__dataclass_fields__", None)
    if theirs is not None:
        return kind(**{**{name: getattr(original, name) for name in theirs}, **changes})
    names, values = kind.__annotations__, vars(original)
    if not changes.keys() <= names.keys():
        raise TypeError(f"{kind.__name__} has only {', '.join(names)}")
    made = object.__new__(kind)
    vars(made).update({name: values[name] for name in names}, **changes)
    return made
