"""What is told of settings is what schema.py says of them."""

from __future__ import annotations

from typing import Any

import pytest

from experimentstash.stash import schema, settings
from experimentstash.stash.settings import SECTIONS, Setting

EVERYTHING = [(section, setting) for section in SECTIONS for setting in settings.of(section)]


def setting(key: str) -> Setting:
    (found,) = {each.key: each for section, each in EVERYTHING if f"{section.prefix}{each.key}" == key}.values()
    return found


@pytest.mark.parametrize("each", [pytest.param(each, id=f"{where.prefix}{each.key}") for where, each in EVERYTHING])
def test_every_setting_and_every_choice_that_is_more_than_a_word_is_explained(each: Setting) -> None:
    assert each.text[0].isupper() or each.text[0] in "`\"'…$" or each.text.partition(" ")[0].endswith(":")
    assert not each.text.endswith(",")
    assert list(each.choices) == list(dict.fromkeys(each.choices))


@pytest.mark.parametrize(
    ("key", "type_", "default", "text"),
    [
        ("timeout", "text, or null", None, "The time after which the run is stopped"),
        ("tags", "list of texts", [], "By which it is listed"),
        ("params", "mapping of names to anything", {}, "The tool's parameters"),
        ("metrics", "mapping of names to mappings", {}, "Where numbers are read"),
        ("metrics.NAME.column", "text, or null", None, "In a column of a CSV file"),
        ("outputs.NAME.columns.NAME.rtol", "number", 0.0, "Relative to the earlier number"),
        ("grace", "mapping", {}, "The time a tool gets to save its work"),
        ("tool.entrypoint", "text", "???", "`-m package.module`"),
        ("tool.call.format", None, "yaml", "file: its format"),
        ("tool.env", "mapping of names to texts or null", {}, "Environment variables for the tool."),
        ("hydra.launcher.runs_per_job", "whole number", 1, "How many runs share a job"),
        ("hydra.launcher.fail_fast", "true or false", False, "Stop everything, gently"),
        ("hydra.sweeper.together", "list of lists of texts, or null", None, "Which keys vary in step"),
        ("code", "auto | live | frozen", "auto", "Whether the run uses the tool's checkout"),
    ],
)
def test_what_is_known_of_one(key: str, type_: str | None, default: Any, text: str) -> None:
    found = setting(key)
    assert (found.type == type_ or type_ is None) and found.default == default and found.text.startswith(text)
    assert found.is_needed == (default == schema.MISSING)


def test_choices_have_the_words_beside_them_and_above_them() -> None:
    choices = setting("tool.call.lists").choices
    assert choices["comma"] == "--key a,b,c" and choices["spread"].startswith("--key a b c")
    assert "the first of" in setting("tool.environment.kind").choices["auto"].lower()
    assert setting("code").choices["frozen"].startswith("The checkout as it was when the run was submitted")


def test_no_setting_is_missing() -> None:
    keys = {f"{section.prefix}{each.key}" for section, each in EVERYTHING}
    assert {f"tool.{name}" for name in vars(schema.ToolConfig())} <= keys
    assert set(vars(schema.StashConfig())) - {"tool"} <= keys
    assert {f"hydra.launcher.{name}" for name in vars(schema.SlurmLauncherConfig())} - {
        "hydra.launcher._target_"
    } <= keys
