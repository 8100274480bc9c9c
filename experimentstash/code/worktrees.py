"""Code as submitted: a worktree of a tool's snapshot, shared by all its runs, and removed when none needs it any more.

.experimentstash/code/<tool>/<key>/
  tree/                 the worktree, with links to what the tool shares with its checkout
  environments/         the tool's environments that were made from it
  configs/<hash>/       directories of the stash that the tool reads its configs from
  users/                who needs it: a run's or sweep's directory, and the process that submits
  repositories.json     the checkouts that know of the worktree, and of those of submodules inside it
  ready                 set last
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from experimentstash.adapters import procfs
from experimentstash.adapters.git import gitindex, objects, worktree
from experimentstash.adapters.git.command import GitError
from experimentstash.adapters.git.root import toplevel
from experimentstash.adapters.git.status import known_status, status_of, unseen
from experimentstash.adapters.procfs import Identity
from experimentstash.adapters.python import editable
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass, replace
from experimentstash.base.errors import StashError
from experimentstash.base.failpoints import step
from experimentstash.base.files import make_private
from experimentstash.base.process import CommandError
from experimentstash.code import snapshots
from experimentstash.code.pins import Pin
from experimentstash.code.provenance import OWN_OUTPUT, Provenance
from experimentstash.code.results import REMAKEABLE, is_source
from experimentstash.code.secret_files import is_secret_file
from experimentstash.code.snapshots import Snapshot
from experimentstash.record import attempts, records
from experimentstash.record.records import Code, Supervisor
from experimentstash.stash.layout import Stash, new_token
from experimentstash.stash.schema import ToolConfig

PATCH = "tool.patch"
_TREE, _ENVIRONMENTS, _CONFIGS, _USERS = "tree", "environments", "configs", "users"
_REPOSITORIES, _READY = "repositories.json", "ready"
_KEY_LENGTH = 16
# Seconds for which a process of another machine, which can't be looked at, is believed to be submitting.
_FOREIGN_PATIENCE = 24 * 3600.0
# Ignored by git and of no use to a run, besides what is REMAKEABLE: its environment is made anew.
_NO_INPUT = (".venv", "venv", "build", "dist", ".git", ".idea", ".vscode", ".DS_Store")
_MOST_NAMES = 5


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


def secure(
    stash: Stash,
    name: str,
    live: Path,
    tool: ToolConfig,
    user: Path,
    announce: Callable[[str], None],
    pin: Pin | None = None,
    outputs: Sequence[str] = (),
) -> Frozen | None:
    """Return the code of a tool as its checkout in ``live`` is, or exactly ``pin``; None if git doesn't know it.

    What earlier runs have left at the paths ``outputs``, relative to its directory, is not part of it.

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
        taken = (
            snapshots.take(root, path, without=below, outputs=results)
            if pin is None
            else snapshots.of_commit(root, pin.commit, path)
        )
        if taken is None:
            return None
        marks = hashlib.sha256(json.dumps([str(live), *shared]).encode()).hexdigest()[:_KEY_LENGTH] if shared else ""
        usual = _home(stash, name) / "-".join(filter(None, (taken.commit[:_KEY_LENGTH], marks)))
        with _exclusive(stash, name, announce) as lock:
            files.inside(stash.code, usual / _TREE)
            place, is_ready = _place_for(stash, usual, announce)
            directory = place / _TREE / real.relative_to(root)
            files.inside(stash.code, directory)
            if not (is_ready and directory.is_dir()):
                announce(f"Freezing the code of {name!r}: {_describe(taken)}")
                links = {os.path.normpath(directory / each): os.path.normpath(live / each) for each in shared}
                _make(place, root, taken, {Path(link): Path(target) for link, target in links.items()}, lock)
                _tell_what_is_missing(stash, name, taken, real, root, path, shared, announce)
                _clean(stash, place, lock)
            held = (live, directory) if path else (toplevel(live) or live, place / _TREE)
            configs = {given: _frozen_configs(stash, *held, place, given) for given in _given(tool)}
            _note_user(stash, place, user.absolute())
    except GitError as error:
        raise StashError(
            f"The code of {name!r} can't be frozen: {error.message}",
            f"{error.mend}; or use the checkout as it is: code=live",
        ) from error
    except (CommandError, OSError) as error:
        raise StashError(
            f"The code of {name!r} could not be frozen: {error}", "code=live uses the checkout as it is"
        ) from error
    notes = () if pin is None else _left_behind(root, path, pin)
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
        pin=None if pin is None else pin.name,
    )
    provenance = Provenance(code, taken.patch)
    return Frozen(live, directory, place / _ENVIRONMENTS, configs, provenance, place / _TREE, notes)


