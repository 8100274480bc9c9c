"""The child process that talks to the W&B server, with our own wandb: the one module that imports it, and only here.

Reads a JSON list of uploads from stdin (see ``wandb_sync.Upload``) and prints one JSON line per upload to stdout.

``wandb sync`` appends a log's whole history to what the server has, so a log of which a part has arrived already (an
online run that was cut off, a sync that was cut off) would arrive twice. Such a log is uploaded as a copy without the
lines that the server has. And since wandb marks a log as synced even if the server refused it, the server is asked
for the run's state afterwards.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experimentstash.adapters.wandb import log as wandb_log
from experimentstash.adapters.wandb import log_records as wandb_records
from experimentstash.adapters.wandb.runs import WandbRun
from experimentstash.base import files

FINAL_STATES = ("finished", "failed", "preempted", "killed")
# The clients' own query when they resume a run, and its state.
QUERY = """query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    entity { name }
    bucket(name: $name, missingOk: true) { state historyLineCount historyTail eventsTail }
  }
}"""
PARALLEL = 8
# How long the server may take to show a state that it has accepted.
SETTLE = 5.0
DEFAULT_PROJECT = "uncategorized"


class Server:
    """The W&B server that wandb's own settings and credentials lead to."""

    def __init__(self, timeout: float) -> None:
        import requests
        import wandb

        self._url = str(wandb.setup().settings.base_url).rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        try:  # wandb itself goes on trying for minutes, and then blames something else
            status = self._session.get(self._url, timeout=timeout).status_code
        except requests.RequestException as error:
            problem = "no answer from" if isinstance(error, requests.Timeout) else "no connection to"
            raise ConnectionError(f"{problem} {self._url}") from error
        if status >= 500:
            raise ConnectionError(f"{self._url} answers with HTTP {status}")
        api = wandb.Api(timeout=max(1, int(timeout)))  # fails for a missing and for a wrong key
        self._session.auth = ("api", api.api_key or "")

    def run(self, entity: str | None, project: str | None, name: str) -> dict[str, Any] | None:
        """Return what the server knows about a run, with its ``entity``; None if nothing."""
        variables = {"entity": entity, "project": project or DEFAULT_PROJECT, "name": name}
        answer = self._post("/graphql", {"query": QUERY, "variables": variables})
        if answer.get("errors"):
            raise RuntimeError("; ".join(str(error.get("message")) for error in answer["errors"]))
        model = (answer.get("data") or {}).get("model") or {}
        bucket = model.get("bucket")
        return None if bucket is None else {**bucket, "entity": (model.get("entity") or {}).get("name") or entity}

    def end(self, entity: str, project: str, name: str, exit_code: int, preempting: bool) -> None:
        """Bring a run to its final state."""
        path = f"/files/{entity}/{project}/{name}/file_stream"
        if preempting:
            self._post(path, {"preempting": True})
        self._post(path, {"complete": True, "exitcode": exit_code})

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        response = self._session.post(self._url + path, json=content, timeout=self._timeout)
        response.raise_for_status()
        return response.json()


def main() -> None:
    """Do the uploads that stdin asks for."""
    request = json.load(sys.stdin)
    uploads: list[dict[str, Any]] = request["uploads"]
    try:
        server = Server(request["server_timeout"])
    except Exception as error:  # wandb's own kinds of error differ between its versions
        for upload in uploads:
            _report(upload, "failed", _first_line(error))
        return
    with tempfile.TemporaryDirectory(prefix="experimentstash-wandb-") as scratch:
        _upload_all(server, uploads, Path(scratch))


