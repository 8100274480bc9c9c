"""Has kept runs again: their code, their environment and their parameters, in new runs, and says what came of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.interrupts import EXIT_INTERRUPTED
from experimentstash.base.process import which
from experimentstash.base.text import listed
from experimentstash.launch import again, sweep_asked
from experimentstash.launch.slurm import waiting
from experimentstash.publish import environments, frozen, kept_inputs, kept_records, outputs, providing, verdicts
from experimentstash.publish.declared import Declared
from experimentstash.publish.frozen import Frozen, FrozenRun
from experimentstash.publish.inputs import Inputs
from experimentstash.publish.places import unmarked
from experimentstash.publish.verdicts import JudgedRun
from experimentstash.record import attempts
from experimentstash.record.run import Run, State
from experimentstash.runs import reconcile
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import EnvironmentKind

if TYPE_CHECKING:
    from experimentstash.launch.again import Again
    from experimentstash.launch.result import LaunchResult

# Launches a run by its arguments, and tells the user about it.
Launch = Callable[[Sequence[str], "Again"], "LaunchResult"]

_NAMED = 3
# From here on an exit code tells of a signal.
_SIGNALS = 128


@dataclass(frozen=True)
class Begun:
    """A run that was begun to have a kept one again; or why there is none."""

    kept: FrozenRun
    run: Run | None
    why: str | None
    notes: tuple[str, ...]


class Reproduction:
    """Has the runs again that are kept in a directory."""

    def __init__(self, stash: Stash, name: Frozen, place: Path, announce: Callable[[str], None]) -> None:
        self._stash = stash
        self._frozen = name
        self._place = place
        self._announce = announce
        self._inputs = Inputs(stash)
        self._unsound: dict[str, str | None] = {}

    def reproduce(self, chosen: Sequence[FrozenRun], changes: Sequence[str], launch: Launch) -> list[JudgedRun]:
        """Run what is kept once more and say of each output what it is; ``changes`` are overrides of how."""
        sweep_asked.refuse_others(changes, "A run that is reproduced")
        self._inputs = Inputs(self._stash)  # as they are now
        begun = [self._begin(kept, changes, launch) for kept in chosen]
        runs = [each.run for each in begun if each.run is not None]
        waiting.wait(self._stash, [run for run in runs if not run.attempt.state.is_final], must=True)
        return [self.judge(each) for each in begun]

    def missing(self, kept: FrozenRun) -> list[str]:
        """Return what is missing for having a run again, as far as that is seen without running it."""
        unsound = self.why_unsound(kept)
        found = [unsound] if unsound is not None else []
        found += self._other_inputs(kept)
        return [
            *found,
            *providing.why_no_code(self._stash, kept, self._place),
            *environments.why_no_python(kept, self._their_python(kept)),
            *self._lost(kept),
        ]

    def packages(self, kept: FrozenRun) -> tuple[list[str], list[str]]:
        """Return which packages of a run can't be had any more, and of which nobody can tell; uv is asked."""
        found = environments.from_index(kept, self._place)
        unclear = [f"{listed(found.elsewhere, _NAMED)}: it comes from no index"] if found.elsewhere else []
        unclear += environments.why_no_maker(kept)
        if not found.requirements or kept.python is None or kept.python.version is None:
            return [], unclear
        why, is_unclear = environments.why_no_packages(found.requirements, kept.python.version)
        if why is None:
            return [], unclear
        if is_unclear or not found.is_told:
            return [], [*unclear, why]
        return [f"its packages can't be had any more: {why}"], unclear

    def builders(self, kept: FrozenRun) -> list[str]:
        """Return the programs that have built a kept run's tool and aren't here, unless its environment has them."""
        build = (self._record(kept) or {"spec": {}})["spec"].get("build")
        names = build.get("compilers") if isinstance(build, dict) else None
        return [each for each in names or () if which(str(each), os.environ.get("PATH")) is None]

    def why_unsound(self, kept: FrozenRun) -> str | None:
        """Return what of a kept run isn't as it was frozen, its outputs aside: these are judged one by one."""
        record = self._record(kept)
        for what, code in (("code", kept.code), ("stash", kept.stash)):
            said = None if record is None else record["spec"][what]["commit"]
            if record is not None and said != code.commit:
                return f"its commit is {str(code.commit)[:12]} in frozen.json, and {str(said)[:12]} in its record"
        judged = {f"{kept.folder}/{each.kept}" for each in kept.outputs if each.kept is not None}
        own = [name for name in self._frozen.files if name.startswith(f"{kept.folder}/") and name not in judged]
        own += [each.bundle for each in kept.codes if each.bundle is not None]
        for name in own:
            content = self._frozen.files.get(name)
            if content is None or not verdicts.is_as_kept(self._place / name, content):
                return f"{self._stash.relative(self._place / name)} isn't what was frozen"
        if self._frozen.name not in self._unsound:
            self._unsound[self._frozen.name] = frozen.why_changed(self._stash, self._frozen, self._place)
        return self._unsound[self._frozen.name]

    def _their_python(self, kept: FrozenRun) -> Path | None:
        """Return the interpreter of a kept run, if it is one of an environment that somebody else has made."""
        record = self._record(kept)
        if record is None or kept.python is None or kept.python.kind != EnvironmentKind.interpreter.value:
            return None
        environment = record["spec"].get("environment")
        path = environment.get("interpreter") if isinstance(environment, dict) else None
        return Path(unmarked(path, self._stash, self._stash.root)) if isinstance(path, str) else None

    def _lost(self, kept: FrozenRun) -> list[str]:
        """Return which outputs couldn't be compared, because what was kept of them isn't what was frozen."""
        kept_of = {each.kept: each.content for each in kept.outputs if each.kept is not None}
        folder = self._place / kept.folder
        there = {name: content for name, content in kept_of.items() if os.path.lexists(folder / name)}
        lost = [name for name, content in there.items() if not verdicts.is_as_kept(folder / name, content)]
        return [f"{self._stash.relative(folder / name)} isn't what was frozen" for name in lost]

    def without_copy(self, kept: FrozenRun) -> list[str]:
        """Return the outputs of which a copy was kept that isn't here: only the same bytes are told to be the same."""
        folder = self._place / kept.folder
        return [each.path for each in kept.outputs if each.kept and not os.path.lexists(folder / each.kept)]

    def _other_inputs(self, kept: FrozenRun) -> list[str]:
        """Return which inputs of a kept run aren't what they were, and why; what can be brought is as good as there."""
        others = [each for each in kept.inputs if not kept_inputs.can_be_brought(self._stash, self._place, each)]
        said = [(each, why) for each in others if (why := self._inputs.why_other(each)) is not None]
        return [f"{why}{kept_inputs.where_else(self._stash, self._place, each)}" for each, why in said]

    def _record(self, kept: FrozenRun) -> dict[str, Any] | None:
        try:
            found = typed.loads(files.read_regular(self._place / kept.folder / frozen.RECORD))
            found["spec"]["code"]["commit"], found["spec"]["stash"]["commit"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(found)

    def _begin(self, kept: FrozenRun, changes: Sequence[str], launch: Launch) -> Begun:
        unsound = self.why_unsound(kept)
        others = self._other_inputs(kept)
        if unsound is not None or others:
            return Begun(kept, None, unsound or listed(others, _NAMED), ())
        made = environments.Environments(kept, self._announce)
        try:
            providing.secure_code(self._stash, kept, self._place, self._announce)
            kept_inputs.bring(self._stash, kept, self._place, self._announce)
            with tempfile.TemporaryDirectory(prefix="experimentstash-") as scratch:
                run = self._restored(kept, Path(scratch))
                with again.of(self._stash, run, made.make) as exactly:
                    result = launch(sweep_asked.anew(run, changes), exactly)
        except StashError as error:
            return Begun(kept, None, error.message, tuple(made.notes))
        except OSError as error:
            return Begun(kept, None, f"{error.filename} can't be read or written: {error.strerror}", tuple(made.notes))
        runs = [result.single] if result.single is not None else [] if result.sweep is None else [*result.sweep.runs]
        _end_if_asked(runs)
        if len(runs) != 1:
            return Begun(kept, None, f"{len(runs)} runs came of it", tuple(made.notes))
        return Begun(kept, runs[0], None, (*made.notes, *again.built_otherwise(run, runs[0])))

    def _restored(self, kept: FrozenRun, scratch: Path) -> Run:
        """Return a kept run as if it were here, in a directory of its own."""
        _restore(self._stash, kept, self._frozen.files, self._place, scratch)
        return kept_records.run_of(self._stash, kept, self._place, scratch)

    def judge(self, begun: Begun) -> JudgedRun:
        """Return what is said of the outputs of a run that has ended."""
        notes = list(begun.notes)
        if begun.run is None:
            return verdicts.not_run(begun.kept, str(begun.why), notes=notes)
        run = reconcile.load_reconciled(self._stash, begun.run.path)
        if run.attempt.state is not State.COMPLETED:
            reason = f": {run.attempt.reason}" if run.attempt.reason else ""
            return verdicts.not_run(begun.kept, f"{run.id} has ended as {run.attempt.state.value}{reason}", run, notes)
        folder = self._place / begun.kept.folder
        found = [verdicts.judge(each, folder, run) for each in begun.kept.outputs]
        known = {*(each.path for each in begun.kept.outputs), *begun.kept.left_out}
        written = outputs.look(run, Declared([]))
        if new := [each for each in (*written.results, *written.strange) if each not in known]:
            notes.append(f"it has also written {listed(new, _NAMED)}, which the frozen one had not")
        if others := [each.path for each in begun.kept.inputs if self._inputs.why_other(each) is not None]:
            notes.append(
                f"{listed(others, _NAMED)} changed while it ran: whether it has read what was frozen isn't known"
            )
        return JudgedRun(begun.kept, run, found, [*notes, *run.attempt.warnings])


def _end_if_asked(runs: Sequence[Run]) -> None:
    """Have what has asked a run of ours to stop, a signal to us, end all of it: no other run is begun."""
    for each in runs:
        ended = each.attempt
        if ended.state is State.CANCELLED and ended.reason != attempts.CANCELLED and (ended.exit_code or 0) > _SIGNALS:
            if ended.exit_code == EXIT_INTERRUPTED:
                raise KeyboardInterrupt
            raise SystemExit(ended.exit_code)


def _restore(stash: Stash, kept: FrozenRun, names: Iterable[str], place: Path, scratch: Path) -> None:
    """Write what is kept of a run, by these names in ``place``, into ``scratch``, with the places of here."""
    patches = {each.patch for each in (kept.code, kept.stash) if each.patch is not None}
    for path in names:
        name = path.removeprefix(f"{kept.folder}/")
        if name == path or name.startswith(f"{frozen.OUTPUTS}/") or name == frozen.RECORD or not frozen.is_inside(name):
            continue
        text = files.read_regular(files.inside(place, place / path)).decode("utf-8", "surrogateescape")
        files.make_directory((scratch / name).parent)
        said = text if name in patches else unmarked(text, stash, scratch)
        files.write(scratch / name, said.encode("utf-8", "surrogateescape"))
