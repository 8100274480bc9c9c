"""What is to be done about a tool that has failed, by what it has said last."""

from __future__ import annotations

import re
from pathlib import Path

from experimentstash.base.files import read_end
from experimentstash.base.patterns import regex
from experimentstash.base.terminal import plain
from experimentstash.record.run import Run

_CELL = regex(r"cell \d+ of the executed notebook failed: .+")
# Bytes of the end of a log that are searched for the cause of a failure.
_TAIL = 65536


def advise(run: Run, log: Path) -> str | None:
    """Return what to change, and in which file, if the log of a failed run ends with a mistake that is known."""
    return diagnose(run, _tail(log))


def failed_cell(run: Run) -> str | None:
    """Return which cell of a notebook has failed, and by which error; None if it was none, or no notebook."""
    if not any(word.endswith("/run_notebook.py") for word in run.spec.command.argv):
        return None
    lines = _tail(run.path / run.attempt.log).splitlines()
    return next((line for line in reversed(lines) if _CELL.fullmatch(line)), None)


def diagnose(run: Run, text: str) -> str | None:
    """Return what to change, and in which file, if what the tool of a run has said tells a mistake that is known."""
    registration = run.spec.registration or "the tool's registration"
    script = next((word for word in run.spec.command.argv if word.endswith(".py")), None)
    missing = list(re.finditer(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?", text))
    relative = "attempted relative import with no known parent package" in text
    if (missing or relative) and script is not None and run.spec.code is not None:
        tool = Path(run.spec.code.path)
        package = missing[-1][1].partition(".")[0] if missing else Path(script).parent.name
        if relative or (tool / package).is_dir() or (tool / f"{package}.py").is_file():
            try:
                module = ".".join(Path(script).relative_to(tool).with_suffix("").parts)
            except ValueError:
                module = Path(script).stem
            return f"run it as a module: in {registration} change the entrypoint to `entrypoint: -m {module}`"
    if missing:
        package = missing[-1][1].partition(".")[0]
        kind = run.spec.environment.kind if run.spec.environment else ""
        if kind == "interpreter":
            return f"install {package!r} for {run.spec.command.argv[0]}: that interpreter is used as it is"
        return f"its environment lacks {package!r}: add it to `dependencies:` in {registration}, or to the tool's own"
    if "error: unrecognized arguments:" in text or "No such option" in text:
        return "the tool doesn't know one of the arguments: compare `params` in the organizer with the tool's --help"
    if re.search(r"Could not override '.*'|Key '.*' is not in struct", text):
        return (
            "the tool's configuration doesn't have one of these keys: fix it in the organizer's `params`,"
            " or write `+key` there to add it"
        )
    if re.search(r"MissingConfigException|Could not find '[^']+/|Could not load '", text):
        return "the tool has no config of that name: fix `experiment:` or `params:` in the organizer"
    if re.search(r"^MemoryError|CUDA out of memory|OutOfMemoryError", text, re.MULTILINE):
        peak = (run.attempt.peak_memory or 0) / 1e9
        return f"it ran out of memory (peak {peak:.1f} GB): give it more, or make it need less"
    return None


def _tail(log: Path) -> str:
    try:
        return plain(read_end(log, _TAIL).decode(errors="replace"))
    except OSError:
        return ""
