"""XML-RPC over the Unix socket of a stack's supervisord."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import tempfile
import xmlrpc.client
from pathlib import Path
from typing import Any

from deploy.local.errors import StackError

# sun_path has 108 bytes with its final NUL; supervisord first binds a name that is slightly longer.
_LONGEST_SOCKET_PATH = 95


def call(path: Path, method: str, *arguments: object) -> Any:
    """Return the result of a method. Raises OSError if nothing listens, StackError if the call fails."""
    server = xmlrpc.client.ServerProxy("http://supervisor", _UnixTransport(path))
    with server:
        try:
            return getattr(server, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            message = f"supervisord failed in {method}{arguments}: {fault.faultString}"
            raise StackError(message) from fault


def socket_path(run: Path, name: str = "supervisord.sock") -> Path:
    """Return the path of a socket of the stack with this run folder. Raises StackError.

    The path is in the run folder, or in a private temporary folder if it would be too long.
    """
    path = run / name
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    # The folder is found again by the digest of the run folder.
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"endcap-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StackError(f"{folder} belongs to another user; remove it, or move the clone to a shorter path")
    return folder / name


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002
        connection = _UnixConnection(self._path)
        self._connection = "supervisor", connection  # `close` closes this connection
        return connection
