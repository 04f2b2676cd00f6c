"""Processes that tests start. None of them outlives the test run, however that ends.

As a plugin of pytest it marks the environment of the run, which every process that is started from it
inherits, and starts a watcher: once the run has ended, `leftovers.py` ends the processes that have the mark.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import pytest

from deploy.local.parent import end_with_parent
from tests.support.fork_server import ForkedProcess, fork
from tests.support.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
_RESPONSE_SECONDS = 10
_WITHOUT_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without certificates: processes of tests speak plain HTTP."""
OFFSETS = {"serve": 0, "worker": 100, "relay": 200}
RUN_VARIABLE = "ENDCAP_TEST_RUN"
"""The variable of a process that names its test run."""
_END_SECONDS = 20
"""The time that processes of a run have after SIGTERM: as long as a stack may take to stop."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Mark the run, and start its watcher, which is in no process group that a terminal signals."""
    inherited = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
    mark = f"{RUN_VARIABLE}={os.getpid()}-{uuid.uuid4().hex}"
    program = Path(__file__).with_name("leftovers.py")
    words = [sys.executable, "-I", "-S", str(program), str(os.getpid()), mark, str(_END_SECONDS)]
    os.posix_spawn(sys.executable, words, inherited, setsid=True, file_actions=_without_files())
    os.environ[RUN_VARIABLE] = mark.partition("=")[2]


def _without_files() -> list[tuple[int, int, str, int, int]]:
    """Redirect the watcher's standard streams: it must not keep the run's pipes open."""
    return [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one ends; without `environment` it inherits this one's."""
    variables = os.environ if environment is None else {**base_environment(), **environment}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(variables),
        stdout=stdout,
        stderr=stderr,
        preexec_fn=end_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it makes one system call
    )


def base_environment() -> dict[str, str]:
    """Return the variables that every process needs: paths of programs, the run's mark, limits of time."""
    names = (
        "PATH",
        "JDK_JAVA_OPTIONS",
        "DATABASE_REQUEST_SECONDS",
        "ENDCAP_KEY_LOOKUP_SECONDS",
        RUN_VARIABLE,
    )
    return {name: os.environ[name] for name in names if name in os.environ}


@dataclass(frozen=True)
class Process:
    """A running process and its URL."""

    popen: subprocess.Popen[bytes] | ForkedProcess
    url: str
    log: Path

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.popen.kill()
        self.popen.wait()

    def wait_until(self, path: str, status: int = 200) -> None:
        """Wait until GET `path` has this status; raise AssertionError if the process ends before that."""

        def answer() -> tuple[int, str]:
            if self.popen.poll() is not None:
                raise AssertionError(f"the process ended before {path} was {status}:\n{self._end_of_log()}")
            try:
                response = http.get(path)
            except httpx.TransportError as error:
                return 0, f"{error!r}; the end of its log:\n{self._end_of_log()}"
            return response.status_code, response.text

        # One client for all polls: a client that may use TLS takes 30 ms of CPU to read its certificates.
        with httpx.Client(
            base_url=self.url, timeout=_RESPONSE_SECONDS, trust_env=False, verify=_WITHOUT_TLS
        ) as http:
            until(answer, f"{path} is {status}", enough=lambda seen: seen[0] == status)

    def _end_of_log(self) -> str:
        return self.log.read_text()[-2000:]


@contextmanager
def process(
    service: str, command: str, environment: Mapping[str, str], folder: Path, *, ready: bool = True
) -> Iterator[Process]:
    """Run `python -m services.<service> <command>` on a free port; wait for /readyz (else /livez)."""
    port = free_port()
    log = folder / f"{service}-{command}-{port}.log"
    variables = {**environment, f"{service.upper()}_PORT": str(port - OFFSETS[command])}
    popen = _launch(service, command, variables, log)
    running = Process(popen, f"http://127.0.0.1:{port}", log)
    try:
        running.wait_until("/readyz" if ready else "/livez")
        yield running
    finally:
        if popen.poll() is None:
            popen.terminate()
        try:
            popen.wait(timeout=15)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def _launch(
    service: str, command: str, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes] | ForkedProcess:
    """Start a service: from its fork server, unless the environment configures the interpreter."""
    if not any(name.startswith("PYTHON") for name in environment):
        return fork(service, [command], {**base_environment(), **environment}, log)
    with log.open("wb") as output:
        words = [sys.executable, "-m", f"services.{service}", command]
        return start(words, environment, stdout=output, stderr=subprocess.STDOUT)


def finished(
    service: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command `python -m services.<service> <arguments>` in a fork to its end."""
    name = uuid.uuid4().hex
    output, errors = folder / f"{name}.output", folder / f"{name}.errors"
    command = fork(service, arguments, {**base_environment(), **environment}, output, errors)
    try:
        status = command.wait(PATIENCE)
    finally:
        command.kill()
    return subprocess.CompletedProcess([*arguments], status, output.read_text(), errors.read_text())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
