"""What records have said, kept for the next look: a cache on the machine's own disk, which can be deleted at any time.

The records are the truth. What is kept of one counts only as long as its file is the same (time, size, inode), which is
looked at each time, and only if the run is over: whatever may still change by itself is read anew. Jobs never write it.
If it can't be used or is broken, a temporary one takes its place, and all records are read. One that only finds no room
on its disk stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experimentstash.base import user_cache
from experimentstash.base.errors import StashError, SurroundingsError
from experimentstash.base.files import Stamp, open_regular, stamp
from experimentstash.base.output import say
from experimentstash.record import archives, run_places
from experimentstash.record.records import FILE_NAME
from experimentstash.record.run import FORMAT, Run, State
from experimentstash.runs.expression import Bound
from experimentstash.runs.facts import Facts, Plain, Texts, plain_of, texts_of
from experimentstash.stash.layout import Stash

if TYPE_CHECKING:
    import sqlite3

# Of what is kept: another number, and all is read anew.
_VERSION = 4
# A file so young, in nanoseconds, isn't kept: it might change once more without its time showing that.
_YOUNG = 2_000_000_000
# Seconds for which another command may be writing it.
_PATIENCE = 1.0
# What SQLite calls a temporary database: in a file as soon as it is large, and without one, as long as there is memory.
_TEMPORARY, _IN_MEMORY = "", ":memory:"
# Bytes that SQLite needs to open a database that is there.
_LITTLE = 1 << 20
# Names that are asked for at once: SQLite takes a thousand at least.
_MANY = 500
_NAME_LENGTH = 16
# File systems on which SQLite's locks can't be trusted, or which aren't this machine's own.
_ELSEWHERE = (
    "nfs",
    "lustre",
    "cifs",
    "smb",
    "gpfs",
    "beegfs",
    "ceph",
    "afs",
    "gluster",
    "9p",
    "fuse",
    "orangefs",
    "pvfs",
)
_KEPT = ", ".join(f'"{name}"' for name in Plain._fields)
_COMMON = tuple(map(Plain._fields.index, ("state", "organizer", "inner", "tool", "sweep", "host", "commit")))
# What a bound may be of, by its root: columns that are numbers, and those that have some as JSON.
_NUMBERS, _IN_TEXTS = ("duration", "job", "exit_code"), {"params": "params", "metrics": "numbers"}
_EXPERIMENT = "coalesce(nullif(organizer, ''), nullif(\"inner\", ''), tool)"  # as Facts.experiment is
_SCHEMA = f"""
CREATE TABLE seen (parent TEXT, name TEXT, time INTEGER, size INTEGER, inode INTEGER, run INTEGER,
                   PRIMARY KEY (parent, name)) WITHOUT ROWID;
CREATE TABLE runs (run INTEGER PRIMARY KEY AUTOINCREMENT, {_KEPT});
CREATE TABLE texts (run INTEGER PRIMARY KEY, {", ".join(Texts._fields)});
CREATE TABLE completed (run INTEGER PRIMARY KEY, signature TEXT);
PRAGMA user_version = {_VERSION};
"""
_INSERT = f"INSERT INTO runs ({_KEPT}) VALUES ({', '.join('?' * len(Plain._fields))})"

# Returns the run in a directory as it is now; StashError or OSError if its record can't be read.
Read = Callable[[Path], Run]


class Narrow(NamedTuple):
    """What all runs that are wanted have, as far as the index can tell at once; None, or empty: anything."""

    states: Sequence[str] = ()
    tools: Sequence[str] = ()
    since: float | None = None
    until: float | None = None
    has_name: Callable[[str], bool] | None = None  # tells whether an experiment, by its name, is wanted
    bounds: Sequence[Bound] = ()


class Found(NamedTuple):
    """What there is in a stash."""

    facts: list[Facts]  # the newest first
    tools: set[str]  # of all runs, wanted or not
    experiments: set[str]  # the same; if they were narrowed
    unread: list[Path]


def look(stash: Stash, read: Read, narrow: Narrow | None = None) -> Found:
    """Return the runs of a stash, all that fit ``narrow`` among them. Of an unreadable record one line is said."""
    import sqlite3

    place = _place(stash)
    places: list[Path | str] = [_TEMPORARY, _IN_MEMORY]
    if place is not None:
        places = [place, place, *places]
    while True:
        path = places.pop(0)
        try:
            return _Look(_opened(path), read).at(stash, narrow or Narrow())
        except sqlite3.Error as error:
            if not places:
                raise SurroundingsError(f"There is no room for what runs there are: {error}.", "set TMPDIR") from error
            if _is_full(path, error):  # what is there is well, and what it is made anew with would find no room either
                places = [each for each in places if each != path]
            elif isinstance(path, Path) and "locked" not in str(error):  # not by another command: it is broken
                _remove(path)


def _is_full(path: Path | str, error: Exception) -> bool:
    """Tell whether a file couldn't be written because its disk has no room; SQLite says so of some writes only."""
    if "disk is full" in str(error):
        return True
    if not isinstance(path, Path) or "disk I/O" not in str(error):
        return False
    with contextlib.suppress(OSError):
        disk = os.statvfs(path.parent)
        return disk.f_bavail * disk.f_frsize < _LITTLE or (disk.f_files > 0 and disk.f_favail == 0)
    return False


