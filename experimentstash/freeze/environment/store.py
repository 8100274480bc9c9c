"""Each tool's own environment, made by its recipe: everything about uv, and running the others that make some.

The ready mark, set last, keeps which versions were installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from experimentstash.base import files, typed
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.errors import StashError
from experimentstash.base.output import is_terminal
from experimentstash.base.patterns import regex
from experimentstash.base.process import clean_environment, run
from experimentstash.freeze.environment import build_traces, declarations, uv_errors
from experimentstash.freeze.environment.kinds.kind import Recipe
from experimentstash.record import times
from experimentstash.record.run import Environment
from experimentstash.stash import paths

READY_MARK = "experimentstash.json"
_PINNED = regex(r"[\w.-]+==\S+")
# Seconds by which two files of a file system may be told apart wrongly.
_SLACK = 2.0
# … that an index gets to say what it has.
_PATIENCE = 120

# Settings of the user's uv that would change what is made; indexes, caches, proxies and the like are the user's to set.
_UV_LEAKS = {"UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_NO_EDITABLE", "UV_NO_PROJECT", "UV_SYSTEM_PYTHON", "UV_TARGET"}
_UV_LEAKS |= {"UV_PREFIX", "UV_WORKING_DIR", "UV_DEV", "UV_NO_DEV", "UV_NO_GROUP", "UV_NO_DEFAULT_GROUPS"}
# What the user may have said about certificates: then we say nothing.
_CERTIFICATES = ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "SSL_CERT_FILE", "SSL_CERT_DIR")
_CERTIFICATES_IN_FILE = regex(rb"(?m)^\s*(?:system-certs|native-tls)\s*=")


class NotMade(StashError):
    """An environment could not be made."""

    exit_code = 1


def is_ready(recipe: Recipe) -> bool:
    """Tell whether the environment can be used as it is."""
    if recipe.directory is None:
        return True
    return (recipe.directory / READY_MARK).exists() and recipe.way.is_whole(recipe.way.prefix(recipe.directory))


def interpreter(recipe: Recipe) -> Path | None:
    """Return the Python to run the tool with; None if it needs none, or its environment turns out to have none."""
    if recipe.directory is None:
        return recipe.file
    python = recipe.way.prefix(recipe.directory) / "bin" / "python"
    return python if recipe.way.is_uvs or not is_ready(recipe) or python.exists() else None


def programs(recipe: Recipe) -> Path | None:
    """Return the directory with an environment's own programs; None if it has none apart from the system's."""
    if recipe.directory is not None:
        return recipe.way.prefix(recipe.directory) / "bin"
    return recipe.file.parent if recipe.file is not None and is_apart(recipe) else None


def variables(recipe: Recipe) -> Mapping[str, str]:
    """Return what tells programs, besides PATH, which environment they are in."""
    return {} if recipe.directory is None else recipe.way.variables(recipe.way.prefix(recipe.directory))


def is_apart(recipe: Recipe) -> bool:
    """Tell whether the programs beside an environment's interpreter are its own, and not all that a system has."""
    if recipe.directory is not None:
        return True
    prefix = None if recipe.file is None else recipe.file.parent.parent
    return prefix is not None and ((prefix / "pyvenv.cfg").is_file() or (prefix / "conda-meta").is_dir())


def record(recipe: Recipe) -> Environment:
    """Return what a run's record says about the environment. Starts a process only for a Python outside any venv."""
    python = interpreter(recipe)
    return Environment(
        kind=recipe.kind.value,
        interpreter=str(python) if python else None,
        version=_version(recipe),
        lock=recipe.lock,
        lock_file=recipe.lock_file,
        key=recipe.key,
    )


def _version(recipe: Recipe) -> str | None:
    """Return the version of a recipe's Python; None if it has none, or doesn't say."""
    python = interpreter(recipe)
    if recipe.directory is not None and not recipe.way.is_uvs:
        return recipe.way.python(recipe.way.prefix(recipe.directory))
    version = _venv_says("version(?:_info)?", python.parent.parent) if python else None
    if python and version is None and recipe.is_foreign:
        asked = [str(python), "-c", "import platform; print(platform.python_version())"]
        version = run(asked, env=clean_environment(), check=False, timeout=60).stdout.strip() or None
    return version


