"""Whether a module is there to be run with ``python -m``, found without importing anything of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from experimentstash.base.process import CommandError, clean_environment, run

# Seconds that an interpreter may take to say where it would find a module.
_PATIENCE = 60.0


def exists(module: str, roots: Iterable[Path]) -> bool | None:
    """Tell whether ``python -m module`` finds a file to run; None if not even the top-level package is there."""
    parts = module.split(".")
    is_known: bool | None = None
    for root in roots:
        top = root / parts[0]
        if not top.is_dir() and not top.with_name(f"{parts[0]}.py").is_file():
            continue
        if _runs(root.joinpath(*parts)):
            return True
        is_known = False
        if (top / "__init__.py").is_file():
            break  # Python looks no further for a regular package
    return is_known


def _runs(path: Path) -> bool:
    return path.with_name(f"{path.name}.py").is_file() or (path / "__main__.py").is_file()


def is_in_environment(interpreter: str, module: str) -> bool:
    """Tell whether an interpreter finds a module; it looks for the top-level package and imports nothing."""
    top, _, rest = module.partition(".")
    asking = (
        "import importlib.util, json, sys; spec = importlib.util.find_spec(sys.argv[1]);"
        "print(json.dumps(None if spec is None else list(spec.submodule_search_locations or [])))"
    )
    try:
        said = run([interpreter, "-I", "-c", asking, top], env=clean_environment(), timeout=_PATIENCE).stdout
    except CommandError:
        return False
    folders: list[str] | None = json.loads(said)
    if folders is None:
        return False
    if not folders:
        return not rest
    return any(
        _runs(Path(folder, *rest.split("."))) if rest else Path(folder, "__main__.py").is_file() for folder in folders
    )


def lacking(interpreter: str, names: Sequence[str]) -> list[str]:
    """Return those of some top-level packages that an interpreter doesn't find; all, if it doesn't say."""
    asking = (
        "import importlib.util, json, sys;"
        "print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))"
    )
    try:
        said = run([interpreter, "-I", "-c", asking, *names], env=clean_environment(), timeout=_PATIENCE).stdout
        found: list[str] = json.loads(said)
    except (CommandError, ValueError):
        return list(names)
    return found
