"""The seven services as processes, and what has to be done before they start."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK, RELAY_OFFSET, SERVICES, WORKER_OFFSET, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import PROJECT

# Every service answers HTTP; these have a process beside it for work longer than a request.
WORKERS = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine")
RELAYS = ("sync",)

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
    """One login role per service, with the password of its address."""
    _once(["shared.postgres", "roles"], environment, log)


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Bring the schema of each service that has one up to date.

    Side by side: a lock in the database puts the migrations themselves in a row, and what starting
    an interpreter takes is spread over the processors.
    """
    services = [name for name in SERVICES if (PROJECT / "services" / name / "migrations").is_dir()]
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as executor:
        done = [
            executor.submit(_once, [f"services.{name}", "migrate"], environment, log) for name in services
        ]
        for one in done:
            one.result()


def create_topics(environment: Mapping[str, str], log: Path) -> None:
    """Every topic of the registry, with its partitions and its retention."""
    _once(["shared.kafka", "topics"], environment, log)


def bootstrap(environment: Mapping[str, str], log: Path, keys: Path) -> None:
    """The tenant `default`, its event tracker, the buckets, and the keys at the first time."""
    _once(["services.engine", "bootstrap", "--keys", str(keys)], environment, log)


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
    with log.open("a") as output:
        output.write(f"--- {command}\n{done.stdout}")
    if done.returncode != 0:
        said = done.stdout.strip().splitlines()[-12:]
        raise StackError("\n".join([f"`{command}` failed (also in {log}):", *said]))
