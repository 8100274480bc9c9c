"""Makes a run of what is worked out: environment, directory, record and files, and the identity of its code."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experimentstash import __version__
from experimentstash.adapters import gpus
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.python import installed
from experimentstash.adapters.python.installed import Installed
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.files import write_atomically
from experimentstash.code import pins, written
from experimentstash.code.provenance import Checkouts, Provenance, withheld_notes
from experimentstash.freeze import calls
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.plan import UNHEARD, Plan, Request
from experimentstash.freeze.signature import Signature, Signer
from experimentstash.record import records, run_places, times, transitions
from experimentstash.record.run import Attempt, Code, Run, Specification, State, Terms
from experimentstash.stash import entrypoints, paths
from experimentstash.stash.layout import Stash

# In the run directory of an installed package, or of a tool whose environment holds more than Python's packages.
_PACKAGES = "packages.txt"
_OF_THEN = "its configuration is one of an earlier time"


@dataclass(frozen=True)
class Identified:
    """A run of which everything is known, and nothing is written yet."""

    planned: Plan
    run: Run
    origins: Sequence[Provenance]  # the stash's, and the tool's
    packages: Mapping[str, str]  # the file that lists what is installed, if there is one
    look_again: Callable[[], tuple[Signature, Provenance]]  # its signature and its code as they are by then


def identify(
    planned: Plan,
    announce: Callable[[str], None],
    checkouts: Checkouts | None = None,
    signer: Signer | None = None,
    *,
    is_dry: bool = False,
) -> Identified:
    """Make the tool's environment if needed, and find out which code it is that will run.

    Whoever freezes many runs gives all of them the same ``checkouts`` and ``signer``. If ``is_dry`` nothing is made.
    """
    if not is_dry:
        environments.make(planned.recipe, announce=announce)
    request, frozen, pin = planned.request, planned.request.frozen, planned.pin
    checkouts, signer = checkouts or Checkouts(), signer or Signer()

    def outputs() -> list[Path]:
        return [Path(os.path.normpath(planned.directory / path)) for path in left_at(request)]

    package = None
    if not request.config.tool.path and planned.recipe.file is not None:
        named = entrypoints.read(request.config.tool.entrypoint, planned.directory)
        package = installed.look(planned.recipe.file, named)

    def look() -> tuple[Provenance, Provenance]:
        stash = request.stash_then or checkouts.identify(
            request.stash.root,
            "stash.patch",
            is_stash=True,
            code=(request.stash.conf, planned.directory),
            results=(request.directory, *([request.sweep] if request.sweep is not None else [])),
            outputs=outputs,
        )
        if package is not None:
            return stash, _installed(checkouts, package, planned.directory)
        return stash, _live(checkouts, planned, outputs) if frozen is None else frozen.provenance

    origins = look()
    run = draft(planned)
    ours, code = (origin.code for origin in origins)
    environment, packages = run.spec.environment, {}
    if package is not None and environment is not None:
        environment = replace(environment, package=package.shown, packages=_PACKAGES)
        packages[_PACKAGES] = "".join(f"{each}\n" for each in package.packages)
        if code.commit is None and package.unknown is not None:
            run.attempt.notes.append(package.unknown)
    if not planned.recipe.way.is_uvs and (held := environments.contents(planned.recipe)) is not None:
        environment = replace(environment, packages=_PACKAGES) if environment is not None else None
        packages[_PACKAGES] = "".join(f"{each}\n" for each in held.packages)
    signature = signer.sign(planned, *origins) if request.stash_then is None else Signature(None, _OF_THEN)
    if signature.installed is not None and environment is not None:
        environment = replace(environment, installed=signature.installed)
    run.spec = replace(
        run.spec,
        stash=ours,
        code=code,
        environment=environment,
        signature=signature.digest,
        unsigned=signature.unknown,
    )
    run.attempt.notes += [] if frozen is None else frozen.notes
    run.attempt.notes += withheld_notes([ours, code])
    unknown = dict.fromkeys(each.unknown for each in (ours, code) if each.unknown is not None)
    run.attempt.warnings += [f"which code it has run can't be known: {why}" for why in unknown]
    if frozen is None and pin is not None:
        if not pin.path and code.commit != pin.commit:  # somebody has been faster
            pins.refuse_other(request.tool, request.config.tool, pin)
        if code.dirty:
            run.attempt.notes.append(
                f"the code is commit {pin.commit[:12]}, which is asked for, and what is changed since"
            )

    def look_again() -> tuple[Signature, Provenance]:
        stash, code = look()
        return signer.sign(planned, stash, code), code

    return Identified(planned, run, origins, packages, look_again)


def freeze(identified: Identified, claim: Callable[[Run], None] = records.claim) -> Run:
    """Write a run's record and files into its directory; ``claim`` writes the record, before the files."""
    run, request = identified.run, identified.planned.request
    run_places.remember(request.stash, request.directory, request.sweep)
    claim(run)
    try:
        for name, text in {**identified.planned.files, **identified.packages}.items():
            write_atomically(run.path / name, text)
        for origin in identified.origins:
            origin.write(run.path)
    except BaseException as error:
        transitions.end(run, State.FAILED, f"it could not be prepared: {error}", 1)
        records.write(run)
        raise
    return run


