"""A table: dialect × way of writing × type of value. What each library received is what the record says, in every cell.

What a dialect can't say is refused before the run begins, in whatever way it is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze import calls
from experimentstash.freeze.calling import arguments
from experimentstash.freeze.plan import Plan, ToolPlanCache, plan
from experimentstash.stash import parameters
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallConfig, CallStyle
from experimentstash.validate.composer import Composer
from tests.testing.receivers.harness import NAMES, RECEIVERS, VALUES, declares, defaults, received, same, spelled
from tests.testing.stash import StashUnderTest
from tests.testing.ways_of_writing import organizer, ways

# Of each parameter's values, those with these numbers (from the start again, where there are fewer).
NUMBERS = (35, 48)
# The library that reads, and the dialect that is written: `options` is for a parser of which nothing is known.
LIBRARIES = (*NAMES, "ml_collections")
PAIRS = [*((name, "pyrallis" if name == "draccus" else name) for name in LIBRARIES), ("argparse", "options")]


class Receiver:
    """A tool that reads its command line with a library. Many runs of it are planned in this process."""

    def __init__(self, stash: StashUnderTest, library: str, style: str) -> None:
        self.stash, self.reader = stash, library
        self.place = "train" if library == "gin" else ""
        self.entrypoint = f"with_{library}.py"
        self.directory = stash.add_tool("tool", None, f"entrypoint: {self.entrypoint}\ncall: {{style: {style}}}")
        for source in (self.entrypoint, "ml_config.py"):
            shutil.copy(RECEIVERS / source, self.directory)
        self.calling = calls.complete(CallConfig(style=CallStyle(style)), self.directory, [self.entrypoint])
        self._written = 0
        self._tool_plans = ToolPlanCache()

    def can_be_told(self, key: str, value: Any) -> bool:
        """Tell whether the dialect can say a value, by itself and not in a run."""
        places = {"run_directory": self.directory, "tool_directory": self.directory, "stash_root": self.stash.root}
        try:
            params = {f"{self.place}.{key}".lstrip("."): value}
            calls.refuse_other_type(self.calling, params)
            arguments.build(self.calling.call, None, params, [], **places)
        except StashError:
            return False
        return True

    def written(self, asked: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
        """Write organizers for each way of writing parameters; return the way, the organizer and the command line."""
        found = ways(asked, self.place).items()
        return [(way, self._write(base, own), overrides) for way, (base, own, overrides) in found]

    def _write(self, base: Mapping[str, Any] | None, own: Mapping[str, Any]) -> str:
        """Write an organizer with these parameters and return its name."""
        self._written += 1
        name = f"e{self._written}"
        if base is None:
            self.stash.add_experiment(name, "tool", organizer(own))
        else:
            self.stash.add_experiment(f"{name}_base", "tool", organizer(base))
            head = f"# @package _global_\ndefaults:\n  - {name}_base\n"
            self.stash.write(f"conf/exp/{name}.yaml", head + organizer(own))
        return name

    def plan(self, composer: Composer, experiment: str, overrides: list[str]) -> Plan:
        request = composer.compose([f"+exp={experiment}", *overrides], self.stash.root / "outputs" / "x")
        return plan(request, self._tool_plans)

    def differences(self, planned: Plan, asked: Mapping[str, Any]) -> list[Any]:
        """Return what was received otherwise than the record says, or recorded otherwise than it was asked for."""
        recorded = parameters.from_json(planned.params)
        recorded = recorded[self.place] if self.place else recorded
        argv = planned.command.argv
        start = next(number for number, word in enumerate(argv) if word.endswith(self.entrypoint))
        got = received(self.reader, argv[start + 1 :])
        wrong = [] if recorded.keys() == {key.partition(".")[0] for key in asked} else [("keys", list(recorded))]
        for key, value in asked.items():
            said, arrived = _inside(recorded, key), got[spelled(self.reader, key)]
            expected = {**defaults(self.reader)[key], **said} if _is_completed(self.reader, key) else said
            if not (same(said, value) and same(arrived, expected)):
                wrong.append((key, value, said, arrived))
        return wrong


def _inside(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree


def _is_completed(library: str, key: str) -> bool:
    """Tell whether the library completes a mapping with the tool's defaults."""
    return key == "section" and library not in ("gin", "fire", "key_value")


@pytest.mark.slow
@pytest.mark.parametrize(("library", "style"), PAIRS)
def test_what_is_received_is_what_the_record_says(
    stash: StashUnderTest, library: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experimentstash.freeze.plan.FRESH", 3600.0)  # the tool doesn't change meanwhile
    tool = Receiver(stash, library, style)
    cells, refused = [], []
    for number in NUMBERS:
        values = {key: each[number % len(each)] for key, each in VALUES.items() if declares(library, key)}
        said = {key: value for key, value in values.items() if tool.can_be_told(key, value)}
        more = [{key: value} for key, value in values.items() if key not in said]
        refused += [asked for asked in more if asked not in refused]
        cells += [(said, True, *way) for way in tool.written(said)]
    cells += [(asked, False, *way) for asked in refused for way in tool.written(asked)]
    composer, wrong = Composer(Stash(stash.root)), []
    for asked, is_said, way, experiment, overrides in cells:
        try:
            planned = tool.plan(composer, experiment, overrides)
        except StashError as error:
            if is_said or not (error.hint and any(key in error.message for key in asked)):
                wrong.append((way, asked, error.message))
            continue
        wrong += [(way, *each) for each in tool.differences(planned, asked)] if is_said else [(way, asked)]
    assert not wrong