class Completed:
    """What is kept of the runs that have completed, for who only reads it; nothing where it can't be used.

    ``passing`` is for a walk through all runs: what passes is known, and is in ``found`` if it has completed.
    """

    def __init__(self, stash: Stash) -> None:
        self.found: list[tuple[str, Path]] = []  # signatures, and the directories of the runs
        self._connection = _opened_to_read(stash)

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def passing(self, folder: Path, names: Sequence[str]) -> Collection[str]:
        known = self._in(str(folder))
        passed = _unchanged(folder, names, {name: mark for name, (mark, _) in known.items()})
        for name in passed:
            if (signature := known[name][1]) is not None:
                self.found.append((signature, folder / name))
        return passed

    def _in(self, parent: str) -> dict[str, tuple[Stamp, str | None]]:
        if self._connection is None:
            return {}
        import sqlite3

        try:
            rows = self._connection.execute(
                "SELECT name, time, size, inode, signature FROM seen LEFT JOIN completed USING (run) WHERE parent = ?",
                (parent,),
            )
            return {name: ((time, size, inode), signature) for name, time, size, inode, signature in rows}
        except sqlite3.Error:  # it is broken, or busy: records are read
            self._close()
            return {}


def completed_at_once(stash: Stash) -> Iterator[tuple[str, Plain | None, str]]:
    """Yield the directories of the runs of which something is kept, those of one folder together, later ones first.

    With each what is looked at of it, if it has completed at its first attempt, and its parameters as JSON. Nothing
    where what is kept can't be used.
    """
    import sqlite3

    connection = _opened_to_read(stash)
    if connection is None:
        return
    told = ", ".join(f'runs."{name}"' for name in Plain._fields)
    asked = (
        f"SELECT name, time, size, inode, params, {told} FROM seen JOIN runs USING (run) JOIN texts USING (run)"
        " WHERE parent = ?"
    )
    try:
        parents = connection.execute("SELECT DISTINCT parent FROM seen ORDER BY parent DESC").fetchall()
        for (parent,) in parents:  # each for itself, for nothing is held up meanwhile
            by_name = {row[0]: row[1:] for row in connection.execute(asked, (parent,)).fetchall()}
            for name in _unchanged(parent, list(by_name), {name: row[:3] for name, row in by_name.items()}):
                plain = Plain._make(by_name[name][4:])
                is_one = plain.state == State.COMPLETED.value and plain.attempt == 1
                yield os.path.join(parent, name), plain if is_one else None, by_name[name][3]
    except (sqlite3.Error, TypeError):  # it is broken, or busy: records are read
        return
    finally:
        connection.close()


