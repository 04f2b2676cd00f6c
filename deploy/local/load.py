"""Load a shop into the running stack, and wait until its recommendations are served."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.shop import FILES, write_shop
from deploy.local.stack import Stack

# A shop with half a million order lines takes about a minute for each of the first two.
_IMPORT_SECONDS = 1_200
_TRAINING_SECONDS = 1_800
_LOADING_SECONDS = 300
_POLL_SECONDS = 0.5

_FILE_NAME = re.compile(rf"({'|'.join(FILES)}).*\.csv(\.gz)?")


def load(stack: Stack, data: Path | None) -> None:
    """Import a shop's files (default: the sample shop), and wait until they are served. Raises StackError."""
    files = list(_files_of(stack, data))
    with _client(stack) as client:
        imports = [(path, _post(client, stack, kind, path)) for kind, path in files]
        finished = [_wait_for_import(client, stack, path, identity) for path, identity in imports]
        changed = [finished_at for finished_at in finished if finished_at]
        if not changed:
            stack.report("all of these files were imported before")
        since = max(changed, default=_creation_of_unfinished_run(client, stack))
        if since:
            _wait_for_training(client, stack, since=since)


def load_sample(stack: Stack) -> None:
    """Load the sample shop if there is no data; an interrupted load continues at the next start."""
    marker = stack.root / "data" / "sample-shop-begun"
    with _client(stack) as client:
        is_empty = not _get(client, _url(stack, "sync", "/v1/imports"))["imports"]
    if is_empty:
        marker.touch()
    if marker.exists():
        load(stack, None)
        marker.unlink()


def _files_of(stack: Stack, data: Path | None) -> Iterator[tuple[str, Path]]:
    if data is None:
        folder = stack.root / "shop"
        if not all((folder / f"{kind}.csv").exists() for kind in FILES):
            stack.report("generating the sample shop")
            write_shop(folder)
        yield from ((kind, folder / f"{kind}.csv") for kind in FILES)
    elif data.is_file():
        match = _FILE_NAME.fullmatch(data.name)
        yield (match[1] if match else "orders"), data
    elif data.is_dir():
        yield from _files_in(data)
    else:
        raise StackError(f"DATA={data}: there is no such file or folder")


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    files = [
        (kind, path)
        for kind in FILES
        for path in sorted(folder.glob(f"{kind}*"))
        if _FILE_NAME.fullmatch(path.name)
    ]
    if not files:
        names = ", ".join(f"{kind}*.csv" for kind in FILES)
        raise StackError(f"DATA={folder}: the folder has none of {names} (or the same with .gz)")
    yield from files


def _post(client: httpx.Client, stack: Stack, kind: str, path: Path) -> str:
    """Post a file; return the id of its import. Raises StackError."""
    megabytes = path.stat().st_size / 1e6
    stack.report(f"posting {path.name} ({megabytes:.1f} MB) as {kind}")
    with path.open("rb") as file:
        answer = client.post(
            _url(stack, "sync", "/v1/imports"),
            data={"kind": kind},
            files={"file": (path.name, file, "text/csv")},
        )
    if answer.is_error:
        raise StackError(f"{path.name} was rejected ({answer.status_code}): {answer.text}")
    return str(answer.json()["id"])


def _wait_for_import(client: httpx.Client, stack: Stack, path: Path, identity: str) -> str:
    """Wait until Kafka has the events of an import; return when it ended, or "" if it changed nothing."""
    address = _url(stack, "sync", f"/v1/imports/{identity}")
    report = _poll(
        stack,
        lambda: _get(client, address),
        lambda report: _import_progress(path.name, report),
        _IMPORT_SECONDS,
    )
    if report["status"] == "failed":
        raise StackError(f"{path.name} could not be imported: {report['error']}")
    stack.report(f"{path.name}: {_row_counts(report)}")
    return str(report["finished_at"]) if report["changes"] else ""


def _import_progress(name: str, report: dict[str, Any]) -> tuple[bool, str]:
    """Return whether an import has ended and its events are on Kafka, and a text."""
    if report["status"] == "done":
        return report["relayed"], f"{name}: publishing"
    quarter = int(4 * report["progress"]) * 25
    return report["status"] == "failed", f"{name}: {quarter} %"


