"""The entire product for a test run: every service and worker, as `make run` starts them."""

from __future__ import annotations

import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.local.components import postgres
from deploy.local.environment import client_environment
from deploy.local.ports import LOOPBACK, SERVICES, Ports
from deploy.local.stack import Stack
from tests.support.stack import given_components
from tests.support.waiting import PATIENCE, until


@dataclass(frozen=True)
class Endcap:
    """The running product. Processes are called `tracker`, `tracker-worker`, `sync-relay`, `kafka` …"""

    stack: Stack
    urls: dict[str, str]
    keys: dict[str, str]
    environment: dict[str, str]

    def pid(self, process: str) -> int:
        """The process id."""
        return self.stack.supervisor.process(process).pid

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, SIGKILL by default; gives the process id it had. It is restarted."""
        return self.stack.kill(process, number)

    def kill_and_wait(self, process: str) -> None:
        """Kill a process and wait until another one has taken its place and is ready."""
        before = self.kill(process)
        until(lambda: self.pid(process) not in {0, before}, f"{process} was restarted")
        self.wait_healthy(process)

    def stop(self, process: str) -> None:
        """Stop a process, which then stays stopped."""
        self.stack.supervisor.stop(process)

    def start(self, process: str) -> None:
        """Start a stopped process and wait until it is ready."""
        self.stack.supervisor.start(process)
        self.wait_healthy(process)

    def restart(self, process: str) -> None:
        """Stop a process in order, and start it again."""
        self.stop(process)
        self.start(process)

    def wait_healthy(self, *processes: str) -> None:
        """Wait until the named processes, or all of them, are ready."""
        for process in processes or [known.name for known in self.stack.processes()]:
            self.stack.wait_until_ready(process, seconds=PATIENCE)

    def log(self, process: str) -> str:
        """What the process has written so far."""
        return (self.stack.root / "logs" / f"{process}.log").read_text(errors="replace")


@contextmanager
def _own_database(external: dict[str, str]) -> Iterator[dict[str, str]]:
    """On a Postgres server that was given, a database for this run alone."""
    given = external.get("postgres")
    if given is None:
        yield external
        return
    name = f"endcap_test_{uuid.uuid4().hex[:8]}"
    postgres.create_database(given, name)
    try:
        yield {**external, "postgres": urlsplit(given)._replace(path=f"/{name}").geturl()}
    finally:
        postgres.drop_database(given, name)


def running(stack: Stack) -> Endcap:
    """What a test is given of a stack that runs."""
    keys = stack.keys()
    return Endcap(
        stack=stack,
        urls={service: f"http://{LOOPBACK}:{stack.ports[service]}" for service in SERVICES},
        keys=keys,
        environment=client_environment(stack.ports, stack.secrets, stack.external, keys),
    )


@pytest.fixture(scope="session")
def endcap() -> Iterator[Endcap]:
    """The product on free ports, with an empty shop; one for the whole test run."""
    with tempfile.TemporaryDirectory(prefix="endcap-e2e-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        ports = Ports.free()
        with _own_database(given_components()) as external, pytest.MonkeyPatch.context() as patch:
            # A user is erased soon after the first run: its files must not stay two minutes for the loader.
            patch.setenv("TRAINER_LOAD_SECONDS", "10")
            stack = Stack(Path(folder), ports, external, durable=False)
            try:
                stack.launch(ends_with_caller=True)
                stack.start_everything()
                yield running(stack)
            finally:
                stack.stop()
