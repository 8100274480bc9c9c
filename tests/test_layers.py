"""Imports point down: no cycles, and none between modules of one layer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "experimentstash"

# From the bottom up. A module may import from the layers below its own.
LAYERS = (
    {"light", "interrupts"},
    {"slurm_reasons"},
    {"typed", "permissions"},
    {"errors", "gpus"},
    {"redaction", "parameters", "procfs", "quoting", "schema", "signals", "steps", "terminal", "detect_writes", "text"},
    {"files", "mistyped"},
    {"yaml_files", "interpolations"},
    {"stash_loader"},
    {"loader"},
    {
        "objective",
        "together",
        "durations",
        "entrypoints",
        "poetry",
        "process",
        "output",
        "job_config",
        "wandb_variables",
        "calling.words",
        "uv_errors",
        "calling.ways",
        "declared.kinds",
        "declared.training_arguments",
    },
    {"declarations"},
    {
        "keeper",
        "recipes",
        "kept_ends",
        "installed",
        "modules",
        "secret_files",
        "masking",
        "declared.option",
        "tables",
        "yaml_lines",
    },
    {f"declared.{name}" for name in ("argparse", "click", "absl", "typed")},
    {"patches", "declared.library"},
    {"declared.program"},
    {"sources"},
    {"hydra_configs"},
    {"candidates"},
    {
        "limits",
        "records",
        "presence",
        "slurm_client",
        "relay",
        "calling.hydra",
        "calling.command_line",
        "git",
        "names",
        "workspace",
        "hydra_files",
        "wandb_log",
        "wandb_places",
        "wandb_records",
        "variations",
    },
    {f"calling.{name}" for name in ("options", "argparse", "click", "typer", "tyro", "absl", "hf", "jsonargparse")}
    | {f"calling.{name}" for name in ("simple_parsing", "pyrallis", "ml_collections", "literals")},
    {f"calling.{name}" for name in ("fire", "gin", "sacred", "key_value", "file")},
    {
        "command_line",
        "run_places",
        "kept_clones",
        "sweep_list",
        "results",
        "written",
        "calls",
        "config_store",
        "build_traces",
        "nested",
        "older_trees",
        "installation",
    },
    {"provenance", "calling.arguments", "environments", "collect", "completion", "slurm", "summary", "wandb_runs"}
    | {"copies", "editable"}
    | {
        "slurm_query",
        "sweepers",
        "attempts",
        "detection",
        "older",
        "organizers",
        "packs",
        "tool_config",
        "submodules",
        "toolpath",
    },
    {"job_terms"},
    {"job_end"},
    {
        "supervision",
        "moved",
        "pins",
        "registrations",
        "journal",
        "git_state",
        "wandb_sync",
        "wandb_upload",
        "snapshots",
    },
    {"transaction"},
    {"arrived", "outcome", "backups", "written_words", "places", "wandb_guard", "worktrees"},
    {"apart"},
    {"freeze", "execute", "leftovers", "subdirectories", "unpacking"},
    {"launch.crew", "launch.live", "launch.sbatch_variables", "launch.failed_setup", "launch.hopeless"},
    {
        "adding",
        "occupied",
        "checks",
        "mistakes",
        "overrides",
        "runs",
        "sweep_size",
        "tools",
        "launch.batch",
        "launch.task",
    },
    {"naming", "adding_installed", "cancelling", "continuing", "deep", "removing", "launch.start"},
    {"commands.choosing", "commands.init", "commands.import_configs", "commands.list_experiments"},
    {"session", "commands.run", "commands.runs", "commands.show", "commands.logs", "commands.cancel"}
    | {"commands.sync", "commands.tool"},
    {"preparing"},
    {"guard"},
    {"app"},
    {"composition", "commands.resume", "launch.jobs", "launch.progress"},
    {"commands.validate", "launch.local", "launch.sweep", "launch.submitit_jobs", "launch.waiting"},
    {"launch.slurm"},
    {"cli"},
    {"__main__"},
)
# Only these may import Hydra or OmegaConf: what a job executes needs neither.
COMPOSERS = {
    "app",
    "command_line",
    "composition",
    "config_store",
    "stash_loader",
    "guard",
    "interpolations",
    "job_config",
    "loader",
    "mistakes",
    "mistyped",
    "overrides",
    "preparing",
    "sweep_size",
    "tool_config",
    "variations",
    "launch.jobs",
    "launch.submitit_jobs",
    "launch.sweep",
}
# Modules that cost more than they are worth at start-up; whoever needs one imports it where it is used.
HEAVY = {"wandb", "submitit", "git", "rich", "hydra", "omegaconf", "yaml", "uv"}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }


def imports(path: Path, *, at_top: bool) -> set[str]:
    """Return the full names that a file imports, or only those that it imports when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_top else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def own(names: set[str]) -> set[str]:
    known = modules()
    stripped = {name.removeprefix("experimentstash.") for name in names if name.startswith("experimentstash.")}
    return {name for name in stripped if name in known}


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_only_from_below(name: str) -> None:
    level = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    assert name in level, f"{name} is in no layer yet"
    wrong = {other for other in own(imports(modules()[name], at_top=False)) if level[other] >= level[name]}
    assert not wrong


@pytest.mark.parametrize("name", sorted(set(modules()) - COMPOSERS))
def test_nothing_heavy_is_imported_at_start(name: str) -> None:
    roots = {imported.partition(".")[0] for imported in imports(modules()[name], at_top=True)}
    assert not roots & HEAVY
