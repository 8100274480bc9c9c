"""Code as submitted: a worktree of a tool's snapshot, shared by all its runs, and removed when none needs it any more.

.experimentstash/code/<tool>/<key>/
  tree/                 the worktree, with links to what the tool shares with its checkout
  environments/         the tool's environments that were made from it
  configs/<hash>/       directories of the stash that the tool reads its configs from
  builds/<key>/         what was built of it in a place of its own; built.json, … of what was built in it (see `built`)
  users/                who needs it: a run's or sweep's directory, and the process that submits
  repositories.json     the checkouts that know of the worktree, and of those of submodules inside it
  ready                 set last
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters.git import worktree
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import status_of
from experimentstash.adapters.python import editable
from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import make_private
from experimentstash.base.process import CommandError
from experimentstash.code import built, snapshots
from experimentstash.code.left_out import given_by, left_behind, shared_paths, tell_what_is_missing
from experimentstash.code.pins import Pin
from experimentstash.code.provenance import Provenance
from experimentstash.code.results import is_source
from experimentstash.code.secret_files import is_secret_file
from experimentstash.code.snapshots import Snapshot
from experimentstash.code.worktree_place import (
    CONFIGS,
    ENVIRONMENTS,
    READY,
    REPOSITORIES,
    TREE,
    USERS,
    exclusive,
    folder_of,
    remove,
)
from experimentstash.code.worktree_users import clean, note_user, users_of
from experimentstash.record.run import Code
from experimentstash.stash.layout import Stash
from experimentstash.stash.schema import ToolConfig

PATCH = "tool.patch"
_KEY_LENGTH = 16


@dataclass(frozen=True)
class Frozen:
    """A tool's code as it was when it was secured; what is edited afterwards doesn't reach it."""

    live: Path  # the tool's directory in the checkout
    directory: Path  # and in the worktree
    environments: Path
    configs: Mapping[str, str]  # call.config_dir or call.config_path → the directory to use
    provenance: Provenance
    tree: Path  # the root of the worktree
    notes: tuple[str, ...] = ()  # what of the checkout isn't in it, though one might think so

    @property
    def place(self) -> Path:
        """The directory of all that belongs to this code."""
        return self.tree.parent

    def adapted(self, tool: ToolConfig) -> ToolConfig:
        """Return the tool's registration with the paths that its runs are to use."""
        call = replace(
            tool.call,
            config_dir=tool.call.config_dir and self.configs[tool.call.config_dir],
            config_path=tool.call.config_path and self.configs[tool.call.config_path],
        )
        environment = tool.environment
        if environment.interpreter and not (self.directory / environment.interpreter).exists():
            # A Python that exists is no code, and git ignores it.
            interpreter = str(self.live / Path(environment.interpreter).expanduser())
            environment = replace(environment, interpreter=interpreter)
        return replace(tool, call=call, environment=environment)

    def search_path(self, python: Path | None, *, is_foreign: bool) -> list[Path]:
        """Return where Python must look before it looks into its environment.

        In one that somebody else has made (``is_foreign``), the tool may be installed in editable mode: that is the
        live code. StashError if it is in a way that no search path goes before.
        """
        if not is_foreign or python is None:
            return []
        root = toplevel(self.live) or self.live
        inside, others = editable.places(python, root)
        if others:
            raise StashError(
                f"The environment of {python} imports {', '.join(others)} from the checkout itself, so frozen code"
                " would not be all that runs.",
                "install it there without -e, or use code=live",
            )
        own = (self.directory / "src", self.directory, *(self.tree / each for each in inside))
        return [path for path in dict.fromkeys(own) if path.is_dir()]


def ensure_worktree(
    stash: Stash,
    name: str,
    live: Path,
    tool: ToolConfig,
    user: Path,
    announce: Callable[[str], None],
    pin: Pin | None = None,
    outputs: Sequence[str] = (),
    recorded: Provenance | None = None,
    built_by: str = "",
) -> Frozen | None:
    """Return the code of a tool as its checkout in ``live`` is, or exactly ``pin``; None if git doesn't know it.

    Or what is ``recorded`` of a run's.

    What earlier runs have left at the paths ``outputs``, relative to its directory, is not part of it.

    What is built in it, and so tells it apart, is ``built_by``.

    It stays as long as this process lives, or a run below the directory ``user`` isn't over or can be resumed.
    """
    real = live.resolve()
    root = toplevel(real)
    if root is None:
        return None
    path = "" if root != toplevel(stash.root.resolve()) else real.relative_to(root).as_posix()
    shared = shared_paths(stash, name, tool, real, pin)
    try:
        below = [Path(os.path.normpath(real / each)).relative_to(root).as_posix() for each in shared]
        left = [Path(os.path.normpath(real / each)) for each in outputs]
        results = [each.relative_to(root).as_posix() for each in left if each.is_relative_to(root)]
        taken: Snapshot | None
        if recorded is not None:
            taken = snapshots.of_record(root, recorded.code, recorded.patch, path)
        elif pin is not None:
            taken = snapshots.of_commit(root, pin.commit, path)
        else:
            taken = snapshots.take(root, path, without=below, outputs=results)
        if taken is None:
            return None
        facts = [str(live), *shared, *filter(None, [built_by])]
        marks = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_KEY_LENGTH] if facts[1:] else ""
        usual = folder_of(stash, name) / "-".join(filter(None, (taken.commit[:_KEY_LENGTH], marks)))
        with exclusive(stash, name, announce) as lock:
            files.inside(stash.code, usual / TREE)
            place, is_ready = _place_for(stash, usual, announce)
            directory = place / TREE / real.relative_to(root)
            files.inside(stash.code, directory)
            if not (is_ready and directory.is_dir()):
                announce(f"Freezing the code of {name!r}: {_describe(taken)}")
                links = {os.path.normpath(directory / each): os.path.normpath(live / each) for each in shared}
                _make(place, root, taken, {Path(link): Path(target) for link, target in links.items()}, lock)
                tell_what_is_missing(
                    stash, name, taken, real, root, path, [*shared, *outputs], bool(tool.build), announce
                )
                clean(stash, place, lock)
            held = (live, directory) if path else (toplevel(live) or live, place / TREE)
            configs = {given: _frozen_configs(stash, *held, place, given) for given in given_by(tool)}
            note_user(stash, place, user.absolute())
    except GitError as error:
        raise StashError(
            f"The code of {name!r} can't be frozen: {error.message}",
            f"{error.hint}; or use the checkout as it is: code=live",
        ) from error
    except (CommandError, OSError) as error:
        raise StashError(
            f"The code of {name!r} could not be frozen: {error}", "code=live uses the checkout as it is"
        ) from error
    notes = () if pin is None else left_behind(root, path, pin)
    for note in notes:
        announce(note)
    code = Code(
        path=str(directory),
        commit=taken.base,
        branch=taken.branch,
        dirty=taken.is_dirty,
        patch=PATCH if taken.patch else None,
        omitted=list(taken.omitted),
        withheld=list(taken.withheld),
        snapshot=taken.commit,
        pin=pin.name if pin is not None else recorded.code.pin if recorded is not None else None,
    )
    provenance = Provenance(code, taken.patch)
    return Frozen(live, directory, place / ENVIRONMENTS, configs, provenance, place / TREE, notes)


