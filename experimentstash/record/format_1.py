"""Records of format 1, which had all about a run and its present attempt side by side, read as those of format 2."""

from __future__ import annotations

from experimentstash.base.dataclass_light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Where its keys went; what isn't named here stays where it is: it is the run's own, or in words of another version.
_PARTS = {
    "spec": "tool command experiment organizer registration description tags params overrides job estimated_runtime"
    " collect collect_lock apart shared resume objective stash code environment debug version",
    "terms": "timeout grace grace_signal resources borrowed max_requeues",
    "attempt": "state queued supervisor process host started ended duration exit_code signal reason advice job_end"
    " result peak_memory cpu_time log collected wrote deleted notes warnings",
}
_PLACES = {
    **{name: (part, name) for part, names in _PARTS.items() for name in names.split()},
    "attempt": ("attempt", "number"),
    "attempts": ("run", "earlier"),
}
_SUPERVISOR = {"slurm_job": "job", "slurm_cluster": "cluster", "slurm_step": "in_step"}
_WANDB_PLACES = {
    "timeout": ("spec", "wandb_timeout"),
    "runs": ("attempt", "wandb"),
    "elsewhere": ("attempt", "wandb_elsewhere"),
}


def as_format_2(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a record says as one of format 2 says it; what is wrong with it stays wrong."""
    parts: dict[str, dict[str, Any]] = {
        "run": {},
        "spec": {},
        "attempt": {"number": 1, "state": "frozen"},
        "terms": {},
    }
    for name, value in record.items():
        if name == "wandb" and isinstance(value, dict):
            for key, each in value.items():
                part, place = _WANDB_PLACES.get(key, ("attempt", f"wandb_{key}"))
                parts[part][place] = each
        else:
            part, place = _PLACES.get(name, ("run", name))
            parts[part][place] = value
    if isinstance(supervisor := parts["attempt"].get("supervisor"), dict):
        parts["attempt"]["supervisor"] = {_SUPERVISOR.get(name, name): each for name, each in supervisor.items()}
    if "version" in record:  # it has made the record and written it
        parts["run"]["version"] = record["version"]
    attempt = {**parts["attempt"], "terms": parts["terms"]}
    return {**parts["run"], "format": 2, "spec": parts["spec"], "attempt": attempt}
