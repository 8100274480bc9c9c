"""The process in which `es.run` executes a run: what the command line does, with what came of it told by a pipe.

A process of its own, because Hydra, the keeper and the handling of signals are each made for a whole one; a notebook's
has other things to do, threads among them.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

from experimentstash.base.interrupts import ending_at_once

# Before the descriptor and the arguments: by this word a process is known for one of ours.
NAME = "experimentstash.api.child"


def main() -> int:
    """Execute the run that the arguments say, and tell what came of it; return the exit code."""
    _, descriptor, *words = sys.argv[1:]
    report = int(descriptor)
    os.set_inheritable(report, False)
    with ending_at_once():
        from experimentstash.base import output, permissions
        from experimentstash.execute import keeper

        output.fit_streams()
    with keeper.kept(), permissions.restored(), output.guarded():
        told = tell(words)
    text = json.dumps(told).encode()
    while text:
        text = text[os.write(report, text) :]
    return 0


def tell(words: Sequence[str]) -> dict[str, str | None]:
    """Execute the run that the words say, and return what is told of it; nothing if only the output can tell."""
    from experimentstash.base.errors import StashError

    try:
        return {"directory": _execute(words)}
    except StashError as error:
        return {"error": error.message, "hint": error.hint}
    except KeyboardInterrupt:
        return {}
    except Exception:
        traceback.print_exc()
        return {}


def _execute(words: Sequence[str]) -> str:
    """Execute one run and return its directory. StashError for what is no run, or may be several."""
    from experimentstash.base.errors import StashError
    from experimentstash.launch import app

    with ending_at_once():
        app.import_plugins()
    if any(map(app.sweeps, words)):
        raise StashError("These are several runs, and es.run executes one.", "experimentstash run -m …")
    result = app.launch(words)
    if result.error is not None:
        raise result.error
    found = [*([result.single] if result.single else []), *(result.sweep.runs if result.sweep else result.spared)]
    if not found or result.is_dry:
        raise StashError("Nothing was run.", "experimentstash run shows what there is to see")
    return found[0].directory
