"""Memory of the tracker under 1,000 connections that send without end, slowly or nothing.

Each behaviour runs against a tracker of its own. A well-behaved client sends an event every 50 ms meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import httpx

from deploy.local import product
from deploy.local.components import postgres
from tests.load.figures import Figure
from tests.support.processes import process
from tests.support.slow_clients import BEHAVIOURS, Target, attack, resident_mib
from tests.support.stack import Components, Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, make_tenant

LIMIT_MIB = 100.0
"""1,000 idle connections cost about 10 MiB; a request that is being read may hold 64 KiB."""


@dataclass(frozen=True)
class Size:
    """The number of connections of each behaviour, and the duration."""

    connections: int
    seconds: float
    behaviours: Sequence[str]


FULL = Size(connections=1_000, seconds=20.0, behaviours=tuple(BEHAVIOURS))


def run() -> list[Figure]:
    """Measure over components of its own."""
    os.environ.setdefault("JDK_JAVA_OPTIONS", "")
    with tempfile.TemporaryDirectory(prefix="endcap-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        components = Components.below(Path(folder))
        try:
            stack = components.start("kafka", "postgres")
            stack.create_topics()
            postgres.create_database(stack.postgres_admin, "endcap")
            product.create_roles(stack.environment, stack.preparation_log)
            product.migrate(stack.environment, stack.preparation_log)
            database = Database(stack.environment["DATABASE_URL"], stack.secrets.roles)
            key = asyncio.run(make_tenant(database, "bench")).ingest
            environment = {
                **stack.environment,
                "ENDCAP_SECRET_KEY": SECRET_KEY,
                "ENDCAP_SERVICE_KEY": SERVICE_KEY,
                "LOG_LEVEL": "ERROR",
            }
            return measure(environment, key, Path(folder), FULL)
        finally:
            components.stop()


def measure(environment: Mapping[str, str], key: str, folder: Path, size: Size) -> list[Figure]:
    """Measure each kind of client. `key` is an ingest key of a tenant."""
    with ProcessPoolExecutor(1, get_context("spawn")) as clients:
        return [_measured(name, environment, key, folder, clients, size) for name in size.behaviours]


def _measured(
    name: str,
    environment: Mapping[str, str],
    key: str,
    folder: Path,
    clients: ProcessPoolExecutor,
    size: Size,
) -> Figure:
    with process("tracker", "serve", environment, folder) as tracker:
        target = Target(tracker.url, key)
        _post(tracker.url, key, 200)
        before = resident_mib(tracker.popen.pid)
        attacking = clients.submit(attack, target, [name], size.connections, size.seconds)
        with _well_behaved_client(tracker.url, key) as results:
            peak = before
            while not attacking.done():
                peak = max(peak, resident_mib(tracker.popen.pid))
                time.sleep(0.1)
        outcome = attacking.result()[name]
        time.sleep(size.seconds / 10)
        after = resident_mib(tracker.popen.pid)
    statuses = ", ".join(f"{count} × {status}" for status, count in sorted(outcome.statuses.items()))
    reference = (
        f"{before:.0f} MiB before, {after:.0f} after; {outcome.opened} opened, {outcome.closed} closed "
        f"by the tracker{', ' if statuses else ''}{statuses}; well-behaved client: {results.accepted} "
        f"accepted, {results.failed} failed, "
        f"{results.worst * 1000:.0f} ms at worst"
    )
    return Figure(
        f"{size.connections} connections, {name}", peak - before, "MiB more", reference, "", LIMIT_MIB
    )


@dataclass
class ClientResults:
    """The results of a well-behaved client."""

    accepted: int = 0
    failed: int = 0
    worst: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def _well_behaved_client(url: str, key: str) -> Iterator[ClientResults]:
    results = ClientResults()

    def send() -> None:
        while not results.stop.wait(0.05):
            began = time.monotonic()
            try:
                accepted = _post(url, key, 1)
            except httpx.HTTPError:
                accepted = False
            results.accepted += accepted
            results.failed += not accepted
            results.worst = max(results.worst, time.monotonic() - began)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield results
    finally:
        results.stop.set()
        sending.join()


def _post(url: str, key: str, times: int) -> bool:
    event = {"user_id": "u", "event_type": "view", "item_id": "i"}
    with httpx.Client(headers={"x-api-key": key}, timeout=10) as http:
        return all(http.post(f"{url}/v1/events", json=event).status_code == 200 for _ in range(times))