def _upload_all(server: Server, uploads: list[dict[str, Any]], scratch: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        prepared = list(pool.map(lambda job: _prepared(server, job[1], scratch / str(job[0])), enumerate(uploads)))
        waiting = {log: upload for log, upload in zip(prepared, uploads, strict=True) if log is not None}
        if waiting:
            _wandb_sync(list(waiting))
            list(pool.map(lambda log: _check(server, log, waiting[log]), waiting))


def _prepared(server: Server, upload: dict[str, Any], scratch: Path) -> Path | None:
    """Return the log to sync for this upload, None if there is nothing (more) to sync."""
    try:
        run = WandbRun(Path(upload["log"]), upload["online"])
        known = None
        if run.online or upload["interrupted"]:
            known = server.run(upload["entity"], upload["project"], upload["id"])
        if known and run.online and not upload["unfinished"] and known["state"] in FINAL_STATES:
            files.mark(run.mark)  # wandb brought it to its end itself
            _report(upload, "already")
            return None
        if upload["log_is_empty"]:
            _end_without_log(server, upload, known, run)
            return None
        step, seconds = _arrived(known) if known else (None, None)
        with open(run.log, "rb", opener=files.open_regular) as stream:
            if step is None and seconds is None and not wandb_log.is_damaged(stream):
                return run.log
        if upload["interrupted"] and _is_renumbered(run):
            return run.log
        return _rest_of(run, step, seconds, scratch)
    except Exception as error:
        _report(upload, "failed", _first_line(error))
        return None


def _end_without_log(server: Server, upload: dict[str, Any], known: dict[str, Any] | None, run: WandbRun) -> None:
    """End a run whose log was still in wandb's memory when it was killed: all we have is its name."""
    if known is None:
        where = f"{upload['entity'] or 'the default entity'}/{upload['project'] or DEFAULT_PROJECT}"
        _report(upload, "failed", f"wandb was killed before it wrote its log, and there is no such run in {where}")
        return
    if known["state"] not in FINAL_STATES:
        project = upload["project"] or DEFAULT_PROJECT
        server.end(known["entity"], project, upload["id"], upload["exit_code"], upload["preempting"])
    files.mark(run.mark)
    _report(upload, "sent")


def _arrived(known: dict[str, Any]) -> tuple[int | None, float | None]:
    """Return the last step and the last time of system metrics that the server has."""

    def last(name: str, key: str) -> Any:
        lines = json.loads(known.get(name) or "[]")
        return json.loads(lines[-1]).get(key) if lines else None

    return last("historyTail", "_step"), last("eventsTail", "_timestamp")


def _sync_state(run: WandbRun) -> Path:
    """Where wandb keeps the step that a resumed run's log starts at."""
    return run.log.with_name(run.log.name + ".syncstate")


def _is_renumbered(run: WandbRun) -> bool:
    """Whether the log's steps are counted from zero again although it continues a run on the server."""
    starting_step = json.loads(files.read_regular(_sync_state(run)) or b"{}").get("starting_step") or 0
    with open(run.log, "rb", opener=files.open_regular) as stream:
        for record in wandb_log.records(stream):
            kind, body = wandb_records.kind_and_body(record.payload)
            if kind == wandb_records.HISTORY:
                return (wandb_records.history_step(body) or 0) < int(starting_step)
    return False


def _rest_of(run: WandbRun, step: int | None, seconds: float | None, directory: Path) -> Path:
    """Make a copy of the log without the history up to ``step`` and the system metrics up to ``seconds``."""
    directory.mkdir()
    (directory / "files").symlink_to(run.log.parent.absolute() / "files")
    copy = WandbRun(directory / run.log.name, run.online)
    _sync_state(copy).write_text('{"starting_step": 0, "starting_runtime": 0}')  # its steps are the server's already

    def kept(stream: Any) -> Iterator[bytes]:
        for record in wandb_log.records(stream):
            kind, body = wandb_records.kind_and_body(record.payload)
            if kind == wandb_records.HISTORY and step is not None:
                own_step = wandb_records.history_step(body)
                if own_step is not None and own_step <= step:
                    continue
            if kind == wandb_records.STATS and seconds is not None and wandb_records.stats_time(body) <= seconds:
                continue
            yield record.payload

    with open(run.log, "rb", opener=files.open_regular) as stream:
        wandb_log.write(copy.log, kept(stream))
    return copy.log


def _wandb_sync(logs: list[Path]) -> None:
    from wandb.cli.cli import cli

    try:
        cli(["sync", "--include-online", "--include-synced", *map(str, logs)], standalone_mode=False)
    except (Exception, SystemExit) as error:
        print(_first_line(error), file=sys.stderr)


def _check(server: Server, log: Path, upload: dict[str, Any]) -> None:
    mark = WandbRun(Path(upload["log"]), upload["online"]).mark
    if not WandbRun(log, upload["online"]).is_synced:
        _report(upload, "failed", "wandb sync did not get through")
        return
    state = None
    try:
        deadline = time.monotonic() + SETTLE
        while True:
            known = server.run(upload["entity"], upload["project"], upload["id"])
            state = known["state"] if known else None
            if state in FINAL_STATES or time.monotonic() > deadline:
                break
            time.sleep(0.25)
    except Exception as error:
        mark.unlink(missing_ok=True)
        _report(upload, "failed", _first_line(error))
        return
    if state in FINAL_STATES:
        files.mark(mark)
        _report(upload, "sent")
    else:
        mark.unlink(missing_ok=True)
        _report(upload, "failed", f"the server shows the run as {state or 'missing'}")


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    key = os.environ.get("WANDB_API_KEY")
    return (text.replace(key, "***") if key else text).splitlines()[0]


def _report(upload: dict[str, Any], status: str, reason: str | None = None) -> None:
    line = json.dumps({"log": upload["log"], "status": status, "reason": reason}) + "\n"
    os.write(1, line.encode())  # at once: print's two writes would mix with those of the other threads


if __name__ == "__main__":
    main()
