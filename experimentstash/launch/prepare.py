"""From a composed job to a frozen run, or to what is only shown of it."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from omegaconf.errors import OmegaConfBaseException

from experimentstash.adapters import schedulers
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import SecretError, StashError
from experimentstash.base.output import say
from experimentstash.base.redaction import find_secret, is_secret_variable, literal_secret
from experimentstash.code.provenance import FRESH, has_same_source
from experimentstash.compose import sweepers
from experimentstash.compose.job import Job
from experimentstash.compose.job_info import HydraJobInfo
from experimentstash.freeze import calls
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.freeze import Identified, draft, freeze, identify, lack_of_gpus
from experimentstash.freeze.notebooks.start import NAME as NOTEBOOK_PROGRAM
from experimentstash.freeze.plan import Plan, Request, explain, plan
from experimentstash.launch import context as contexts
from experimentstash.launch.context import LaunchContext
from experimentstash.launch.refuse import discard, explained, making, reject
from experimentstash.record import records, sweep_list, times
from experimentstash.record.run import Run
from experimentstash.stash import paths
from experimentstash.stash.layout import Stash, run_id
from experimentstash.stash.schema import SCHEDULER_LAUNCHERS, CodeMode, StashConfig

if TYPE_CHECKING:
    from experimentstash.freeze.build.builds import Build

_CHANGED_SINCE = "what it depends on was changed after it was frozen, and before it began"


class Shown(BaseException):
    """Ends a sweep of which only the first job can be shown: what comes after it depends on its result."""


@dataclass(frozen=True)
class Prepared:
    """A frozen run, ready to be executed here or elsewhere; ``secrets`` are what its record must not keep."""

    run: Run
    secrets: Mapping[str, str]
    identified: Identified | None = None  # None: there is nothing to be looked at once more
    unbuilt: Build | None = None  # what must be built in a job first

    def confirm(self) -> None:
        """Look once more, where a run has waited since it was frozen, whether what it uses still is what was recorded.

        Live code, or an interpreter that others keep, may have been changed meanwhile. Then nobody can say what it
        runs, and it counts for no other run.
        """
        known, spec = self.identified, self.run.spec
        if known is None or spec.signature is None or self.run.created is None:
            return
        is_live = spec.code is not None and spec.code.snapshot is None
        if not is_live and not known.planned.recipe.is_foreign:
            return
        if time.time() - times.moment(self.run.created) < FRESH:
            return
        signature, code = known.look_again()
        if signature.digest != spec.signature:
            self.run.spec = replace(spec, signature=None, unsigned=_CHANGED_SINCE)
            if not has_same_source(code, known.origins[1]):
                self.run.attempt.warnings.append(f"{_CHANGED_SINCE}: its code may not be what is recorded")


@dataclass(frozen=True)
class Rejected:
    """A job that can't be prepared, which is noted."""

    why: StashError


@dataclass(frozen=True)
class Spared:
    """A job that isn't run again: this run counts as it."""

    earlier: Run


