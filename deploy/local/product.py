"""The seven services as processes, and what has to be done before they start."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK, RELAY_OFFSET, SERVICES, WORKER_OFFSET, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import PROJECT
from shared.postgres import make_roles
from shared.postgres import migrate as apply_migrations

# Every service answers HTTP; these have a process beside it for work longer than a request.
WORKERS = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine")
RELAYS = ("sync",)

# The engine's tables first: the other services read its views.
_MIGRATION_ORDER = ("engine", "tracker", "sync", "trainer", "loader", "recommender", "router")

_STOP_SECONDS = 8
_ONCE_SECONDS = 300


def programs() -> list[Program]:
    """Every process of the product, in the order of their start."""
    commands = [(service, "serve", service) for service in SERVICES]
    commands += [(service, "worker", f"{service}-worker") for service in WORKERS]
    commands += [(service, "relay", f"{service}-relay") for service in RELAYS]
    return [
        Program(
            name,
            [sys.executable, "-m", f"services.{service}", command],
            group="endcap",
            stop_seconds=_STOP_SECONDS,
        )
        for service, command, name in commands
    ]


def probe_port(ports: Ports, name: str) -> int:
    """The port on which a process answers /livez and /readyz."""
    service, _, command = name.partition("-")
    return ports[service] + {"": 0, "worker": WORKER_OFFSET, "relay": RELAY_OFFSET}[command]


def is_ready(ports: Ports, name: str) -> bool:
    """Whether the process says that it can do its work."""
    connection = http.client.HTTPConnection(LOOPBACK, probe_port(ports, name), timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status < http.client.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def create_roles(environment: Mapping[str, str], log: Path) -> None:
    """One login role per service, as `python -m shared.postgres roles` does."""
    urls = [url for name, url in sorted(environment.items()) if name.endswith("_DATABASE_URL")]
    made = _in_database("making the roles", make_roles(environment["DATABASE_URL"], urls))
    _note(log, f"roles: {', '.join(made)}\n")


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Bring the schema of each service up to date, as `python -m services.<name> migrate` does.

    All in this process: a third of a start's processor time went into interpreters for it.
    """
    for service in _MIGRATION_ORDER:
        folder = PROJECT / "services" / service / "migrations"
        applying = apply_migrations(environment["DATABASE_URL"], service, folder)
        applied = _in_database(f"migrating {service}", applying)
        _note(log, f"{service}: {', '.join(applied) or 'nothing to migrate'}\n")


def create_topics(environment: Mapping[str, str], log: Path, *, grants: bool) -> None:
    """Every topic of the registry, with its partitions, its retention and (`grants`) who may do what."""
    _once(["shared.kafka", "topics", *(["--grants"] if grants else [])], environment, log)


def bootstrap(environment: Mapping[str, str], log: Path, keys: Path, *, policies: bool) -> None:
    """The tenant `default`, its event tracker, the buckets with (`policies`) theirs, and the keys."""
    words = ["services.engine", "bootstrap", "--keys", str(keys)]
    _once([*words, "--bucket-policies"] if policies else words, environment, log)


def _once(words: list[str], environment: Mapping[str, str], log: Path) -> None:
    command = f"python -m {' '.join(words)}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_ONCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"`{command}` did not end within {_ONCE_SECONDS} s") from error
    _note(log, f"--- {command}\n{done.stdout}")
    if done.returncode != 0:
        said = done.stdout.strip().splitlines()[-12:]
        raise StackError("\n".join([f"`{command}` failed (also in {log}):", *said]))


def _in_database(what: str, work: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Run it in a thread of its own, since a caller may be inside an event loop (a test's fixture)."""
    with ThreadPoolExecutor(1) as executor:
        try:
            return executor.submit(asyncio.run, work).result()
        except (OSError, asyncpg.PostgresError, RuntimeError, ValueError) as error:
            raise StackError(f"{what} failed: {error}") from error


def _note(log: Path, text: str) -> None:
    log.touch(mode=0o600)
    with log.open("a") as output:
        output.write(text)
