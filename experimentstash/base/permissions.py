"""Who may read what runs leave: nobody but their owner, their group, or whoever the umask lets.

The setting `permissions` becomes this process's umask while runs are made, so that whatever writes heeds it: Hydra, our
own code, SLURM for its logs. What isn't ours keeps the user's umask: tools, git and uv. Who writes into a run's
directory later does as it is there already (see ``files.open_regular``).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from experimentstash.base.patterns import regex

# What the umask must have, by the setting.
MASKS = {"private": 0o077, "group": 0o007, "umask": 0}
# Tells our own processes, of a SLURM job too, the umask that the user has.
VARIABLE = "EXPERIMENTSTASH_UMASK"
_SETTING = regex(r"(?m)^permissions:[ \t]*['\"]?(\w+)")


def tighten(mask: int) -> None:
    """Have this process, and those of ours that it starts, make files that are no more open than a mask leaves them."""
    before = _current()
    os.environ.setdefault(VARIABLE, f"{before:03o}")
    os.umask(before | mask)


def follow(path: Path) -> None:
    """Make files no more open than one that is there; if it isn't, there will be no others either."""
    with contextlib.suppress(OSError):
        tighten(~stat.S_IMODE(os.stat(path).st_mode) & 0o077)


def of_user() -> int | None:
    """Return the umask of the user, for what isn't ours; None: it is this process's."""
    return parsed(os.environ.get(VARIABLE))


def parsed(text: str | None) -> int | None:
    """Return the umask that a text has in octal; None if it has none."""
    try:
        return int(text or "", 8) & 0o777
    except ValueError:
        return None


def present() -> str:
    """Return the umask that tools are to have, as a record keeps it."""
    own = of_user()
    return f"{_current() if own is None else own:03o}"


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Bring the umask back in the end, for who goes on in this process."""
    before, known = _current(), os.environ.get(VARIABLE)
    try:
        yield
    finally:
        os.umask(before)
        os.environ.pop(VARIABLE, None)
        if known is not None:
            os.environ[VARIABLE] = known


def in_stash(root: Path) -> int:
    """Return the mask that a stash's root config asks for, for what isn't a run's: environments, journals, backups."""
    found = None
    with contextlib.suppress(OSError):
        found = _SETTING.search((root / "conf" / "config.yaml").read_text(encoding="utf-8", errors="replace"))
    return MASKS.get(found[1] if found else "", MASKS["private"])


def _current() -> int:
    before = os.umask(0o077)
    os.umask(before)
    return before
