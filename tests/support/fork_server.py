"""Services forked from an interpreter that has imported their modules already.

Importing takes up to 2 s of CPU time for each process, and a test run starts hundreds. A test run starts one
interpreter, which imports what all services import:

    python -m tests.support.fork_server <socket>

It forks a server for each service when a test first needs it, which imports `services.<name>.app`, and forks
once for each connection. The child has the environment, the arguments and the log file of the request, and
runs the module as `python -m` would. All servers end with the standard input, and their children with them.
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
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from deploy.local.parent import end_with_parent
from tests.support import forked_computations

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
    """Return the socket of a service's fork server, which is forked from the first server."""
    path = _new_socket()
    request = {"socket": str(path), "module": f"services.{service}"}
    with _starting:
        first = _first_server()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(first))
        connection.sendall(json.dumps(request).encode() + b"\n")
        assert connection.makefile("r").readline(), f"the fork server of {service} has ended"
    return path


@cache
def _first_server() -> Path:
    """Start the server that has imported what services share; return its socket."""
    path = _new_socket()
    command = [sys.executable, "-m", __name__, str(path)]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline(), "the first fork server has ended"
    _servers.append(server)
    return path


def _new_socket() -> Path:
    return Path(tempfile.mkdtemp(prefix="endcap-forks-")) / "socket"


_servers: list[subprocess.Popen[bytes]] = []
"""The first server of this run: its standard input must stay open."""

_starting = threading.Lock()
"""Lets several threads that need a server start the first one once."""

_SHARED = ("shared.http.runtime", "shared.periodic_task", "faststream.kafka", "boto3", "httpx")
"""Modules that all services import, and packages that most do."""


def _main(path: str) -> None:
    """Fork the servers of services; become one of them in a fork, and a service in a fork of that."""
    for module in _SHARED:
        importlib.import_module(module)
    server = _next_fork(path, _forked_server, lambda: _say_ready(sys.stdout))
    if server is None:
        return
    importlib.import_module(f"{server['module']}.app")
    forked_computations.import_modules()
    run = _next_fork(server["socket"], _forked, lambda: _say_ready(server["answer"]))
    if run is not None:
        _become(run, server["module"])


def _say_ready(stream: TextIO) -> None:
    stream.write("ready\n")
    stream.flush()


def _next_fork(
    path: str, fork: Callable[[socket.socket], dict[str, Any] | None], ready: Callable[[], None]
) -> dict[str, Any] | None:
    """Fork for each connection; return the request in a fork, and None at the end of the input."""
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a fork copies one thread alone"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        ready()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            request = fork(connection)
            if request is not None:
                return request
            connection.close()
    Path(path).unlink()
    Path(path).parent.rmdir()
    return None


def _forked_server(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for the server of a service; return its request, with a stream for the answer, in it alone."""
    if os.fork():
        return None
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request: dict[str, Any] = json.loads(connection.makefile("r").readline())
    return request | {"answer": connection.makefile("w")}


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
    if request["arguments"] == ["worker"]:
        forked_computations.prepare()
    random.seed()
    sys.argv = [module, *request["arguments"]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(sys.argv[1])
