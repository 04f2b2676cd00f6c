"""Loads a shop into the running product, and waits until its recommendations are served."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
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
_POLL_SECONDS = 0.5

_FILE_NAME = re.compile(rf"({'|'.join(FILES)}).*\.csv(\.gz)?")


def load(stack: Stack, data: Path | None) -> None:
    """Import a shop's files (the generated shop without), wait until it is trained and loaded."""
    files = list(_files_of(stack, data))
    with _client(stack) as client:
        generation = _newest_generation(client, stack)
        imports = [_import(client, stack, kind, path) for kind, path in files]
        if not any(imports):
            stack.say("everything in these files was imported before; nothing to train")
            return
        _wait_for_generation(client, stack, after=generation)


def shop_is_empty(stack: Stack) -> bool:
    """Whether nothing was imported yet."""
    with _client(stack) as client:
        return not _get(client, _url(stack, "sync", "/v1/imports"))["imports"]


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


def _import(client: httpx.Client, stack: Stack, kind: str, path: Path) -> int:
    """Send one file and follow it until its rows are on Kafka; gives the number of new rows."""
    megabytes = path.stat().st_size / 1e6
    stack.say(f"importing {path.name} ({megabytes:.1f} MB) as {kind}")
    with path.open("rb") as file:
        answer = client.post(
            _url(stack, "sync", "/v1/imports"),
            data={"kind": kind},
            files={"file": (path.name, file, "text/csv")},
        )
    if answer.is_error:
        raise StackError(f"{path.name} was refused ({answer.status_code}): {answer.text}")
    address = _url(stack, "sync", f"/v1/imports/{answer.json()['id']}")
    done = _until(stack, lambda: _get(client, address), _import_progress, _IMPORT_SECONDS)
    if done["status"] == "failed":
        raise StackError(f"{path.name} could not be imported: {done['error']}")
    stack.say(f"{path.name}: {_account(done)}")
    return len(done["changes"])


def _import_progress(known: dict[str, Any]) -> tuple[bool, str]:
    """An import has ended when its rows are on Kafka, too."""
    ended = known["status"] == "failed" or (known["status"] == "done" and known["relayed"])
    tenth = int(10 * known["progress"]) * 10
    return ended, f"{known['step']}: {tenth} %" if known["status"] != "done" else "publishing"


def _account(known: dict[str, Any]) -> str:
    counts = (
        ("taken", known["rows"]["accepted"]),
        ("known before", known["rows"]["duplicate"]),
        ("rejected", known["rows"]["rejected"]),
    )
    return ", ".join(f"{count:,} rows {what}" for what, count in counts if count) or "no rows"


def _wait_for_generation(client: httpx.Client, stack: Stack, *, after: int) -> None:
    begin = time.monotonic()
    runs = _url(stack, "trainer", "/v1/runs")
    run = _until(
        stack,
        lambda: _newest_run(client, runs, after),
        _run_progress,
        _TRAINING_SECONDS,
    )
    if run["status"] == "failed":
        raise StackError(f"training run {run['id']} failed: {run['error']}")
    if not _wait(lambda: _newest_generation(client, stack) >= run["id"], 120):
        raise StackError(f"generation {run['id']} was trained, but is not loaded: make logs S=loader")
    stack.say(f"generation {run['id']} is served, {time.monotonic() - begin:.1f} s after the import")


def _newest_run(client: httpx.Client, address: str, after: int) -> dict[str, Any]:
    runs = [run for run in _get(client, address)["runs"] if run["id"] > after]
    return runs[0] if runs else {"status": "requested", "steps": []}


def _run_progress(run: dict[str, Any]) -> tuple[bool, str]:
    steps = [step["name"] for step in run["steps"] if step["status"] == "running"]
    return run["status"] in {"succeeded", "failed"}, f"training: {', '.join(steps) or run['status']}"


def _newest_generation(client: httpx.Client, stack: Stack) -> int:
    known = _get(client, _url(stack, "loader", "/v1/generations"))["generations"]
    return max((entry["generation"] for entry in known if entry["active"]), default=0)


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


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _client(stack: Stack) -> httpx.Client:
    headers = {"x-api-key": stack.keys()["admin"]}
    # A proxy of the shell is for other hosts.
    return httpx.Client(headers=headers, timeout=60, trust_env=False)


def _get(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = client.get(url)
    if answer.is_error:
        raise StackError(f"GET {url} answered {answer.status_code}: {answer.text}")
    return dict(answer.json())


def _url(stack: Stack, service: str, path: str) -> str:
    return f"http://{LOOPBACK}:{stack.ports[service]}{path}"