def prepare_job(job: Job) -> Prepared | Spared | Rejected | None:
    """Freeze one job, with HydraConfig set as in it; None if it is only validated.

    In a dry run it is not frozen, nothing of it is written, and it is not to be executed. A mistake of the user's in
    one job of a sweep doesn't stop the others: it is noted as a failed run, and raised only if the sweeper needs
    results.
    """
    context = contexts.here()
    account, shared = context.account, context.shared
    account.begins()
    seen = job.job_info()
    needs_result = seen.sweep is not None and sweepers.needs_results(seen.sweeper)
    try:
        request = as_request(context.stash, job, seen)
        settings = request.config
        if settings.objective is None and needs_result:
            raise sweepers.no_objective(request.organizer)
        again = context.again
        if again is not None:
            request = again.with_its_code(request, shared)
        elif not seen.is_dry:
            request = replace(request, frozen=shared.frozen_code(request))
            request = replace(request, plot=shared.plot(request, is_parallel=seen.is_parallel))
        planned = plan(request, shared.tool_plans)
        if again is not None:
            again.provide_environment(planned)
        if not seen.is_dry:
            planned = shared.built(planned)
        if again is not None:
            again.refuse_difference(planned)
        if settings.debug:
            for line in explain(planned):
                say(line)
        if seen.is_dry:
            account.is_only_looked_at()
            discard(context, seen)
            shared.refuse_missing_program(planned)
            earlier = None
            if settings.skip_completed:
                identified = identify(planned, say, shared.checkouts, shared.signer, is_dry=True)
                earlier = _earlier(context, identified.run, settings)
            drafted = None if settings.validate_only else draft(planned)
            if earlier is not None:
                account.spares(seen.number or 0, earlier)
            elif drafted is None:
                account.shows(*_shown(planned))
            else:
                account.plans(drafted)
                if not seen.number:  # of a sweep's runs the first shows what such a file is like
                    account.shows(*_files(planned))
            if needs_result:
                raise Shown
            if earlier is not None:
                return Spared(earlier)
            return None if drafted is None else Prepared(drafted, planned.secrets)
        taken_up = context.continuation.take_up(planned) if context.continuation is not None else None
        if taken_up is not None:
            return Prepared(taken_up, planned.secrets, unbuilt=_unbuilt(planned))
        if request.starts_later:
            environments.make(planned.recipe, announce=say)
            shared.refuse_missing_program(planned)
        with making(seen.directory):
            seen.directory.mkdir(parents=True, exist_ok=True)
        identified = identify(planned, say, shared.checkouts, shared.signer)
        if (earlier := _earlier(context, identified.run, settings)) is not None:
            discard(context, seen)
            _spare(context, seen, earlier)
            return Spared(earlier)
        for line in lack_of_gpus(request):
            shared.say_once(line)
        run = freeze(identified, claim=lambda run: _claim(context, job, seen, run))
        account.has_placed(run, context.sweep)
        return Prepared(run, planned.secrets, None if request.starts_later else identified, _unbuilt(planned))
    except (StashError, OmegaConfBaseException) as error:
        mistake = reject(seen, error)
    except Exception as error:
        if seen.sweep is None and explained(error, seen.overrides, seen.directory) is None:
            raise
        mistake = reject(seen, error)
    except KeyboardInterrupt:
        if not (seen.directory / records.FILE_NAME).exists():
            discard(context, seen)
        raise
    if needs_result:
        raise mistake
    return Rejected(mistake)


def _shown(planned: Plan) -> Iterator[str]:
    """Yield what a run would start, as a shell reads it, and the files that it would be handed."""
    said = [f"{name}={shlex.quote(value)}" for name, value in planned.variables.items()]
    yield " ".join([*said, shlex.join(planned.command.argv)])
    yield from _files(planned)


def _files(planned: Plan) -> Iterator[str]:
    """Yield what a run would be handed as files; the program that starts a notebook is the same for all."""
    for name, text in planned.files.items():
        if name != NOTEBOOK_PROGRAM:
            yield f"# {planned.request.directory / name} would hold:\n{text.rstrip()}"


def _unbuilt(planned: Plan) -> Build | None:
    """Return what must be built in a job before that of the run; None if nothing must."""
    build = planned.build
    return None if build is None or not build.in_job or build.is_ready() else build


def done_before(job: Job) -> Run | None:
    """Return the run that counts as a job which need not be run, with HydraConfig set as in it; None: it is run.

    For launchers that prepare their jobs elsewhere. What is wrong with a job is said when it is prepared.
    """
    context, seen = contexts.here(), job.job_info()
    shared = context.shared
    try:
        planned = shared.built(plan(as_request(context.stash, job, seen), shared.tool_plans))
        identified = identify(planned, say, shared.checkouts, shared.signer)
    except (StashError, OmegaConfBaseException):
        return None
    earlier = _earlier(context, identified.run, planned.request.config)
    if earlier is not None:
        _spare(context, seen, earlier)
    return earlier


