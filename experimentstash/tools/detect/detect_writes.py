"""Where a program seems to write below its working directory, from its syntax tree: a guess, to be proposed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from experimentstash.base.dataclass_light import dataclass
from experimentstash.base.patterns import regex

# Functions and methods that write to a path, by their last names: the position of that argument, and its names.
_WRITERS: dict[str, tuple[int | None, tuple[str, ...]]] = {
    "makedirs": (0, ("name",)),
    "SummaryWriter": (0, ("log_dir", "logdir")),
    "create_file_writer": (0, ("logdir",)),
    "TensorBoard": (0, ("log_dir",)),
    "TensorBoardLogger": (0, ("save_dir",)),
    "CSVLogger": (0, ("save_dir", "filename")),
    "ModelCheckpoint": (0, ("dirpath", "filepath")),
    "FileStorageObserver": (0, ("basedir",)),
    "FileHandler": (0, ("filename",)),
    "RotatingFileHandler": (0, ("filename",)),
    "basicConfig": (None, ("filename",)),
    "RecordVideo": (1, ("video_folder",)),
    "TrainingArguments": (0, ("output_dir",)),
    "savefig": (0, ("fname",)),
    "savetxt": (0, ("fname",)),
    "savez": (0, ("file",)),
    "savez_compressed": (0, ("file",)),
    "imwrite": (0, ("filename", "uri")),
    "imsave": (0, ("fname", "path")),
    "save_image": (1, ("fp",)),
    "save_file": (1, ("filename",)),
    "save_pretrained": (0, ("save_directory",)),
    "save_weights": (0, ("filepath",)),
    "save_model": (0, ("filepath", "output_dir", "fname")),
    "write_image": (0, ("file",)),
    "write_html": (0, ("file",)),
    **{f"to_{kind}": (0, ("path_or_buf", "path")) for kind in ("csv", "json", "parquet", "pickle", "excel", "hdf")},
}
# `save` and `dump` take what is saved first, or are methods of it.
_SAVES = {"torch": 1, "joblib": 1, "pickle": 1, "np": 0, "numpy": 0, "jnp": 0}
# What is written where nothing else is said.
_DEFAULTS = {"SummaryWriter": "runs"}
# Methods of a path.
_OF_PATHS = {"write_text", "write_bytes", "mkdir", "touch"}
_OUTPUT_OPTION = regex(
    r"(?:save|log|out|output|outputs|result|results|checkpoint|checkpoints|ckpt|model|tensorboard|tb)[-_]?"
    r"(?:dir|directory|path|folder|file|root)|logdir|outdir|savedir"
)
# What a program reads, or keeps for all its runs: no result.
_KEPT = {"data", "dataset", "datasets", "cache", ".cache", "downloads", "pretrained", "assets"}


@dataclass(frozen=True)
class Write:
    """A place to which a program seems to write."""

    path: str  # relative, as far as it is known: a file, or the outermost directory
    is_whole: bool  # False: only how the name begins
    where: str  # the file, and the line in it


def found(tree: ast.Module, file: str, options: Mapping[str, str]) -> Iterator[Write]:
    """Yield where a program writes; ``options`` are the defaults of those of its command line."""
    defaults = {name.lstrip("-").replace("-", "_"): default for name, default in options.items()}
    constants = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and len(node.targets) == 1
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (place := _written(node)) is not None:
            text, is_whole = place if isinstance(place, tuple) else _text(place, constants, defaults)
            if (write := _write(text, is_whole, f"{file}:{node.lineno}")) is not None:
                yield write


def of_options(options: Mapping[str, str], file: str) -> Iterator[Write]:
    """Yield where options say by default that something is written."""
    for name, default in options.items():
        if _OUTPUT_OPTION.fullmatch(name.lower()) and (write := _write(default, True, f"{file}: --{name}")) is not None:
            yield write


def merged(writes: Iterable[Write]) -> tuple[Write, ...]:
    """Return the writes, each place once."""
    once: dict[str, Write] = {}
    for write in writes:
        once.setdefault(write.path, write)
    return tuple(once.values())


def _write(text: str, is_whole: bool, where: str) -> Write | None:
    path = re.sub(r"/{2,}", "/", text.replace("\\", "/"))
    while path.startswith("./"):
        path = path[2:]
    head, slash, _ = path.partition("/")
    if not head or head in (".", "..", *_KEPT) or path.startswith(("/", "~")) or ":" in head or "\n" in path:
        return None
    if not slash and not is_whole:
        return Write(head, False, where) if re.search(r"\w", head) else None
    return Write(head, True, where)


def _written(call: ast.Call) -> ast.expr | tuple[str, bool] | None:
    """Return the argument of a call that is the path to which it writes; or that path, where nothing is said."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    words = {word.arg: word.value for word in call.keywords if word.arg}
    if name == "open" and (owner is None or not isinstance(owner, ast.Name) or owner.id in ("io", "gzip", "codecs")):
        first = owner if owner is not None and not isinstance(owner, ast.Name) else None
        at = 0 if first is not None else 1
        mode = words.get("mode") or (call.args[at] if len(call.args) > at else None)
        if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax"):
            return first if first is not None else words.get("file") or (call.args[0] if call.args else None)
        return None
    if name in _OF_PATHS and owner is not None and not isinstance(owner, ast.Name):
        return owner
    if name == "mkdir" and isinstance(owner, ast.Name) and owner.id == "os":
        return call.args[0] if call.args else None
    if name in ("save", "dump") and isinstance(owner, ast.Name):
        position = _SAVES.get(owner.id, 0 if name == "save" else None)
        return call.args[position] if position is not None and len(call.args) > position else words.get("f")
    if name not in _WRITERS:
        return None
    position, names = _WRITERS[name]
    given = next((words[each] for each in names if each in words), None)
    if given is None and position is not None and len(call.args) > position:
        given = call.args[position]
    if given is None and name in _DEFAULTS and not call.args:
        return _DEFAULTS[name], True
    return given


