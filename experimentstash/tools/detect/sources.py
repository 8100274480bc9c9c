"""The Python files of a foreign repository, as far as they tell how it is started. Nothing of them is executed."""

from __future__ import annotations

import ast
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from experimentstash.base import files
from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.output import Meter
from experimentstash.base.patterns import regex
from experimentstash.freeze.declared import library, option, program
from experimentstash.stash.schema import CallStyle

# Directories that hold no program of the tool's.
_SKIPPED = {"tests", "test", "docs", "doc", "build", "dist", "node_modules", "site-packages", "venv", "env"}
_SKIPPED |= {"notebooks", "third_party", "vendor", "external", "outputs", "multirun", "wandb"}
# Files that another program starts or reads.
_NO_PROGRAMS = {"setup.py", "conftest.py", "noxfile.py", "hubconf.py", "versioneer.py"}
_DEEPEST = 5
_MOST_FILES = 3000
_LARGEST_FILE = 1_000_000
SCRIPT_BLOCK = regex(r"(?m)^# /// script$\s((?:^#(?:| .*)$\s)+)^# ///$")
# Calls at the top of a module that only set something up for those who import it.
_SETS_UP = regex(
    r"(?:set_\w+|register\w*|add_\w+|DEFINE_\w+|load_dotenv|setup_root|manual_seed|seed|use|store|update|append|extend"
    r"|insert|setdefault|basicConfig|filterwarnings|simplefilter|captureWarnings|setLevel|chdir|disable\w*|enable\w*)"
)
# Calls that read the command line, or do the work.
_STARTS = regex(r"parse_args\w*|parse_known_args|parse_intermixed_args|cli|Fire|main|run|train|app")


@dataclass(frozen=True)
class Source:
    """A Python file, as far as it matters here."""

    path: str
    tree: ast.Module
    text: str
    is_guarded: bool  # has `if __name__ == "__main__"`
    acts: bool  # does something as soon as it is started or imported
    hydra: tuple[str | None, str | None, str | None] | None  # config_path, config_name, version_base
    parses: bool

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def packages(self) -> set[str]:
        """The top-level packages that it can't do without."""
        found: set[str] = set()
        waiting: list[ast.AST] = list(self.tree.body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
            elif not isinstance(node, ast.Try):  # it may go on without
                waiting += ast.iter_child_nodes(node)
        return found

    @property
    def is_script(self) -> bool:
        """Whether it has a PEP 723 block: it is made to be run, with or without a guard."""
        return SCRIPT_BLOCK.search(self.text) is not None

    @property
    def only_defines(self) -> bool:
        """Whether starting it would do nothing."""
        defines = any(
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in self.tree.body
        )
        return defines and not self.is_guarded and not self.acts


def find(directory: Path) -> dict[str, Source]:
    """Return the files below a directory that may be programs, or that programs import, by their paths."""
    return {source.path: source for source in _found(directory)}


def _found(directory: Path) -> Iterator[Source]:
    meter = Meter("read", noun="Python files")
    count = 0
    for name in _files(directory, _SKIPPED):
        file = name.rpartition("/")[2]
        if not file.endswith(".py") or file in _NO_PROGRAMS or file.startswith("test_") or file.endswith("_test.py"):
            continue
        count += 1
        if count > _MOST_FILES:
            return
        source = read(directory / name, name)
        if source is not None:
            yield source
        meter.step()


def in_other_languages(directory: Path) -> list[str]:
    """Return the files below a directory that look like programs, but not of Python's."""
    return [name for name in _files(directory, _SKIPPED - {"notebooks"}) if not name.endswith(".py")][:_MOST_FILES]


def notebooks(directory: Path) -> list[str]:
    """Return the notebooks below a directory."""
    return [name for name in in_other_languages(directory) if name.endswith(".ipynb")]


def _files(directory: Path, skipped: Container[str]) -> Iterator[str]:
    """Yield the files below a directory, relative to it, but for those in places where no program of the tool's is."""
    for folder, folders, names in os.walk(directory):
        inside = Path(folder).relative_to(directory)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in skipped
            and not name.endswith(".egg-info")
            and not (Path(folder, name) / "pyvenv.cfg").exists()
            and len(inside.parts) < _DEEPEST
        )
        yield from ((inside / name).as_posix() for name in sorted(names) if not name.startswith("."))


