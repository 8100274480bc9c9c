from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import pty
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experimentstash.base.errors import StashError
from experimentstash.freeze.environment import store as environments
from experimentstash.freeze.environment import uv_errors
from experimentstash.freeze.environment.recipes import Recipe, plan
from experimentstash.freeze.environment.store import interpreter, is_ready, make, record
from experimentstash.stash.schema import EnvironmentConfig, EnvironmentKind, ToolConfig
from tests.testing.stash import wait_until

ROOT = Path(__file__).parents[2]
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT = '[project]\nname = "tool"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["six"]\n'
EXTRAS = '[project.optional-dependencies]\nx = ["iniconfig"]\n[dependency-groups]\ng = ["idna"]\n'
SCRIPT = '# /// script\n# requires-python = ">=3.10"\n# dependencies = ["six"]\n# ///\nimport six\n'

# Makes an environment in a process of its own; its arguments are the tool's directory and home.
MAKER = """
import sys
from pathlib import Path
from experimentstash.freeze.environment.store import make
from experimentstash.base.errors import StashError
from experimentstash.freeze.environment.recipes import plan
from experimentstash.stash.schema import ToolConfig
recipe = plan("tool", ToolConfig(), Path(sys.argv[1]), None, Path(sys.argv[2]))
try:
    make(recipe, announce=lambda line: print(line, flush=True))
except StashError as error:
    sys.exit(f"StashError: {error}")
"""

# Stands in the way of whoever builds it until the file `go` appears beside it.
SLOW_SETUP = """
import pathlib, time, setuptools
here = pathlib.Path(__file__).parent
(here / "started").touch()
while not (here / "go").exists():
    time.sleep(0.01)
setuptools.setup(name="tool", version="1", py_modules=[])
"""

pytestmark = pytest.mark.usefixtures("python_first_on_path")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    directory = tmp_path / "a stash, ünï'x" / "tools" / "latents [1]"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def home(tool: Path) -> Path:
    return tool.parent.parent / ".experimentstash" / "environments"


def recipe_of(tool: Path, home: Path, script: str | None = None, runs_python: bool = True, **settings: Any) -> Recipe:
    environment = EnvironmentConfig(**settings.pop("environment", {}))
    config = ToolConfig(path="tools/tool", environment=environment, **settings)
    return plan("tool", config, tool, tool / script if script else None, home, runs_python=runs_python)


def made(recipe: Recipe) -> Recipe:
    make(recipe)
    assert is_ready(recipe)
    return recipe


def imports(recipe: Recipe, *modules: str) -> bool:
    python = interpreter(recipe)
    command = [str(python), "-c", f"import {', '.join(modules)}"]
    return subprocess.run(command, cwd="/", capture_output=True).returncode == 0


def write_package(tool: Path, backend: str, extra: str = "") -> None:
    (tool / "pyproject.toml").write_text(backend + PROJECT + extra)
    (tool / "src" / "tool").mkdir(parents=True)
    (tool / "src" / "tool" / "__init__.py").write_text("VALUE = 1\n")


