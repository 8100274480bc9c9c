"""Regular expressions that are compiled when they are first used: a command needs few of all that its modules have."""

from __future__ import annotations

import re

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, AnyStr


class _Pattern:
    def __init__(self, expression: str | bytes, flags: int) -> None:
        self._given = expression, flags

    def __getattr__(self, name: str) -> Any:
        """Compile it, and from then on have what it can do at hand."""
        compiled: re.Pattern[Any] = re.compile(*self._given)
        for each in dir(compiled):
            if not each.startswith("_"):
                setattr(self, each, getattr(compiled, each))
        return getattr(compiled, name)


def regex(expression: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Do what `re.compile` does, later. The functions of `re` don't take what this returns; its methods are there."""
    return _Pattern(expression, flags)  # type: ignore[return-value]
