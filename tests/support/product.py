"""The whole product for a test run: every service and worker, as `make run` starts them."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from deploy.local.components import postgres
from deploy.local.ports import LOOPBACK, SERVICES, Ports
from deploy.local.stack import Stack
from tests.support.folders import stack_folder
from tests.support.stack import external_addresses
from tests.support.waiting import PATIENCE, until


@dataclass(frozen=True)
class Endcap:
    """The running product. Names of processes are `tracker`, `tracker-worker`, `sync-relay`, `kafka` …"""

    stack: Stack
    urls: dict[str, str]
    keys: dict[str, str]
    environment: dict[str, str]

    def pid(self, process: str) -> int:
        """Return the id of a process."""
        return self.stack.supervisor.process(process).pid

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, SIGKILL by default; return the process id before the restart."""
        return self.stack.kill(process, number)

    def kill_and_wait(self, process: str) -> None:
        """Kill a process and wait until its successor is ready."""
        before = self.kill(process)
        until(lambda: self.pid(process) not in {0, before}, f"{process} was restarted")
        self.wait_healthy(process)

    def stop(self, process: str) -> None:
        """Stop a process, without a restart."""
        self.stack.supervisor.stop(process)

    def start(self, process: str) -> None:
        """Start a stopped process and wait until it is ready."""
        self.stack.supervisor.start(process)
        self.wait_healthy(process)

    def restart(self, process: str) -> None:
        """Stop a process gracefully, and start it again."""
        self.stop(process)
        self.start(process)

    def wait_healthy(self, *processes: str) -> None:
        """Wait until the named processes, or all of them, are ready."""
        for process in processes or [entry.name for entry in self.stack.processes()]:
            self.stack.wait_until_ready(process, seconds=PATIENCE)

    def log(self, process: str) -> str:
        """Return the log of a process so far."""
        return (self.stack.root / "logs" / f"{process}.log").read_text(errors="replace")


@contextmanager
def _own_database(external: dict[str, str]) -> Iterator[dict[str, str]]:
    """Create a database for this run, if the Postgres server is an external one."""
    address = external.get("postgres")
    if address is None:
        yield external
        return
    name = f"endcap_test_{uuid.uuid4().hex[:8]}"
    postgres.create_database(address, name)
    try:
        yield {**external, "postgres": urlsplit(address)._replace(path=f"/{name}").geturl()}
    finally:
        postgres.drop_database(address, name)


def running(stack: Stack) -> Endcap:
    """Return the product of a stack that runs."""
    return Endcap(
        stack=stack,
        urls={service: f"http://{LOOPBACK}:{stack.ports[service]}" for service in SERVICES},
        keys=stack.keys(),
        environment=stack.client_environment(),
    )


_BUSY_MACHINE = {
    "RECOMMENDER_REDIS_MILLISECONDS": "1000",
    "RECOMMENDER_POSTGRES_MILLISECONDS": "10000",
    "ROUTER_UPSTREAM_SECONDS": "30",
    "TRACKER_CONFIRM_SECONDS": "10",
    "DASHBOARD_CALL_SECONDS": "60",
    "ENGINE_COUNT_SECONDS": "60",
    "ANALYTICS_SQL_SECONDS": "60",
    "HTTP_MAX_WAIT_MILLISECONDS": "2000",
    "HTTP_MAX_QUEUE_MILLISECONDS": "2000",
}
"""Time limits of requests for a machine that other tests keep busy: components answer late, but they answer.
Tests of the services have the limits of the product."""

_running: list[Stack] = []
"""The stack of the product while it runs."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the product after the last test that needs it: idle, it takes a sixth of a core."""
    if _running and nextitem is not None and not _is_needed_after(item, nextitem):
        _running.pop().stop()


def _is_needed_after(item: pytest.Item, nextitem: pytest.Item) -> bool:
    """Return whether a later test of this process needs the product."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # All tests of the product are given to one process at once, see tests/conftest.py.
        return not {"e2e", "browser"}.isdisjoint(nextitem.path.parts)
    later = item.session.items[item.session.items.index(item) + 1 :]
    return any("endcap" in getattr(each, "fixturenames", ()) for each in later)


@pytest.fixture(scope="session")
def endcap() -> Iterator[Endcap]:
    """Yield the product on free ports with an empty shop; one for the whole test run."""
    with stack_folder("e2e") as folder:
        ports = Ports.free()
        with _own_database(external_addresses()) as external, pytest.MonkeyPatch.context() as patch:
            # A user is erased soon after the first run: its files must not stay two minutes for the loader.
            patch.setenv("TRAINER_LOAD_SECONDS", "10")
            for name, limit in _BUSY_MACHINE.items():
                patch.setenv(name, limit)
            # Other tests need the processor as well, and these wait for workers.
            stack = Stack(folder, ports, external, durable=False, low_priority_workers=False)
            try:
                stack.launch(ends_with_caller=True)
                stack.start_everything()
                _running.append(stack)
                yield running(stack)
            finally:
                stack.stop()