def git(tool: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    return subprocess.run(["git", *identity, *words], cwd=tool, check=True, capture_output=True, text=True).stdout


def uv(tool: Path, *words: str) -> None:
    subprocess.run([environments._find_uv(), *words], cwd=tool, check=True, capture_output=True)


def failure(recipe: Recipe, **options: Any) -> StashError:
    assert recipe.directory is not None
    with pytest.raises(StashError) as caught:
        make(recipe, **options)
    assert not recipe.directory.exists()
    return caught.value


def maker(tool: Path, home: Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(tool), str(home)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


# Kinds


@pytest.mark.slow
def test_requirements(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("-r more/base.txt  # comment\n")
    (tool / "more").mkdir()
    (tool / "more" / "base.txt").write_text("six\n-c limits.txt\n")
    (tool / "more" / "limits.txt").write_text("six<2\n")
    lines: list[str] = []
    recipe = recipe_of(tool, home, dependencies=["iniconfig"])
    assert not is_ready(recipe)
    make(recipe, announce=lines.append)
    assert recipe.kind is EnvironmentKind.requirements
    assert imports(recipe, "six", "iniconfig")
    assert "requirements.txt" in lines[0] and lines[0].startswith("Making the environment of 'tool' from ")
    assert lines[1].startswith("Made the environment of 'tool' in ") and len(lines) == 2
    found = record(recipe)
    assert found.version == ".".join(map(str, sys.version_info[:3])) and found.lock_file == "requirements.txt"
    assert recipe.directory is not None
    mark = json.loads((recipe.directory / environments.READY_MARK).read_text())
    assert mark["python"] == found.version and mark["uv"] and any(item.startswith("six==") for item in mark["packages"])

    make(recipe, announce=lines.append)
    assert len(lines) == 2
    (tool / "more" / "limits.txt").write_text("six<1.17\n")
    changed = recipe_of(tool, home, dependencies=["iniconfig"])
    assert changed.key != recipe.key and not is_ready(changed)
    made(changed)
    assert is_ready(recipe) and imports(recipe, "six")


@pytest.mark.slow
@pytest.mark.parametrize("locked", [True, False], ids=["locked", "unlocked"])
@pytest.mark.parametrize("backend", [HATCHLING, SETUPTOOLS], ids=["hatchling", "setuptools"])
def test_package_is_live_and_its_checkout_stays_clean(tool: Path, home: Path, backend: str, locked: bool) -> None:
    write_package(tool, backend, EXTRAS)
    git(tool, "init", "-q")
    if locked:
        uv(tool, "lock")
        shutil.rmtree(tool / "src" / "tool.egg-info", ignore_errors=True)
    git(tool, "add", "-A")
    git(tool, "commit", "-qm", "x")
    recipe = made(recipe_of(tool, home, environment={"extras": ["x"], "groups": ["g"]}, dependencies=["pluggy"]))
    assert git(tool, "status", "--porcelain", "--ignored=no") == ""
    assert recipe.kind is EnvironmentKind.pyproject and record(recipe).lock_file == ("uv.lock" if locked else None)
    assert imports(recipe, "tool", "six", "iniconfig", "idna", "pluggy")
    (tool / "src" / "tool" / "new.py").write_text("")
    assert imports(recipe, "tool.new")
    plain = recipe_of(tool, home)
    assert plain.key != recipe.key


def files_in(directory: Path) -> dict[str, bytes]:
    found = [path for path in directory.rglob("*") if ".git" not in path.parts]
    return {str(path.relative_to(directory)): path.read_bytes() if path.is_file() else b"" for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("ignored", ["", "*.egg-info\nbuild\n"], ids=["unknown to git", "ignored"])
def test_making_an_environment_leaves_no_trace(tool: Path, home: Path, ignored: str) -> None:
    write_package(tool, SETUPTOOLS)
    (tool / ".gitignore").write_text(ignored)
    stash = tool.parent.parent
    git(stash, "init", "-q")
    (stash / ".gitignore").write_text(".experimentstash\n")
    git(stash, "add", "-A")
    git(stash, "commit", "-qm", "x")
    before = files_in(tool)
    recipe = made(recipe_of(tool, home))
    assert files_in(tool) == before
    assert imports(recipe, "tool")
    assert "egg-info" not in (stash / ".git" / "info" / "exclude").read_text()


# Writes what setuptools, setuptools_scm and others do, and makes an editable wheel, without needing anything.
BACKEND = """
import pathlib, zipfile
def get_requires_for_build_editable(settings=None):
    return []
def build_editable(directory, settings=None, metadata=None):
    for name in ("tool.egg-info/PKG-INFO", "tool.egg-info/new", "src/tool.egg-info/x", "src/tool/_version.py"):
        pathlib.Path(name).parent.mkdir(exist_ok=True)
        pathlib.Path(name).write_text("2")
    pathlib.Path("build/bdist.linux/wheel").mkdir(parents=True)
    with zipfile.ZipFile(pathlib.Path(directory) / "tool-1-py3-none-any.whl", "w") as wheel:
        place = "tool-1.dist-info/"
        wheel.writestr("tool.pth", str(pathlib.Path("src").resolve()))
        wheel.writestr(place + "METADATA", "Metadata-Version: 2.1\\nName: tool\\nVersion: 1\\n")
        tag = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(place + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\n" + tag)
        wheel.writestr(place + "RECORD", "")
    return "tool-1-py3-none-any.whl"
"""
IN_TREE = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tool"
version = "1"
"""


@pytest.mark.slow
def test_another_project_that_is_installed_too_stays_clean(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("-e ./parts/one/lib\n")
    lib = tool / "parts" / "one" / "lib"
    lib.mkdir(parents=True)
    (lib / "pyproject.toml").write_text(SETUPTOOLS + '[project]\nname = "lib"\nversion = "1"\n')
    (lib / "lib.py").write_text("")
    git(tool, "init", "-q")
    git(tool, "add", "-A")
    git(tool, "commit", "-qm", "x")
    before = files_in(tool)
    assert imports(made(recipe_of(tool, home)), "lib")
    assert files_in(tool) == before


def test_what_was_there_stays_as_it_was_and_what_must_stay_is_said(tool: Path, home: Path) -> None:
    (tool / "pyproject.toml").write_text(IN_TREE)
    (tool / "backend.py").write_text(BACKEND)
    (tool / "src" / "tool").mkdir(parents=True)
    (tool / "src" / "tool" / "__init__.py").write_text("")
    (tool / "tool.egg-info").mkdir()  # some repositories have it committed
    (tool / "tool.egg-info" / "PKG-INFO").write_text("1")
    git(tool, "init", "-q")
    git(tool, "add", "-A")
    git(tool, "commit", "-qm", "x")
    before, lines = files_in(tool), list[str]()
    recipe = recipe_of(tool, home)
    make(recipe, announce=lines.append)
    after = files_in(tool)
    assert {name for name in after.keys() - before.keys() if "__pycache__" not in name} == {"src/tool/_version.py"}
    assert after["tool.egg-info/PKG-INFO"] == b"1"
    assert git(tool, "status", "--porcelain").replace("?? __pycache__/\n", "") == ""
    assert any("src/tool/_version.py" in line and "git passes over" in line for line in lines)
    assert imports(recipe, "tool._version")


def test_lock_out_of_date(tool: Path, home: Path) -> None:
    (tool / "pyproject.toml").write_text(PROJECT)
    uv(tool, "lock")
    lock = (tool / "uv.lock").read_bytes()
    (tool / "pyproject.toml").write_text(PROJECT.replace("six", "idna"))
    error = failure(recipe_of(tool, home))
    assert "uv lock --directory" in str(error.hint) and "uv.lock" in error.message and "'tool'" in error.message
    assert error.exit_code == 1
    assert (tool / "uv.lock").read_bytes() == lock


def test_member_of_a_workspace_uses_its_lock(tool: Path, home: Path) -> None:
    root = tool.parent.parent
    (root / "pyproject.toml").write_text(PROJECT + '[tool.uv.workspace]\nmembers = ["tools/*"]\n')
    (tool / "pyproject.toml").write_text(PROJECT.replace('"tool"', '"latents"'))
    uv(tool, "lock")
    assert not (tool / "uv.lock").exists()
    recipe = recipe_of(tool, home)
    assert recipe.lock_file == "../../uv.lock"
    assert imports(made(recipe), "six")


def test_project_that_is_no_package(tool: Path, home: Path) -> None:
    (tool / "pyproject.toml").write_text(PROJECT + EXTRAS)
    recipe = made(recipe_of(tool, home, environment={"extras": ["x"], "groups": ["g"]}))
    assert imports(recipe, "six", "iniconfig", "idna") and not imports(recipe, "tool")
    assert {path.name for path in tool.iterdir()} == {"pyproject.toml"}


def test_groups_without_a_project(tool: Path, home: Path) -> None:
    (tool / "pyproject.toml").write_text('[dependency-groups]\ng = ["idna"]\n')
    assert imports(made(recipe_of(tool, home, environment={"groups": ["g"]})), "idna")


@pytest.mark.slow
def test_setup_py_that_reads_its_requirements(tool: Path, home: Path) -> None:
    (tool / "setup.py").write_text(
        "import pathlib, setuptools\n"
        "wanted = pathlib.Path('requirements/base.txt').read_text().split()\n"
        "setuptools.setup(name='tool', version='1', py_modules=['tool'], install_requires=wanted)\n"
    )
    (tool / "tool.py").write_text("")
    (tool / "requirements").mkdir()
    (tool / "requirements" / "base.txt").write_text("six\n")
    recipe = made(recipe_of(tool, home))
    assert recipe.kind is EnvironmentKind.pyproject and imports(recipe, "tool", "six")
    (tool / "requirements" / "base.txt").write_text("idna\n")
    changed = recipe_of(tool, home)
    assert changed.key != recipe.key and imports(made(changed), "idna")


@pytest.mark.parametrize("locked", [True, False], ids=["locked", "unlocked"])
def test_script(tool: Path, home: Path, locked: bool) -> None:
    (tool / "pyproject.toml").write_text(PROJECT)
    (tool / "run.py").write_text(SCRIPT)
    if locked:
        uv(tool, "lock", "--script", "run.py")
    recipe = made(recipe_of(tool, home, "run.py", dependencies=["iniconfig"]))
    assert recipe.kind is EnvironmentKind.script and imports(recipe, "six", "iniconfig")
    assert record(recipe).lock_file == ("run.py.lock" if locked else "run.py")
    (tool / "run.py").write_text(SCRIPT + "print(1)\n")
    assert recipe_of(tool, home, "run.py", dependencies=["iniconfig"]).key == recipe.key
    (tool / "run.py").write_text(SCRIPT.replace("six", "idna"))
    changed = recipe_of(tool, home, "run.py", dependencies=["iniconfig"])
    assert changed.key != recipe.key
    if locked:
        assert "uv lock --script" in str(failure(changed).hint)


def test_dependencies_alone_and_nothing_at_all(tool: Path, home: Path) -> None:
    (tool / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    (tool / "setup.cfg").write_text("[flake8]\nmax-line-length = 100\n")
    assert imports(made(recipe_of(tool, home, dependencies=["six"], runs_python=False)), "six")
    empty = made(recipe_of(tool, home))
    assert imports(empty, "sys") and not imports(empty, "six")
    nothing = recipe_of(tool, home, runs_python=False)
    make(nothing)
    assert nothing.kind is EnvironmentKind.none and interpreter(nothing) is None and is_ready(nothing)
    assert record(nothing).interpreter is None


def test_interpreter(tool: Path, home: Path) -> None:
    uv(tool, "venv", ".venv")
    recipe = recipe_of(tool, home, environment={"interpreter": ".venv/bin/python"})
    make(recipe)
    assert recipe.kind is EnvironmentKind.interpreter and is_ready(recipe) and not home.exists()
    assert interpreter(recipe) == tool / ".venv" / "bin" / "python"
    version = ".".join(map(str, sys.version_info[:3]))
    assert record(recipe).version == version
    outside = recipe_of(tool, home, environment={"interpreter": os.path.realpath(sys.executable)})
    assert record(outside).version == version and outside.key != recipe.key


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (">=3.10", True),
        ("HERE", True),
        ("==HERE.*", True),
        ("cpython@HERE", True),
        (">=3.8,!=3.9.1,<4", True),
        ("3", True),
        (">=3.99", False),
        ("3.1", False),
        ("<3.10", False),
        ("pypy3.10", False),
        ("nonsense", False),
    ],
)
def test_an_interpreter_must_be_the_python_that_is_asked_for(tool: Path, home: Path, wanted: str, fits: bool) -> None:
    wanted = wanted.replace("HERE", "{}.{}".format(*sys.version_info))
    recipe = recipe_of(tool, home, python_version=wanted, environment={"interpreter": sys.executable})
    if fits:
        environments.refuse_other_python(recipe)
    else:
        with pytest.raises(StashError, match="is Python 3"):
            environments.refuse_other_python(recipe)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"environment": {"interpreter": "missing"}}, "missing is no file"),
        ({"environment": {"interpreter": "data"}}, "not executable"),
        ({"environment": {"kind": EnvironmentKind.interpreter}}, "names no interpreter"),
        ({"environment": {"interpreter": sys.executable}, "dependencies": ["six"]}, "`dependencies`"),
        ({"environment": {"kind": EnvironmentKind.none}, "dependencies": ["six"]}, "`dependencies`"),
        ({"environment": {"file": "missing.txt"}}, "missing.txt is no file"),
        ({"environment": {"file": "data", "extras": ["x"]}}, "only a pyproject has extras"),
        ({"environment": {"kind": EnvironmentKind.pyproject}}, "pyproject.toml is no file"),
        ({"environment": {"kind": EnvironmentKind.script}}, "names no file"),
        ({"environment": {"kind": EnvironmentKind.script, "file": "data"}}, "PEP 723"),
    ],
)
def test_registration_that_can_not_be_followed(tool: Path, home: Path, settings: dict[str, Any], words: str) -> None:
    (tool / "data").write_text("")
    with pytest.raises(StashError) as caught:
        recipe_of(tool, home, **settings)
    assert words in caught.value.message and "conf/tool/tool.yaml" in str(caught.value.hint)


# Pythons


@pytest.mark.slow
def test_python_version(tool: Path, home: Path) -> None:
    python = os.path.realpath(sys.executable)
    assert made(recipe_of(tool, home, python_version=f"=={sys.version_info[0]}.{sys.version_info[1]}.*"))
    assert made(recipe_of(tool, home, python_version=python)).key != recipe_of(tool, home).key
    error = failure(recipe_of(tool, home, python_version="3.99"))
    assert "3.99" in error.message and "experimentstash tool sync tool" in str(error.hint)


@pytest.mark.slow
def test_the_tool_says_which_python(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("six\n")
    (tool / ".python-version").write_text("3.99\n")
    assert "3.99" in failure(recipe_of(tool, home)).message
    (tool / ".python-version").unlink()
    (tool / "pyproject.toml").write_text(PROJECT.replace(">=3.10", ">=3.99"))
    assert "3.99" in failure(recipe_of(tool, home)).message


def test_the_stash_around_a_tool_does_not(tool: Path, home: Path) -> None:
    (tool.parent.parent / "pyproject.toml").write_text(PROJECT.replace(">=3.10", ">=3.99"))
    (tool / "requirements.txt").write_text("six\n")
    assert made(recipe_of(tool, home))


# Surroundings


def test_our_own_environment_does_not_leak(tool: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tool / "pyproject.toml").write_text(PROJECT)
    uv(tool, "lock")
    for variable in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_PROJECT"):
        monkeypatch.setenv(variable, "/rubbish")
    for variable in ("UV_FROZEN", "UV_NO_SYNC", "UV_SYSTEM_PYTHON", "UV_NO_PROJECT"):
        monkeypatch.setenv(variable, "1")
    recipe = made(recipe_of(tool, home, dependencies=["iniconfig"]))
    monkeypatch.undo()
    assert imports(recipe, "six", "iniconfig")


def test_ready_is_seen_without_uv_network_or_process(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("six\n")
    made(plan("tool", ToolConfig(), tool, None, home))
    look = """
import sys
starting = ("subprocess.Popen", "os.posix_spawn", "os.fork")
sys.addaudithook(lambda event, _: sys.exit(event) if event in starting else None)
from pathlib import Path
from experimentstash.freeze.environment import store as environments, recipes
from experimentstash.stash.schema import ToolConfig
recipe = recipes.plan("tool", ToolConfig(), Path(sys.argv[1]), None, Path(sys.argv[2]))
environments.make(recipe)
assert environments.is_ready(recipe) and environments.record(recipe).version
assert "uv" not in sys.modules and "tomllib" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "UV_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", look, str(tool), str(home)], env=environment, check=True)


def test_offline(tool: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tool / "requirements.txt").write_text("six\n")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty cache"))
    error = failure(recipe_of(tool, home), offline=True)
    assert "six" in error.message and "internet" in str(error.hint) and "login node" in str(error.hint)
    assert "experimentstash tool sync tool" in str(error.hint)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert "internet" in str(failure(recipe_of(tool, home)).hint)


def test_without_a_network_it_is_made_of_what_the_cache_has(
    tool: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index/simple/lonely"
    index.mkdir(parents=True)
    with zipfile.ZipFile(index / "lonely-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lonely.py", "")
        wheel.writestr("lonely-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lonely\nVersion: 1.0\n")
        wheel.writestr("lonely-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lonely-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (tool / "requirements.txt").write_text("lonely\n")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "index"))
    with serving(handler) as port:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{port}/simple")
        made(recipe_of(tool, home))
    said: list[str] = []
    recipe = recipe_of(tool, home / "another")
    make(recipe, announce=said.append)
    assert imports(recipe, "lonely") and "No index answers: once more with what uv's cache has …" in said
    (tool / "requirements.txt").write_text("lonely\nsix\n")
    assert "there is no network" in str(failure(recipe_of(tool, home)).hint)


def test_the_python_of_an_environment_is_none_to_make_others_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "its own")], check=True)
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "none"))
    version = ".".join(map(str, sys.version_info[:3]))
    system = Path(os.path.realpath(sys.executable)).parent
    for directory, is_there in ((system, True), (tmp_path / "its own/bin", False)):
        monkeypatch.setenv("PATH", str(directory))
        assert environments.is_python_there(version) is is_there


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers each request with the status that its path begins with."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: Callable[..., Any], certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Serve, over TLS with a certificate and its key; yield the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def answers() -> Iterator[int]:
    with serving(Answers) as port:
        yield port


