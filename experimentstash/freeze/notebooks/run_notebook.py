"""Runs a notebook by papermill: run_notebook.py NOTEBOOK RUN_DIRECTORY [PARAMETERS.json]

It runs in the tool's environment, from the run's directory, and needs nothing of who has written it there. What is
executed, as a notebook and as a page, and the figures of its cells end up in the run's directory.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

FAILED = "cell {number} of the executed notebook failed: {why}"
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg", "application/pdf": "pdf"}
_LONGEST = 100  # of the path of a socket, which has 107 bytes with its number
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main(source: Path, directory: Path, parameters: Path | None) -> int:
    """Run a notebook to its end, or to the first cell that fails; return the exit code."""
    scratch = Path(tempfile.mkdtemp(prefix="notebook-"))
    try:
        _only_this_environment(scratch)
        return _run(source, directory / f"{source.stem}.ipynb", parameters)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _only_this_environment(scratch: Path) -> None:
    """Have `python3` be this Python, and nothing of its user's settings count: no record would tell of them."""
    kernel = scratch / "share" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    # It would log that it is interrupted when it is shut down; what its cells say is no log of its own.
    argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=50", "-f", "{connection_file}"]
    said = {"argv": argv, "display_name": "Python 3", "language": "python", "metadata": {"debugger": False}}
    (kernel / "kernel.json").write_text(json.dumps(said))
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(scratch / "share"), os.environ.get("JUPYTER_PATH")]))
    (scratch / "runtime").mkdir(mode=0o700)
    os.environ["JUPYTER_RUNTIME_DIR"] = str(scratch / "runtime")
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    os.environ["IPYTHONDIR"] = str(scratch / "ipython")


def _run(source: Path, executed: Path, parameters: Path | None) -> int:
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from papermill.exceptions import PapermillExecutionError

    told: list[int] = []
    kernels: list[Any] = []

    class Kernel(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            # Through sockets that are nobody else's, where their paths aren't too long for that.
            place = os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "kernel")
            ways = {"transport": "ipc", "ip": place} if len(os.fsencode(place)) < _LONGEST else {}
            super().__init__(**ways, **settings)
            kernels.append(self)

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Let the cell that is at work end as by Ctrl-C, so that it can save what it has."""
        told.append(number)
        pid = getattr(getattr(kernels[-1], "provisioner", None), "pid", None) if kernels else None
        if pid is None:
            sys.exit(128 + number)
        os.kill(pid, signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    notebook = _read(source)
    # The kernel of a notebook in Python is this environment's, whatever that of its author was called.
    language = _language(notebook)
    kernel = "python3" if language == "python" else None
    given = json.loads(parameters.read_text(encoding="utf-8")) if parameters is not None else {}
    tagged = [cell.cell_type for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if given and tagged != ["code"]:
        print(f"{len(tagged)} cells are tagged for parameters, and one of code must be.", file=sys.stderr)
        return 2
    try:
        papermill.execute_notebook(
            notebook,
            str(executed),
            parameters=given,
            kernel_name=kernel,
            language=language,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            kernel_manager_class=Kernel,
        )
    except PapermillExecutionError as error:
        if told:
            print("The notebook was interrupted, and is saved as far as it came.", file=sys.stderr)
            return 128 + told[0]
        print(*(_COLOURS.sub("", line) for line in error.traceback), sep="\n", file=sys.stderr)
        why = " ".join(f"{error.ename}: {error.evalue}".split())
        print(FAILED.format(number=error.cell_index + 1, why=why), file=sys.stderr)
        return 1
    finally:
        _write_what_it_shows(executed)
    return 128 + told[0] if told else 0


def _read(source: Path) -> Any:
    """Return a notebook, also one that is kept as text: jupytext reads those."""
    if source.suffix == ".ipynb":
        import nbformat

        notebook = nbformat.read(str(source), as_version=4)
    else:
        import jupytext

        notebook = jupytext.read(str(source))
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        options = [line for line in lines if line.startswith("#|")]
        if cell.cell_type == "code" and any(re.match(r"#\|\s*tags:.*\bparameters\b", line) for line in options):
            tags = cell.metadata.get("tags", [])
            cell.metadata["tags"] = tags if "parameters" in tags else [*tags, "parameters"]
    return notebook


def _language(notebook: Any) -> str:
    about = notebook.metadata
    kernel, said = about.get("kernelspec", {}), about.get("language_info", {}).get("name")
    return str(kernel.get("language") or said or about.get("jupytext", {}).get("main_language") or "python").lower()


def _write_what_it_shows(executed: Path) -> None:
    """Write the figures that the cells of a notebook show as files, and all of it as a page."""
    if not executed.is_file():
        return
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells, 1):
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        figures = [(kind, data[kind]) for data in shown for kind in _ENDINGS if kind in data]
        for index, (kind, content) in enumerate(figures, 1):
            text = content if isinstance(content, str) else "".join(content)
            place = executed.parent / "figures" / f"cell-{number:03}-{index}.{_ENDINGS[kind]}"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(text.encode() if kind == "image/svg+xml" else base64.b64decode(text))
    try:
        import nbformat
        from nbconvert import HTMLExporter

        notebook = nbformat.read(str(executed), as_version=4)
        for number, cell in enumerate(notebook.cells, 1):
            cell["id"] = f"cell-{number}"  # some are made up anew each time: the same results make the same page
        page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": executed.stem}})
        executed.with_suffix(".html").write_text(page, encoding="utf-8")
    except Exception as error:  # the results are there all the same
        print(f"The page of the notebook could not be written: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None))