# --- making ----------------------------------------------------------------------------------------------------------


def _make(place: Path, root: Path, taken: Snapshot, links: Mapping[Path, Path], lock: int) -> None:
    """Make the worktrees. Whenever that ends, what `remove` needs to know is written down by then."""
    remove(place, lock)  # what an interrupted one has left
    make_private(place.parent.parent)
    (place / USERS).mkdir(parents=True)
    tree = place / TREE
    worktrees = [(checkout, tree / path, commit) for checkout, path, commit in _parts(root, "", taken)]
    known = [[str(checkout), str(directory)] for checkout, directory, _ in worktrees]
    files.write_atomically(place / REPOSITORIES, json.dumps(known, indent=2) + "\n")
    for checkout, directory, commit in worktrees:
        step("before a worktree")
        worktree.add_worktree(checkout, directory, commit, lock)
    step("worktrees are there")
    for link, target in links.items():
        files.make_directory(files.inside(tree, link).parent)
        link.symlink_to(target)
    step("before ready")
    found = status_of(tree)  # what a filter makes of a file may never be as committed
    files.write_atomically(place / READY, "\0".join(found.changed if found else ()))


def _place_for(stash: Stash, usual: Path, announce: Callable[[str], None]) -> tuple[Path, bool]:
    """Return where frozen code is to be, and whether it is there, with its committed files as they were made.

    Where a run has written into them, runs to come get it anew; those that still need what there is keep that.
    """
    place, number = usual, 2
    while (place / READY).exists():
        changed = _changed(place)
        if not changed:
            return place, True
        announce(f"{stash.relative(place)} has been changed ({', '.join(changed[:3])}): the code is frozen anew")
        if not any(user.needs(place) for user in users_of(stash, place)):
            break
        place, number = usual.with_name(f"{usual.name}-{number}"), number + 1
    return place, False


def _changed(place: Path) -> list[str]:
    """Return the files of frozen code that aren't as they were when it was made, and code that has come into it."""
    found = status_of(place / TREE) if (place / TREE / ".git").exists() else None
    inside = built.in_tree(place, place / TREE)
    if inside is None:  # whoever builds it begins anew
        return []
    as_built, changed = inside
    with contextlib.suppress(OSError):
        made = {*files.read_regular(place / READY).decode().split("\0"), *as_built}
        if found is not None:
            new = {each for each in found.untracked if is_source(each) and not (place / TREE / each).is_symlink()}
            return sorted(({*found.changed} - {*found.littered} | new) - made | changed)
    return []


def _parts(root: Path, path: str, taken: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """Yield checkout, path in the tree, and commit of a snapshot and of those inside it, from the outside in."""
    yield root, path, taken.commit
    for inner, snapshot in taken.nested.items():
        yield from _parts(root / inner, f"{path}/{inner}" if path else inner, snapshot)


def _frozen_configs(stash: Stash, live: Path, directory: Path, place: Path, given: str) -> str:
    """Return a directory of configs as it is now: in the frozen code of ``live``, or copied from the stash."""
    source = Path(os.path.normpath(stash.root / given))
    if source.is_relative_to(live):
        return str(directory / source.relative_to(live))
    found = {
        os.path.relpath(os.path.join(folder, name), source): files.read_regular(os.path.realpath(Path(folder, name)))
        for folder, _, names in os.walk(source)
        for name in names
        if not is_secret_file(name)
    }
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(f"{name!a} {len(content)}\n".encode() + content)
    target = place / CONFIGS / digest.hexdigest()[:_KEY_LENGTH]
    if not target.is_dir():
        draft = target.with_suffix(".part")
        files.remove(draft)
        draft.mkdir(parents=True)
        for name, content in found.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(content)
        draft.rename(target)
    return str(target)


def _describe(taken: Snapshot) -> str:
    return f"commit {taken.base[:12]}{', with what is changed and not committed' if taken.is_dirty else ''}"