BROKEN = {"pyproject.toml": IN_TREE, "backend.py": "raise RuntimeError('no nvcc here')"}
CAUSES: dict[str, tuple[dict[str, str], str | None, dict[str, str], str]] = {
    # what is wrong: (the tool's files, python_version, variables, what is said)
    "nobody answers": ({}, None, {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}, "there is no network"),
    "no such host": ({}, None, {"UV_DEFAULT_INDEX": "http://nosuch.invalid/simple"}, "there is no network"),
    "a proxy that isn't there": (
        {},
        None,
        {"UV_DEFAULT_INDEX": "http://example.com/simple", "HTTP_PROXY": "http://127.0.0.1:9"},
        "there is no network",
    ),
    "a proxy that refuses": ({}, None, {"UV_DEFAULT_INDEX": "http://127.0.0.1:PORT/407/simple"}, "HTTPS_PROXY"),
    "who are you": ({}, None, {"UV_DEFAULT_INDEX": "http://127.0.0.1:PORT/401/simple"}, "access is refused"),
    "not for you": ({}, None, {"UV_DEFAULT_INDEX": "http://127.0.0.1:PORT/403/simple"}, "access is refused"),
    "a server in trouble": ({}, None, {"UV_DEFAULT_INDEX": "http://127.0.0.1:PORT/503/simple"}, "problem of its own"),
    "no such package": (
        {},
        None,
        {"UV_DEFAULT_INDEX": "http://127.0.0.1:PORT/404/simple"},
        "no such package or version, or they exclude each other: fix",
    ),
    "no such version": ({"requirements.txt": "six==0.0.999\n"}, None, {}, "no such package or version"),
    "versions that exclude each other": (
        {"requirements.txt": "six==1.16\nsix==1.15\n"},
        None,
        {},
        "exclude each other",
    ),
    "no such Python": ({}, "3.99", {}, "`uv python install 3.99`"),
    "another Python": (
        {"pyproject.toml": IN_TREE + 'requires-python = ">=3.99"\n', "backend.py": ""},
        os.path.realpath(sys.executable),
        {},
        "python_version:",
    ),
    "a build that fails": (BROKEN, None, {}, "can't be built here"),
    "a repository that is not there": (
        {"requirements.txt": "x @ git+https://127.0.0.1:9/x.git\n"},
        None,
        {},
        "there is no network",
    ),
    "a line that is none": ({"requirements.txt": "six ===\n"}, None, {}, "fix "),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_advice_goes_by_the_cause(
    tool: Path, home: Path, answers: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: str
) -> None:
    wanted, python_version, variables, words = CAUSES[cause]
    for name, text in (wanted or {"requirements.txt": "zzz-no-such-package\n"}).items():
        (tool / name).write_text(text)
    for name, value in {"UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1", **variables}.items():
        monkeypatch.setenv(name, value.replace("PORT", str(answers)))
    error = failure(recipe_of(tool, home, python_version=python_version))
    assert words in str(error.hint), error.message
    assert "experimentstash tool sync tool" in str(error.hint)
    assert ("internet" in str(error.hint)) == (words == "there is no network")


def test_a_full_disk_is_named() -> None:
    said = "error: Failed to install: x.whl\n  cause: failed to copy\n  cause: No space left on device (os error 28)"
    assert "make room" in uv_errors.advice(
        said, is_offline=False, sync="S", registration="R", origin="requirements.txt", version=None
    )


IN_OTHER_STORE = """
set -e
if [ -n "$STORE" ]; then
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        if [ -e $file ]; then mount --bind "$STORE" $file; fi
    done
fi
exec "$@"
"""


@pytest.fixture(scope="module")
def private_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Serve an index over TLS, with a certificate of an authority that nobody knows; yield its port and that one."""
    folder = tmp_path_factory.mktemp("index")
    if shutil.which("openssl") is None or shutil.which("unshare") is None:
        pytest.skip("openssl and unshare are needed")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "rsa:2048", "-nodes"]
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Nobody knows it", *extensions)
    openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "more").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "more"]
    openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem")
    place = folder / "simple" / "private-package"
    place.mkdir(parents=True)
    name = "private_package-1-py3-none-any.whl"
    with zipfile.ZipFile(place / name, "w") as wheel:
        info = "private_package-1.dist-info/"
        wheel.writestr("private_package.py", "")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: private-package\nVersion: 1\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    (place / "index.html").write_text(f'<a href="{name}">{name}</a>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with serving(handler, (folder / "server.pem", folder / "server.key")) as port:
        yield port, folder / "ca.pem"


@pytest.mark.parametrize(
    ("in_store", "says", "is_made"),
    [
        (True, {}, True),
        (True, {"UV_SYSTEM_CERTS": "false"}, False),
        (True, {"UV_NATIVE_TLS": "false"}, False),
        (True, {"uv.toml": "system-certs = false\n"}, False),
        (False, {}, False),
        (False, {"SSL_CERT_FILE": "CERTIFICATE"}, True),
    ],
    ids=["in the system's store", "no", "no, as it was called", "no, in a file", "nowhere", "by the user"],
)
def test_a_certificate_of_the_systems_store_is_trusted_unless_the_user_says_no(
    tool: Path, home: Path, private_index: tuple[int, Path], in_store: bool, says: dict[str, str], is_made: bool
) -> None:
    port, certificate = private_index
    (tool / "requirements.txt").write_text("private-package\n")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT_")}
    variables |= {"UV_DEFAULT_INDEX": f"https://127.0.0.1:{port}/simple", "UV_NO_CACHE": "1", "PYTHONPATH": str(ROOT)}
    variables["STORE"] = str(certificate) if in_store else ""
    for name, value in says.items():
        if name.endswith(".toml"):
            (tool / name).write_text(value)
        else:
            variables[name] = value.replace("CERTIFICATE", str(certificate))
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        IN_OTHER_STORE,
        "sh",
        sys.executable,
        "-c",
        MAKER,
        str(tool),
        str(home),
    ]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"the system's store can't be another one here: {done.stderr}")
    assert (done.returncode == 0) == is_made, done.stderr
    if not is_made:
        assert "SSL_CERT_FILE=" in done.stderr and "internet" not in done.stderr


def test_failure_says_what_uv_said(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("six==0.0.999\n")
    error = failure(recipe_of(tool, home))
    assert "six==0.0.999" in error.message and "requirements.txt" in error.message and "exit code 1" in error.message
    assert error.exit_code == 1 and "internet" not in str(error.hint)
    assert home.joinpath("tool").is_dir()
    (tool / "requirements.txt").write_text("six\n")
    assert made(recipe_of(tool, home))


def test_home_that_can_not_be_written(tool: Path, home: Path) -> None:
    home.parent.mkdir(parents=True)
    home.write_text("a file is in the way")
    with pytest.raises(StashError, match="could not be made"):
        make(recipe_of(tool, home))


def test_terminal_sees_progress_and_the_error_keeps_the_words(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("six==0.0.999\n")
    terminal, ours = pty.openpty()
    command = [sys.executable, "-c", MAKER, str(tool), str(home)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=ours)
    os.close(ours)
    seen = b""
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:
        pass
    finally:
        os.close(terminal)
    assert process.wait() == 1
    shown, _, told = seen.decode().partition("StashError:")
    assert "six==0.0.999" in shown and "\x1b" in shown
    assert "six==0.0.999" in told and "\x1b" not in told


# Several processes, interruptions


def test_two_at_once_make_it_once(tool: Path, home: Path) -> None:
    (tool / "requirements.txt").write_text("six\n")
    both = [maker(tool, home) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(said).count("Making") == 1


@pytest.mark.slow
def test_killed_maker_leaves_the_lock_to_uv_until_it_ends(tool: Path, home: Path) -> None:
    (tool / "setup.py").write_text(SLOW_SETUP)
    first = maker(tool, home)
    wait_until((tool / "started").exists)
    first.kill()
    first.wait()
    recipe = plan("tool", ToolConfig(), tool, None, home)
    assert recipe.directory is not None and recipe.directory.exists() and not is_ready(recipe)
    second = maker(tool, home)
    assert second.stdout is not None and "Waiting" in second.stdout.readline()
    (tool / "go").touch()
    rest, _ = second.communicate()
    assert second.returncode == 0 and rest.count("Making") == 1
    assert is_ready(recipe)


def test_leftover_without_a_mark_is_replaced(tool: Path, home: Path) -> None:
    recipe = recipe_of(tool, home, dependencies=["six"])
    assert recipe.directory is not None
    (recipe.directory / "bin").mkdir(parents=True)
    (recipe.directory / "bin" / "python").symlink_to(sys.executable)
    (recipe.directory / "leftover").touch()
    assert not is_ready(recipe)
    assert imports(made(recipe), "six") and not (recipe.directory / "leftover").exists()


def test_environment_whose_python_is_gone_is_made_again(tool: Path, home: Path) -> None:
    recipe = made(recipe_of(tool, home))
    python = interpreter(recipe)
    assert python is not None
    python.unlink()
    python.symlink_to("/nowhere")
    assert not is_ready(recipe)
    assert imports(made(recipe), "sys")


def test_interrupt_leaves_nothing(tool: Path, home: Path) -> None:
    (tool / "setup.py").write_text(SLOW_SETUP)
    process = maker(tool, home, start_new_session=True)
    wait_until((tool / "started").exists)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    recipe = plan("tool", ToolConfig(), tool, None, home)
    assert recipe.directory is not None and not recipe.directory.exists()


def test_recognition_starts_nothing(tool: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tool / "pyproject.toml").write_text(PROJECT)
    (tool / "uv.lock").write_bytes(b"#" * 1_000_000)
    for owner, name in ((subprocess, "Popen"), (os, "posix_spawn"), (os, "fork")):
        monkeypatch.delattr(owner, name)
    assert not is_ready(recipe_of(tool, home))


# fmt: off
LOCAL = [
    ("pyproject.toml", HATCHLING + PROJECT),
    ("pyproject.toml", PROJECT + '[tool.uv.sources]\nsix = {path = "six"}\n'),
    ("pyproject.toml", PROJECT.replace('["six"]', '["six @ file:///six"]')),
    ("setup.py", "import setuptools\n"),
    ("requirements.txt", "-e .\n"),
    ("requirements.txt", "six\n./local\n"),
    ("requirements.txt", "six\nlocal/package  # here\n"),
    ("requirements.txt", "-f wheels\nsix\n"),
    ("requirements.txt", "six @ file:./six\n"),
]
REMOTE = [
    ("pyproject.toml", PROJECT),
    ("pyproject.toml", HATCHLING + PROJECT + "[tool.uv]\npackage = false\n"),
    ("requirements.txt", "--index-url https://x.org/simple  # x\n\nsix==1.16 ; os_name > '3' \\\n --hash=sha256:ab\n"),
    ("requirements.txt", "six[x] >=1,<2\nidna @ https://x.org/idna.whl ; os_name == 'posix'\nx @ git+ssh://git@x.org/y\n"),
    ("readme", "nothing\n"),
]
# fmt: on


@pytest.mark.parametrize(("file", "content"), LOCAL + REMOTE)
def test_copies_of_a_tool_share_what_holds_none_of_its_code(tool: Path, home: Path, file: str, content: str) -> None:
    copy = tool.parent.parent / "copy" / "deeper"
    for directory in (tool, copy):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(content)
    recipes_of = [plan("tool", ToolConfig(), each, None, home, own_home=copy / "own") for each in (tool, copy)]
    is_shared = recipes_of[0].key == recipes_of[1].key
    assert is_shared == ((file, content) in REMOTE)
    assert all(recipe.directory and recipe.directory.is_relative_to(home) == is_shared for recipe in recipes_of)
    (copy / file).write_text(content + "\n# changed\n")
    assert plan("tool", ToolConfig(), copy, None, home).key != recipes_of[1].key or file == "readme"


@pytest.mark.slow
def test_a_project_and_its_requirements_are_installed_together(tool: Path, home: Path) -> None:
    (tool / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='tool', version='1', py_modules=['tool'])\n"
    )
    (tool / "tool.py").write_text("")
    (tool / "requirements.txt").write_text("-e .\nsix\n")
    (tool / "bin").mkdir()
    (tool / "bin" / "main.py").write_text("")
    (tool / "bin" / "requirements.txt").write_text("iniconfig\n")
    recipe = recipe_of(tool, home, script="bin/main.py")
    assert imports(made(recipe), "tool", "six", "iniconfig")
    assert recipe.shown == "pyproject (setup.py + requirements.txt + bin/requirements.txt)"


def test_a_project_of_poetry_that_is_no_package(tool: Path, home: Path) -> None:
    backend = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
    (tool / "pyproject.toml").write_text(
        f'{backend}[tool.poetry]\nname = "programs"\nversion = "1"\n'
        '[tool.poetry.dependencies]\npython = "^3.9"\nsix = "^1.15"\nidna = {version = "*", optional = true}\n'
        '[tool.poetry.extras]\nmore = ["idna"]\n'
    )
    (tool / "main.py").write_text("")
    recipe = made(recipe_of(tool, home))
    assert imports(recipe, "six") and not imports(recipe, "idna")
    assert imports(made(recipe_of(tool, home, environment={"extras": ["more"]})), "six", "idna")


def test_a_setup_cfg_alone(tool: Path, home: Path) -> None:
    text = "[metadata]\nname = tool\n[options]\ninstall_requires =\n  six  # really\n"
    (tool / "setup.cfg").write_text(text + "[options.extras_require]\nmore = idna\n")
    (tool / "requirements.txt").write_text("iniconfig\n")
    assert imports(made(recipe_of(tool, home, environment={"extras": ["more"]})), "six", "idna", "iniconfig")
