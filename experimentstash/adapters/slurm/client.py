"""The one door to SLURM's commands: what they are told of our environment, how long they may take, what they answer.

All of them take options from variables too (``SQUEUE_PARTITION``, ``SCANCEL_STATE``, ``SBATCH_SIGNAL``, …), which a
``.bashrc`` or a module may set. None of these gets through: an answer depends on what was asked, and on the cluster.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError, run, which

# Seconds that one question may take.
PATIENCE = 8.0
# Seconds that an order may take, and a submission: scancel and sbatch wait for a busy controller.
PATIENCE_WITH_ORDERS = 120.0
PATIENCE_WITH_SUBMISSIONS = 120.0
# How the variables begin that SLURM's commands read, and those that it gives to jobs.
_OPTIONS = (
    "SLURM_",
    "SLURMRESTD_",
    "SQUEUE_",
    "SACCT_",
    "SCONTROL_",
    "SCANCEL_",
    "SINFO_",
    "SBATCH_",
    "SRUN_",
    "SALLOC_",
)
# Of these, what says where the cluster is and who we are.
_REACHING = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
# Those that a submission would be changed by, or that its job would take for its own (S1782).
_OF_A_SUBMISSION = ("SLURM_", "SBATCH_")


@dataclass(frozen=True)
class Answer:
    """What a command of SLURM's has said, or why it has said nothing."""

    text: str = ""
    error: str = ""  # its words on stderr
    silence: str | None = None  # why there is no answer; None: there is one
    is_missing: bool = False  # there is no such command here

    @property
    def is_given(self) -> bool:
        return self.silence is None


def environment() -> dict[str, str]:
    """Return the environment in which SLURM is asked: ours, without all that would change an answer."""
    return {**_without(_OPTIONS), "LC_ALL": "C", "SLURM_BITSTR_LEN": "0"}  # 0: lists of tasks in full


def environment_of_jobs() -> dict[str, str]:
    """Return what a job inherits of our environment, in which sbatch takes its options from the script alone."""
    return _without(_OF_A_SUBMISSION)


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """Have none of the variables in our own environment, for who calls SLURM's commands behind our back."""
    saved = dict(os.environ)
    try:
        for name in set(saved) - set(_without(_OPTIONS)):
            del os.environ[name]
        yield
    finally:
        os.environ.update({name: value for name, value in saved.items() if name.startswith(_OPTIONS)})


def _without(beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(beginnings) or name in _REACHING}


def ask(program: str, *arguments: str, cluster: str | None = None) -> Answer:
    """Ask SLURM something; whatever goes wrong is in the answer. ``cluster``: by name, if it isn't the usual one."""
    argv = _argv(program, arguments, cluster)
    if which(program) is None:
        return Answer(silence=f"there is no {program} here", is_missing=True)
    try:
        done = run(argv, env=environment(), check=False, timeout=PATIENCE)
    except CommandError as error:  # it can't be started, or takes too long
        return Answer(silence=f"{program}: {error.stderr}")
    except StashError as error:
        return Answer(silence=str(error))
    said = done.stderr.strip()
    if done.returncode != 0:
        return Answer(error=said, silence=f"{program}: {_first_line(said) or f'exit code {done.returncode}'}")
    return Answer(done.stdout, said)


def order(program: str, *arguments: str, cluster: str | None = None, timeout: float = PATIENCE_WITH_ORDERS) -> Answer:
    """Tell SLURM to do something, and return what it says; CommandError if it can't be told, or is too slow.

    What it refuses is in the answer.
    """
    argv = _argv(program, arguments, cluster)
    done = run(argv, env=environment(), check=False, timeout=timeout)
    if done.returncode != 0:
        return Answer(done.stdout, done.stderr.strip(), f"{program}: exit code {done.returncode}")
    return Answer(done.stdout, done.stderr.strip())


def submit(arguments: Sequence[str], *, cwd: Path, inherited: Mapping[str, str]) -> str:
    """Call sbatch and return what it prints; ``inherited`` is what the job is told besides our environment.

    Raises CommandError with SLURM's words if it is refused.
    """
    argv = ["sbatch", *arguments]
    environment_of_job = {**environment_of_jobs(), **inherited}
    # Apart: Ctrl-C at the terminal is for us, and doesn't end it in the middle of a submission.
    return run(
        argv, cwd=cwd, env=environment_of_job, timeout=PATIENCE_WITH_SUBMISSIONS, is_apart=True, is_ours=True
    ).stdout


def _argv(program: str, arguments: Sequence[str], cluster: str | None) -> list[str]:
    return [program, *([f"--clusters={cluster}"] if cluster else []), *arguments]


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
