"""The processes of the services, and the preparations before they start."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, RELAY_OFFSET, SERVICES, WORKER_OFFSET, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import PROJECT
from shared.postgres import make_roles
from shared.postgres import migrate as apply_migrations

# Every service has an HTTP process; these also have a worker for work that takes longer than a request.
WORKERS = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine", "analytics")
RELAYS = ("sync",)

_LOW_PRIORITY = frozenset(f"{service}-worker" for service in WORKERS if service != "recommender")
"""Processes that may catch up later while requests need the processor. The recommender's worker follows each
click, so it has the priority of requests."""
_NICE = ("nice", "-n", "10")

# The engine first: the other services read its views.
_MIGRATION_ORDER = (
    *("engine", "tracker", "sync", "trainer", "loader", "recommender", "router", "analytics", "dashboard"),
)

UI = frozenset({"dashboard", "shop"})
"""The parts for people's eyes, which `make run UI=0` leaves out."""

_STOP_SECONDS = 8
_MODULE_SECONDS = 300


def programs(*, ui: bool = True, low_priority_workers: bool = True) -> list[Program]:
    """Return all processes of the services, in the order in which they are started; without `ui`, not its.

    With `low_priority_workers`, most workers have a lower scheduling priority than the others.
    """
    commands = [(service, "serve", service) for service in SERVICES]
    commands += [(service, "worker", f"{service}-worker") for service in WORKERS]
    commands += [(service, "relay", f"{service}-relay") for service in RELAYS]
    return [
        Program(
            name,
            [
                *(_NICE if low_priority_workers and name in _LOW_PRIORITY else ()),
                *(sys.executable, "-m", f"services.{service}", command),
            ],
            group="endcap",
            stop_seconds=_STOP_SECONDS,
        )
        for service, command, name in commands
        if ui or service not in UI
    ]


def probe_port(ports: Ports, name: str) -> int:
    """Return the port of a process for /livez and /readyz."""
    service, _, command = name.partition("-")
    return ports[service] + {"": 0, "worker": WORKER_OFFSET, "relay": RELAY_OFFSET}[command]


def problem(ports: Ports, name: str) -> str | None:
    """Return why the process is not ready, as its /readyz says, or None if it is."""
    port = probe_port(ports, name)
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return None if answer.status < http.client.BAD_REQUEST else _reason(answer.read())
    except (OSError, http.client.HTTPException):
        return f"it does not answer on port {port} yet"
    finally:
        connection.close()


def _reason(body: bytes) -> str:
    """Return the failing checks of a service, or the problem of the demo shop."""
    try:
        answer = json.loads(body)
        checks = answer.get("checks", {"": answer.get("problem", "ok")})
    except (ValueError, AttributeError):
        return "its answer of /readyz can't be read"
    reasons = [f"{name}: {text}".removeprefix(": ") for name, text in checks.items() if text != "ok"]
    return "; ".join(reasons) or "it says no reason"


def create_roles(environment: Mapping[str, str], log: Path) -> None:
    """Create a login role for each service, as `python -m shared.postgres roles` does."""
    urls = [url for name, url in sorted(environment.items()) if name.endswith("_DATABASE_URL")]
    created = _run_in_thread("creating the roles", make_roles(environment["DATABASE_URL"], urls))
    _append(log, f"roles: {', '.join(created)}\n")


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Migrate the schema of each service, as `python -m services.<name> migrate` does.

    It runs in this process: starting an interpreter for each took a third of the processor time of a start.
    """
    for service in _MIGRATION_ORDER:
        folder = PROJECT / "services" / service / "migrations"
        applying = apply_migrations(environment["DATABASE_URL"], service, folder)
        applied = _run_in_thread(f"migrating {service}", applying)
        _append(log, f"{service}: {', '.join(applied) or 'nothing to migrate'}\n")


def create_topics(environment: Mapping[str, str], log: Path, *, grants: bool) -> None:
    """Create all topics of the registry; with `grants`, also the permissions of the services."""
    _run_module(["shared.kafka", "topics", *(["--grants"] if grants else [])], environment, log)


def bootstrap(environment: Mapping[str, str], log: Path, keys: Path, *, policies: bool) -> None:
    """Create the tenant `default`, its event tracker, its keys, and the buckets (with `policies`, theirs)."""
    words = ["services.engine", "bootstrap", "--keys", str(keys)]
    _run_module([*words, "--bucket-policies"] if policies else words, environment, log)


def run_secret_module(words: list[str], environment: Mapping[str, str], log: Path) -> str:
    """Run `python -m …`; return the last line of its output, a secret. Raises StackError if it fails."""
    output = _run_module(words, environment, log, is_secret=True)
    return output.strip().splitlines()[-1]


def _run_module(
    words: list[str], environment: Mapping[str, str], log: Path, *, is_secret: bool = False
) -> str:
    """Run `python -m …` to its end, and append its output to the log. Raises StackError if it fails.

    A secret output is not written, unless the command fails and so has no result.
    """
    command = f"python -m {' '.join(words)}"
    try:
        process = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_MODULE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"`{command}` did not end within {_MODULE_SECONDS} s") from error
    shown = "" if is_secret and process.returncode == 0 else process.stdout
    _append(log, f"--- {command}\n{shown}")
    if process.returncode != 0:
        output = process.stdout.strip().splitlines()[-12:]
        raise StackError("\n".join([f"`{command}` failed (also in {log}):", *output]))
    return process.stdout


def _run_in_thread(action: str, work: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Run a coroutine in a thread, since the caller may be inside an event loop. Raises StackError."""
    with ThreadPoolExecutor(1) as executor:
        try:
            return executor.submit(asyncio.run, work).result()
        except (OSError, asyncpg.PostgresError, RuntimeError, ValueError) as error:
            raise StackError(f"{action} failed: {error}") from error


def _append(log: Path, text: str) -> None:
    log.touch(mode=0o600)
    with log.open("a") as output:
        output.write(text)