@dataclass(frozen=True)
class Contents:
    """What an environment that we have made holds."""

    python: str | None
    packages: tuple[str, ...]  # as `uv pip freeze` has them, conda's as name=version=build
    moment: str | None  # when it was made
    is_changed: bool  # somebody has installed or removed something since


def contents(recipe: Recipe) -> Contents | None:
    """Return what a recipe's environment holds; None if it isn't made, or nobody knows."""
    if recipe.directory is None or not is_ready(recipe):
        return None
    try:
        made = os.stat(recipe.directory / READY_MARK).st_mtime
        prefix = recipe.way.prefix(recipe.directory)
        places = [*prefix.glob("lib/python3*/site-packages"), *prefix.glob("conda-meta")]
        changed = [os.stat(each).st_mtime for each in places]
        mark = typed.loads(files.read_regular(recipe.directory / READY_MARK))
        packages = tuple(typed.text(each, "packages") for each in mark["packages"])
        return Contents(mark.get("python"), packages, mark.get("made"), any(each > made + _SLACK for each in changed))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def refuse_other_python(recipe: Recipe) -> None:
    """Raise StashError if a tool's interpreter is another Python than its `python_version` asks for."""
    wanted = recipe.tool.python_version
    if not recipe.is_foreign or not wanted:
        return
    version = _version(recipe)
    if version is not None and is_python(version, wanted):
        return
    raise StashError(
        f"The tool {recipe.name!r} asks for python_version {wanted}, but its interpreter {recipe.file} is"
        f" {f'Python {version}' if version else 'no Python that says its version'}.",
        f"fix python_version or environment.interpreter in {paths.registration(recipe.name)}",
    )


def is_python(version: str, wanted: str) -> bool:
    """Tell whether a version of Python is one that uv takes for ``wanted``: `3.11`, `>=3.10,<3.13`, `cpython3.11`."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    plain = re.sub(r"^(?:cpython|python|cp|py)[@-]?(?=\d)", "", wanted.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"^3(\d{1,2})$", r"3.\1", plain)  # cp311
    try:
        return SpecifierSet(f"=={plain}.*" if plain[:1].isdigit() else plain).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False


def is_python_there(version: str) -> bool:
    """Tell whether uv finds a Python of this version here; it isn't fetched."""
    # An environment's Python is found as well, though none is made from it.
    asked = [_find_uv(), "python", "find", "--offline", "--no-project", "--system", version]
    return run(asked, cwd=Path("/"), env=clean_environment(), check=False, timeout=60).returncode == 0


def would_install(requirements: Path, python: str, *, offline: bool) -> CompletedProcess[str]:
    """Have uv say what it would install of a file of requirements, next to which it may write; it installs nothing."""
    environment = {key: value for key, value in clean_environment().items() if key not in _UV_LEAKS}
    if offline:
        environment["UV_OFFLINE"] = "1"
    words = ["--dry-run", "--no-deps", "--python", python, "--target", "nowhere", "-r", requirements.name]
    asked = [_find_uv(), "--no-python-downloads", "pip", "install", "--index-strategy", "unsafe-best-match", *words]
    return run(asked, cwd=requirements.parent, env=environment, check=False, timeout=_PATIENCE)


def make(
    recipe: Recipe,
    *,
    offline: bool = False,
    announce: Callable[[str], None] = lambda line: None,
    constraints: Path | None = None,
    python: str | None = None,
) -> None:
    """Make the environment unless it is ready; of several processes at once, one makes it and the others wait.

    ``constraints`` is a file that says which version of a package is to be installed where no lock file does, and
    ``python`` which Python is taken where the tool's registration doesn't say it.

    Raises NotMade with uv's own words; nothing half-made stays behind.
    """
    if recipe.directory is None or is_ready(recipe):
        return
    if (lack := recipe.way.lack(recipe.file)) is not None:
        raise NotMade(
            f"The environment of {recipe.name!r} can't be made from {recipe.origin}: {lack}.",
            "or name one that you have already, `environment: {interpreter: PREFIX/bin/python}`, or if it needs none"
            f" `{{kind: empty}}`, in {paths.registration(recipe.name)}",
        )
    title = f"the environment of {recipe.name!r}"
    given = {"UV_CONSTRAINT": constraints, "UV_PYTHON": None if recipe.tool.python_version else python}
    variables = {name: str(value) for name, value in given.items() if value is not None}
    try:
        _make_home(recipe.directory.parent)
        with files.locked(
            files.lock_beside(recipe.directory),
            on_wait=lambda: announce(f"Waiting for another process that makes {title} …"),
        ) as lock:
            if is_ready(recipe):
                return
            announce(f"Making {title} from {recipe.origin} …")
            started = time.monotonic()
            with _gone_unless_finished(recipe.directory), build_traces.none_left(recipe.project, announce):
                _install(recipe, recipe.directory, _Uv(recipe, offline, lock, announce, variables))
            announce(f"Made {title} in {time.monotonic() - started:.1f} s.")
    except OSError as error:
        raise NotMade(f"T{title[1:]} could not be made: {error}") from error


