"""Keeps runs under a name: all of them, or nothing is there. What they are made of is looked at once for all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.once import Once
from experimentstash.code import frozen_names
from experimentstash.freeze.environment.store import READY_MARK
from experimentstash.publish import declared, frozen, idle, machine, outputs, packages, placing
from experimentstash.publish.comparators.choose import HASH
from experimentstash.publish.contents import below, content_of
from experimentstash.publish.frozen import Frozen, FrozenRun, Output, Python, Took
from experimentstash.publish.inputs import Inputs, ended_at
from experimentstash.publish.keeper import LARGEST, Keeper, refuse_secrets, text_of
from experimentstash.publish.kept_code import Codes
from experimentstash.publish.packages import Told
from experimentstash.publish.places import marked, marked_tree, marks
from experimentstash.record import archives, encoding, times
from experimentstash.record.run import Attempt, Run, State
from experimentstash.stash.layout import Stash
from experimentstash.stash.organizers import Organizers
from experimentstash.stash.schema import EnvironmentKind

# Seconds by which a file may seem to be newer than the end of the run that wrote it; if the clocks are of one machine.
_SLACK, _SLACK_HERE = 60.0, 2.0
_NAMED = 3
# What a record says of one machine, or of one moment there.
_OF_ONE_PLACE = ("queued", "supervisor", "process", "host", "wandb", "wandb_elsewhere")


def freeze(
    stash: Stash, name: str, runs: Sequence[Run], *, message: str = "", may_be_dirty: bool = False
) -> tuple[Frozen, Path]:
    """Keep runs as frozen/NAME and return what is kept, and where; StashError if one can't be, and nothing is there."""
    with placing.new(stash, name, "take another name") as draft:
        kept = write(stash, name, runs, draft, message=message, may_be_dirty=may_be_dirty)
    frozen_names.pin(stash, frozen_names.read(stash, name).needs)
    return kept, frozen.folder_of(stash, name)


def write(
    stash: Stash, name: str, runs: Sequence[Run], folder: Path, *, message: str = "", may_be_dirty: bool = False
) -> Frozen:
    """Write all that is kept of runs into a new directory, and return it."""
    for number, run in enumerate(runs):
        if twice := next((each for each in runs[:number] if each.id == run.id), None):
            places = " and ".join(stash.relative(each.path) for each in (twice, run))
            raise StashError(f"{places} are copies of one run, {run.id}.", "name one of them")
        _refuse_unfit(run, may_be_dirty=may_be_dirty)
    placing.begin(folder)
    keeper = Keeper(folder)
    work = _Work(stash, keeper)
    kept = Frozen(name, message, times.now(), [work.freeze(run) for run in runs], {})
    kept = replace(kept, files=dict(sorted(keeper.files.items())))
    kept = replace(kept, digest=frozen.digest_of(frozen.plain(kept)))
    frozen.refuse_unreadable(kept)
    refuse_secrets(frozen.text_of(kept), f"What {frozen.FILE_NAME} says (names of files, the message)")
    files.write_atomically(folder / frozen.FILE_NAME, frozen.text_of(kept))
    return kept


def _refuse_unfit(run: Run, *, may_be_dirty: bool) -> None:
    """Raise StashError for a run that nobody could have again from what is known of it."""
    archives.refuse(run.path, f"The run {run.id}")
    if run.removed is not None:
        raise StashError(f"The run {run.id} was removed: only its record is left.")
    if run.attempt.state is not State.COMPLETED:
        raise StashError(f"The run {run.id} hasn't completed: it is {run.attempt.state.value}.", "experimentstash runs")
    for what, code in (("tool", run.spec.code), ("stash", run.spec.stash)):
        if code is None or code.commit is None:
            raise StashError(f"git knows nothing of the {what}'s code that {run.id} ran: it can't be had again.")
        if code.dirty and not may_be_dirty:
            raise StashError(
                f"The run {run.id} used changes of the {what} that aren't committed (to {code.commit[:12]}).",
                f"commit them and `experimentstash rerun {run.id}`, or freeze them as a patch: --dirty",
            )


