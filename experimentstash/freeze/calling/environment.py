"""Parameters as variables of the tool's environment: PREFIX, and the key in capitals; `__` is a step down.

As with words, a variable is a text: what could be written in several ways has to be said.
"""

from __future__ import annotations

import os
import re

from experimentstash.base.dataclass_light import replace
from experimentstash.base.errors import StashError
from experimentstash.base.patterns import regex
from experimentstash.freeze.calling import assignments, words
from experimentstash.freeze.calling.command_line import subcommand
from experimentstash.freeze.calling.style import Arguments, Given, Style
from experimentstash.stash import parameters
from experimentstash.stash.schema import CallStyle

DIALECT = replace(assignments.DIALECT, style=CallStyle.environment)
_NAME = regex(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What programs, shells and loaders take from there themselves.
_NEVER = regex(r"PATH|LD_.*|DYLD_.*|PYTHON.*|SLURM_.*|WANDB_.*|EXPERIMENTSTASH_.*")
_TAKEN = regex(
    r"HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|IFS|ENV|BASH_ENV|LANG|LANGUAGE|TERM|TZ|TMP|TEMP|TMPDIR|HOSTNAME|DISPLAY"
    r"|EDITOR|PAGER|UID|CDPATH|LC_.*|XDG_.*|GIT_.*|CUDA_.*"
    r"|OMP_.*|MKL_.*|CONDA_.*|VIRTUAL_ENV|UV_.*|R_HOME|R_LIBS.*|JULIA_.*|JUPYTER_.*|.*_PROXY"
)


def _write(given: Given) -> Arguments:
    call, params = given.call, parameters.apart(given.params)
    prefix = call.prefix or ""

    def spelled(key: str) -> str:
        return prefix + re.sub(r"[-\s/]", "_", key.replace(".", "__")).upper()

    dialect = replace(DIALECT, spelled=spelled)
    bare = replace(call, subcommand=None)
    written = dialect.arguments(bare, given.experiment, params, [], given.run_directory)
    variables = dict(word.split("=", 1) for word in written)
    for name in variables:
        if not _NAME.fullmatch(name):
            raise StashError(f"{name!r} can't be the name of a variable.", "use letters, digits and underscores")
        if _NEVER.fullmatch(name) or (not prefix and _TAKEN.fullmatch(name)):
            raise StashError(
                f"{name} means something to programs, shells or ExperimentStash itself: no parameter is called so.",
                "give the tool's variables a prefix: `call: {prefix: SIM_}`",
            )
    left_out = [spelled(key) for key, value in words.flat(params) if value is None]
    # What a shell happens to have would be a parameter of which no record tells.
    inherited = [name for name in os.environ if prefix and name.startswith(prefix)]
    unset = sorted({*left_out, *inherited} - set(variables))
    return Arguments((*subcommand(call), *given.extra), variables=variables, unset=unset)


STYLE = Style(
    CallStyle.environment,
    _write,
    settings=("subcommand", "prefix", "experiment", "output", "ways", "lists", "booleans", "mappings", "nulls"),
    asks_the_source=False,
)
