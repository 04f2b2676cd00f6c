"""Services forked from an interpreter that has imported their modules already.

Importing takes up to 2 s of CPU time for each process, and a test run starts hundreds. Each service has one
fork server, which a test run starts when it first needs it:

    python -m tests.support.fork_server <socket> services.<name>

It imports `services.<name>.app`, and forks once for each connection. The child has the environment, the
arguments and the log file of the request, and runs the module as `python -m` would. The server ends with its
standard input, and its children end with it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from deploy.local.parent import end_with_parent

ROOT = Path(__file__).resolve().parents[2]
_SECONDS_TO_START = 300


class ForkedProcess:
    """A process of a fork server, with the members of subprocess.Popen that tests use."""

    def __init__(self, connection: socket.socket) -> None:
        """Take the connection on which the server writes the process id, and at the end the exit status."""
        self._lines = connection.makefile("r")
        self._connection = connection
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, as subprocess does; None while the process runs."""
        return self.returncode if self._has_ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if not self._has_ended(timeout):
            raise subprocess.TimeoutExpired(["a forked service"], timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def _has_ended(self, timeout: float | None) -> bool:
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            # The server closes the connection without a status only if it was killed itself.
            self.returncode = int(self._lines.readline() or -signal.SIGKILL)
            self._lines.close()
            self._connection.close()
        return self.returncode is not None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork(
    service: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    errors: Path | None = None,
) -> ForkedProcess:
    """Run `python -m services.<service> <arguments>` in a fork; its output goes to the log file.

    What it writes to the standard error goes to the file `errors`, if there is one.
    """
    log.touch()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(_server(service)))
    request = {
        "arguments": list(arguments),
        "environment": dict(environment),
        "log": str(log),
        "errors": str(errors or log),
    }
    connection.sendall(json.dumps(request).encode() + b"\n")
    return ForkedProcess(connection)


@cache
def _server(service: str) -> Path:
    """Start the fork server of a service; return its socket."""
    path = Path(tempfile.mkdtemp(prefix="endcap-forks-")) / "socket"
    command = [sys.executable, "-m", __name__, str(path), f"services.{service}"]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline(), f"the fork server of {service} has ended"
    _servers.append(server)
    return path


_servers: list[subprocess.Popen[bytes]] = []
"""The servers of this run: their standard inputs must stay open."""


def _main(path: str, module: str) -> None:
    importlib.import_module(f"{module}.app")
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a fork copies one thread alone"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            request = _forked(connection)
            if request is not None:
                break
            connection.close()
        else:
            Path(path).unlink()
            Path(path).parent.rmdir()
            return
    _become(request, module)


def _forked(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for a request; return it in the new process alone."""
    tie = end_with_parent(signal.SIGKILL)
    if os.fork():
        return None
    # This process waits for the service, whose parent it is, and reports how it ended.
    tie()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request: dict[str, Any] = json.loads(connection.makefile("r").readline())
    tie = end_with_parent(signal.SIGKILL)
    pid = os.fork()
    if pid:
        connection.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    tie()
    connection.close()
    return request


def _become(request: dict[str, Any], module: str) -> None:
    """Run the module with the environment, the arguments and the log of the request."""
    os.environ.clear()
    os.environ.update(request["environment"])
    options = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    log = os.open(request["log"], options, 0o644)
    errors = log if request["errors"] == request["log"] else os.open(request["errors"], options, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (errors, 2)):
        os.dup2(source, target)
    random.seed()
    sys.argv = [module, *request["arguments"]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
