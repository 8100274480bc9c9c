"""hydra/launcher=submitit_slurm and submitit_local: the stock launchers' jobs, begun as they do it, each with its end.

The stock launchers wait for the first job that has failed and forget the others. Here what can't be composed, what
SLURM refuses, and whatever is cancelled or killed is the failure of one run, in its record; one that has none, because
its job never came so far, gets it here.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus

from experimentstash.adapters.scheduler import GONE, LEFT
from experimentstash.adapters.scheduler import JobStatus as SlurmStatus
from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import job as slurm
from experimentstash.adapters.slurm import query as slurm_query
from experimentstash.adapters.slurm.job_output import last_words
from experimentstash.adapters.slurm.query import JobQuery
from experimentstash.base.errors import StashError
from experimentstash.base.output import complain, say
from experimentstash.compose import sweepers
from experimentstash.compose.hydra_compat import singletons
from experimentstash.launch import context as contexts
from experimentstash.launch import sweep_jobs
from experimentstash.launch.slurm.hopeless import Hopeless
from experimentstash.launch.unicode_elsewhere import in_unicode_elsewhere
from experimentstash.record import records, transitions
from experimentstash.record.job_array import Job
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile, true_state
from experimentstash.runs.summary import count
from experimentstash.stash.layout import find_stash

if TYPE_CHECKING:
    from hydra.types import HydraContext
    from omegaconf import DictConfig

# Seconds between two looks at what the jobs have left, and between two questions to SLURM: at first, and at most.
_INTERVAL = 1.0
_LOCAL_INTERVAL = 0.1
_FIRST_QUESTION = 2.0
_LAST_QUESTION = 15.0
# Seconds for which SLURM must say that a job is over before what it hasn't left is missed: file systems are slow, and a
# job that is preempted may go back into the queue.
_SETTLED = 10.0
# Of the settings of submitit's executors, those with which they are made; `python` is one since Hydra 1.4.
_OF_EACH_EXECUTOR = ("max_num_timeout", "python")
_OF_THE_EXECUTOR = {"submitit_folder", *_OF_EACH_EXECUTOR}


def launch(
    stock: Any, context: HydraContext, config: DictConfig, batch: Sequence[Sequence[str]], first_number: int
) -> list[JobReturn]:
    """Submit the jobs of a batch, wait until all of them have ended, and return what Hydra gets of each."""
    if stock._EXECUTOR == "slurm" and not slurm.is_here():
        raise StashError("There is no SLURM here: sbatch is not on PATH.", "hydra/launcher=local, or log in elsewhere")
    with slurm_client.cleared():  # submitit asks SLURM, too
        sweep = _Sweep(context, config, batch, first_number, is_local=stock._EXECUTOR == "local")
        for part in sweep.parts():
            try:
                with in_unicode_elsewhere():
                    submitted = _submit(stock, config, batch, first_number, part)
            except _Refused as error:
                sweep.refuse(part, str(error))
            else:
                sweep.wait_for(dict(zip(part, submitted, strict=True)))
        sweep.wait()
        sweep.note_missing()
    return [sweep.returned[position] for position in range(len(batch))]


class _Refused(Exception):
    """What SLURM says of a submission that it doesn't take."""


def _submit(
    stock: Any, config: DictConfig, batch: Sequence[Sequence[str]], first_number: int, part: Sequence[int]
) -> list[Any]:
    """Submit jobs as the stock launcher does; StashError if its settings make no sense, _Refused if SLURM refuses."""
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    settings: Mapping[str, Any] = stock.params
    common = set(BaseQueueConf.__dataclass_fields__) - _OF_THE_EXECUTOR
    directory = Path(str(config.hydra.sweep.dir))
    directory.mkdir(parents=True, exist_ok=True)
    if "mode" in config.hydra.sweep:
        directory.chmod(int(str(config.hydra.sweep.mode), 8))
    try:
        executor = submitit.AutoExecutor(
            folder=settings["submitit_folder"],
            cluster=stock._EXECUTOR,
            **{
                f"{stock._EXECUTOR}_{name}": settings[name]
                for name in _OF_EACH_EXECUTOR
                if settings.get(name) is not None
            },
        )
        executor.update_parameters(
            **{
                name if name in common else f"{stock._EXECUTOR}_{name}": value
                for name, value in settings.items()
                if name not in _OF_THE_EXECUTOR
            }
        )
    except (ValueError, TypeError, NameError, RuntimeError, LookupError) as error:
        raise StashError(f"submitit can't make sense of hydra.launcher: {error}") from error
    state = singletons()
    given = [
        (list(batch[index]), "hydra.sweep.dir", first_number + index, f"job_id_for_{first_number + index}", state)
        for index in part
    ]
    try:
        return list(executor.map_array(stock, *zip(*given, strict=True)))
    except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError, OSError) as error:
        who = "SLURM" if stock._EXECUTOR == "slurm" else "submitit"
        raise _Refused(f"{who} did not take it: {str(error).strip()}") from error


