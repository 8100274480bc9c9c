"""What `--help` tells: all verbs at a glance, or one of them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experimentstash.cli import verbs

_HELP = ("-h", "--help")
_OVERVIEW = """\
usage: experimentstash VERB …               do one of these here
       experimentstash [-m] +exp=NAME …     run, in Hydra's own words
       experimentstash                      what there is in this stash
"""
_FURTHER = """\
  experimentstash VERB -h              what a verb can do, with examples
  experimentstash +exp=NAME KEY=VALUE  run one; with -m, KEY=A,B,C sweeps
  experimentstash +exp=NAME --cfg job  show its configuration, and run nothing
  experimentstash --hydra-help         Hydra's own help: groups, settings, flags
  experimentstash --version            which version this is
  eval "$(experimentstash -sc install=bash)"  completes words on Tab
Every verb heeds NO_COLOR and --color=always, auto or never."""


def asked(arguments: Sequence[str]) -> str | None:
    """Return the help that is asked for; None if none is, or if it is Hydra's, for what it is to compose."""
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words = [word for word in arguments[:end] if word not in _HELP]
    if len(words) == end:
        return None
    if not words or (words[0].startswith("-") and not any("=" in word or word.startswith("~") for word in words)):
        return f"{_OVERVIEW}\n{_listed(verbs.GROUPS)}\n{_FURTHER}"
    if words == [words[0]] and words[0] in verbs.FAMILIES:
        family = {verb: verbs.VERBS[verb] for verb in verbs.family(words[0])}
        return f"usage: experimentstash {words[0]} VERB …\n\n{_listed({'Verbs': family})}\n{_FURTHER.splitlines()[0]}"
    verb, _ = verbs.split(words)
    if verb is None:
        return None
    from experimentstash.cli import parsing  # argparse, which only who is asked needs

    return parsing.parser(verb).format_help().rstrip("\n")


def _listed(groups: Mapping[str, Mapping[str, tuple[str, str]]]) -> str:
    lines = []
    for name, group in groups.items():
        lines.append(name)
        for verb, (given, line) in group.items():
            lines.append(f"  {f'{verb} {given}':<32}{line}")
        lines.append("")
    return "\n".join(lines)
