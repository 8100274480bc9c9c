"""What somebody who adds a repository should know of what was found in it."""

from __future__ import annotations

from pathlib import Path

from experimentstash.adapters.git import checkouts
from experimentstash.stash.schema import EnvironmentKind
from experimentstash.tools.detect.detection import Detection


def notes_on(tree: Path, detected: Detection, is_local: bool) -> list[str]:
    """Return what to say of a tree that is added, and of what was found in it."""
    notes = list(detected.notes)
    pointers = checkouts.lfs_pointers(tree)
    if pointers:
        notes.append(
            f"{pointers} file{'s are Git LFS pointers' if pointers > 1 else ' is a Git LFS pointer'}, not the content:"
            " install git-lfs, then `git lfs pull` in the tool's directory"
        )
    if is_local:
        notes.append("its URL is a path on this machine: who clones the stash elsewhere can't get the tool")
    if detected.left:
        notes.append(f"not used for its environment: {'; '.join(detected.left)}")
    if any("conda" in each for each in detected.left):
        notes.append(
            "to use a conda environment that you make yourself: --interpreter PREFIX, or `environment: {interpreter:"
            " PREFIX/bin/python}` in its registration"
        )
    if detected.kind is EnvironmentKind.empty:
        needs = f", and it imports {', '.join(detected.lacking[:10])}" if detected.lacking else ""
        notes.append(
            f"nothing in the repository says what it needs{needs}: its environment is an empty one, unless you name"
            " packages as `dependencies:` in its registration"
        )
    if detected.writes:
        seen = [f"{write.path}{'' if write.is_whole else '…'} ({write.where})" for write in detected.writes[:5]]
        setting = "collect" if any(write.is_whole for write in detected.writes) else "working_directory: run"
        notes.append(
            f"it seems to write into its checkout: {', '.join(seen)}; `{setting}` in its registration keeps that with"
            " each run"
        )
    if detected.best is not None and detected.best.hydra is not None and detected.best.hydra.config_directory is None:
        notes.append("its Hydra configs were not found: give their directory as `call.configs` in the registration")
    return notes
