"""The seven services as processes, and what has to be done before they start."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK, RELAY_OFFSET, SERVICES, WORKER_OFFSET, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import PROJECT

# Every service answers HTTP; these have a process beside it for work longer than a request.
WORKERS = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine")
RELAYS = ("sync",)

# The engine's tables first: the other services read its views.
_MIGRATION_ORDER = ("engine", "tracker", "sync", "trainer", "loader", "recommender", "router")

_STOP_SECONDS = 8


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
    """Bring the schema of each service that has one up to date."""
    for service in _MIGRATION_ORDER:
        if (PROJECT / "services" / service / "migrations").is_dir():
            _once([f"services.{service}", "migrate"], environment, log)


def create_topics(environment: Mapping[str, str], log: Path) -> None:
    """Every topic of the registry, with its partitions and its retention."""
    _once(["shared.kafka", "topics"], environment, log)


def bootstrap(environment: Mapping[str, str], log: Path, keys: Path) -> None:
    """The tenant `default`, its event tracker, the buckets, and the keys at the first time."""
    _once(["services.engine", "bootstrap", "--keys", str(keys)], environment, log)


def _once(words: list[str], environment: Mapping[str, str], log: Path) -> None:
    with log.open("a") as output:
        output.write(f"--- python -m {' '.join(words)}\n")
        output.flush()
        begin = output.tell()
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
    if done.returncode != 0:
        said = log.read_text()[begin:].strip().splitlines()[-12:]
        msg = "\n".join([f"`python -m {' '.join(words)}` failed (whole log: {log}):", *said])
        raise StackError(msg)