class _Work:
    """Writes what is kept of runs."""

    def __init__(self, stash: Stash, keeper: Keeper) -> None:
        self._stash = stash
        self._keeper = keeper
        self._codes = Codes(stash, keeper)
        self._organizers = Organizers(stash)
        self._inputs = Inputs(stash)
        self._once = Once()

    def freeze(self, run: Run) -> FrozenRun:
        """Keep one run."""
        folder = f"{frozen.RUNS}/{run.id}"
        places = marks(self._stash, run.directory)
        exp, tool = run.spec.organizer, run.spec.tool
        said = self._once(("outputs", exp, tool), lambda: declared.outputs(self._organizers, exp, tool))
        inputs = self._once(("inputs", exp), lambda: declared.inputs(self._organizers, exp))
        written = outputs.look(run, said)
        if not written.results:
            raise StashError(
                f"The run {run.id} has written nothing by which it could be told whether it is reproduced.",
                "if its output is the result: outputs: {output.log: {compare: text}} in its experiment",
            )
        notes = [f"{name} isn't compared: it is {files.kind_at(run.path / name)}" for name in written.strange]
        notes += idle.notes(said, written.results, run.path)
        kept = [self._output(run, folder, path, how, notes) for path, how in written.results.items()]
        self._keeper.text(f"{folder}/{frozen.RECORD}", json.dumps(_record(run, places), indent=1) + "\n")
        for name in (*written.handed, *_configuration(run)):
            self._keeper.text(f"{folder}/{name}", marked(text_of(run.path / name), places))
        code, own = self._codes.of(run, folder)
        spec, attempt = run.spec, run.attempt
        here = machine.is_here(attempt.host)
        begun = [each for each in run.earlier if each.started is not None] + [attempt]
        if len(begun) > 1:
            notes.append(f"it took {len(begun)} attempts: one that runs from the start may write something else")
        computer = self._once("machine", machine.look) if here else None
        if computer is not None and machine.has_unknown_gpus(computer):
            notes.append("there are GPUs of which nothing is known: nvidia-smi tells of none")
        if not here:
            notes.append("it ran on another machine than it was frozen on: of that nothing is known")
        return FrozenRun(
            id=run.id,
            folder=folder,
            tool=spec.tool,
            organizer=spec.organizer,
            experiment=spec.experiment,
            params=marked_tree(spec.params, places),
            argv=[marked(word, places) for word in spec.command.argv],
            cwd=marked(spec.command.cwd, places),
            created=run.created,
            code=code,
            stash=own,
            python=self._python(run, folder, notes),
            machine=computer,
            took=_took(begun),
            inputs=self._inputs.of(run, inputs, notes),
            outputs=kept,
            left_out=list(written.left_out),
            notes=notes,
            submodules=self._codes.submodules(run, notes),
        )

    def _output(self, run: Run, folder: str, path: str, how: Any, notes: list[str]) -> Output:
        source = outputs.place(run, path)
        found = os.stat(source)
        late = found.st_mtime - (ended_at(run) or found.st_mtime)
        if late > _SLACK:
            notes.append(f"{path} was changed after the run had ended")
        elif late > _SLACK_HERE and machine.is_here(run.attempt.host):
            notes.append(f"{path} seems to have been changed after the run had ended, {late:.0f} s later")
        if how.compare == HASH or found.st_size > LARGEST:
            if how.compare != HASH:
                notes.append(f"{path} is too large for a copy of it to be kept: only its hash is compared")
            return Output(path, content_of(source), how)
        kept = f"{frozen.OUTPUTS}/{path}"
        content = self._keeper.copy(f"{folder}/{kept}", source, f"{path}, which {run.id} has written,")
        return Output(path, content, how, kept)

    def _python(self, run: Run, folder: str, notes: list[str]) -> Python | None:
        environment = run.spec.environment
        if environment is None:
            return None
        told: Told | None = None
        if environment.interpreter is not None:
            python = Path(environment.interpreter)
            if environment.lock is None and _is_newer(python, run):
                notes.append("its environment was made anew since it ran: what was in it then isn't known")
            elif not python.exists():
                notes.append("its environment is gone: what was in it isn't known")
            else:
                told = self._once(("packages", python), lambda: packages.look(python))
        if told is not None and (unknown := packages.unknown(told.packages)):
            notes.append(unknown)
        lock = self._lock(run, folder, notes)
        where = None if environment.interpreter is None else marked(environment.interpreter, marks(self._stash, "/"))
        if where is not None and os.path.isabs(where) and environment.kind == EnvironmentKind.interpreter.value:
            notes.append(f"its Python must be at the same place wherever it is reproduced: {where}")
        return Python(
            kind=environment.kind,
            implementation=None if told is None else told.implementation,
            version=environment.version or (None if told is None else told.version),
            lock=lock,
            lock_name=environment.lock_file,
            lock_sha256=None if environment.lock is None else environment.lock.removeprefix("sha256:"),
            packages=None if told is None else told.packages,
        )

    def _lock(self, run: Run, folder: str, notes: list[str]) -> str | None:
        """Keep what pins an environment, if it is still what it was."""
        environment, code = run.spec.environment, run.spec.code
        if environment is None or code is None or environment.lock is None or environment.lock_file is None:
            return None
        for place in (code.path, self._codes.live(run)):  # frozen code may be gone by now
            path = Path(os.path.normpath(os.path.join(place, environment.lock_file)))
            with contextlib.suppress(OSError):
                if f"sha256:{content_of(path).sha256}" == environment.lock:
                    self._keeper.text(f"{folder}/{path.name}", text_of(path))
                    return path.name
        notes.append(f"{environment.lock_file} isn't here any more as it was: no copy of it is kept")
        return None


def _took(attempts: Sequence[Attempt]) -> Took:
    """Return what all attempts of a run took; None where one of them doesn't say it."""
    durations = [each.duration for each in attempts if each.duration is not None]
    processor = [each.cpu_time for each in attempts if each.cpu_time is not None]
    memory = [each.peak_memory for each in attempts if each.peak_memory is not None]
    count = len(attempts)
    return Took(
        sum(durations) if len(durations) == count else None,
        sum(processor) if len(processor) == count else None,
        max(memory) if len(memory) == count else None,
    )


def _is_newer(python: Path, run: Run) -> bool:
    """Tell whether an environment was made by us after a run had begun, or nobody knows; not: it is somebody else's."""
    try:
        mark = typed.loads(files.read_regular(python.parents[1] / READY_MARK))
        return times.moment(mark["made"]) > times.moment(run.attempt.started or "")
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return True


def _record(run: Run, places: dict[str, str]) -> Any:
    """Return a run's record as it is kept: without what is of one machine, and with marks for places."""
    data = json.loads(encoding.as_json(run))
    data["attempt"] |= {name: [] if name.startswith("wandb") else None for name in _OF_ONE_PLACE}
    data |= {"earlier": [], "inode": None, "sweep": None}
    return marked_tree(data, places)


def _configuration(run: Run) -> list[str]:
    """Return the names of the files that say what a run was composed from."""
    folder = run.path / outputs.CONFIGURATION
    return [f"{outputs.CONFIGURATION}/{name}" for name in below(folder) if name.endswith(".yaml")]
