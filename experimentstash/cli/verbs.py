"""The one parser of the command line: all verbs in groups, each with what it is given and its line.

A further verb is one line here and one file in `commands`, which has the verb's words as its name: `EXAMPLES`,
`configure(parser)` and `main(given)`. Only the file of the verb that is asked for is imported; the overview needs none.
"""

from __future__ import annotations

from experimentstash.base.errors import StashError, did_you_mean

TYPE_CHECKING = False  # from here, because what it guards takes long to import
if TYPE_CHECKING:
    from collections.abc import Sequence

# What a verb is given, as in its usage, says what Tab completes there.
GROUPS = {
    "Run": {
        "run": ("EXPERIMENT… [OVERRIDE…]", "run an experiment, or several as a sweep"),
        "resume": ("RUN [OVERRIDE…]", "go on with a run or a sweep that was cut short"),
        "rerun": ("RUN [OVERRIDE…]", "do exactly the same run once more"),
        "retry": ("RUN… [OVERRIDE…]", "do what failed once more, from the start"),
    },
    "Look": {
        "list": ("", "list the experiments"),
        "runs": ("[RUN…]", "list the runs"),
        "show": ("[RUN]", "show everything about a run or a sweep"),
        "compare": ("[RUN…]", "compare the numbers of runs, over seeds"),
        "report": ("[RUN…]", "make a page of runs to look at"),
        "logs": ("[RUN]", "print what a run's tool has written"),
        "path": ("[RUN] [FILE]", "print where a run is, or a file of it"),
        "open": ("[RUN] [FILE]", "open a run's directory, or a file of it"),
        "explain": ("[SETTING…]", "say what a setting means"),
    },
    "Act": {
        "cancel": ("RUN…", "end runs; tools may save their work first"),
        "sync": ("RUN…", "send W&B runs that were recorded offline"),
        "tag": ("RUN… +NAME -NAME", "give runs tags, and take others away"),
        "note": ("RUN… TEXT", "keep a remark with runs"),
        "metrics refresh": ("[RUN…]", "read the numbers of runs once more"),
        "archive": ("SWEEP…", "make one file of a sweep, or undo that"),
        "rm": ("RUN…", "remove runs, or all of them but their records"),
        "gc": ("", "remove what nothing needs: environments, code"),
    },
    "Publish": {
        "freeze": ("NAME [RUN…]", "keep runs under a name, to be had again later"),
        "frozen": ("", "list what is frozen"),
        "reproduce": ("NAME|RUN [OVERRIDE…]", "have runs again, and compare what they write"),
        "export": ("NAME", "make one file of frozen runs, for others"),
        "import": ("FILE.zip", "take frozen runs from such a file"),
    },
    "Tools": {
        "tool add": ("NAME [URL]", "make a foreign repository a tool"),
        "tool list": ("", "list the tools"),
        "tool show": ("TOOL", "show everything about a tool"),
        "tool update": ("TOOL", "move a tool to another commit"),
        "tool sync": ("TOOL…", "make environments now, and build"),
        "tool remove": ("TOOL", "take a tool out, with a backup"),
        "tool restore": ("BACKUP", "bring a removed tool back"),
    },
    "Set-up": {
        "init": ("[DIR]", "make a new stash"),
        "import-configs": ("DIR", "bring the configuration of an older stash over"),
        "new exp": ("NAME", "write an experiment for a tool"),
        "new tool": ("NAME [DIR]", "make a directory of the stash a tool"),
        "validate": ("", "check the set-up, and say what to fix"),
        "editor": ("", "have editors check the configuration"),
    },
}
VERBS = {verb: about for group in GROUPS.values() for verb, about in group.items()}
# First words that several verbs have in common.
FAMILIES = {verb.partition(" ")[0] for verb in VERBS if " " in verb}


def split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the verb that these arguments begin with, and the rest; no verb if they are a command line of Hydra's.

    StashError for what is neither.
    """
    for count in (2, 1):
        verb = " ".join(arguments[:count])
        if len(arguments) >= count and verb in VERBS:
            return verb, list(arguments[count:])
    first, *rest = arguments
    if first in FAMILIES:
        known = [verb.partition(" ")[2] for verb in family(first)]
        said = f"There is no verb `{first} {rest[0]}`.{did_you_mean(rest[0], known)}" if rest else "Which verb?"
        raise StashError(f"{said}\nVerbs: {', '.join(known)}", f"experimentstash {first} --help")
    if first.startswith(("-", "+", "~")) or "=" in first:
        return None, list(arguments)
    meant = did_you_mean(first, [*VERBS, *FAMILIES])
    raise StashError(
        f"There is no verb {first!r}.{meant}",
        f"experimentstash --help lists them{'' if meant else '; an experiment runs by  experimentstash run NAME'}",
    )


def family(first: str) -> list[str]:
    """Return the verbs that begin with this word, if they have two."""
    return [verb for verb in VERBS if verb.startswith(f"{first} ")]
