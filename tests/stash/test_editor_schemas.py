"""The schemas that editors read take what Hydra takes, and refuse what is mistyped: by a public validator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from experimentstash.stash import editor_schemas, settings
from experimentstash.stash.settings import KINDS, LAUNCHER, ORGANIZER, REGISTRATION, ROOT, Kind

ROOT_OF_EXAMPLES = Path(__file__).resolve().parents[2]
VALIDATORS = {kind: jsonschema.Draft7Validator(editor_schemas.schema_of(kind)) for kind in KINDS}


def errors(kind: Kind, content: Any) -> list[str]:
    return [str(error.message) for error in VALIDATORS[kind].iter_errors(content)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_file_of_the_example_is_valid(kind: Kind) -> None:
    jsonschema.Draft7Validator.check_schema(VALIDATORS[kind].schema)
    files = sorted(ROOT_OF_EXAMPLES.glob(kind.where))
    assert files
    for file in files:
        assert errors(kind, yaml.safe_load(file.read_text())) == [], file


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_unknown_key_is_refused_wherever_settings_stand(kind: Kind) -> None:
    assert errors(kind, {"tpyo": 1})
    prefixes = {
        setting.key.rpartition(".")[0].replace(settings.ANY, "mine")
        for each in kind.types
        for setting in settings.below(each)
    }
    for prefix in prefixes - {""}:
        content: Any = {"tpyo": 1}
        for key in reversed(prefix.split(".")):
            content = {key: content}
        (message,) = errors(kind, content)
        assert "is not valid under any of the given schemas" in message, prefix


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ORGANIZER, "params: {seed: 1, model: {depth: '${vars.depth}'}}\nvars: {depth: 3}\ntags: ${vars.tags}"),
        (ORGANIZER, "defaults: [{override /tool: latents}, _self_]\nhydra: {launcher: {n_jobs: 2}}"),
        (ORGANIZER, "timeout: 30\nresources: {mem: 16, time: 90, gpus: 2, extra: {exclusive: true}}"),
        (ORGANIZER, "tool: {commit: abc, call: {lists: null}}\ngrace: {seconds: '${vars.grace}'}"),
        (ORGANIZER, "metrics: {loss: {column: loss, take: min, better: lower}}\nobjective: [a, {key: b}]"),
        (ORGANIZER, "debug: 'true'\nforce: 1\nskip_completed: Off"),
        (ORGANIZER, "resources: {cpus: '4'}\ngrace: {seconds: '30'}\noutputs: {a.csv: {rtol: 1e-3, atol: '.5'}}"),
        (ORGANIZER, ""),
        (REGISTRATION, "path: tools/x\nentrypoint: main.py\nenv: {A: null, B: 3}\nresume: []"),
        (REGISTRATION, "defaults: [base]\nenvironment: {kind: requirements, requirements: [a.txt]}"),
        (ROOT, "defaults: [_self_, {tool: null}]\npermissions: group\nwandb: {mode: offline}"),
        (LAUNCHER, "defaults: [slurm]\nresources: {account: def-me, setup: [module load cuda]}\nsubmit_limit: 1000"),
        (LAUNCHER, "n_jobs: 2\ngpus: [0, 1]"),
    ],
)
def test_what_is_right(kind: Kind, text: str) -> None:
    assert errors(kind, yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ORGANIZER, "tags: pca"),
        (ORGANIZER, "code: frosen"),
        (ORGANIZER, "params: [1]"),
        (ORGANIZER, "debug: maybe"),
        (ORGANIZER, "debug: 2"),
        (ORGANIZER, "resources: {cpus: many}"),
        (ORGANIZER, "resources: {cpus: '4.5'}"),
        (ORGANIZER, "outputs: {a.csv: {rtol: 1e}}"),
        (ORGANIZER, "metrics: {loss: {better: best}}"),
        (REGISTRATION, "call: hydra"),
        (REGISTRATION, "call: {style: hidra}"),
        (REGISTRATION, "collect: results"),
        (LAUNCHER, "time_factor: [1]"),
    ],
)
def test_what_is_wrong(kind: Kind, text: str) -> None:
    assert errors(kind, yaml.safe_load(text))


def test_what_an_editor_shows_of_a_setting() -> None:
    schema = editor_schemas.schema_of(REGISTRATION)
    style = schema["definitions"]["CallConfig"]["properties"]["style"]
    assert (
        style["default"] == "options" and "key_value: key=value, as OmegaConf.from_cli reads it" in style["description"]
    )
    assert "default" not in schema["properties"]["entrypoint"]