def _earlier(context: LaunchContext, run: Run, settings: StashConfig) -> Run | None:
    """Return the run that counts as this one, if what has completed isn't to be run again."""
    # Only who has begun the launch decides: what was given to other processes is run. A rerun is meant as such.
    if not settings.skip_completed or settings.force or context.begun is None or context.again is not None:
        return None
    if run.spec.unsigned is not None:
        context.shared.say_once(f"whether it has completed before can't be known, so it is run: {run.spec.unsigned}")
    earlier = context.shared.done_before.find(context.stash, run)
    if earlier is None and (twin := context.shared.done_before.meet(run)) is not None:
        context.account.has_twin(run.id, twin)
    return earlier


def _spare(context: LaunchContext, seen: HydraJobInfo, earlier: Run) -> None:
    """Note that a job isn't run again; what an earlier try of it has left is moved aside."""
    if seen.sweep is not None and seen.number is not None:
        if context.continuation is not None:
            context.continuation.set_aside(seen.number)
        sweep_list.note_earlier(context.stash.root, seen.sweep, seen.number, earlier)
    context.account.spares(seen.number or 0, earlier)


def _claim(context: LaunchContext, job: Job, seen: HydraJobInfo, run: Run) -> None:
    """Have a run's directory become its own, in place of an earlier try's."""
    continuation = context.continuation
    none = contextlib.nullcontext(False)
    with none if continuation is None else continuation.superseding(seen.number, seen.directory) as is_taken:
        job.keep(seen.directory)
        if context.again is not None:
            run.attempt.notes += context.again.notes(run)
        records.claim(run, replace=is_taken)


def as_request(stash: Stash, job: Job, seen: HydraJobInfo) -> Request:
    """Return what a job asks for, with HydraConfig set as in it; StashError for a mistake."""
    if seen.tool is None:
        raise StashError(
            "Nothing says which tool to run; an experiment organizer does, by `override /tool: NAME` in its defaults."
            f"\n{stash.inventory()}",
            "python -m experimentstash +exp=NAME",
        )
    for name, value in seen.tool_env.items():
        if value is not None and "${" not in str(value) and is_secret_variable(name, str(value)):
            raise literal_secret(name, f"{paths.registration(seen.tool)}, or what overrides it,")
    refuse_secret_variables(seen.env_set)
    calls.refuse_no_texts(seen.no_texts)
    config, terms = job.typed(), contexts.here().terms
    return Request(
        stash=stash,
        config=config,
        tool=seen.tool,
        organizer=seen.organizer,
        overrides=seen.overrides,
        directory=seen.directory,
        id=run_id(seen.directory),
        sweep=seen.sweep,
        number=seen.number,
        env_set=seen.env_set,
        unused=seen.unused,
        of_launcher=seen.of_launcher if terms.asked is None else terms.asked,
        borrowed=terms.borrowed,
        is_heard=seen.is_heard,
        starts_later=seen.launcher in SCHEDULER_LAUNCHERS,
        for_job=schedulers.here() is not None or seen.launcher in SCHEDULER_LAUNCHERS,
        to_be_frozen=config.code is CodeMode.frozen
        or (config.code is CodeMode.auto and seen.launcher in SCHEDULER_LAUNCHERS),
    )


def refuse_secret_variables(env_set: Mapping[str, str]) -> None:
    """Refuse to have Hydra set a secret: it keeps the values of `hydra.job.env_set` and `env_copy` in its files."""
    for name, value in env_set.items():
        if is_secret_variable(name, value) or find_secret([value], os.environ):
            raise SecretError(
                f"hydra.job.env_set or env_copy names {name}, whose value Hydra would write to disk.",
                f"leave it out: the tool inherits ${name} from your shell; another name for it belongs into the tool's"
                f" registration, as env: {{{name}: ${{oc.env:OTHER}}}}",
            )
