"""What a tool's environment says to Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experimentstash.stash.schema import WandbConfig, WandbMode

# Variables that would make one run of a tool's several, or of several tools' runs; where a run is frozen may not be
# where it inherits them.
MERGING = ("WANDB_RESUME", "WANDB_RUN_ID", "WANDB_SERVICE")
# The longest tag that wandb.init accepts.
TAG_LENGTH = 64


def variables(
    config: WandbConfig,
    *,
    run_directory: Path,
    organizer: str | None,
    experiment: str | None,
    run_id: str,
    tags: Sequence[str],
    job_type: str | None,
    inherited: Mapping[str, str],
    in_job: bool,
) -> tuple[dict[str, str], list[str]]:
    """Return the variables to set for a tool, and those to remove from what it inherits.

    What the user's environment has set stays, but for the configured mode and the run's own directory.
    """
    wanted = {
        "WANDB_ENTITY": config.entity,
        "WANDB_PROJECT": config.project,
        "WANDB_RUN_GROUP": config.group or organizer,
        "WANDB_NAME": run_id,
        "WANDB_TAGS": ",".join(tag.replace(",", " ")[:TAG_LENGTH] for tag in tags if tag.strip()),
        "WANDB_JOB_TYPE": job_type or experiment,
        "WANDB_MODE": "offline" if in_job and config.mode is WandbMode.auto else None,
        # Limits what is lost with a killed tool to one second (wandb 0.31 and later).
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "1",
    }
    given = {name: value for name, value in wanted.items() if value and not inherited.get(name)}
    if config.mode is not WandbMode.auto:
        given["WANDB_MODE"] = config.mode.value
    given["WANDB_DIR"] = str(run_directory)
    return given, list(MERGING)