def read(path: Path, name: str) -> Source | None:
    """Return one file as what it is; None if it can't be read as Python."""
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_FILE:
            return None
        text = files.read_text(path, errors="replace")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Source(
        path=name,
        tree=tree,
        text=text,
        is_guarded=any(program.is_main_guard(node) for node in tree.body),
        acts=_acts(tree.body),
        hydra=_hydra_main(tree) if "hydra" in text else None,
        parses=library.may_read(text) and _parses(tree),
    )


def _parses(tree: ast.Module) -> bool:
    """Tell whether a file reads a command line: argparse alone may be imported for many reasons."""
    style = library.style(tree)
    if style is not CallStyle.argparse:
        return style is not None
    return any(option.constant(word) for call in option.calls(tree, "add_argument") for word in call.args)


def _acts(body: Iterable[ast.stmt]) -> bool:
    """Tell whether statements at the top of a module do something, and not only define or set up."""
    for node in body:
        if isinstance(node, (ast.For, ast.While)):
            return True
        if isinstance(node, ast.If) and not program.is_main_guard(node) and _acts([*node.body, *node.orelse]):
            return True
        if isinstance(node, ast.With) and _acts(node.body):
            return True
        if isinstance(node, ast.Try) and _acts([*node.body, *node.orelse, *node.finalbody]):
            return True
        value = node.value if isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)) else None
        if isinstance(value, ast.Call):
            name = _last_name(value.func)
            if _STARTS.fullmatch(name) if not isinstance(node, ast.Expr) else not _SETS_UP.fullmatch(name):
                return True
    return False


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _hydra_main(tree: ast.Module) -> tuple[str | None, str | None, str | None] | None:
    """Return config_path, config_name and version_base of a function decorated with hydra.main; None: there is none."""
    names = {"hydra.main"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {f"{alias.asname}.main" for alias in node.names if alias.name == "hydra" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in ("hydra", "hydra.main"):
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "main"}
    for node in ast.walk(tree):
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else ()
        for call in [
            *decorators,
            *([node.func] if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) else []),
        ]:
            if isinstance(call, ast.Call) and ast.unparse(call.func) in names:
                words = {word.arg: word.value for word in call.keywords if word.arg}
                words |= dict(zip(("config_path", "config_name", "version_base"), call.args, strict=False))
                path, name, base = (_constant(words.get(key)) for key in ("config_path", "config_name", "version_base"))
                if path is None and not isinstance(words.get("config_path", ast.Constant(None)), ast.Constant):
                    path = ""  # computed: nobody knows
                return path, name, base
    return None


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def module(sources: Mapping[str, Source], name: str) -> Source | None:
    """Return the file of a module, as seen from the tool's directory or its src/."""
    path = name.replace(".", "/")
    for candidate in (f"{path}.py", f"src/{path}.py", f"{path}/__init__.py", f"src/{path}/__init__.py"):
        if candidate in sources:
            return sources[candidate]
    return None


def imported(source: Source, sources: Mapping[str, Source]) -> Iterator[Source]:
    """Yield the files of the repository that a file imports."""
    beside = source.path.rpartition("/")[0]
    for node in ast.walk(source.tree):
        names: list[str] = []
        starts = ["", "src", beside]
        if isinstance(node, ast.Import):
            names = [alias.name.replace(".", "/") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").replace(".", "/")
            names = [base, *("/".join(filter(None, (base, alias.name))) for alias in node.names)]
            if node.level:
                parts = source.path.split("/")[: -node.level]
                starts = ["/".join(parts)]
        for name in filter(None, names):
            for start in dict.fromkeys(starts):
                found = sources.get("/".join(filter(None, (start, f"{name}.py"))))
                if found is not None:
                    yield found
                    break


def text(path: Path) -> str:
    """Return the text of a file; nothing if it can't be read, or a link leads elsewhere."""
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
            return ""
        return files.read_text(path, errors="replace")
    except (OSError, RuntimeError):
        return ""
