"""A local stand-in for the W&B server: the part of its HTTP API that wandb 0.17 to 0.31 need.

``with WandbServer() as server:`` in a test, or ``python tests/testing/wandb_server.py [PORT]`` alone. What it answers
was measured against the real clients; to an operation that it doesn't know it answers with GraphQL errors (empty data
crashes wandb-core).
"""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ENTITY = "someone"
API_KEY = "0123456789abcdef0123456789abcdef01234567"
HISTORY = "wandb-history.jsonl"


@dataclass
class ServerRun:
    """What the server knows about one run."""

    name: str
    project: str
    entity: str
    state: str = "running"
    exit_code: int | None = None
    group: str | None = None
    job_type: str | None = None
    display_name: str | None = None
    tags: list[str] = field(default_factory=list)
    config: str = "{}"
    files: dict[str, dict[int, str]] = field(default_factory=dict)
    duplicates: int = 0  # history lines whose step had arrived before, at whatever offset
    posts: int = 0

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return the history rows in order."""
        lines = self.files.get(HISTORY, {})
        return [json.loads(lines[offset]) for offset in sorted(lines)]

    def receive(self, name: str, offset: int, lines: list[str]) -> None:
        known = self.files.setdefault(name, {})
        for position, line in enumerate(lines, offset):
            if name == HISTORY:
                steps = {row.get("_step") for row in self.history}
                self.duplicates += json.loads(line).get("_step") in steps
            known[position] = line

    def steps(self) -> list[int]:
        return [row["_step"] for row in self.history]

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code
        if self.state == "preempting":
            self.state = "preempted"
        else:
            self.state = "failed" if exit_code else "finished"

    def as_bucket(self) -> dict[str, Any]:
        def tail(name: str) -> str:
            lines = self.files.get(name, {})
            return json.dumps([lines[max(lines)]] if lines else [])

        return {
            "id": f"id-{self.name}",
            "name": self.name,
            "displayName": self.display_name or self.name,
            "description": "",
            "notes": "",
            "sweepName": None,
            "state": self.state,
            "config": self.config,
            "wandbConfig": '{"t": 1}',
            "tags": self.tags,
            "summaryMetrics": self.files.get("wandb-summary.json", {}).get(0, "{}"),
            "project": {
                "id": "project-id",
                "name": self.project,
                "entity": {"id": "entity-id", "name": self.entity},
                "organization": None,
            },
            "historyLineCount": len(self.files.get(HISTORY, {})),
            "eventsLineCount": len(self.files.get("wandb-events.jsonl", {})),
            "logLineCount": len(self.files.get("output.log", {})),
            "historyTail": tail(HISTORY),
            "eventsTail": tail("wandb-events.jsonl"),
        }


class WandbServer:
    """The server and what it has received.

    ``fault``: None, "hang" (never answers), "hang uploads" (answers all but file_stream) or "unavailable" (503).
    """

    def __init__(self, port: int = 0, *, api_key: str = API_KEY) -> None:
        self.runs: dict[str, ServerRun] = {}
        self.operations: list[str] = []  # "UpsertBucket", "file_stream", … as they came
        self.uploaded: list[str] = []
        self.refused = 0
        self.api_key = api_key
        self.fault: str | None = None
        self.lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _HttpServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> WandbServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Go down: further connections are refused."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def environment(self) -> dict[str, str]:
        """Return the variables that point a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": API_KEY}

    def only_run(self) -> ServerRun:
        """Return the one run that the server knows."""
        (run,) = self.runs.values()
        return run

    def wait_while_hanging(self, path: str) -> None:
        faults = ("hang", "hang uploads") if path.startswith("/files/") else ("hang",)
        while self.fault in faults and not self._closing.wait(0.02):
            pass

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = found[1] if found else "?"
        with self.lock:
            self.operations.append(operation)
            answer = getattr(self, f"_{operation}", None)
            if answer is None:
                return {"errors": [{"message": f"the stand-in does not know the operation {operation}"}], "data": None}
            return {"data": answer(variables, query)}

    def file_stream(self, entity: str, project: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.operations.append("file_stream")
            run = self.runs.setdefault(name, ServerRun(name, project, entity))
            run.posts += 1
            if run.state in ("finished", "failed", "preempted", "crashed") and not body.get("complete"):
                run.state = "running"
            for file_name, chunk in (body.get("files") or {}).items():
                run.receive(file_name, chunk.get("offset", 0), chunk["content"])
            if body.get("preempting"):
                run.state = "preempting"
            if body.get("complete"):
                run.finish(body.get("exitcode") or 0)
        return {"exitcode": None, "limits": {}}

    def _UpsertBucket(self, variables: dict[str, Any], _query: str) -> dict[str, Any]:
        name = variables.get("name") or str(variables.get("id", "")).removeprefix("id-")
        project = variables.get("project") or "uncategorized"
        inserted = name not in self.runs
        run = self.runs.setdefault(name, ServerRun(name, project, variables.get("entity") or ENTITY))
        run.group = variables.get("groupName") or run.group
        run.job_type = variables.get("jobType") or run.job_type
        run.display_name = variables.get("displayName") or run.display_name
        run.tags = variables.get("tags") or run.tags
        run.config = variables.get("config") or run.config
        return {"upsertBucket": {"bucket": run.as_bucket(), "inserted": inserted}}

    def _RunResumeStatus(self, variables: dict[str, Any], _query: str) -> dict[str, Any]:
        run = self.runs.get(variables.get("name", ""))
        return {
            "model": {
                "id": "project-id",
                "name": variables.get("project"),
                "entity": {"id": "entity-id", "name": variables.get("entity") or ENTITY},
                "bucket": run.as_bucket() if run else None,
            }
        }

    def _CreateRunFiles(self, variables: dict[str, Any], _query: str) -> dict[str, Any]:
        run = variables["run"]
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{run}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": f"id-{run}", "uploadHeaders": [], "files": files}}

    def _RunUploadUrls(self, variables: dict[str, Any], _query: str) -> dict[str, Any]:
        run = variables["run"]
        nodes = [{"name": name, "url": f"{self.url}/storage/{run}/{name}"} for name in variables["files"]]
        files = {"uploadHeaders": [], "edges": [{"node": {**node, "updatedAt": None}} for node in nodes]}
        return {"model": {"bucket": {"id": f"id-{run}", "files": files}}}

    def _Viewer(self, _variables: dict[str, Any], _query: str) -> dict[str, Any]:
        viewer = {
            "id": "viewer-id",
            "entity": ENTITY,
            "username": ENTITY,
            "email": "someone@example.org",
            "flags": "{}",
            "admin": False,
            "teams": {"edges": [{"node": {"name": ENTITY}}]},
        }
        return {"viewer": viewer}

    _GetDefaultEntity = _Viewer

    def _ProbeServerCapabilities(self, _variables: dict[str, Any], _query: str) -> dict[str, Any]:
        nothing: dict[str, Any] = {"fields": []}
        return {"QueryType": nothing, "MutationType": nothing, "ServerInfoType": nothing}

    def _ProbeServerSettings(self, _variables: dict[str, Any], _query: str) -> dict[str, Any]:
        return {"ServerSettingsType": {"fields": []}}

    def _RunStoppedStatus(self, _variables: dict[str, Any], _query: str) -> dict[str, Any]:
        return {"project": {"run": {"stopped": False}}}

    def _ServerFeaturesQuery(self, _variables: dict[str, Any], _query: str) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    expected = "Basic " + base64.b64encode(f"api:{server.api_key}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _received(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            received = self._received()
            server.wait_while_hanging(self.path)
            if server.fault == "unavailable":
                self._answer(503, {"error": "unavailable"})
                return
            if self.headers.get("Authorization") != expected:
                server.refused += 1
                self._answer(401, {"errors": [{"message": "user is not logged in"}]})
                return
            body = json.loads(received)
            if stream := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", self.path):
                entity, project, name = map(unquote, stream.groups())
                self._answer(200, server.file_stream(entity, project, name, body))
            elif self.path == "/graphql":
                self._answer(200, server.graphql(body["query"], body.get("variables") or {}))
            else:
                self._answer(404, {"error": self.path})

        def do_PUT(self) -> None:
            self._received()
            server.uploaded.append(self.path)
            self._answer(200, {})

        def do_GET(self) -> None:
            server.wait_while_hanging(self.path)
            self._answer(503 if server.fault == "unavailable" else 404, {"error": self.path})

    return Handler


if __name__ == "__main__":
    with WandbServer(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as alone:
        print(f"export WANDB_BASE_URL={alone.url} WANDB_API_KEY={API_KEY}", flush=True)
        shown = ""
        while True:
            time.sleep(0.5)
            summary = "\n".join(
                f"{run.name} {run.state} exit={run.exit_code} history={len(run.history)} twice={run.duplicates}"
                for run in list(alone.runs.values())
            )
            if summary != shown:
                shown = summary
                print(summary, flush=True)