class _Look:
    def __init__(self, connection: sqlite3.Connection, read: Read) -> None:
        self._connection, self._read = connection, read
        self._unread: list[Path] = []
        self._visited: set[str] = set()
        self._new: set[str] = set()  # folders in which nothing was seen before
        self._live: list[Facts] = []  # what isn't kept

    def __del__(self) -> None:
        self._connection.close()  # nobody asks for texts any more

    def at(self, stash: Stash, narrow: Narrow) -> Found:
        self._connection.execute("BEGIN")
        try:
            self._walk(stash)
            for (parent,) in self._connection.execute("SELECT DISTINCT parent FROM seen").fetchall():
                if parent not in self._visited:
                    self._forget("WHERE parent = ?", (parent,))
            tools = {tool for (tool,) in self._connection.execute("SELECT DISTINCT tool FROM runs")}
            names = set[str]()
            if narrow.has_name is not None:
                names = {name for (name,) in self._connection.execute(f"SELECT DISTINCT {_EXPERIMENT} FROM runs")}
            kept = self._kept(narrow, names)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        facts = [*kept, *self._live]
        facts.sort(key=lambda facts: (facts.plain.age, facts.plain.directory), reverse=True)
        tools |= {facts.tool for facts in self._live}
        names |= {facts.experiment for facts in self._live}
        return Found(facts, tools, names, self._unread)

    # What there is ---------------------------------------------------------------------------------------------------

    def _walk(self, stash: Stash) -> None:
        for directory in run_places.directories(stash, passing=self._kept_in):
            self._meet(os.path.dirname(directory))
            path = os.path.join(directory, FILE_NAME)
            try:
                before = _mark(_stat(path))
                run = self._read(directory)
                after = _mark(_stat(path))
            except (StashError, OSError) as error:
                say(str(error).partition("\n")[0])
                self._unread.append(directory)
                continue
            if before == after and _is_settled(run) and time.time_ns() - after[0] > _YOUNG:
                self._keep(run, directory, after)
            else:
                self._live.append(Facts(run))

    def _kept_in(self, folder: Path, names: Sequence[str]) -> Collection[str]:
        """Return the names of a folder's runs of which what is kept still counts: then nothing of them is read.

        What was in there, and is no longer, or has changed, is forgotten.
        """
        parent = str(folder)
        if parent in self._visited:  # some of its runs are in an archive, others here
            self._new.discard(parent)
            return ()
        self._visited.add(parent)
        rows = self._connection.execute("SELECT name, time, size, inode FROM seen WHERE parent = ?", (parent,))
        known = {row[0]: row[1:] for row in rows}
        if not known:
            self._new.add(parent)
        passed = _unchanged(folder, names, known)
        if len(passed) < len(known):
            for name in known.keys() - passed:
                self._forget("WHERE parent = ? AND name = ?", (parent, name))
        return passed

    def _meet(self, parent: str) -> None:
        """Forget what was in a folder that nobody has asked about, because links lead from one place into another."""
        if parent not in self._visited:
            self._visited.add(parent)
            self._new.add(parent)
            self._forget("WHERE parent = ?", (parent,))

    # What is kept ----------------------------------------------------------------------------------------------------

    def _keep(self, run: Run, directory: Path, mark: Stamp) -> None:
        parent, name = os.path.split(directory)
        if parent not in self._new:
            self._forget("WHERE parent = ? AND name = ?", (parent, name))
        number = self._connection.execute(_INSERT, plain_of(run)).lastrowid
        self._connection.execute("INSERT INTO texts VALUES (?, ?, ?, ?)", (number, *texts_of(run)))
        if run.attempt.state is State.COMPLETED and run.spec.signature is not None:
            self._connection.execute("INSERT INTO completed VALUES (?, ?)", (number, run.spec.signature))
        self._connection.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?)", (parent, name, *mark, number))

    def _forget(self, where: str, values: tuple[str, ...]) -> None:
        for (number,) in self._connection.execute(f"SELECT run FROM seen {where}", values).fetchall():
            for table in ("runs", "texts", "completed"):
                self._connection.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
        self._connection.execute(f"DELETE FROM seen {where}", values)

    def _kept(self, narrow: Narrow, names: set[str]) -> list[Facts]:
        conditions, values = ["1"], list[object]()
        table = "runs"
        for column, wanted in (("state", narrow.states), ("tool", narrow.tools)):
            if wanted:
                conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += wanted
        for comparison, moment in ((">=", narrow.since), ("<", narrow.until)):
            if moment is not None:
                conditions.append(f"moment {comparison} ?")
                values.append(moment)
        if narrow.has_name is not None:
            fitting = list(filter(narrow.has_name, names))
            if len(fitting) <= _MANY:
                conditions.append(f"{_EXPERIMENT} IN ({', '.join('?' * len(fitting))})")
                values += fitting
        for bound in narrow.bounds if _knows_json() else ():
            outside, given = _outside(bound)
            if outside:
                conditions.append(f"NOT ({outside})")
                values += given
                table = "runs JOIN texts USING (run)"
        rows = self._connection.execute(f"SELECT run, {_KEPT} FROM {table} WHERE {' AND '.join(conditions)}", values)
        same: dict[object, object] = {}  # texts that many runs have in common are kept once
        found = []
        for number, *kept in rows:
            for place in _COMMON:
                kept[place] = same.setdefault(kept[place], kept[place])
            found.append(Facts.kept(Plain._make(kept), number, self))
        return found

    # For Facts -------------------------------------------------------------------------------------------------------

    def texts(self, numbers: Sequence[int]) -> dict[int, Texts]:
        """Return what is kept of runs as texts, but for those that another command has replaced meanwhile."""
        import sqlite3

        marks = ", ".join("?" * len(numbers))
        with contextlib.suppress(sqlite3.Error):  # then records are read
            rows = self._connection.execute(f"SELECT * FROM texts WHERE run IN ({marks})", numbers)
            return {row[0]: Texts(*row[1:]) for row in rows}
        return {}


