"""A process of Endcap, started as in production, for tests that talk to it over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
_ONE_ANSWER_SECONDS = 10
OFFSETS = {"serve": 0, "worker": 100, "relay": 200}


@dataclass(frozen=True)
class Process:
    """A running process and where it answers."""

    popen: subprocess.Popen[bytes]
    url: str
    log: Path

    def kill(self) -> None:
        """Kill -9."""
        self.popen.kill()
        self.popen.wait()

    def wait_until(self, path: str, status: int = 200) -> None:
        """Wait until a GET of `path` has this status."""

        def answer() -> tuple[int, str]:
            if self.popen.poll() is not None:
                raise AssertionError(f"it ended before {path} was {status}:\n{self._end_of_log()}")
            try:
                answered = httpx.get(self.url + path, timeout=_ONE_ANSWER_SECONDS)
            except httpx.TransportError as error:
                return 0, f"{error!r}; the end of its log:\n{self._end_of_log()}"
            return answered.status_code, answered.text

        until(answer, f"{path} is {status}", enough=lambda seen: seen[0] == status)

    def _end_of_log(self) -> str:
        return self.log.read_text()[-2000:]


@contextmanager
def process(
    service: str, command: str, environment: Mapping[str, str], folder: Path, *, ready: bool = True
) -> Iterator[Process]:
    """Run `python -m services.<service> <command>` on a free port; wait for /readyz (else /livez)."""
    port = _free_port()
    log = folder / f"{service}-{command}-{port}.log"
    variables = {
        **{name: os.environ[name] for name in ("PATH", "JDK_JAVA_OPTIONS")},
        **environment,
        f"{service.upper()}_PORT": str(port - OFFSETS[command]),
    }
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}", command],
            cwd=ROOT,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
