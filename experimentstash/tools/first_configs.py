"""The registration and the example organizer that a new tool gets, and whether they compose."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from experimentstash.base.errors import StashError
from experimentstash.base.process import CommandError, clean_environment, run
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import CallStyle
from experimentstash.tools import editor_files, registrations
from experimentstash.tools.detect import built
from experimentstash.tools.detect.candidate import Candidate
from experimentstash.tools.detect.detection import Detection
from experimentstash.tools.transaction import MARKER, Transaction

# Seconds that composing the example organizer may take.
_PATIENCE = 120.0
# Words in the name of an experiment that promise something small.
_SMALL = ("example", "debug", "smoke", "test", "small", "default", "quick", "demo")


def registration_of(
    path: str, chosen: Candidate, detected: Detection, commit: str | None, interpreter: Path | None
) -> str:
    """Return the text of a new tool's registration."""
    scalar = registrations.scalar
    call: dict[str, str | None] = {"style": chosen.style.value}
    if chosen.hydra is not None:
        key = chosen.hydra.experiment_key
        call["experiment"] = scalar(key) if key not in (None, "experiment") else None
        place = chosen.hydra.config_directory
        call["configs"] = scalar(place) if place else None
    else:
        call |= call_settings(chosen)
        call = {} if call == {"style": CallStyle.options.value} else call
    environment: dict[str, str | None] = {"interpreter": scalar(str(interpreter)) if interpreter else None}
    if detected.file is not None and detected.file.startswith("../"):  # what lies in the tool is found at each run
        environment["file"] = scalar(detected.file)
        listed = ", ".join(map(scalar, detected.requirements))
        environment["requirements"] = f"[{listed}]" if listed else None
    python = detected.python if detected.python and not detected.python_is_read else None
    return registrations.registration(
        {
            "path": scalar(path),
            "entrypoint": scalar(chosen.entrypoint),
            "build": _build(chosen),
            "commit": None if commit is None else registrations.scalar_commit(commit),
            "python_version": scalar(python) if python else None,
            "description": scalar(detected.description) if detected.description else None,
            "collect": _collect(detected),
        },
        {"call": call, "environment": environment},
    )


def _build(chosen: Candidate) -> str | None:
    """Return what makes the tool ready, as a setting."""
    return built.written(chosen.build) if chosen.build else None


def _collect(detected: Detection) -> str | None:
    """Return what of its checkout the tool seems to write to, as a setting, with what else there is to choose."""
    whole = [write for write in detected.writes if write.is_whole]
    if not whole:
        return None
    places = ", ".join(registrations.scalar(write.path) for write in whole)
    return f"[{places}]  # it seems to write there ({whole[0].where}); or `working_directory: run`, `shared`"


def call_settings(chosen: Candidate) -> dict[str, str | None]:
    """Return the settings of `call` that the tool's own declarations tell."""
    scalar = registrations.scalar
    call: dict[str, str | None] = {}
    if chosen.subcommand is not None:
        others = [each for each in chosen.declared.subcommands if each != chosen.subcommand]
        call["subcommand"] = scalar(chosen.subcommand) + (f"  # or: {', '.join(others)}" if others else "")
    if chosen.output_option is not None:
        call["output"] = scalar(chosen.output_option)
    call |= chosen.settings
    ways = chosen.declared.ways
    if ways:
        listed = {name: ", ".join(map(scalar, said)) for name, said in ways.items()}
        texts = {name: f"[{text}]" if "," in text else text for name, text in listed.items()}
        call["ways"] = "  # as the tool declares its options" + "".join(
            f"\n    {scalar(name)}: {text}" for name, text in texts.items()
        )
    return call


def example(stash: Stash, name: str, chosen: Candidate) -> tuple[str, Path, str, tuple[str, ...]]:
    """Return an example's name, path and text, and what it lacks: nobody can know the values that a tool insists on.

    It is one of the tool's own experiments, or the tool's defaults.
    """
    experiments = chosen.hydra.experiments if chosen.hydra else ()
    small = [each for each in experiments if any(word in each.lower() for word in _SMALL)]
    experiment = next(iter([*small, *experiments]), None)
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", experiment or "example").strip("_-") or "example"
    free = next(
        candidate
        for candidate in (base, *(f"{base}-{number}" for number in range(2, 10_000)))
        if not stash.organizer(f"{name}/{candidate}").exists()
    )
    required = [each for each in chosen.options if each.is_required and f"--{each.name}" != chosen.output_option]
    of_subcommands = required if chosen.declared.needs_subcommand else []  # nobody can tell which one's they are
    required = [each for each in required if each not in of_subcommands]
    options = [each for each in required if not each.is_positional]
    params = [
        (each.name, '"???"', f"{f'{each.kind}; ' if each.kind else ''}the tool insists on it") for each in options
    ]
    needs = [f"params.{each.name}" for each in options]
    description = f"Its own experiment {experiment}" if experiment else "The tool with its defaults"
    text = registrations.organizer(name, experiment, description, params)
    if of_subcommands:
        listed = ", ".join(dict.fromkeys(each.name for each in of_subcommands))
        text += f"# Some of its subcommands insist on these: {listed}\n"
    positional = [each.name for each in required if each.is_positional]
    if positional and chosen.style is not CallStyle.hydra:
        text += f"# The tool takes these without an option's name: {', '.join(positional)}\n"
        text += "arguments: [" + ", ".join(['"???"'] * len(positional)) + "]\n"
        needs.append("arguments")
    return f"{name}/{free}", stash.organizer(f"{name}/{free}"), text, tuple(needs)


def write_example(
    transaction: Transaction, stash: Stash, name: str, chosen: Candidate
) -> tuple[str, tuple[str, ...], list[Path]]:
    """Write a registered tool's example; return its name, what it lacks, and the files, the organizer first."""
    experiment, organizer, text, needs = example(stash, name, chosen)
    schema = editor_files.schema_place(stash, name)
    if schema is not None:
        head, _, rest = text.partition("\n")  # Hydra wants its own line to be the first
        text = f"{head}\n{editor_files.modeline(schema, organizer)}{rest}"
        transaction.replace(schema, editor_files.schema_of_tool(stash, name).encode())
    transaction.replace(organizer, text.encode())
    return experiment, needs, [organizer, *([] if schema is None else [schema])]


def composed(transaction: Transaction, stash: Stash, chosen: str) -> str:
    """Return the command of what an override chooses (an experiment, or the tool alone), checked as for a run."""
    # Where an interrupted one leaves something, it goes with the transaction. Hydra resolves it: no quoting is needed.
    place = f"hydra.run.dir=${{oc.env:{MARKER}}}/run"
    argv = [sys.executable, "-m", "experimentstash", chosen, "validate_only=true", place]
    try:
        environment = {**clean_environment(), "PYTHONPATH": ":".join(path for path in sys.path if path)}
        command = run(argv, cwd=stash.root, env=environment, timeout=_PATIENCE).stdout.strip()
    except CommandError as error:
        said = error.stderr.strip() or error.message
        raise StashError(f"The example organizer for the tool does not compose:\n{said}") from error
    return command.replace(str(transaction.folder / "run"), "RUN_DIRECTORY")