class _Sweep:
    """The jobs of a batch by their position in it, and what has become of them."""

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        batch: Sequence[Sequence[str]],
        first_number: int,
        *,
        is_local: bool,
    ) -> None:
        self._context, self._config, self._batch, self._first_number = context, config, batch, first_number
        self._is_local = is_local
        self._taken: set[Path] = set()  # the directories of the jobs
        self._directory = Path(str(config.hydra.sweep.dir)).absolute()
        self._stash = find_stash(self._directory)
        self._cluster, self._most = None, len(batch)
        if not is_local:
            asked = dict(config.hydra.launcher.get("additional_parameters") or {}).get("clusters")
            usual = slurm_query.cluster()
            self._cluster = str(asked) if asked and "," not in str(asked) else usual.name
            self._most = usual.max_array_size
        self._waiting: dict[int, Any] = {}  # submitit's jobs
        self.returned: dict[int, JobReturn] = {}

    def parts(self) -> Iterator[Sequence[int]]:
        """Yield the positions of the jobs that fit into an array, one array after the other.

        Those that can't be begun are recorded as failed, and left out.
        """
        able = []
        for index, overrides in enumerate(self._batch):
            number = self._first_number + index
            can_begin = sweep_jobs.can_begin(self._context, self._config, number, overrides, self._taken)
            if can_begin is True:
                able.append(index)
            else:
                self.returned[index] = can_begin or sweep_jobs.not_begun(self._config, overrides)
        for first in range(0, len(able), self._most):
            yield able[first : first + self._most]

    def note_missing(self) -> None:
        """Record those jobs as failed that say that all is well, and have left no record."""
        spared = contexts.here().account.done_before
        numbered = {
            number: overrides
            for number, overrides in enumerate(self._batch, self._first_number)
            if number not in spared
        }
        sweep_jobs.note_missing(self._config, numbered, self._taken, "submitit has left no sign of it")

    def refuse(self, part: Sequence[int], why: str) -> None:
        """Record that jobs could not be submitted."""
        complain(f"{count(len(part))}: {why}")
        for index in part:
            self._close_unbegun(index, State.FAILED, why)

    def wait_for(self, submitted: Mapping[int, Any]) -> None:
        """Take note of jobs that have been submitted."""
        self._waiting.update(submitted)

    def wait(self) -> None:
        """Return when all jobs have ended, each with its result; Ctrl-C leaves them to SLURM."""
        if not self._waiting:
            return
        say(f"waiting for {count(len(self._waiting))}{'' if self._is_local else '; Ctrl-C leaves them to SLURM'}")
        over_since: dict[int, float] = {}
        interval, next_question = _FIRST_QUESTION, time.monotonic() + _FIRST_QUESTION
        is_silence_said = False
        hopeless = Hopeless()
        try:
            while True:
                for index in [index for index, job in self._waiting.items() if _has_left_results(job)]:
                    self._conclude(index, None)
                if not self._waiting:
                    return
                time.sleep(_LOCAL_INTERVAL if self._is_local else _INTERVAL)
                if time.monotonic() < next_question and not self._is_local:
                    continue
                query = JobQuery()
                alive: dict[str, Job] = {}
                for index, job in list(self._waiting.items()):
                    word = self._word(job, query)
                    if word is not None and word.state is None and not self._is_local:
                        alive[f"SLURM's job {job.job_id}"] = Job(str(job.job_id), self._cluster)
                    if word is None or word.state is None:
                        over_since.pop(index, None)
                        continue
                    since = over_since.setdefault(index, time.monotonic())
                    patience = true_state.UNSEEN_PATIENCE if word is GONE else 0.0 if self._is_local else _SETTLED
                    if time.monotonic() - since >= patience:
                        self._conclude(index, word)
                if query.silence is not None and not is_silence_said:
                    is_silence_said = True
                    say(f"SLURM doesn't answer ({query.silence}); waiting for what the jobs themselves leave …")
                for line in hopeless.lines(alive):
                    say(line)
                interval = min(interval * 1.5, _LAST_QUESTION)
                next_question = time.monotonic() + interval
        except KeyboardInterrupt:
            say(f"{count(len(self._waiting))} {'not waited for' if self._is_local else 'left to SLURM'}")
            raise

    def _word(self, job: Any, query: JobQuery) -> SlurmStatus | None:
        """Return what is known of a job: SLURM's word, or whether its process is there."""
        if not self._is_local:
            return query.ask(Job(str(job.job_id), self._cluster))
        state = str(job.state) if job._process is None else "RUNNING" if job._process.poll() is None else "ended"
        return SlurmStatus(state, None if state == "RUNNING" else State.FAILED)

    def _conclude(self, index: int, word: SlurmStatus | None) -> None:
        """Give Hydra what has become of a job; ``word`` is SLURM's of one that has left nothing."""
        job = self._waiting.pop(index)
        returned = _result(job)
        if returned is not None:
            self.returned[index] = returned
            return
        run = next((run for run in self._begun() if run.spec.job == self._first_number + index), None)
        if run is None and self._is_local:
            code = f" with exit code {job._process.returncode}" if job._process is not None else ""
            self._close_unbegun(index, State.FAILED, f"submitit's process for it ended{code}, and the tool never began")
            return
        if run is None:
            how = "SLURM no longer knows how" if word in (None, GONE, LEFT) else f"SLURM says {word.text}"
            state = State.FAILED
            if word is not None and word not in (GONE, LEFT) and word.state not in (None, State.COMPLETED):
                state = word.state or state
            if word is LEFT:
                state, how = State.CANCELLED, "it was cancelled while it was queued"
            why = f"its SLURM job {job.job_id} ended before it had started the tool ({how})"
            self._close_unbegun(index, state, f"{why}{_last_words(job.paths.stderr)}")
            return
        run = reconcile.load_reconciled(self._stash, run.path)  # its supervisor may have left no word
        returned = sweep_jobs.not_begun(self._config, self._batch[index])
        if run.attempt.result is not None:
            returned.status, returned.return_value = JobStatus.COMPLETED, run.attempt.result
        elif returned.status is JobStatus.FAILED:
            returned.return_value = sweepers.no_result(run)
        self.returned[index] = returned

    def _begun(self) -> Iterator[Run]:
        for directory in records.directories(self._directory):
            try:
                yield records.read(directory)
            except StashError as error:
                say(str(error))

    def _close_unbegun(self, index: int, state: State, why: str) -> None:
        """Record the end of a run whose job has not come so far as to do it."""
        number, overrides = self._first_number + index, self._batch[index]
        self.returned[index] = sweep_jobs.not_begun(self._config, overrides)
        for job in sweep_jobs.freeze_all(self._context, self._config, [overrides], number):
            if job.prepared is None:  # its configuration is wrong, too, which is recorded
                continue
            run = job.prepared.run
            transitions.end(run, state, why, 1)
            records.write(run)


