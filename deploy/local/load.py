"""Loads a shop into the running product, and waits until its recommendations are served."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.shop import FILES, write_shop
from deploy.local.stack import Stack

# A real shop of half a million order lines takes about a minute for each of the two.
_IMPORT_SECONDS = 1_200
_TRAINING_SECONDS = 1_800
_LOADING_SECONDS = 300
_POLL_SECONDS = 0.5

_FILE_NAME = re.compile(rf"({'|'.join(FILES)}).*\.csv(\.gz)?")


def load(stack: Stack, data: Path | None) -> None:
    """Import a shop's files (the generated shop without), wait until it is trained and loaded."""
    files = list(_files_of(stack, data))
    with _client(stack) as client:
        sent = [(path, _send(client, stack, kind, path)) for kind, path in files]
        ends = [_follow(client, stack, path, identity) for path, identity in sent]
        changed = [end for end in ends if end]
        if not changed:
            stack.say("all of this was imported before")
        since = max(changed, default=_begin_of_unfinished_run(client, stack))
        if since:
            _wait_for_training(client, stack, since=since)


def load_sample(stack: Stack) -> None:
    """Load the generated shop into an empty one; an interrupted load goes on at the next start."""
    begun = stack.root / "data" / "sample-shop-begun"
    with _client(stack) as client:
        is_empty = not _get(client, _url(stack, "sync", "/v1/imports"))["imports"]
    if is_empty:
        begun.touch()
    if begun.exists():
        load(stack, None)
        begun.unlink()


def _files_of(stack: Stack, data: Path | None) -> Iterator[tuple[str, Path]]:
    if data is None:
        stack.say("making the sample shop")
        folder = write_shop(stack.root / "shop")
        yield from ((kind, folder / f"{kind}.csv") for kind in FILES)
    elif data.is_file():
        known = _FILE_NAME.fullmatch(data.name)
        yield (known[1] if known else "orders"), data
    elif data.is_dir():
        yield from _files_in(data)
    else:
        raise StackError(f"DATA={data}: there is no such file or folder")


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    found = [
        (kind, path)
        for kind in FILES
        for path in sorted(folder.glob(f"{kind}*"))
        if _FILE_NAME.fullmatch(path.name)
    ]
    if not found:
        names = ", ".join(f"{kind}*.csv" for kind in FILES)
        raise StackError(f"DATA={folder}: there is none of {names} (or the same with .gz) in it")
    yield from found


def _send(client: httpx.Client, stack: Stack, kind: str, path: Path) -> str:
    """Send one file; gives the id of its import."""
    megabytes = path.stat().st_size / 1e6
    stack.say(f"sending {path.name} ({megabytes:.1f} MB) as {kind}")
    with path.open("rb") as file:
        answer = client.post(
            _url(stack, "sync", "/v1/imports"),
            data={"kind": kind},
            files={"file": (path.name, file, "text/csv")},
        )
    if answer.is_error:
        raise StackError(f"{path.name} was refused ({answer.status_code}): {answer.text}")
    return str(answer.json()["id"])


def _follow(client: httpx.Client, stack: Stack, path: Path, identity: str) -> str:
    """Wait until what a file says is on Kafka; gives the time of its end if it said anything new."""
    address = _url(stack, "sync", f"/v1/imports/{identity}")
    done = _until(
        stack,
        lambda: _get(client, address),
        lambda known: _import_progress(path.name, known),
        _IMPORT_SECONDS,
    )
    if done["status"] == "failed":
        raise StackError(f"{path.name} could not be imported: {done['error']}")
    stack.say(f"{path.name}: {_account(done)}")
    return str(done["finished_at"]) if done["changes"] else ""


def _import_progress(name: str, known: dict[str, Any]) -> tuple[bool, str]:
    """An import has ended when its rows are on Kafka, too."""
    if known["status"] == "done":
        return known["relayed"], f"{name}: publishing"
    quarter = int(4 * known["progress"]) * 25
    return known["status"] == "failed", f"{name}: {quarter} %"


def _account(known: dict[str, Any]) -> str:
    counts = (
        ("taken", known["rows"]["accepted"]),
        ("known before", known["rows"]["duplicate"]),
        ("rejected", known["rows"]["rejected"]),
    )
    return ", ".join(f"{count:,} rows {what}" for what, count in counts if count) or "no rows"


def _wait_for_training(client: httpx.Client, stack: Stack, *, since: str) -> None:
    """Wait for the run that began after the imports, and so has seen all of them."""
    begin = time.monotonic()
    address = _url(stack, "trainer", "/v1/runs")
    run = _until(stack, lambda: _run_since(client, address, since), _run_progress, _TRAINING_SECONDS)
    if run["status"] == "failed":
        raise StackError(f"training run {run['run']} failed: {run['error']}")
    generation = _url(stack, "loader", f"/v1/generations/{run['run']}")
    loaded = _until(stack, lambda: _generation(client, generation), _generation_progress, _LOADING_SECONDS)
    if not loaded["active"]:
        raise StackError(f"generation {run['run']} is not served: {loaded['reason']}")
    seconds = time.monotonic() - begin
    stack.say(f"generation {run['run']} is served, {seconds:.1f} s after the imports")


def _begin_of_unfinished_run(client: httpx.Client, stack: Stack) -> str:
    """When the newest run was asked for, if it is still to be done: after an interrupted load."""
    runs = _get(client, _url(stack, "trainer", "/v1/runs"))["runs"]
    unfinished = [run for run in runs if run["status"] in {"queued", "running"}]
    return str(unfinished[0]["created_at"]) if unfinished else ""


def _run_since(client: httpx.Client, address: str, since: str) -> dict[str, Any]:
    """The oldest run that has begun since, else the one that waits."""
    moment = datetime.fromisoformat(since)
    runs = sorted(_get(client, address)["runs"], key=lambda run: int(run["run"]))
    for run in runs:
        if not run["started_at"] or datetime.fromisoformat(run["started_at"]) > moment:
            return dict(run)
    return {"status": "requested", "steps": []}


def _run_progress(run: dict[str, Any]) -> tuple[bool, str]:
    steps = [step["name"] for step in run["steps"] if step["status"] == "running"]
    text = f"training: {', '.join(steps) or run['status']}"
    return run["status"] in {"completed", "failed"}, text


def _generation_progress(known: dict[str, Any]) -> tuple[bool, str]:
    text = f"loading: {known['status']}"
    return known["active"] or known["status"] in {"refused", "failed"}, text


def _until(
    stack: Stack,
    ask: Callable[[], dict[str, Any]],
    progress: Callable[[dict[str, Any]], tuple[bool, str]],
    seconds: float,
) -> dict[str, Any]:
    """Ask until it has ended, and say each new word of progress."""
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        known = ask()
        ended, text = progress(known)
        if ended:
            return known
        if text != said:
            stack.say(text)
            said = text
        if time.monotonic() > deadline:
            raise StackError(f"not done after {seconds:.0f} s ({text}); see `make status`")
        time.sleep(_POLL_SECONDS)


def _client(stack: Stack) -> httpx.Client:
    headers = {"x-api-key": stack.keys()["admin"]}
    # A proxy of the shell is for other hosts.
    return httpx.Client(headers=headers, timeout=60, trust_env=False)


def _generation(client: httpx.Client, url: str) -> dict[str, Any]:
    """A generation; one that the loader has not heard of yet is expected."""
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
