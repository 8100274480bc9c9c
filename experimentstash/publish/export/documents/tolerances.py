"""How outputs are compared, in words; outputs that are compared alike stand together."""

from __future__ import annotations

from collections.abc import Iterator

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.text import counted, listed
from experimentstash.publish.comparators.comparator import How
from experimentstash.publish.frozen import Frozen, FrozenRun, Output
from experimentstash.publish.markdown import code, plain

_NAMED = 10
# The endings of what is compared by a library that isn't always there.
_LIBRARIES = (".npz", ".npy", ".parquet", ".pdf")


@dataclass(frozen=True)
class Alike:
    """Outputs of an experiment that have one name and are compared in one way."""

    experiment: str
    path: str
    how: str  # Markdown
    runs: list[str]
    size: int

    @property
    def of(self) -> str:
        """Which runs they are of."""
        return self.runs[0] if len(self.runs) == 1 else counted(len(self.runs), "run")


def experiment_of(run: FrozenRun) -> str:
    """Return what the runs of an experiment have in common."""
    return run.organizer or (f"{run.tool}: {run.experiment}" if run.experiment else run.tool)


def by_experiment(frozen: Frozen) -> dict[str, list[FrozenRun]]:
    """Return all runs, those of an experiment together."""
    found: dict[str, list[FrozenRun]] = {}
    for run in frozen.runs:
        found.setdefault(experiment_of(run), []).append(run)
    return found


def alike(frozen: Frozen) -> list[Alike]:
    """Return all outputs, those of many runs together."""
    found: dict[tuple[str, str, str], Alike] = {}
    for run in frozen.runs:
        for output in run.outputs:
            key = (experiment_of(run), output.path, words(output.how))
            earlier = found.get(key)
            runs, size = ([], 0) if earlier is None else (earlier.runs, earlier.size)
            found[key] = Alike(*key, [*runs, run.id], size + output.content.size)
    return list(found.values())


def words(how: How) -> str:
    """Return how an output is compared, as Markdown."""
    return "; ".join([*_what(how)])


def _what(how: How) -> Iterator[str]:
    if how.compare == "hash":
        yield "byte by byte"
        return
    if how.compare == "picture":
        yield "pixel by pixel, metadata aside"
        yield f"a channel may differ by {how.atol:g} of 255" if how.atol else "no pixel may differ"
        if how.share:
            yield f"{how.share:g} of the pixels may differ by more"
        return
    if how.compare == "text":
        yield "line by line"
        if how.ignore:
            yield f"what may differ: {listed([*map(code, how.ignore)], _NAMED)}"
        return
    yield "number by number" if not how.up_to else f"as an embedding, up to {_UP_TO.get(how.up_to, how.up_to)}"
    if how.coordinates:
        yield f"coordinates are {listed([*map(code, how.coordinates)], _NAMED)}"
    yield _tolerance(how.rtol, how.atol)
    for name, each in how.columns.items():
        yield f"{code(name)}: {_tolerance(each.rtol, each.atol)}"
    if how.key:
        yield f"rows found by {listed([*map(code, how.key)], _NAMED)}"
    if how.ignore:
        yield f"not compared: {listed([*map(code, how.ignore)], _NAMED)}"


_UP_TO = {"sign": "the signs of its axes", "rotation": "rotations and reflections"}


def _tolerance(rtol: float, atol: float) -> str:
    parts = [f"{atol:g}"] if atol else []
    parts += [f"{rtol:g} × the number"] if rtol else []
    return f"may differ by {' + '.join(parts)}" if parts else "no number may differ"


def needs_libraries(output: Output) -> bool:
    """Tell whether an output is compared with the help of libraries that ExperimentStash has as an extra."""
    return output.how.compare == "embedding" or (
        output.how.compare != "hash" and output.path.lower().endswith(_LIBRARIES)
    )


def notes(frozen: Frozen) -> dict[str, list[str]]:
    """Return what was noted of runs, each once, with the runs that it was noted of."""
    found: dict[str, list[str]] = {}
    for run in frozen.runs:
        for note in run.notes:
            found.setdefault(plain(note), []).append(run.id)
    return found