def _text(
    node: ast.expr, constants: Mapping[str, ast.expr], options: Mapping[str, str], depth: int = 0
) -> tuple[str, bool]:
    """Return how the text that an expression makes begins, and whether that is all of it."""
    if depth > 8:
        return "", False
    if isinstance(node, ast.Constant):
        return (node.value, True) if isinstance(node.value, str) else ("", False)
    if isinstance(node, ast.JoinedStr):
        parts = [
            _text(part.value if isinstance(part, ast.FormattedValue) else part, constants, options, depth + 1)
            for part in node.values
        ]
        return _joined(parts, "")
    if isinstance(node, ast.Name) and node.id in constants:
        return _text(constants[node.id], {k: v for k, v in constants.items() if k != node.id}, options, depth + 1)
    if isinstance(node, ast.Attribute) and node.attr in options:
        return options[node.attr], True
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
        sides = [_text(side, constants, options, depth + 1) for side in (node.left, node.right)]
        return _joined(sides, "/" if isinstance(node.op, ast.Div) else "")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        text, _ = _text(node.left, constants, options, depth + 1)
        return text.partition("%")[0], "%" not in text
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("join", "Path", "PurePath", "str", "abspath", "expanduser") and node.args:
            parts = [_text(part, constants, options, depth + 1) for part in node.args]
            return _joined(parts, "/")
        if name == "format" and isinstance(node.func, ast.Attribute):
            text, _ = _text(node.func.value, constants, options, depth + 1)
            return text.partition("{")[0], "{" not in text
    return "", False


def _joined(parts: list[tuple[str, bool]], separator: str) -> tuple[str, bool]:
    text = ""
    for at, (part, is_whole) in enumerate(parts):
        text += (separator if at and text else "") + part
        if not is_whole:
            return text, False
    return text, True
