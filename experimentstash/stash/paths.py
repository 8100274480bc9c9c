"""What the files and folders of a stash are called, relative to its root. Where they are, `layout` tells."""

from __future__ import annotations

CONF = "conf"
ROOT_CONFIG = f"{CONF}/config.yaml"
REGISTRATIONS = f"{CONF}/tool"
ORGANIZERS = f"{CONF}/exp"
# Of what Hydra itself has configs for, too.
LAUNCHERS = f"{CONF}/hydra/launcher"
SWEEPERS = f"{CONF}/hydra/sweeper"
# For editors.
SCHEMAS = f"{CONF}/.schemas"
TOOLS = "tools"
OUTPUTS = "outputs"
MULTIRUN = "multirun"
BACKUPS = "backups"
FROZEN = "frozen"
PRIVATE = ".experimentstash"
# What tells an archive that was unpacked: nothing else of a stash is called so.
CRATE = "ro-crate-metadata.json"
# In the private folder.
CODE = "code"
LOCKS = "locks"

# What the framework itself writes.
WRITTEN = (OUTPUTS, MULTIRUN, PRIVATE)
# … and that may be committed with the code, of which it is no change.
KEPT = (FROZEN,)


def registration(tool: str) -> str:
    return f"{REGISTRATIONS}/{tool}.yaml"


def organizer(name: str) -> str:
    return f"{ORGANIZERS}/{name}.yaml"