def _last_words(log: Path) -> str:
    """Return what to say of the file to which a job has written its errors; nothing if there is none."""
    if not log.is_file():
        return ""
    words = last_words([log])
    ours = [line for line in words if line.startswith(("stash: line ", "stash: its setup "))][-1:]
    others = [f"\n  {line}" for line in words if line not in ours]
    return "".join([*(f": {line.removeprefix('stash: ')}" for line in ours), f"; see {log}", *others])


def _has_left_results(job: Any) -> bool:
    """Tell whether all tasks of one of submitit's jobs have left what they return."""
    folder = job.paths.folder
    with contextlib.suppress(OSError):
        folder.chmod(folder.stat().st_mode)  # has NFS look anew, as submitit does it
    return all(job.task(number).paths.result_pickle.exists() for number in range(job.num_tasks))


def _result(job: Any) -> JobReturn | None:
    """Return what a job has returned to Hydra; None if it ended without that."""
    task = job.task(0)
    if not task.paths.result_pickle.exists():
        return None
    try:
        outcome, result = task._get_outcome_and_result()
    except Exception as error:  # whatever a file of pickled objects may come to
        complain(f"{task.paths.result_pickle} can't be read: {error}")
        return None
    return result if outcome == "success" and isinstance(result, JobReturn) else None