def made(home: Path) -> list[tuple[str, Path]]:
    """Return what is made below the home of all environments, each with its tool's name; half-made ones too."""
    found = []
    for tool in sorted(os.listdir(home)) if files.kind_at(home) == "a directory" else ():
        if files.kind_at(home / tool) == "a directory":
            places = (home / tool / key for key in sorted(os.listdir(home / tool)))
            found += [(tool, place) for place in places if files.kind_at(place) == "a directory"]
    return found


def remove(directory: Path) -> bool:
    """Remove an environment, which isn't ready from then on; False if somebody makes it just now."""
    return files.remove_if_free(directory, READY_MARK)


def _make_home(home: Path) -> None:
    """Make the directory of a tool's environments; Unfit if something else is there."""
    files.make_directory(home)
    if files.kind_at(home) not in ("a directory", None):
        raise files.Unfit(home, f"it is {files.kind_at(home)}, where a directory must be")


class _Uv:
    """uv, set up to make one environment. It inherits the lock, and so keeps it if we are killed before it ends."""

    def __init__(
        self,
        recipe: Recipe,
        offline: bool,
        lock: int,
        announce: Callable[[str], None],
        variables: Mapping[str, str],
    ) -> None:
        self.recipe = recipe
        self.lock = lock
        self.announce = announce
        self.binary = _find_uv()
        self.environment = {key: value for key, value in clean_environment().items() if key not in _UV_LEAKS}
        self.is_offline = offline
        if offline:
            self.environment["UV_OFFLINE"] = "1"
        self.environment |= variables

    def other(self, program: str, *words: str, **environment: str) -> str:
        """Run another program that makes environments to its end and return its stdout; raises NotMade."""
        done = self._start([program, *words], {**clean_environment(), **environment})
        if done.returncode == 0:
            return done.stdout
        recipe, shown = self.recipe, [os.path.basename(program), *words]
        said = [line for text in (done.stdout, done.stderr) for line in text.strip().splitlines()[-20:]]
        raise NotMade(
            f"The environment of {recipe.name!r} could not be made from {recipe.origin}: "
            f"`{shlex.join(shown)}` failed with exit code {done.returncode}.\n    " + "\n    ".join(said),
            f"what it says, or fix {recipe.origin}; to bring a lock file up to date:"
            f" {shlex.join(recipe.way.command_to_lock(recipe))}"
            if recipe.lock_path is not None
            else f"fix {recipe.origin}",
        )

    def __call__(self, *words: str, **environment: str) -> str:
        """Run uv to its end and return its stdout; raises NotMade."""
        done = self._run(words, environment)
        if done.returncode and uv_errors.is_about_certificates(done.stderr) and not self._says_which_certificates():
            # As pip does. Not from the start: an old system's store may lack what uv's own has.
            self.announce("A certificate isn't known to uv: once more with those that the system has …")
            self.environment |= {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}  # its name today, and before
            done = self._run(words, environment)
        if done.returncode and uv_errors.is_unanswered(done.stderr) and "UV_OFFLINE" not in self.environment:
            # uv asks an index once more for what it has, and takes no answer for one.
            self.announce("No index answers: once more with what uv's cache has …")
            without = self._run(words, {**environment, "UV_OFFLINE": "1"})
            if without.returncode == 0:
                self.environment["UV_OFFLINE"] = "1"
                return without.stdout
        if done.returncode == 0:
            return done.stdout
        recipe, said = self.recipe, done.stderr.strip()
        error = re.search(r"(?m)^(?:error|  ×)", said)
        last_words = said[error.start() if error else 0 :].splitlines()[-30:]
        raise NotMade(
            f"The environment of {recipe.name!r} could not be made from {recipe.origin}: "
            f"`{shlex.join(['uv', *words])}` failed with exit code {done.returncode}.\n    "
            + "\n    ".join(last_words),
            self._advice(said),
        )

    def _run(self, words: Sequence[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
        return self._start([self.binary, *words], {**self.environment, **environment})

    def _start(self, argv: Sequence[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
        return run(
            argv,
            cwd=self.recipe.project,
            env=environment,
            check=False,
            show_progress=is_terminal(),
            pass_fds=[self.lock],
        )

    def _says_which_certificates(self) -> bool:
        """Tell whether the user has decided which certificates uv trusts."""
        if any(name in self.environment for name in _CERTIFICATES):
            return True
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        project = self.recipe.project
        places = [home / "uv/uv.toml", Path("/etc/uv/uv.toml"), project / "uv.toml", project / "pyproject.toml"]
        places += [Path(given)] if (given := os.environ.get("UV_CONFIG_FILE")) else []
        return any(_CERTIFICATES_IN_FILE.search(declarations.read(place) or b"") for place in places)

    def _advice(self, said: str) -> str:
        recipe = self.recipe
        if "needs to be updated" in said:
            return f"bring the lock file up to date: {shlex.join(recipe.way.command_to_lock(recipe))}"
        return uv_errors.advice(
            said,
            is_offline="UV_OFFLINE" in self.environment,
            sync=f"experimentstash tool sync {shlex.quote(recipe.name)}",
            registration=paths.registration(recipe.name),
            origin=recipe.origin if recipe.file else "",
            version=recipe.tool.python_version,
        )


def _find_uv() -> str:
    try:
        from uv import find_uv_bin  # here, because whoever finds the environment ready needs none of it

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        if found := shutil.which("uv"):
            return found
        raise StashError("uv, which makes the tools' environments, is not installed.", "pip install uv") from error


def _install(recipe: Recipe, directory: Path, uv: _Uv) -> None:
    """Run what makes it until the environment is complete, then set the ready mark."""
    way, prefix = recipe.way, recipe.way.prefix(directory)
    python = ["--python", str(prefix / "bin" / "python")]
    what, packages = way.make(recipe, directory, uv)
    what += [word for each in recipe.requirements for word in ("-r", str(each))]
    if what or packages or recipe.tool.dependencies:
        uv("pip", "install", *python, *what, "--", *recipe.tool.dependencies, *packages)
    if recipe.brought:
        _bring(recipe, directory, uv, python)
    held = way.packages(prefix)
    mark = {
        "python": _venv_says("version_info", prefix) if way.is_uvs else way.python(prefix),
        "uv": _venv_says("uv", prefix),
        "made": times.now(),
        "tool": recipe.name,
        "kind": recipe.kind.value,
        "from": " ".join(map(str, filter(None, [recipe.lock_path or recipe.file, *recipe.requirements]))),
        "packages": uv("pip", "freeze", *python).splitlines() if held is None else held,
    }
    files.write_atomically(directory / READY_MARK, json.dumps(mark, indent=2) + "\n")


def _bring(recipe: Recipe, directory: Path, uv: _Uv, python: Sequence[str]) -> None:
    """Install what starts the tool beside what it has, of which every version stays as it is."""
    own = recipe.way.pins(recipe.way.prefix(directory))
    held = [line for line in own or uv("pip", "freeze", *python).splitlines() if _PINNED.fullmatch(line)]
    constraints = directory / "brought-constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in held), encoding="utf-8")
    given = filter(None, [str(constraints), uv.environment.get("UV_CONSTRAINT")])  # the option outranks the variable
    uv("pip", "install", *python, *(word for each in given for word in ("--constraint", each)), "--", *recipe.brought)


@contextlib.contextmanager
def _gone_unless_finished(directory: Path) -> Iterator[None]:
    """Begin without leftovers of an interrupted make, and leave none, whatever happens."""
    try:
        files.remove(directory)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(directory)
        raise


def _venv_says(key: str, directory: Path) -> str | None:
    """Return the version number that a virtual environment's pyvenv.cfg gives for ``key``; None outside one."""
    found = re.search(rf"(?m)^{key}\s*=\s*([\d.]*\d)".encode(), declarations.read(directory / "pyvenv.cfg") or b"")
    return found[1].decode() if found else None
