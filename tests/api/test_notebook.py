"""A real notebook in a real kernel: what it shows, a run that is executed in it, and the stop button."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.testing.stash import PATIENCE, StashUnderTest

TOOL = """
import json, os, sys, time
out = os.environ["OUT"]
print("a line of the tool", flush=True)
with open(f"{out}/metrics.json", "w") as stream:
    json.dump({"acc": 0.5}, stream)
if "--fail" in sys.argv:
    sys.exit("it is broken")
if "--wait" in sys.argv:
    open(f"{out}/ready", "w").close()
    time.sleep(100)
"""
INTERRUPT = """
import os, pathlib, signal, threading, time
def interrupt():
    while not list(pathlib.Path().glob("outputs/*/*/ready")):
        time.sleep(0.05)
    os.killpg(os.getpgid(0), signal.SIGINT)  # as Jupyter does
threading.Thread(target=interrupt).start()
try:
    es.run("one", params={"wait": True})
except KeyboardInterrupt:
    print("interrupted:", es.runs("latest")[0].state)
"""


@pytest.mark.slow
def test_a_notebook(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    stash.write("tools/t/main.py", TOOL)
    stash.add_tool("t", None, "entrypoint: main.py\nenv: {OUT: '${output_dir}'}\n")
    stash.add_experiment("one", "t", "params: {fail: false, wait: false}\n")
    cells = [
        "import experimentstash as es, sys",
        "es.run('one', output=sys.stdout)",
        "es.runs()",
        "es.compare()",
        "es.run('one', params={'fail': True}, check=False).error",
        INTERRUPT,
        "es.run('one', params={'fail': True})",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": str(stash.root)}}
    )
    with pytest.raises(CellExecutionError, match=r"The run .* of one didn't complete \(failed\): it is broken"):
        client.execute()
    outputs = [cell["outputs"] for cell in notebook.cells]
    assert "a line of the tool" in "".join(each.get("text", "") for each in outputs[1])
    shown = [outputs[number][-1]["data"]["text/html"] for number in (1, 2, 3)]
    assert "completed" in shown[0] and "acc=0.5" in shown[0]
    assert "<caption>1 run</caption>" in shown[1] and "<caption>Mean" in shown[2]
    assert outputs[4][0]["data"]["text/plain"] == "'it is broken'"
    assert "interrupted: cancelled" in outputs[5][0]["text"]
