"""What we set of submitit's launcher for SLURM: what variables fill, and the warning before a job's end."""

from __future__ import annotations

import math
import os

from omegaconf import DictConfig, open_dict, read_write

from experimentstash.adapters.slurm import job_terms
from experimentstash.base import durations, limits
from experimentstash.base.errors import StashError
from experimentstash.base.output import say
from experimentstash.execute.execution import GRACE_IN_JOB
from experimentstash.launch.slurm import batch, sbatch_variables

# What its settings call otherwise than sbatch.
_ITS_OPTIONS = {"timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks-per-node", "name": "job-name"}
# What it has settings of its own for that are texts.
_ITS_TEXTS = ("account", "constraint", "gres", "partition", "qos")
# Where sbatch's own --signal is given to submitit.
_OWN_SIGNAL = "hydra.launcher.additional_parameters.signal"
# Seconds before the wall time at which SLURM warns a job whose --signal doesn't say.
_SLURMS_GRACE = 60.0
# What a batch script of submitit's does where a line of `setup` has failed. It doesn't give its own name: what has that
# is a copy on the node, which goes with the job.
_SAY_AND_END = (
    'echo "stash: line $LINENO of the batch script, in hydra.launcher.setup, failed with exit code $stash_code:'
    ' $BASH_COMMAND" >&2; exit $stash_code'
)


def fill_what_nobody_asked(config: DictConfig) -> dict[str, str]:
    """Have submitit ask for what sbatch's variables say, where the settings say nothing; sbatch itself gets none.

    Returns the variables whose values these are.
    """
    launcher = config.hydra.launcher
    parameters = dict(launcher.get("additional_parameters") or {})
    set_ones = [str(name) for name, value in launcher.items() if value is not None]
    asked = {_ITS_OPTIONS.get(name, name).replace("_", "-") for name in [*set_ones, *map(str, parameters)]}
    filling = sbatch_variables.fill(os.environ, asked)
    for remark in sbatch_variables.remarks(os.environ, filling):
        say(remark)
    with read_write(config), open_dict(config):
        for option, text in filling.options:
            if option in _ITS_TEXTS:
                launcher[option] = text
            else:
                parameters[option] = True if text is None else text
        launcher.additional_parameters = parameters
    return dict(filling.variables)


def have_it_warn(config: DictConfig) -> None:
    """Have submitit's SLURM launcher ask for the warning that `grace` describes; StashError if that makes no sense."""
    launcher = config.hydra.launcher
    grace = GRACE_IN_JOB if config.grace.seconds is None else limits.seconds(config.grace.seconds, "grace.seconds")
    name = limits.warning_signal(str(config.grace.signal))
    parameters = dict(launcher.get("additional_parameters") or {})
    if "signal" in parameters:  # the user's own: [R][B:]SIGNAL[@SECONDS]
        limits.warning_signal(str(parameters["signal"]).rpartition(":")[2].partition("@")[0], _OWN_SIGNAL)
    else:
        if grace >= launcher.timeout_min * 60:
            raise StashError(
                f"hydra.launcher.timeout_min: {launcher.timeout_min:g} min is all grace: the tool is told to stop"
                f" {durations.describe(grace)} before its job's end.",
                "give it more time, or a smaller grace.seconds",
            )
        # Without a grace it is warned as late as SLURM can: that the option is missing means something to submitit.
        parameters["signal"] = batch.warning(name, max(1.0, grace))
    submitted_name, _, seconds = str(parameters["signal"]).rpartition(":")[2].partition("@")
    told = job_terms.of_cluster().told(
        signal_name=limits.warning_signal(submitted_name),
        grace=float(seconds) if seconds.isdecimal() else _SLURMS_GRACE,
        limit=launcher.timeout_min * 60,
        partition=launcher.partition,
    )
    setup = list(launcher.setup or [])
    with read_write(config), open_dict(config):
        launcher.setup = [told]
        if setup:
            watched = [batch.SAYS_ITS_END, batch.stop_at_failure(_SAY_AND_END), *setup, batch.ENDS_STOPPING]
            launcher.setup = [told, *watched]
        launcher.signal_delay_s = max(1, math.ceil(grace))
        launcher.additional_parameters = parameters