def submitters(stash: Stash, name: str) -> list[Supervisor]:
    """Return the processes that are submitting runs of a tool's frozen code, or executing them."""
    users = [user for place in _places(_home(stash, name)) for user in _users(stash, place)]
    return [user.submitter for user in users if user.is_submitting]


def remove_all(stash: Stash, name: str, announce: Callable[[str], None]) -> None:
    """Remove all the frozen code of a tool, and what its repositories know of it."""
    with _exclusive(stash, name, announce) as lock:
        for place in _places(_home(stash, name)):
            _remove(place, lock)
        files.remove(_home(stash, name))


def is_gone(run: records.Run) -> bool:
    """Tell whether the frozen code of a run has been removed since."""
    return run.code is not None and run.code.snapshot is not None and not Path(run.code.path).is_dir()


def keep_for(stash: Stash, run: records.Run) -> None:
    """Have the frozen code of a run stay for a further attempt at it; StashError if it has been removed since."""
    if run.code is None or run.code.snapshot is None:
        return
    with _exclusive(stash, run.tool, lambda _: None):
        if is_gone(run):
            raise StashError(
                f"The code of the run {run.id} as it was submitted ({run.code.path}) has been removed.",
                f"run it anew; its code is commit {(run.code.commit or '')[:12]}"
                + (f" with {run.path / run.code.patch}" if run.code.patch else ""),
            )
        for place in _places(_home(stash, run.tool)):
            if place.name in Path(run.code.path).parts:
                _note_user(stash, place, run.path)


# --- making ----------------------------------------------------------------------------------------------------------


def _make(place: Path, root: Path, taken: Snapshot, links: Mapping[Path, Path], lock: int) -> None:
    """Make the worktrees. Whenever that ends, what `_remove` needs to know is written down by then."""
    _remove(place, lock)  # what an interrupted one has left
    make_private(place.parent.parent)
    (place / _USERS).mkdir(parents=True)
    tree = place / _TREE
    worktrees = [(checkout, tree / path, commit) for checkout, path, commit in _parts(root, "", taken)]
    known = [[str(checkout), str(directory)] for checkout, directory, _ in worktrees]
    files.write_atomically(place / _REPOSITORIES, json.dumps(known, indent=2) + "\n")
    for checkout, directory, commit in worktrees:
        step("before a worktree")
        worktree.add_worktree(checkout, directory, commit, lock)
    step("worktrees are there")
    for link, target in links.items():
        files.make_directory(files.inside(tree, link).parent)
        link.symlink_to(target)
    step("before ready")
    found = status_of(tree)  # what a filter makes of a file may never be as committed
    files.write_atomically(place / _READY, "\0".join(found.changed if found else ()))


def _place_for(stash: Stash, usual: Path, announce: Callable[[str], None]) -> tuple[Path, bool]:
    """Return where frozen code is to be, and whether it is there, with its committed files as they were made.

    Where a run has written into them, runs to come get it anew; those that still need what there is keep that.
    """
    place, number = usual, 2
    while (place / _READY).exists():
        changed = _changed(place)
        if not changed:
            return place, True
        announce(f"{stash.relative(place)} has been changed ({', '.join(changed[:3])}): the code is frozen anew")
        if not any(user.needs(place) for user in _users(stash, place)):
            break
        place, number = usual.with_name(f"{usual.name}-{number}"), number + 1
    return place, False


def _changed(place: Path) -> list[str]:
    """Return the files of frozen code that aren't as they were when it was made, and code that has come into it."""
    found = status_of(place / _TREE) if (place / _TREE / ".git").exists() else None
    with contextlib.suppress(OSError):
        made = {*files.read_regular(place / _READY).decode().split("\0")}
        if found is not None:
            new = {each for each in found.untracked if is_source(each) and not (place / _TREE / each).is_symlink()}
            return sorted({*found.changed} - {*found.littered} - made | new)
    return []