def _outside(bound: Bound) -> tuple[str, list[object]]:
    """Return a condition that holds of runs whose number lies outside of a bound, and what it is given.

    Not of those of which that can't be told: that lack it, or have it under a name that is only like it, or with NaN.
    """
    given: list[object] = []
    if bound.root in _NUMBERS:
        number, is_known = bound.root, f"{bound.root} IS NOT NULL"
    elif (column := _IN_TEXTS.get(bound.root)) and not {'"', "\\"} & set(bound.rest):
        path = f'$."{bound.rest}"'
        number = f"json_extract({column}, ?)"
        is_known = f"json_valid({column}) AND json_type({column}, ?) IN ('integer', 'real')"
        given = [path]
    else:
        return "", []
    tests, values = [], [*given]
    for comparison, limit in (("<", bound.least), (">", bound.greatest)):
        if limit is not None:
            tests.append(f"{number} {comparison} ?")
            values += [*given, limit]
    return f"CASE WHEN {is_known} THEN {' OR '.join(tests)} ELSE 0 END", values


@functools.cache
def _knows_json() -> bool:
    import sqlite3

    return sqlite3.sqlite_version_info >= (3, 38)


def _is_settled(run: Run) -> bool:
    """Tell whether nothing but somebody's will changes what a record says."""
    state, end = run.attempt.state, run.attempt.job_end
    return state.is_final and state.is_known and (end is None or end.is_known) and run.format <= FORMAT


def _unchanged(folder: Path | str, names: Sequence[str], known: Mapping[str, Stamp]) -> set[str]:
    """Return the names of a folder's runs whose records, or the archive that they are in, have the known marks."""
    passed, above, look = set(), str(folder), os.lstat  # where there are very many runs, most of the time goes in here
    for name in names:
        if (mark := known.get(name)) is None:
            continue
        path = f"{above}/{name}/{FILE_NAME}"
        try:
            found = look(path)
            if (found.st_mtime_ns, found.st_size, found.st_ino) == mark or _mark(found) == mark:
                passed.add(name)
        except OSError:
            with contextlib.suppress(OSError):
                if _mark(_stat(path)) == mark:
                    passed.add(name)
    return passed


def _stat(path: str) -> os.stat_result:
    """Look at a record, or at the archive that it is in."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        archive = archives.holding(Path(path).parent)
        if archive is None:
            raise
        return os.lstat(archive)


def _mark(found: os.stat_result) -> Stamp:
    """Return what tells whether a file is the same, in numbers that are no larger than SQLite has them."""
    changed, size, inode = stamp(found)
    return changed, size, inode if inode < 1 << 63 else inode - (1 << 64)


def _opened(path: Path | str) -> sqlite3.Connection:
    """Open an index, made if there is none of this version; a text: a temporary one, as SQLite calls it."""
    import sqlite3

    if isinstance(path, str):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(_SCHEMA)
        return connection
    for _ in range(2):
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # what a power failure breaks is made anew
            connection.execute("BEGIN IMMEDIATE" if _version(connection) != _VERSION else "BEGIN")
            version = _version(connection)
            if version == 0:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        if version in (0, _VERSION):
            return connection
        connection.close()
        _remove(path)
    raise sqlite3.OperationalError("its version changes")


def _opened_to_read(stash: Stash) -> sqlite3.Connection | None:
    """Open the index of a stash as it is; None if there is none that can be used."""
    import sqlite3

    path = _place(stash, makes=False)
    if path is None:
        return None
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,  # it is closed by whoever is the last
        )
    except sqlite3.Error:
        return None
    try:
        if _version(connection) == _VERSION:
            return connection
    except sqlite3.Error:
        pass
    connection.close()
    return None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _remove(path: Path) -> None:
    for name in (f"{path}-wal", f"{path}-shm", path):
        with contextlib.suppress(OSError):
            os.unlink(name)


# --- where it is -----------------------------------------------------------------------------------------------------


def _place(stash: Stash, *, makes: bool = True) -> Path | None:
    """Return where the index of a stash is; None if there is no place for it on a disk of this machine.

    Unless it ``makes`` one, also if there is none yet.
    """
    folder = user_cache.folder()
    if folder is None or folder.is_relative_to(stash.root):
        return None
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if _kind_of_disk(os.path.realpath(existing)).startswith(_ELSEWHERE):
        return None
    name = hashlib.sha256(os.fsencode(stash.root)).hexdigest()[:_NAME_LENGTH]
    path = folder / f"runs-{name}.sqlite"
    try:
        if makes:
            os.makedirs(folder, 0o700, exist_ok=True)
        os.close(open_regular(path, os.O_RDWR | (os.O_CREAT if makes else 0), 0o600))
    except OSError:
        return None
    return path


def _kind_of_disk(path: str) -> str:
    """Return the type of the file system that a path is on, as the kernel calls it (see proc_pid_mountinfo(5))."""
    best, kind = "", ""
    with contextlib.suppress(OSError, UnicodeDecodeError, ValueError), open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            place = before.split(" ")[4].encode().decode("unicode_escape")
            if len(place) >= len(best) and f"{path}/".startswith(f"{place.rstrip('/')}/"):
                best, kind = place, after.split(" ")[0]
    return kind