def written_at(request: Request) -> list[str]:
    """Return where the tool of a run is known to write, relative to its directory."""
    tool = request.config.tool
    return written.outputs(request.stash.writes(request.tool), tool.collect, tool.shared)


def left_at(request: Request) -> list[str]:
    """Return where, relative to a tool's directory, there may be what its runs or its build have left there."""
    if not request.config.tool.build:
        return written_at(request)
    from experimentstash.freeze.build import builds

    return [*written_at(request), *builds.left_in_checkout(request.stash, request.tool)]


def _live(checkouts: Checkouts, planned: Plan, outputs: Callable[[], Sequence[Path]]) -> Provenance:
    """Return what the tool's checkout is now: all of it, where the tool has a repository of its own.

    Of a run that gets a copy of it, what it was when that was secured.
    """
    directory, plot = planned.directory, planned.request.plot
    pin = None if planned.pin is None else planned.pin.name
    if plot is not None:
        secured = plot.frozen.provenance
        return Provenance(Code(**{**vars(secured.code), "pin": pin}), secured.patch)
    found = live_code(planned.request.stash, directory, checkouts, outputs)
    return replace(found, code=replace(found.code, pin=pin))


def live_code(
    stash: Stash, directory: Path, checkouts: Checkouts, outputs: Callable[[], Sequence[Path]] = tuple
) -> Provenance:
    """Return what the checkout of a tool in a directory is now: all of it, where the tool has its own repository."""
    root = toplevel(directory)
    is_own = root is not None and root != toplevel(stash.root)
    whole = root if is_own and root is not None else directory
    found = checkouts.identify(whole, "tool.patch", code=(directory,), outputs=outputs)
    return replace(found, code=replace(found.code, path=str(directory)))


def _installed(checkouts: Checkouts, package: Installed, prefix: Path) -> Provenance:
    """Return what is known of the code of an installed package: the checkout that it is used from, if there is one."""
    if package.editable is not None and package.editable.is_dir():
        return checkouts.identify(package.editable, "tool.patch", code=(package.editable,))
    return Provenance(Code(path=str(package.source or prefix), commit=package.commit))


def _asked(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resources.items() if value not in (None, [], {})}


def unheeded(resources: Mapping[str, Any]) -> str | None:
    """Return what is to be said of `resources` where submitit's launcher has settings of its own; None: nothing."""
    names = [f"resources.{name}" for name in _asked(resources)]
    if not names:
        return None
    return (
        f"{', '.join(names)}: no effect with submitit_slurm, whose own settings count (hydra.launcher.timeout_min, …);"
        " hydra/launcher=slurm asks for what experiments need"
    )


def lack_of_gpus(request: Request) -> list[str]:
    """Return what is to be said of GPUs that a run here asks for and this machine doesn't have."""
    resources = vars(request.config.resources)
    setting = next((name for name in ("gpus", "gres") if resources[name]), None)
    if setting is None or request.for_job or not (number := gpus.asked(resources)):
        return []
    lack = gpus.lacking(number, f"resources.{setting}={resources[setting]}")
    return [] if lack is None else [lack]


def draft(planned: Plan) -> Run:
    """Return the record of a run as it will be frozen, but for the identity of the code. Touches nothing."""
    request, config, stash = planned.request, planned.request.config, planned.request.stash
    asked = _asked(vars(config.resources))
    style = config.tool.call.style
    notes = [f"{', '.join(planned.unused)}: {calls.not_handed_over(style)}"] if planned.unused else []
    notes += calls.untyped(planned.calling.call, config.params)
    warnings = [*calls.doubtful(planned.calling, config.params), *planned.overwritten]
    if not planned.is_heard:
        # An organizer may give a name; who asks for an experiment means that it is run.
        (warnings if calls.is_asked_for(request.overrides) else notes).append(UNHEARD.format(config.experiment))
    if request.of_launcher is not None and (unheeded_ones := unheeded(asked)) is not None:
        notes.append(unheeded_ones)
    notes += lack_of_gpus(request)
    return Run(
        id=request.id,
        directory=str(request.directory),
        sweep=None if request.sweep is None else str(request.sweep),
        created=times.now(),
        spec=Specification(
            tool=request.tool,
            command=planned.command,
            experiment=config.experiment,
            organizer=request.organizer,
            registration=paths.registration(request.tool),
            description=config.description,
            tags=list(config.tags),
            params=dict(planned.params),
            overrides=list(request.overrides),
            job=request.number,
            estimated_runtime=planned.estimated_runtime,
            collect=[str(path) for path in planned.collected],
            collect_lock=str(stash.lock(request.tool)) if planned.collected else None,
            apart=planned.apart,
            shared=list(config.tool.shared),
            resume=config.tool.resume,
            objective=planned.objective,
            metric_sources=dict(planned.metrics),
            environment=environments.record(planned.recipe),
            build=None if planned.build is None else planned.build.as_recorded(),
            wandb_timeout=config.wandb.timeout,
            debug=config.debug,
            version=__version__,
        ),
        attempt=Attempt(
            1,
            State.FROZEN,
            terms=Terms(
                timeout=planned.timeout,
                grace=config.grace.seconds,
                grace_signal=planned.grace_signal,
                resources=asked if request.of_launcher is None else dict(request.of_launcher),
                borrowed=dict(request.borrowed),
            ),
            supervisor=supervisor_here(),
            notes=notes,
            warnings=warnings,
        ),
    )