def _parts(root: Path, path: str, taken: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """Yield checkout, path in the tree, and commit of a snapshot and of those inside it, from the outside in."""
    yield root, path, taken.commit
    for inner, snapshot in taken.nested.items():
        yield from _parts(root / inner, f"{path}/{inner}" if path else inner, snapshot)


def shared_paths(stash: Stash, name: str, tool: ToolConfig, directory: Path, pin: Pin | None = None) -> list[str]:
    """Return the paths that a tool shares with its checkout, normalized; StashError if one can't be.

    They may lie beside the tool in a repository of its own, which is frozen as a whole.
    """
    where = f"{stash.registration(name).relative_to(stash.root)}: shared"
    paths = sorted({os.path.normpath(path) for path in tool.shared})
    root = toplevel(directory)
    held = directory if root is None or root == toplevel(stash.root.resolve()) else root
    for path in paths:
        place = Path(os.path.normpath(directory / path))
        if os.path.isabs(path) or not place.is_relative_to(held) or directory.is_relative_to(place):
            raise StashError(f"{where}: {path} is not below the tool's directory, nor beside it in its repository.")
        if not (directory / path).exists():
            raise StashError(f"{where}: {path} does not exist in {tool.path}.", f"make it, or mend {where}")
        known = gitindex.tracked(directory, [path])
        if known:
            raise StashError(
                f"{where}: {path} is code: git tracks {known[0]}{' and others' if len(known) > 1 else ''}.",
                "name only what git ignores",
            )
        inner = place.relative_to(root).as_posix() if root is not None else path
        if pin is not None and objects.object_at(pin.root, f"{pin.commit}:{inner}") is not None:
            raise StashError(f"{where}: {path} is code at commit {pin.commit[:12]}: git tracks it there.")
    return paths


def _given(tool: ToolConfig) -> list[str]:
    return [path for path in (tool.call.config_dir, tool.call.config_path) if path]


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
    target = place / _CONFIGS / digest.hexdigest()[:_KEY_LENGTH]
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


def _tell_what_is_missing(
    stash: Stash,
    name: str,
    taken: Snapshot,
    directory: Path,
    root: Path,
    path: str,
    shared: list[str],
    announce: Callable[[str], None],
) -> None:
    """Say what the checkout has at ``path`` and the frozen code lacks, if a run might want it."""
    useless = {*REMAKEABLE, *_NO_INPUT}
    lacking = [
        each
        for each in (os.path.relpath(root / one, directory) for one in (*unseen(root, path), *taken.omitted))
        if not useless & {*each.split("/")} and not each.endswith((".egg-info", ".pyc"))
        if not any(f"{each}/".startswith(f"{one}/") for one in shared)
    ]
    lacking.sort(key=lambda each: each.startswith("../"))  # first what is the tool's own
    if lacking:
        shown = ", ".join(lacking[:_MOST_NAMES]) + (" …" if len(lacking) > _MOST_NAMES else "")
        announce(
            f"Not part of it, because git ignores it, or it is large, or it may be secret: {shown}\n"
            f"  → what of it the tool reads or keeps: `shared: [{lacking[0]}]` in"
            f" {stash.registration(name).relative_to(stash.root)}"
        )


def _left_behind(root: Path, path: str, pin: Pin) -> tuple[str, ...]:
    """Return what to say of a checkout that isn't what a run uses: exactly the commit that is asked for."""
    named, notes = f"commit {pin.commit[:12]}{f' ({pin.name})' if not pin.commit.startswith(pin.name) else ''}", []
    status = known_status(root)
    if status is not None and not pin.is_checked_out:
        notes.append(f"the run uses {named}, which is asked for; the checkout is at {(status.commit or 'none')[:12]}")
    prefix = f"{path}/" if path else ""
    changed = [] if status is None else [*status.changed, *status.untracked]
    changed = [each for each in changed if each.startswith(prefix) and not each.startswith(OWN_OUTPUT)]
    if changed:
        shown = ", ".join(changed[:_MOST_NAMES]) + (" …" if len(changed) > _MOST_NAMES else "")
        notes.append(
            f"what is changed in the checkout and not committed is no part of {named}, which is asked for: {shown}"
            " (with tool.commit=null it would be)"
        )
    return tuple(notes)


# --- who needs it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _User:
    """Who needs frozen code: the runs of one submission, and until they are all submitted its process."""

    note: Path
    runs: Path
    submitter: Supervisor

    @property
    def is_submitting(self) -> bool:
        if self.submitter.host != procfs.hostname():
            return time.time() - self.note.stat().st_mtime < _FOREIGN_PATIENCE
        process = Identity(self.submitter.pid, self.submitter.start_time)
        return self.submitter.boot_id == procfs.boot_id() and procfs.is_alive(process)

    def needs(self, place: Path) -> bool:
        return self.is_submitting or any(_will_use(directory, place) for directory in records.directories(self.runs))


def _note_user(stash: Stash, place: Path, runs: Path) -> None:
    # Relative, because a stash may have several absolute paths.
    shown = os.path.relpath(runs, stash.root) if runs.is_relative_to(stash.root) else str(runs)
    note = {"runs": shown, "submitter": vars(supervisor_here())}
    if files.kind_at(place / _USERS) != "a directory":  # a link, or garbage
        files.remove(place / _USERS)
        (place / _USERS).mkdir()
    files.write_atomically(place / _USERS / f"{new_token()}.json", json.dumps(note, indent=2) + "\n")


def _users(stash: Stash, place: Path) -> list[_User]:
    found = []
    for path in _listed(place / _USERS) if files.kind_at(place / _USERS) == "a directory" else ():
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            note = typed.loads(files.read_regular(path))
            runs, submitter = typed.path(note["runs"], "runs"), records.supervisor(note["submitter"])
            found.append(_User(path, stash.root / runs, submitter))
    return found


def _will_use(directory: Path, place: Path) -> bool:
    """Tell whether a run will still use the code in ``place``; if its record can't be read, it may."""
    try:
        run = records.read(directory)
    except StashError:
        return True
    if run.code is None or place.name not in Path(run.code.path).parts:
        return False
    return not run.state.is_final or attempts.can_go_on(run)


# --- removing --------------------------------------------------------------------------------------------------------


def _clean(stash: Stash, new: Path, lock: int) -> None:
    """Remove the other frozen code of a tool that nobody needs any more."""
    for place in _places(new.parent):
        users = _users(stash, place)
        needing = [user for user in users if user.needs(place)]
        for user in users:
            if user not in needing:
                user.note.unlink()
        if not needing and place != new:
            _remove(place, lock)


def _remove(place: Path, lock: int) -> None:
    """Remove frozen code, made or half-made; interrupted, it can be called again."""
    if files.kind_at(place) != "a directory":
        files.remove(place)
    files.remove(place / _READY)
    for checkout, directory in reversed(_known(place)):
        if (checkout / ".git").exists():
            worktree.remove_worktree(checkout, directory, lock)
            step("a worktree is forgotten")
    for directory in (place / _TREE, place / _ENVIRONMENTS, place):  # what tells the repositories goes last
        files.remove(directory)
        step("removed")


def _known(place: Path) -> list[tuple[Path, Path]]:
    """Return the checkouts that know of a worktree here, each with that; what lies elsewhere isn't ours to remove."""
    try:
        noted = typed.loads(files.read_regular(place / _REPOSITORIES))
        known = [(Path(checkout), Path(directory)) for checkout, directory in noted]
        real = place.resolve()
        return [(checkout, directory) for checkout, directory in known if directory.resolve().is_relative_to(real)]
    except (OSError, ValueError, TypeError):
        return []


def _home(stash: Stash, name: str) -> Path:
    return stash.code / name


def _places(home: Path) -> list[Path]:
    if files.kind_at(home) != "a directory":
        return []
    return [path for path in _listed(home) if (path / _REPOSITORIES).exists() or (path / _USERS).is_dir()]


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _exclusive(stash: Stash, name: str, announce: Callable[[str], None]) -> contextlib.AbstractContextManager[int]:
    return files.locked(
        stash.lock(f"code-{name}"),
        on_wait=lambda: announce(f"Waiting for another process that freezes the code of {name!r} …"),
    )
