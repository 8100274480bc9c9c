"""Hydra's and OmegaConf's private parts have one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOOR = "hydra_compat.py"
# What Hydra's and OmegaConf's documentation, or Hydra's examples of plugins, name; () is all that a module has.
PUBLIC: dict[str, tuple[str, ...]] = {
    "hydra": ("compose", "initialize", "initialize_config_dir", "main"),
    "hydra.core.config_store": ("ConfigStore",),
    "hydra.core.global_hydra": ("GlobalHydra",),
    "hydra.core.hydra_config": ("HydraConfig",),
    "hydra.core.override_parser.overrides_parser": ("OverridesParser",),
    "hydra.core.override_parser.types": (),
    "hydra.core.plugins": ("Plugins",),
    "hydra.core.utils": ("JobReturn", "JobStatus", "configure_log", "run_job", "setup_globals"),
    "hydra.errors": (),
    "hydra.experimental.callback": ("Callback",),
    "hydra.plugins.launcher": ("Launcher",),
    "hydra.plugins.sweeper": ("Sweeper",),
    "hydra.types": (),
    "hydra.utils": (),
    "omegaconf": (),
    "omegaconf.errors": (),
}


def sources() -> list[Path]:
    return [
        path for folder in ("experimentstash", "hydra_plugins", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules that a file imports from, wherever in it, and what; nothing for a module as a whole."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_imports_what_is_private(path: Path) -> None:
    private = {
        f"{module} {name}"
        for module, name in imported(path)
        if module.partition(".")[0] in ("hydra", "omegaconf")
        and (module not in PUBLIC or name.startswith("_") or (name and PUBLIC[module] and name not in PUBLIC[module]))
    }
    assert not private or path.name == DOOR
