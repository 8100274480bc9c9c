"""What an environment that somebody else has made imports from a checkout itself, as after `pip install -e`."""

from __future__ import annotations

import json
from pathlib import Path

from experimentstash.base.process import CommandError, clean_environment, run

# Seconds that an interpreter may take to say where it looks.
_PATIENCE = 60.0
# Where it looks, and which packages setuptools' editable installations bring in another way: name → directory or file.
_ASKED = """
import json, sys
packages = {}
for name, module in list(sys.modules.items()):
    if name.startswith("__editable__") and isinstance(getattr(module, "MAPPING", None), dict):
        packages.update(module.MAPPING)
print(json.dumps([sys.path, packages]))
"""


def places(python: Path, checkout: Path) -> tuple[list[Path], list[str]]:
    """Return where below a checkout an interpreter looks for modules, relative to it, and what it finds otherwise."""
    try:
        said = run([str(python), "-c", _ASKED], cwd=Path("/"), env=clean_environment(), timeout=_PATIENCE).stdout
        path, packages = json.loads(said)
    except (CommandError, OSError, ValueError):
        return [], []  # the run itself will say what is wrong with it
    root = checkout.resolve()
    found = [Path(each).resolve() for each in path if each]
    others = []
    for name, place in packages.items():
        target = Path(place).resolve()
        if target.is_relative_to(root):
            if target.stem != name.rpartition(".")[2] or "." in name:
                others.append(f"{name} ({target})")
            else:
                found.append(target.parent)
    return [each.relative_to(root) for each in dict.fromkeys(found) if each.is_relative_to(root)], others