def _row_counts(report: dict[str, Any]) -> str:
    outcomes = ("accepted", "duplicate", "rejected")
    counts = [(outcome, report["rows"][outcome]) for outcome in outcomes]
    return ", ".join(f"{count:,} rows {outcome}" for outcome, count in counts if count) or "no rows"


def _wait_for_training(client: httpx.Client, stack: Stack, *, since: str) -> None:
    """Wait until a training that started after the imports is served. Raises StackError."""
    started = time.monotonic()
    address = _url(stack, "trainer", "/v1/runs")
    run = _poll(stack, lambda: _run_since(client, address, since), _run_progress, _TRAINING_SECONDS)
    if run["status"] == "failed":
        raise StackError(f"training run {run['run']} failed: {run['error']}")
    generation = _url(stack, "loader", f"/v1/generations/{run['run']}")
    loaded = _poll(stack, lambda: _generation(client, generation), _generation_progress, _LOADING_SECONDS)
    if not loaded["active"]:
        raise StackError(f"generation {run['run']} is not served: {loaded['reason']}")
    seconds = time.monotonic() - started
    stack.report(f"generation {run['run']} is served, {seconds:.1f} s after the imports")


def _creation_of_unfinished_run(client: httpx.Client, stack: Stack) -> str:
    """Return when the newest unfinished run was created, which an interrupted load leaves, or ""."""
    runs = _get(client, _url(stack, "trainer", "/v1/runs"))["runs"]
    unfinished = [run for run in runs if run["status"] in {"queued", "running"}]
    return str(unfinished[0]["created_at"]) if unfinished else ""


def _run_since(client: httpx.Client, address: str, since: str) -> dict[str, Any]:
    """Return the oldest run that started after `since` or is queued."""
    since_time = datetime.fromisoformat(since)
    runs = sorted(_get(client, address)["runs"], key=lambda run: int(run["run"]))
    for run in runs:
        if not run["started_at"] or datetime.fromisoformat(run["started_at"]) > since_time:
            return dict(run)
    return {"status": "requested", "steps": []}


def _run_progress(run: dict[str, Any]) -> tuple[bool, str]:
    steps = [step["name"] for step in run["steps"] if step["status"] == "running"]
    text = f"training: {', '.join(steps) or run['status']}"
    return run["status"] in {"completed", "failed"}, text


def _generation_progress(generation: dict[str, Any]) -> tuple[bool, str]:
    text = f"loading: {generation['status']}"
    return generation["active"] or generation["status"] in {"refused", "failed"}, text


def _poll(
    stack: Stack,
    get: Callable[[], dict[str, Any]],
    progress: Callable[[dict[str, Any]], tuple[bool, str]],
    seconds: float,
) -> dict[str, Any]:
    """Return the document once it has ended; report changes of its progress. Raises StackError."""
    deadline = time.monotonic() + seconds
    last_text = ""
    while True:
        document = get()
        has_ended, text = progress(document)
        if has_ended:
            return document
        if text != last_text:
            stack.report(text)
            last_text = text
        if time.monotonic() > deadline:
            raise StackError(f"not done after {seconds:.0f} s ({text}); see `make status`")
        time.sleep(_POLL_SECONDS)


def _client(stack: Stack) -> httpx.Client:
    headers = {"x-api-key": stack.keys()["admin"]}
    # Do not use a proxy that the environment sets.
    return httpx.Client(headers=headers, timeout=60, trust_env=False)


def _generation(client: httpx.Client, url: str) -> dict[str, Any]:
    """Return a generation; its status is `expected` if the loader does not know it yet."""
    answer = client.get(url)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {"status": "expected", "active": False, "reason": None}
    return _get(client, url)


def _get(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = client.get(url)
    if answer.is_error:
        raise StackError(f"GET {url} answered {answer.status_code}: {answer.text}")
    return dict(answer.json())


def _url(stack: Stack, service: str, path: str) -> str:
    return f"http://{LOOPBACK}:{stack.ports[service]}{path}"
